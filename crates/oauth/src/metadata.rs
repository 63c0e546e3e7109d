//! What resources and authorization servers say of themselves (RFC 9728, RFC 8414, OpenID Connect Discovery), and where that is. Pure.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{OAuthError, challenge::is_scope, text::quoted};

/// Which endpoints are spoken to: those over TLS, and for a server without TLS any. So no server on the network leads to what this
/// machine or its neighbours offer without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointRule {
    plain: bool,
}

impl EndpointRule {
    /// For a server at this URL.
    pub fn of_server(url: &Url) -> Self {
        Self { plain: url.scheme() == "http" }
    }

    /// An endpoint, if it is one that may be spoken to. `what` names it.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn check(self, text: &str, what: &str) -> Result<Url, OAuthError> {
        let unusable = |why: &str| OAuthError::Unusable(format!("{what} is `{}`, {why}", quoted(text)));
        let url = Url::parse(text).map_err(|_| unusable("which is no URL"))?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.plain => Ok(url),
            _ => Err(unusable("which is not https")),
        }
    }
}

/// What a server says of itself (RFC 9728).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ResourceMetadata {
    pub(crate) resource: String,
    #[serde(default)]
    pub(crate) authorization_servers: Vec<String>,
    #[serde(default)]
    pub(crate) scopes_supported: Vec<String>,
}

impl ResourceMetadata {
    /// Checks that it is about the server at `url`, so that no server can ask for a token of another.
    pub(crate) fn check(&self, url: &Url) -> Result<(), OAuthError> {
        let covers = Url::parse(&self.resource).is_ok_and(|resource| {
            let base = resource.path().trim_end_matches('/');
            let rest = url.path().strip_prefix(base);
            resource.origin() == url.origin()
                && resource.query().is_none_or(|query| url.query() == Some(query))
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if covers {
            return Ok(());
        }
        Err(OAuthError::Unusable(format!(
            "its metadata is about `{}`, which is another server; check `url`",
            quoted(&self.resource)
        )))
    }

    /// Its scopes in one text.
    pub(crate) fn scope(&self) -> Option<String> {
        Some(self.scopes_supported.join(" ")).filter(|scope| is_scope(scope))
    }
}

/// What an authorization server says of itself (RFC 8414, OpenID Connect Discovery).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IssuerMetadata {
    /// Its name, a URL.
    pub issuer: String,
    /// Where people log in.
    pub authorization_endpoint: Option<String>,
    /// Where tokens are given.
    pub token_endpoint: String,
    /// Where clients make themselves known.
    pub registration_endpoint: Option<String>,
    /// Where tokens are given back.
    pub revocation_endpoint: Option<String>,
    /// How clients may show who they are.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Ways of PKCE.
    pub code_challenge_methods_supported: Vec<String>,
    /// What can be asked for.
    pub scopes_supported: Vec<String>,
    /// The callback says who it is from (RFC 9207).
    pub authorization_response_iss_parameter_supported: bool,
    /// A client's id may be the URL of a document about it.
    pub client_id_metadata_document_supported: bool,
}

impl IssuerMetadata {
    /// Checks that it is what the authorization server of this name says of itself, and that its endpoints may be spoken to.
    pub(crate) fn check(&self, expected: &str, rule: EndpointRule) -> Result<(), OAuthError> {
        if self.issuer.trim_end_matches('/') != expected.trim_end_matches('/') {
            return Err(OAuthError::Unusable(format!(
                "the metadata of the authorization server `{}` is that of `{}`",
                quoted(expected),
                quoted(&self.issuer)
            )));
        }
        rule.check(&self.token_endpoint, "its token endpoint")?;
        for (endpoint, what) in [
            (&self.authorization_endpoint, "its authorization endpoint"),
            (&self.registration_endpoint, "its registration endpoint"),
            (&self.revocation_endpoint, "its revocation endpoint"),
        ] {
            if let Some(endpoint) = endpoint {
                rule.check(endpoint, what)?;
            }
        }
        Ok(())
    }

    /// Where people log in, with the proof that only who asked can use what comes of it.
    ///
    /// # Errors
    /// It has no such endpoint, or no PKCE.
    pub(crate) fn interactive(&self) -> Result<Url, OAuthError> {
        let issuer = quoted(&self.issuer);
        if !self.code_challenge_methods_supported.iter().any(|method| method == "S256") {
            return Err(OAuthError::Unusable(format!(
                "the authorization server {issuer} does not say that it supports PKCE (S256), without which a code can be stolen"
            )));
        }
        let endpoint = self.authorization_endpoint.as_deref().and_then(|endpoint| Url::parse(endpoint).ok());
        endpoint.ok_or_else(|| {
            OAuthError::Unusable(format!(
                "the authorization server {issuer} has no page to log in at; use a grant for machines, or `bearerToken`"
            ))
        })
    }
}

/// Where the metadata of a server may be, without a word of it.
pub(crate) fn places_of_resource(server: &Url) -> Vec<Url> {
    let mut places = Vec::new();
    let path = server.path().trim_end_matches('/');
    for path in [path, ""] {
        let mut place = server.clone();
        place.set_path(&format!("/.well-known/oauth-protected-resource{path}"));
        if path.is_empty() {
            place.set_query(None);
        }
        place.set_fragment(None);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// Where the metadata of an authorization server may be.
pub(crate) fn places_of_issuer(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let paths = match path {
        "" => {
            vec!["/.well-known/oauth-authorization-server".to_owned(), "/.well-known/openid-configuration".to_owned()]
        }
        path => vec![
            format!("/.well-known/oauth-authorization-server{path}"),
            format!("/.well-known/openid-configuration{path}"),
            format!("{path}/.well-known/openid-configuration"),
        ],
    };
    let at = |path: String| {
        let mut place = issuer.clone();
        place.set_path(&path);
        place.set_query(None);
        place.set_fragment(None);
        place
    };
    paths.into_iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn texts(urls: Vec<Url>) -> Vec<String> {
        urls.into_iter().map(String::from).collect()
    }

    #[test]
    fn metadata_is_looked_for_where_the_specifications_say() {
        assert_eq!(
            texts(places_of_resource(&url("https://h/a/mcp?x=1"))),
            [
                "https://h/.well-known/oauth-protected-resource/a/mcp?x=1",
                "https://h/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(texts(places_of_resource(&url("https://h/"))), ["https://h/.well-known/oauth-protected-resource"]);
        assert_eq!(
            texts(places_of_issuer(&url("https://h/t"))),
            [
                "https://h/.well-known/oauth-authorization-server/t",
                "https://h/.well-known/openid-configuration/t",
                "https://h/t/.well-known/openid-configuration"
            ]
        );
        assert_eq!(texts(places_of_issuer(&url("https://h"))).len(), 2);
    }

    #[test]
    fn metadata_of_another_server_is_refused() {
        let about = |resource: &str| ResourceMetadata {
            resource: resource.to_owned(),
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
        };
        let server = url("https://h/a/mcp");
        for good in ["https://h/a/mcp", "https://h/a/mcp/", "https://h/a", "https://h", "https://h:443/"] {
            about(good).check(&server).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in ["https://other/a/mcp", "http://h/a/mcp", "https://h/a/m", "https://h/b", "https://h/a?x", "h", ""] {
            about(bad).check(&server).expect_err(bad);
        }
    }

    #[test]
    fn endpoints_without_tls_are_spoken_to_for_servers_without_only() {
        let rule = EndpointRule::of_server(&url("https://h/"));
        rule.check("https://x/token", "it").expect("over TLS");
        for bad in [
            "http://x/token",
            "http://127.0.0.1/",
            "http://localhost/",
            "ftp://x/",
            "x",
            "javascript:alert(1)",
            "file:///etc/passwd",
        ] {
            rule.check(bad, "it").expect_err(bad);
        }
        assert!(EndpointRule::of_server(&url("http://h/")).check("http://x/token", "it").is_ok());
    }

    #[test]
    fn an_authorization_server_is_who_it_says() {
        let metadata = IssuerMetadata {
            issuer: "https://as".into(),
            token_endpoint: "https://as/token".into(),
            authorization_endpoint: Some("https://as/auth".into()),
            ..IssuerMetadata::default()
        };
        let rule = EndpointRule::of_server(&url("https://h/"));
        assert!(metadata.check("https://as/", rule).is_ok());
        assert!(metadata.check("https://other", rule).is_err());
        let error = metadata.interactive().expect_err("without PKCE").to_string();
        assert!(error.contains("PKCE"), "{error}");
        let with = IssuerMetadata { code_challenge_methods_supported: vec!["S256".into()], ..metadata.clone() };
        assert!(with.interactive().is_ok());
        let plain = IssuerMetadata { token_endpoint: "http://as/token".into(), ..metadata };
        assert!(plain.check("https://as", rule).is_err());
    }
}
