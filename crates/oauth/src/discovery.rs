//! How the authorization server of a server is found.

use url::Url;

use crate::{
    AuthChallenge, EndpointRule, IssuerMetadata, OAuthError, OAuthFetch,
    metadata::{ResourceMetadata, places_of_issuer, places_of_resource},
    text::quoted,
};

/// Authorization servers of one server that are tried.
const MOST_ISSUERS: usize = 4;

/// The authorization server of a server, and what is to be asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// What tokens are for (RFC 8707).
    pub resource: String,
    /// What the authorization server says of itself.
    pub issuer: IssuerMetadata,
    /// The scope that the server wants, as far as it says.
    pub scope: Option<String>,
}

/// Finds the authorization server of the server at `url`, which answered with this challenge.
///
/// # Errors
/// There is none, or none that can be used.
pub async fn discover(fetch: &impl OAuthFetch, url: &Url, challenge: &AuthChallenge) -> Result<Discovered, OAuthError> {
    let rule = EndpointRule::of_server(url);
    let named = challenge.resource_metadata.clone();
    if let Some(named) = &named {
        rule.check(named.as_str(), "its metadata")?;
    }
    let places = named.map_or_else(|| places_of_resource(url), |named| vec![named]);
    let found = first::<ResourceMetadata>(fetch, &places).await?;
    let Some(metadata) = found else {
        // Servers of before 2025-06-18 are their own authorization servers.
        let issuer = url.origin().ascii_serialization();
        let issuer = issuer_metadata(fetch, &issuer, rule).await.map_err(|error| match error {
            OAuthError::Unusable(_) => OAuthError::Unusable(
                "it does not say where its authorization server is; use `bearerToken` or `headers`".to_owned(),
            ),
            other => other,
        })?;
        return Ok(Discovered { resource: canonical(url), issuer, scope: challenge.scope.clone() });
    };
    metadata.check(url)?;
    let scope = challenge.scope.clone().or_else(|| metadata.scope());
    let mut failure = OAuthError::Unusable("its metadata names no authorization server".to_owned());
    for issuer in metadata.authorization_servers.iter().take(MOST_ISSUERS) {
        match issuer_metadata(fetch, issuer, rule).await {
            Ok(issuer) => return Ok(Discovered { resource: metadata.resource, issuer, scope }),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn issuer_metadata(
    fetch: &impl OAuthFetch,
    issuer: &str,
    rule: EndpointRule,
) -> Result<IssuerMetadata, OAuthError> {
    let url = rule.check(issuer, "its authorization server")?;
    let found = first::<IssuerMetadata>(fetch, &places_of_issuer(&url)).await?;
    let metadata = found
        .ok_or_else(|| OAuthError::Unusable(format!("the authorization server {} has no metadata", quoted(issuer))))?;
    metadata.check(issuer, rule)?;
    Ok(metadata)
}

/// What lies at the first of these places that has it; `None`: at none.
pub(crate) async fn first<T: serde::de::DeserializeOwned>(
    fetch: &impl OAuthFetch,
    places: &[Url],
) -> Result<Option<T>, OAuthError> {
    let mut broken = None;
    for place in places {
        let at = quoted(place.as_str());
        match fetch.get(place).await {
            Ok(answer) if answer.is_success() => match serde_json::from_slice(&answer.body) {
                Ok(found) => return Ok(Some(found)),
                // A page for everything that is not there.
                Err(_) => broken = Some(OAuthError::Unusable(format!("{at} holds no metadata of OAuth"))),
            },
            Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                return Err(OAuthError::Unavailable(format!("{at} answers HTTP {}", answer.status)));
            }
            Ok(_) => {}
            Err(why) => return Err(OAuthError::Unavailable(format!("cannot reach {at}: {why}"))),
        }
    }
    match broken {
        Some(broken) if places.len() == 1 => Err(broken),
        Some(_) | None => Ok(None),
    }
}

/// The name of a server that says none (MCP, Canonical Server URI).
fn canonical(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    let text = url.to_string();
    if url.path() == "/" && url.query().is_none() { text.trim_end_matches('/').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FetchedAnswer, OAuthPost};

    /// What lies where.
    struct Places(Vec<(&'static str, &'static str)>);

    impl OAuthFetch for Places {
        async fn get(&self, url: &Url) -> Result<FetchedAnswer, String> {
            let found = self.0.iter().find(|(place, _)| *place == url.as_str());
            Ok(match found {
                Some((_, body)) => FetchedAnswer { status: 200, body: body.as_bytes().to_vec(), max_age: None },
                None => FetchedAnswer { status: 404, body: Vec::new(), max_age: None },
            })
        }

        async fn post(&self, _: &Url, _: OAuthPost) -> Result<FetchedAnswer, String> {
            Err("nothing is posted".to_owned())
        }
    }

    const ISSUER: &str = r#"{"issuer":"https://as/t","authorization_endpoint":"https://as/a","token_endpoint":"https://as/t","code_challenge_methods_supported":["S256"]}"#;

    async fn of(places: &[(&'static str, &'static str)], challenge: &str) -> Result<Discovered, OAuthError> {
        let challenge = AuthChallenge::parse(challenge).unwrap_or_default();
        discover(&Places(places.to_vec()), &Url::parse("https://h/mcp").expect("one"), &challenge).await
    }

    #[tokio::test]
    async fn the_authorization_server_is_found_by_the_challenge_and_without() {
        let resource = r#"{"resource":"https://h/mcp","authorization_servers":["https://gone","https://as/t"],"scopes_supported":["a","b"]}"#;
        let issuer = ("https://as/.well-known/openid-configuration/t", ISSUER);
        let found = of(&[("https://h/.well-known/oauth-protected-resource/mcp", resource), issuer], "").await;
        let found = found.expect("found");
        assert_eq!((found.resource.as_str(), found.scope.as_deref()), ("https://h/mcp", Some("a b")));
        assert_eq!(found.issuer.token_endpoint, "https://as/t");
        let challenge = r#"Bearer resource_metadata="https://h/elsewhere", scope="c""#;
        let found = of(&[("https://h/elsewhere", resource), issuer], challenge).await.expect("found");
        assert_eq!(found.scope.as_deref(), Some("c"));
        let found = of(&[("https://h/.well-known/oauth-protected-resource", resource), issuer], "").await;
        assert!(found.is_ok());
    }

    #[tokio::test]
    async fn an_old_server_is_its_own_authorization_server() {
        let own = r#"{"issuer":"https://h","token_endpoint":"https://h/token"}"#;
        let found = of(&[("https://h/.well-known/oauth-authorization-server", own)], "Bearer").await.expect("found");
        assert_eq!((found.resource.as_str(), found.issuer.issuer.as_str()), ("https://h/mcp", "https://h"));
        let none = of(&[], "Bearer").await.expect_err("there is none").to_string();
        assert!(none.contains("does not say where"), "{none}");
    }

    #[tokio::test]
    async fn metadata_of_others_is_not_believed() {
        let of_other = r#"{"resource":"https://other/mcp","authorization_servers":["https://as/t"]}"#;
        let issuer = ("https://as/.well-known/openid-configuration/t", ISSUER);
        let place = "https://h/.well-known/oauth-protected-resource/mcp";
        assert!(matches!(of(&[(place, of_other), issuer], "").await, Err(OAuthError::Unusable(_))));
        let wrong = r#"{"resource":"https://h/mcp","authorization_servers":["https://evil"]}"#;
        let posing = ("https://evil/.well-known/oauth-authorization-server", ISSUER);
        let error = of(&[(place, wrong), posing], "").await.expect_err("another issuer").to_string();
        assert!(error.contains("is that of `https://as/t`"), "{error}");
    }
}
