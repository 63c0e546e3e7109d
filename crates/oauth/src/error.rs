//! Why a question to an authorization server came to nothing.

/// Why there is no token, sorted by what is to be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// It did not answer, or not with what OAuth says: it is asked again later, and nothing is given up.
    #[error("{0}")]
    Unavailable(String),
    /// It says no, in the words of OAuth: asking again will not help, logging in again may.
    #[error("{0}")]
    Refused(String),
    /// What it offers cannot be used, or not safely: somebody has to change something.
    #[error("{0}")]
    Unusable(String),
}

impl OAuthError {
    /// Whether the same question may be answered later.
    pub fn is_for_now(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
