//! Who MCProxy is to an authorization server: as configured, by a document about it, or as it registers (RFC 7591).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::{Url, form_urlencoded::byte_serialize};

use crate::{FetchedAnswer, IssuerMetadata, OAuthError, OAuthFetch, OAuthPost, TokenText, answer, text::quoted};

/// Who MCProxy is to one authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientIdentity {
    /// Its id.
    pub id: String,
    /// What proves it.
    pub secret: Option<TokenText>,
    /// How that is shown.
    pub auth: ClientAuth,
}

/// How a client shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Not at all.
    None,
    /// In `Authorization`.
    Basic,
    /// In the form.
    Post,
}

/// How MCProxy becomes a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientChoice {
    /// It is one.
    Known(ClientIdentity),
    /// It registers.
    Register,
}

/// What the configuration says, and what the authorization server can: the order is that of MCP (Client Registration Approaches).
///
/// # Errors
/// There is no way.
pub fn choose(
    configured: Option<(&str, Option<&TokenText>)>,
    document: Option<&str>,
    issuer: &IssuerMetadata,
) -> Result<ClientChoice, OAuthError> {
    if let Some((id, secret)) = configured {
        let auth = auth(secret.is_some(), issuer.token_endpoint_auth_methods_supported.as_deref(), None);
        return Ok(ClientChoice::Known(ClientIdentity { id: id.to_owned(), secret: secret.cloned(), auth }));
    }
    if let Some(document) = document.filter(|_| issuer.client_id_metadata_document_supported) {
        let identity = ClientIdentity { id: document.to_owned(), secret: None, auth: ClientAuth::None };
        return Ok(ClientChoice::Known(identity));
    }
    if issuer.registration_endpoint.is_some() {
        return Ok(ClientChoice::Register);
    }
    let issuer = quoted(&issuer.issuer);
    Err(OAuthError::Unusable(format!(
        "the authorization server {issuer} takes no clients that register themselves; register MCProxy there (redirect address \
         http://127.0.0.1/callback) and write what it gives as `oauth.clientId` and `oauth.clientSecret`"
    )))
}

pub(crate) fn auth(has_secret: bool, supported: Option<&[String]>, told: Option<&str>) -> ClientAuth {
    let has = |method: &str| supported.is_none_or(|supported| supported.iter().any(|one| one == method));
    match told {
        _ if !has_secret => ClientAuth::None,
        Some("client_secret_post") => ClientAuth::Post,
        Some("client_secret_basic") => ClientAuth::Basic,
        // RFC 8414: without a list it is Basic.
        _ if has("client_secret_basic") || !has("client_secret_post") => ClientAuth::Basic,
        _ => ClientAuth::Post,
    }
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<TokenText>,
    token_endpoint_auth_method: Option<String>,
}

/// Registers MCProxy as a client on people's machines.
///
/// # Errors
/// It is not let.
pub async fn register(
    fetch: &impl OAuthFetch,
    issuer: &IssuerMetadata,
    redirect: &str,
    scope: Option<&str>,
) -> Result<ClientIdentity, OAuthError> {
    let endpoint = issuer.registration_endpoint.as_deref().and_then(|endpoint| Url::parse(endpoint).ok());
    let Some(endpoint) = endpoint else {
        return Err(OAuthError::Unusable("the authorization server registers no clients".to_owned()));
    };
    let mut about = json!({
        "client_name": "MCProxy",
        "redirect_uris": [redirect],
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    if let Some(scope) = scope {
        about["scope"] = scope.into();
    }
    let what = "the authorization server's registration";
    let answer = fetch.post(&endpoint, OAuthPost::json(&about)).await;
    let answer =
        answer.map_err(|why| OAuthError::Unavailable(format!("cannot reach {}: {why}", quoted(endpoint.as_str()))))?;
    registered(&answer, issuer, what)
}

fn registered(answer: &FetchedAnswer, issuer: &IssuerMetadata, what: &str) -> Result<ClientIdentity, OAuthError> {
    let body = answer::body(answer, what)?;
    let registered: Registered = serde_json::from_value(body)
        .map_err(|_| OAuthError::Unusable(format!("{what} answers without a `client_id`")))?;
    let Registered { client_id, client_secret, token_endpoint_auth_method } = registered;
    let told = token_endpoint_auth_method.as_deref();
    let secret = client_secret.filter(|_| told != Some("none"));
    let auth = auth(secret.is_some(), issuer.token_endpoint_auth_methods_supported.as_deref(), told);
    Ok(ClientIdentity { id: client_id, secret, auth })
}

impl ClientIdentity {
    /// A form that shows who asks.
    pub(crate) fn form<'a>(&'a self, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> OAuthPost {
        let secret = self.secret.as_ref().map(TokenText::expose);
        let fields = fields.into_iter();
        match (self.auth, secret) {
            (ClientAuth::Basic, Some(secret)) => {
                // RFC 6749 section 2.3.1: each is encoded as in a form.
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(&self.id), encoded(secret));
                OAuthPost::form(fields, Some(format!("Basic {}", STANDARD.encode(pair))))
            }
            (ClientAuth::Post, Some(secret)) => {
                OAuthPost::form(fields.chain([("client_id", self.id.as_str()), ("client_secret", secret)]), None)
            }
            (ClientAuth::None | ClientAuth::Basic | ClientAuth::Post, _) => {
                OAuthPost::form(fields.chain([("client_id", self.id.as_str())]), None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(methods: &[&str]) -> IssuerMetadata {
        IssuerMetadata {
            token_endpoint_auth_methods_supported: Some(methods.iter().map(|&method| method.to_owned()).collect()),
            registration_endpoint: Some("https://as/reg".into()),
            client_id_metadata_document_supported: true,
            ..IssuerMetadata::default()
        }
    }

    #[test]
    fn what_is_configured_comes_first_then_the_document_then_a_registration() {
        let secret = TokenText::new("s");
        let both = issuer(&["client_secret_post"]);
        let known = |choice| match choice {
            Ok(ClientChoice::Known(identity)) => identity,
            other => panic!("{other:?}"),
        };
        let configured = known(choose(Some(("c", Some(&secret))), Some("https://d"), &both));
        assert_eq!((configured.id.as_str(), configured.auth), ("c", ClientAuth::Post));
        assert_eq!(known(choose(Some(("c", None)), None, &both)).auth, ClientAuth::None);
        assert_eq!(known(choose(None, Some("https://d"), &both)).id, "https://d");
        assert_eq!(choose(None, None, &both), Ok(ClientChoice::Register));
        let closed = IssuerMetadata { issuer: "https://as".into(), ..IssuerMetadata::default() };
        let error = choose(None, Some("https://d"), &closed).expect_err("no way").to_string();
        assert!(error.contains("`oauth.clientId`"), "{error}");
    }

    #[test]
    fn a_client_shows_who_it_is_as_it_was_told() {
        let identity = |auth| ClientIdentity { id: "a b".into(), secret: Some(TokenText::new("s:1")), auth };
        let basic = identity(ClientAuth::Basic).form([("x", "1")]);
        assert_eq!(basic.authorization, Some(format!("Basic {}", STANDARD.encode("a+b:s%3A1"))));
        assert_eq!(basic.body, "x=1");
        assert_eq!(identity(ClientAuth::Post).form([("x", "1")]).body, "x=1&client_id=a+b&client_secret=s%3A1");
        assert_eq!(identity(ClientAuth::None).form([]).body, "client_id=a+b");
    }

    #[test]
    fn a_registration_is_read_as_the_authorization_server_changed_it() {
        let of = |body: &str| {
            registered(
                &FetchedAnswer { status: 201, body: body.into(), max_age: None },
                &issuer(&["client_secret_basic"]),
                "it",
            )
        };
        let plain = of(r#"{"client_id":"x","client_secret":"s","token_endpoint_auth_method":"none"}"#).expect("one");
        assert_eq!((plain.secret, plain.auth), (None, ClientAuth::None));
        let changed = of(r#"{"client_id":"x","client_secret":"s","token_endpoint_auth_method":"client_secret_post"}"#);
        assert_eq!(changed.expect("one").auth, ClientAuth::Post);
        assert!(of("{}").is_err());
    }
}
