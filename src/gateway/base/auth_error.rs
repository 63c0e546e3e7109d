//! Why a request is not let in, and how its client is told (RFC 6750 section 3).

use actix_web::http::StatusCode;

use super::oauth::token_worth::{TokenFault, is_expiry};

/// Why a request has no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// No credentials.
    #[error("this endpoint needs a bearer token, and none was given")]
    Missing,
    /// Another scheme, or no token in it.
    #[error("the Authorization header is not `Bearer <token>`")]
    Malformed,
    /// The token is unknown.
    #[error("the bearer token was not accepted")]
    Unknown,
    /// Its time is over.
    #[error("the bearer token has expired")]
    Expired,
    /// It may be one of an authorization server: it has to be verified first.
    #[error("the bearer token could not be verified now")]
    Unverified,
    /// It is one of an authorization server, or says so, and is not accepted.
    #[error("{0}")]
    Fault(TokenFault),
    /// It is for another endpoint.
    #[error("the bearer token is for another endpoint of this gateway")]
    OtherEndpoint,
    /// Its authorization server cannot be asked.
    #[error("the bearer token cannot be verified: its authorization server cannot be asked now; try again")]
    Unavailable,
    /// Too many tokens are being verified.
    #[error("too many bearer tokens are being verified; try again")]
    Busy,
}

impl AuthError {
    /// The status of the answer. What the client cannot help is no 401: it would throw its token away.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Unverified | Self::Unavailable | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault(TokenFault::Scope) => StatusCode::FORBIDDEN,
            Self::Missing | Self::Malformed | Self::Unknown | Self::Expired | Self::Fault(_) | Self::OtherEndpoint => {
                StatusCode::UNAUTHORIZED
            }
        }
    }

    /// The `WWW-Authenticate` header, with what tells a client of OAuth where to get a token. A request without a bearer token gets no
    /// error code (RFC 6750 §3.1).
    pub(crate) fn challenge(self, hint: Option<&str>) -> String {
        let error = match self {
            Self::Missing | Self::Malformed | Self::Unverified | Self::Unavailable | Self::Busy => None,
            Self::Unknown => Some("invalid_token\", error_description=\"the token was not accepted".to_owned()),
            Self::Expired => Some("invalid_token\", error_description=\"the token has expired".to_owned()),
            Self::OtherEndpoint => {
                Some("invalid_token\", error_description=\"the token is for another endpoint".to_owned())
            }
            Self::Fault(fault @ TokenFault::Scope) => {
                Some(format!("insufficient_scope\", error_description=\"{fault}"))
            }
            Self::Fault(fault) => Some(format!("invalid_token\", error_description=\"{fault}")),
        };
        let error = error.map(|error| format!("error=\"{error}\""));
        let parts: Vec<&str> = error.as_deref().into_iter().chain(hint).collect();
        if parts.is_empty() { "Bearer".to_owned() } else { format!("Bearer {}", parts.join(", ")) }
    }
}

impl From<TokenFault> for AuthError {
    fn from(fault: TokenFault) -> Self {
        if is_expiry(fault) { Self::Expired } else { Self::Fault(fault) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_token_is_told_from_a_missing_one() {
        assert_eq!(AuthError::Missing.challenge(None), "Bearer");
        assert_eq!(AuthError::Malformed.challenge(None), "Bearer");
        assert!(AuthError::Unknown.challenge(None).starts_with("Bearer error=\"invalid_token\""));
        assert_ne!(AuthError::Missing.to_string(), AuthError::Unknown.to_string());
    }

    #[test]
    fn a_client_of_oauth_is_told_where_to_go_and_what_is_missing() {
        assert_eq!(AuthError::Missing.challenge(Some("scope=\"a\"")), "Bearer scope=\"a\"");
        let scope = AuthError::from(TokenFault::Scope);
        assert_eq!(scope.status(), StatusCode::FORBIDDEN);
        let challenge = scope.challenge(Some("scope=\"a\""));
        assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", error_description=\""), "{challenge}");
        assert!(challenge.ends_with("\", scope=\"a\""), "{challenge}");
        assert_eq!(AuthError::Unavailable.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(AuthError::from(TokenFault::Forged).status(), StatusCode::UNAUTHORIZED);
    }
}
