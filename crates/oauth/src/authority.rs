//! An authorization server as a resource server needs it: its keys (RFC 8414, OpenID Connect Discovery), and what it says of tokens that
//! only it can read (RFC 7662).

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{
    ClientIdentity, EndpointRule, FetchedAnswer, OAuthError, OAuthFetch, TokenText, answer, client::auth,
    discovery::first, metadata::places_of_issuer, text::quoted,
};

/// Where an authorization server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    keys: Url,
    introspection: Option<Url>,
    introspection_methods: Option<Vec<String>>,
}

/// Who asks what a token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionClient {
    /// Its id there.
    pub id: String,
    /// What proves it.
    pub secret: TokenText,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthorityMetadata {
    issuer: String,
    jwks_uri: Option<String>,
    introspection_endpoint: Option<String>,
    introspection_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Authority {
    /// Finds it by its name, which has to be the name that it gives itself: so none can speak for another.
    ///
    /// # Errors
    /// It cannot be reached, or its metadata cannot be used.
    pub async fn discover(fetch: &impl OAuthFetch, issuer: &str) -> Result<Self, OAuthError> {
        let shown = quoted(issuer);
        let url = Url::parse(issuer).map_err(|_| OAuthError::Unusable(format!("the issuer `{shown}` is no URL")))?;
        let rule = EndpointRule::of_server(&url);
        let metadata = first::<AuthorityMetadata>(fetch, &places_of_issuer(&url)).await?.ok_or_else(|| {
            OAuthError::Unusable(format!(
                "`{shown}` has no metadata at /.well-known/oauth-authorization-server or /.well-known/openid-configuration; \
                 check `issuer` in `auth.oauth`"
            ))
        })?;
        // RFC 8414 section 3.3. A slash at the end is often written, or left out.
        if metadata.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            return Err(OAuthError::Unusable(format!(
                "`{shown}` calls itself `{}`; write that as `issuer` in `auth.oauth`",
                quoted(&metadata.issuer)
            )));
        }
        let keys = metadata
            .jwks_uri
            .ok_or_else(|| OAuthError::Unusable(format!("the metadata of `{shown}` names no keys (`jwks_uri`)")))?;
        let introspection = metadata.introspection_endpoint;
        Ok(Self {
            keys: rule.check(&keys, "its `jwks_uri`")?,
            introspection: introspection.map(|at| rule.check(&at, "its introspection endpoint")).transpose()?,
            introspection_methods: metadata.introspection_endpoint_auth_methods_supported,
        })
    }

    /// Its keys, as it writes them.
    ///
    /// # Errors
    /// It does not answer, or with something else.
    pub async fn keys(&self, fetch: &impl OAuthFetch) -> Result<FetchedAnswer, OAuthError> {
        let at = quoted(self.keys.as_str());
        let answer = fetch.get(&self.keys).await;
        let answer = answer.map_err(|why| OAuthError::Unavailable(format!("cannot reach {at}: {why}")))?;
        if answer.is_success() {
            return Ok(answer);
        }
        Err(OAuthError::Unavailable(format!("{at}, where its keys should be, answers HTTP {}", answer.status)))
    }

    /// What it says of a token: the members of its answer; `None`: the token is not valid.
    ///
    /// # Errors
    /// It does not answer, or with something else.
    pub async fn introspect(
        &self,
        fetch: &impl OAuthFetch,
        client: &IntrospectionClient,
        token: &str,
    ) -> Result<Option<Value>, OAuthError> {
        let Some(endpoint) = &self.introspection else {
            let why = "it has no introspection endpoint; leave `introspection` out of `auth.oauth`, and have it issue signed tokens";
            return Err(OAuthError::Unusable(why.to_owned()));
        };
        let client = ClientIdentity {
            id: client.id.clone(),
            secret: Some(client.secret.clone()),
            auth: auth(true, self.introspection_methods.as_deref(), None),
        };
        let what = "its introspection endpoint";
        let answer = fetch.post(endpoint, client.form([("token", token), ("token_type_hint", "access_token")])).await;
        let answer = answer
            .map_err(|why| OAuthError::Unavailable(format!("cannot reach {}: {why}", quoted(endpoint.as_str()))))?;
        let said = answer::body(&answer, what)?;
        match said.get("active") {
            Some(Value::Bool(true)) => Ok(Some(said)),
            Some(Value::Bool(false)) => Ok(None),
            Some(_) | None => Err(OAuthError::Unavailable(format!("{what} answers without `active`"))),
        }
    }
}

/// The seconds for which an answer with this `Cache-Control` may be used again; `None`: it does not say.
pub fn max_age(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control.split(',').map(str::trim);
    if directives.clone().any(|one| one.eq_ignore_ascii_case("no-store") || one.eq_ignore_ascii_case("no-cache")) {
        return Some(0);
    }
    directives.find_map(|one| {
        let (name, value) = one.split_once('=')?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| value.trim().trim_matches('"').parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OAuthPost;

    /// What lies where; every POST gets the last.
    struct Stored(Vec<(&'static str, u16, &'static str)>);

    impl OAuthFetch for Stored {
        async fn get(&self, url: &Url) -> Result<FetchedAnswer, String> {
            let found = self.0.iter().find(|(place, ..)| *place == url.as_str());
            let (status, body) = found.map_or((404, ""), |(_, status, body)| (*status, *body));
            Ok(FetchedAnswer { status, body: body.into(), max_age: None })
        }

        async fn post(&self, url: &Url, post: OAuthPost) -> Result<FetchedAnswer, String> {
            assert!(post.authorization.is_some_and(|value| value.starts_with("Basic ")));
            assert!(post.body.contains("token=opaque"));
            self.get(url).await
        }
    }

    const AT: &str = "https://as/.well-known/openid-configuration";

    async fn of(metadata: &'static str) -> Result<Authority, OAuthError> {
        Authority::discover(&Stored(vec![(AT, 200, metadata)]), "https://as").await
    }

    #[tokio::test]
    async fn keys_are_found_by_the_name_of_their_issuer_and_no_other_speaks_for_it() {
        let found = of(r#"{"issuer":"https://as/","jwks_uri":"https://keys/1"}"#).await.expect("found");
        let stored = Stored(vec![("https://keys/1", 200, "{}")]);
        assert_eq!(found.keys(&stored).await.map(|answer| answer.body), Ok(b"{}".to_vec()));
        assert!(matches!(found.keys(&Stored(Vec::new())).await, Err(OAuthError::Unavailable(_))));
        for (metadata, why) in [
            (r#"{"issuer":"https://evil","jwks_uri":"https://as/keys"}"#, "calls itself `https://evil`"),
            (r#"{"issuer":"https://as"}"#, "`jwks_uri`"),
            (r#"{"issuer":"https://as","jwks_uri":"http://as/keys"}"#, "not https"),
            ("<html>", "check `issuer`"),
        ] {
            let error = of(metadata).await.expect_err(metadata).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[tokio::test]
    async fn a_token_is_worth_what_its_issuer_says() {
        let found = of(r#"{"issuer":"https://as","jwks_uri":"https://as/k","introspection_endpoint":"https://as/i"}"#);
        let found = found.await.expect("found");
        let client = IntrospectionClient { id: "c".into(), secret: TokenText::new("s") };
        let ask = async |body| found.introspect(&Stored(vec![("https://as/i", 200, body)]), &client, "opaque").await;
        assert_eq!(ask(r#"{"active":false}"#).await, Ok(None));
        assert!(ask(r#"{"active":true,"sub":"ann"}"#).await.expect("an answer").is_some());
        for none in ["{}", r#"{"active":"true"}"#, "<html>"] {
            assert!(matches!(ask(none).await, Err(OAuthError::Unavailable(_))), "{none}");
        }
        let without = of(r#"{"issuer":"https://as","jwks_uri":"https://as/k"}"#).await.expect("found");
        let error = without.introspect(&Stored(Vec::new()), &client, "opaque").await.expect_err("no endpoint");
        assert!(error.to_string().contains("leave `introspection` out"), "{error}");
    }

    #[test]
    fn an_answer_says_for_how_long_it_is_good() {
        assert_eq!(max_age("public, max-age=600"), Some(600));
        assert_eq!(max_age("Max-Age = \"30\""), Some(30));
        assert_eq!(max_age("max-age=600, no-store"), Some(0));
        assert_eq!((max_age("public"), max_age("max-age=x"), max_age("")), (None, None, None));
    }
}
