//! A signed token (JWS compact serialization, RFC 7515).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Algorithm, ClaimError, Claims, KeySet};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// The types of tokens that may be shown to a server: access tokens by RFC 9068, and what issuers write that follow no profile. Anything
/// else that an issuer signs (`logout+jwt`, `secevent+jwt`, `dpop+jwt`, …) is no access token (RFC 8725 section 3.11).
const TYPES: [&str; 2] = ["at+jwt", "jwt"];

/// A token whose signature nobody has checked yet.
#[derive(Debug)]
pub struct Jwt<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Claims,
}

/// Why a text is no token that could be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not three parts of which the first is a header. It may be a token of another kind.
    #[error("that is no signed token")]
    NotAJwt,
    /// It is over [`MAX_TOKEN`].
    #[error("the token is longer than {MAX_TOKEN} bytes")]
    TooLong,
    /// `none`, one with a shared secret, or one that is not supported.
    #[error("the token is not signed with RS256, ES256 or EdDSA")]
    Algorithm,
    /// `typ` is that of something else.
    #[error("the token is no access token (`typ`)")]
    Type,
    /// It has extensions that have to be understood (`crit`).
    #[error("the token has extensions that are not understood (`crit`)")]
    Critical,
    /// What it says is unreadable.
    #[error("the token is damaged")]
    Damaged,
    /// What it says cannot be used.
    #[error(transparent)]
    Claims(#[from] ClaimError),
}

/// Whether a token is what its issuer signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// It is.
    Verified,
    /// There is no such key: it may be a new one.
    UnknownKey,
    /// The key that it names did not sign it.
    Forged,
}

#[derive(Deserialize)]
struct JwtHeader {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'t> Jwt<'t> {
    /// Takes a token apart; nothing in it is true yet.
    ///
    /// # Errors
    /// It cannot be a token that is accepted here.
    pub fn parse(text: &'t str) -> Result<Self, JwtError> {
        if text.len() > MAX_TOKEN {
            return Err(JwtError::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JwtError::NotAJwt)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::NotAJwt)?;
        let part = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header = part(header).and_then(|json| serde_json::from_slice::<JwtHeader>(&json).ok());
        let JwtHeader { alg, typ, kid, crit } = header.ok_or(JwtError::NotAJwt)?;
        let algorithm = Algorithm::named(&alg).ok_or(JwtError::Algorithm)?;
        if !typ.is_none_or(|typ| is_access_token(&typ)) {
            return Err(JwtError::Type);
        }
        if crit.is_some() {
            return Err(JwtError::Critical);
        }
        let signature = part(signature).ok_or(JwtError::Damaged)?;
        let claims = part(claims).and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
        let claims = Claims::read(claims.ok_or(JwtError::Damaged)?)?;
        Ok(Self { signed, signature, algorithm, key_id: kid, claims })
    }

    /// Who is said to have issued it: whose keys are to be asked.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.issuer.as_deref()
    }

    /// The key that is said to have signed it.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Whether one of these keys has signed it.
    pub fn verify(&self, keys: &KeySet) -> SignatureVerdict {
        let mut candidates = keys.candidates(self.algorithm, self.key_id.as_deref()).peekable();
        let names_a_key = self.key_id.is_some();
        if candidates.peek().is_none() {
            return SignatureVerdict::UnknownKey;
        }
        match candidates.any(|key| key.has_signed(self.signed.as_bytes(), &self.signature)) {
            true => SignatureVerdict::Verified,
            false if names_a_key => SignatureVerdict::Forged,
            false => SignatureVerdict::UnknownKey,
        }
    }

    /// What it says. True only after it was [verified](Self::verify).
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// By media type, whose `application/` may be left out; in any case (RFC 7515 section 4.1.9).
fn is_access_token(typ: &str) -> bool {
    let lower = typ.to_ascii_lowercase();
    TYPES.contains(&lower.strip_prefix("application/").unwrap_or(&lower))
}

#[cfg(test)]
#[path = "token/tests.rs"]
mod tests;
