//! Tokens: how they are asked for, and what the answer says.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    ClientIdentity, FetchedAnswer, KeptLogin, OAuthError, OAuthFetch, PendingAuthorization, TokenText, answer,
    text::quoted,
};

/// A token and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSet {
    /// Shown to the server.
    pub access: TokenText,
    /// Shown to the authorization server for the next one.
    pub refresh: Option<TokenText>,
    /// When it was obtained, in seconds since 1970.
    pub obtained_at: u64,
    /// For how many seconds it lasts from then on; `None`: not said.
    pub lifetime: Option<u64>,
    /// What it allows, where that is not what was asked for.
    pub scope: Option<String>,
}

/// RFC 6749 section 5.1.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: TokenText,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
    refresh_token: Option<TokenText>,
    scope: Option<String>,
}

/// Some write a number as a text, or with a fraction.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Whole(u64),
    Fraction(f64),
    Text(String),
}

impl Seconds {
    fn whole(self) -> Option<u64> {
        match self {
            Self::Whole(seconds) => Some(seconds),
            Self::Fraction(seconds) if seconds.is_finite() && seconds >= 0.0 => {
                Some(std::time::Duration::try_from_secs_f64(seconds).ok()?.as_secs())
            }
            Self::Fraction(_) => None,
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

/// How a token is asked for.
#[derive(Debug)]
pub enum TokenRequest<'a> {
    /// With the code of a callback.
    Code {
        /// The login that it is of.
        pending: &'a PendingAuthorization,
        /// The code.
        code: &'a str,
    },
    /// With the refresh token of the one before.
    Refresh(&'a TokenText),
    /// As a machine, for this scope.
    Machine(Option<&'a str>),
}

impl TokenRequest<'_> {
    /// Asks for it. `now`: seconds since 1970.
    ///
    /// # Errors
    /// There is none.
    pub async fn send(&self, fetch: &impl OAuthFetch, login: &KeptLogin, now: u64) -> Result<TokenSet, OAuthError> {
        let endpoint = &login.token_endpoint;
        let url = Url::parse(endpoint).map_err(|_| OAuthError::Unusable("the token endpoint is no URL".to_owned()))?;
        let (fields, before) = self.fields(&login.resource);
        let answer = fetch.post(&url, login.client.form(fields)).await;
        let answer =
            answer.map_err(|why| OAuthError::Unavailable(format!("cannot reach {}: {why}", quoted(endpoint))))?;
        read(&answer, before, now)
    }

    fn fields<'s>(&'s self, resource: &'s str) -> (Vec<(&'s str, &'s str)>, Option<&'s TokenText>) {
        let (mut fields, before) = match self {
            Self::Code { pending, code } => {
                let mut fields = vec![("grant_type", "authorization_code"), ("code", code)];
                fields.extend(pending.proof());
                (fields, None)
            }
            Self::Refresh(token) => {
                (vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())], Some(*token))
            }
            Self::Machine(scope) => {
                let mut fields = vec![("grant_type", "client_credentials")];
                fields.extend(scope.map(|scope| ("scope", scope)));
                (fields, None)
            }
        };
        fields.push(("resource", resource));
        (fields, before)
    }
}

/// `before`: the refresh token that was shown, which stays good where the answer brings none.
fn read(answer: &FetchedAnswer, before: Option<&TokenText>, now: u64) -> Result<TokenSet, OAuthError> {
    let what = "the authorization server";
    let body = answer::body(answer, what)?;
    let answer: TokenAnswer = serde_json::from_value(body)
        .map_err(|_| OAuthError::Unavailable(format!("{what} answers without a usable `access_token`")))?;
    if answer.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(OAuthError::Unusable(format!("{what} gives tokens of a type that is not `Bearer`")));
    }
    let access = answer.access_token;
    if access.expose().is_empty() || !access.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(OAuthError::Unusable(format!("{what} gave a token that no header can carry")));
    }
    Ok(TokenSet {
        access,
        refresh: answer.refresh_token.or_else(|| before.cloned()),
        obtained_at: now,
        lifetime: answer.expires_in.and_then(Seconds::whole).filter(|seconds| *seconds > 0),
        scope: answer.scope,
    })
}

/// Gives tokens back, as far as the authorization server takes them (RFC 7009). What it answers is of no consequence.
///
/// # Errors
/// It did not answer, or does not take them.
pub async fn revoke(
    fetch: &impl OAuthFetch,
    endpoint: &str,
    client: &ClientIdentity,
    tokens: &TokenSet,
) -> Result<(), OAuthError> {
    let url = Url::parse(endpoint).map_err(|_| OAuthError::Unusable("the revocation endpoint is no URL".to_owned()))?;
    let refresh = tokens.refresh.as_ref().map(|token| (token, "refresh_token"));
    // The refresh token first: with it ends all that came of it. Tokens that can be checked without asking cannot be taken back.
    for (token, hint) in refresh.into_iter().chain([(&tokens.access, "access_token")]) {
        let form = client.form([("token", token.expose()), ("token_type_hint", hint)]);
        let answer = fetch.post(&url, form).await;
        let answer =
            answer.map_err(|why| OAuthError::Unavailable(format!("cannot reach {}: {why}", quoted(endpoint))))?;
        let is_needed = hint == "refresh_token" || tokens.refresh.is_none();
        if is_needed && !answer.is_success() {
            return Err(OAuthError::Refused(format!("it answers HTTP {}", answer.status)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Result<TokenSet, OAuthError> {
        read(&FetchedAnswer { status: 200, body: body.into(), max_age: None }, Some(&TokenText::new("old")), 100)
    }

    #[test]
    fn a_refresh_token_is_replaced_where_there_is_another_and_kept_where_there_is_none() {
        let rotated = of(r#"{"access_token":"a","token_type":"bearer","expires_in":5,"refresh_token":"new"}"#);
        let rotated = rotated.expect("a token");
        assert_eq!(
            (rotated.refresh, rotated.lifetime, rotated.obtained_at),
            (Some(TokenText::new("new")), Some(5), 100)
        );
        assert_eq!(of(r#"{"access_token":"a"}"#).expect("a token").refresh, Some(TokenText::new("old")));
    }

    #[test]
    fn answers_that_are_written_oddly_are_read_and_those_of_no_use_refused() {
        assert_eq!(of(r#"{"access_token":"a","expires_in":"3600"}"#).expect("a token").lifetime, Some(3600));
        assert_eq!(of(r#"{"access_token":"a","expires_in":59.9}"#).expect("a token").lifetime, Some(59));
        assert_eq!(of(r#"{"access_token":"a","expires_in":-1}"#).expect("a token").lifetime, None);
        assert!(matches!(of(r#"{"access_token":"a","token_type":"DPoP"}"#), Err(OAuthError::Unusable(_))));
        assert!(matches!(of(r#"{"access_token":"a\r\nX: y"}"#), Err(OAuthError::Unusable(_))));
        assert!(matches!(of("{}"), Err(OAuthError::Unavailable(_))));
    }

    #[test]
    fn no_debug_output_shows_a_token() {
        let token = of(r#"{"access_token":"secret-a","refresh_token":"secret-r"}"#).expect("a token");
        assert!(!format!("{token:?}").contains("secret-"));
    }
}
