//! Authentication: which principal sent a request, and whether what a principal opened may go on after the settings change.
//! The only module of the gateway that knows the scheme, which is bearer tokens.

use std::{fmt, hint::black_box, rc::Rc};

use actix_web::http::header::{self, HeaderMap, HeaderName};
use mcproxy_ipc::control::{GatewaySettings, TokenHash};
use sha2::{Digest, Sha256};

use super::principal::Principal;

/// Why a request has no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// No `Authorization` header.
    #[error("this endpoint needs a bearer token, and none was given")]
    Missing,
    /// Another scheme, or no token in it.
    #[error("the Authorization header is not `Bearer <token>`")]
    Malformed,
    /// The token is unknown.
    #[error("the bearer token was not accepted")]
    Unknown,
}

impl AuthError {
    /// The `WWW-Authenticate` header. A request without a bearer token gets no error code (RFC 6750 §3.1).
    pub(crate) fn challenge(self) -> &'static str {
        match self {
            Self::Missing | Self::Malformed => "Bearer",
            Self::Unknown => r#"Bearer error="invalid_token", error_description="the token was not accepted""#,
        }
    }
}

/// Whether a header carries credentials. A request may have one of each such header.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION
}

/// How requests are authenticated under one set of settings. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Auth {
    /// The tokens that are accepted; `None`: no authentication.
    tokens: Option<Rc<[TokenHash]>>,
}

impl Auth {
    /// The scheme of the settings.
    pub(crate) fn of(settings: &GatewaySettings) -> Self {
        Self { tokens: settings.tokens.as_deref().map(Rc::from) }
    }

    /// Whether requests need no credentials, so that all principals are anonymous.
    pub(crate) fn is_open(&self) -> bool {
        self.tokens.is_none()
    }

    /// Admits a request by its credentials.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Admission, AuthError> {
        let Some(tokens) = &self.tokens else { return Ok(Admission { token: None }) };
        let header = headers.get(header::AUTHORIZATION).ok_or(AuthError::Missing)?;
        let (scheme, token) = header.to_str().unwrap_or("?").trim().split_once(' ').ok_or(AuthError::Malformed)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(AuthError::Malformed);
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        // Every token is compared to its end, so that the time does not tell which token was nearly right.
        for (at, known) in tokens.iter().enumerate() {
            let difference = known.sha256.iter().zip(&digest).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
            if difference == 0 {
                found = Some(at);
            }
        }
        let at = found.ok_or(AuthError::Unknown)?;
        Ok(Admission { token: Some((tokens.clone(), at)) })
    }

    /// Whether a request that was admitted earlier would be admitted now as the same principal.
    pub(crate) fn still_admits(&self, admission: &Admission) -> bool {
        match (admission.token(), &self.tokens) {
            (Some(token), Some(tokens)) => tokens.contains(token),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether a principal's sessions must end after a change from `before`. An anonymous session ends when tokens become
    /// required; a named one ends when tokens are no longer used, or its token was removed or replaced.
    pub(crate) fn is_revoked(&self, principal: &Principal, before: &Self) -> bool {
        match (principal.name(), &self.tokens) {
            (None, now) => now.is_some(),
            (Some(_), None) => true,
            (Some(name), Some(now)) => {
                let before = before.tokens.as_deref().unwrap_or_default();
                let mut its_own = before.iter().filter(|token| token.name == name).peekable();
                its_own.peek().is_none() || !its_own.all(|token| now.contains(token))
            }
        }
    }
}

/// By what a request was admitted. Kept while the request is under way: when it is no longer accepted, the request ends.
#[derive(Clone)]
pub(crate) struct Admission {
    /// The token, among those that were accepted at that time; `None`: none was required.
    token: Option<(Rc<[TokenHash]>, usize)>,
}

impl Admission {
    /// Who sent the request.
    pub(crate) fn principal(&self) -> Principal {
        Principal::of(self.token().map(|token| token.name.as_str()))
    }

    fn token(&self) -> Option<&TokenHash> {
        self.token.as_ref().and_then(|(tokens, at)| tokens.get(*at))
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.principal()).finish()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn auth(tokens: &[(&str, &str)]) -> Auth {
        let hash =
            |&(name, token): &(&str, &str)| TokenHash { name: name.into(), sha256: Sha256::digest(token).into() };
        Auth { tokens: Some(tokens.iter().map(hash).collect()) }
    }

    fn open() -> Auth {
        Auth { tokens: None }
    }

    fn identify(auth: &Auth, authorization: Option<&str>) -> Result<Admission, AuthError> {
        let mut headers = HeaderMap::new();
        if let Some(text) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(text.as_bytes()).expect("a header"));
        }
        auth.identify(&headers)
    }

    #[test]
    fn a_token_names_its_owner_and_everything_else_is_refused() {
        let auth = auth(&[("ann", "s3cret"), ("bob", "other")]);
        let admitted = |text| identify(&auth, text).map(|admission| admission.principal());
        assert_eq!(admitted(Some("Bearer s3cret")), Ok(Principal::of(Some("ann"))));
        assert_eq!(admitted(Some("bearer  other ")), Ok(Principal::of(Some("bob"))));
        assert_eq!(admitted(None), Err(AuthError::Missing));
        for malformed in ["Basic s3cret", "Bearer", "Bearer ", "", "Bearer s3cr\u{e9}t"] {
            assert_eq!(admitted(Some(malformed)), Err(AuthError::Malformed), "{malformed:?}");
        }
        assert_eq!(admitted(Some("Bearer s3cre")), Err(AuthError::Unknown));
    }

    #[test]
    fn without_authentication_every_request_is_admitted_anonymously_and_with_no_token_none() {
        assert!(open().is_open() && !auth(&[]).is_open());
        for text in [None, Some("Bearer x"), Some("nonsense")] {
            assert_eq!(identify(&open(), text).expect("admitted").principal(), Principal::default());
        }
        assert_eq!(identify(&auth(&[]), Some("Bearer x")).err(), Some(AuthError::Unknown));
    }

    #[test]
    fn an_admission_holds_while_its_very_token_is_accepted() {
        let before = auth(&[("ann", "a"), ("bob", "b")]);
        let ann = identify(&before, Some("Bearer a")).expect("admitted");
        let anonymous = identify(&open(), None).expect("admitted");
        assert!(before.still_admits(&ann) && auth(&[("carol", "c"), ("ann", "a")]).still_admits(&ann));
        for now in [auth(&[("bob", "b")]), auth(&[("ann", "x")]), auth(&[("carol", "a")]), open()] {
            assert!(!now.still_admits(&ann), "{now:?}");
        }
        assert!(open().still_admits(&anonymous) && !before.still_admits(&anonymous));
    }

    #[test]
    fn what_a_token_opened_ends_when_it_goes_or_its_name_gets_another_value() {
        let before = auth(&[("ann", "a"), ("bob", "b")]);
        let revoked = |who, now: &Auth| now.is_revoked(&Principal::of(Some(who)), &before);
        assert!(!revoked("ann", &before));
        let without_bob = auth(&[("carol", "c"), ("ann", "a")]);
        assert!(!revoked("ann", &without_bob) && revoked("bob", &without_bob));
        let renewed = auth(&[("ann", "x"), ("bob", "b")]);
        assert!(revoked("ann", &renewed) && !revoked("bob", &renewed));
        let swapped = auth(&[("ann", "b"), ("bob", "a")]);
        assert!(revoked("ann", &swapped) && revoked("bob", &swapped));
        assert!(revoked("ann", &open()), "its session is nobody's where there are no tokens");
        let anonymous = Principal::default();
        assert!(before.is_revoked(&anonymous, &open()) && !open().is_revoked(&anonymous, &open()));
    }

    #[test]
    fn a_wrong_token_is_told_from_a_missing_one() {
        assert_eq!(AuthError::Missing.challenge(), "Bearer");
        assert_eq!(AuthError::Malformed.challenge(), "Bearer");
        assert!(AuthError::Unknown.challenge().starts_with("Bearer error=\"invalid_token\""));
        assert_ne!(AuthError::Missing.to_string(), AuthError::Unknown.to_string());
    }
}
