//! The keys of an issuer (JWK set, RFC 7517 section 5).

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Algorithm,
    key::{Jwk, VerificationKey},
};

/// The longest set that is read, in bytes.
pub const MAX_KEY_SET: usize = 256 * 1024;
/// Most keys of a set; further ones are left out.
pub const MAX_KEYS: usize = 64;

/// The keys of one issuer that can be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet(Vec<VerificationKey>);

/// Why there are no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is over [`MAX_KEY_SET`].
    #[error("the set of keys is longer than {MAX_KEY_SET} bytes")]
    TooLong,
    /// It is something else.
    #[error("that is no set of keys (JSON with `keys`)")]
    NotASet,
    /// None of them is of an algorithm that is accepted.
    #[error("none of the keys is for signatures of RS256, ES256 or EdDSA")]
    NoneUsable,
}

impl KeySet {
    /// Reads a set; keys of other kinds are left out, as RFC 7517 asks.
    ///
    /// # Errors
    /// There is no key in it that can be used.
    pub fn read(text: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct JwkSet {
            keys: Vec<Value>,
        }
        if text.len() > MAX_KEY_SET {
            return Err(KeySetError::TooLong);
        }
        let JwkSet { keys } = serde_json::from_slice(text).map_err(|_| KeySetError::NotASet)?;
        let usable = |value: Value| VerificationKey::of(serde_json::from_value::<Jwk>(value).ok()?);
        let keys: Vec<VerificationKey> = keys.into_iter().filter_map(usable).take(MAX_KEYS).collect();
        if keys.is_empty() { Err(KeySetError::NoneUsable) } else { Ok(Self(keys)) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that may have made a signature of this algorithm: with the id that the token names, or all if it names none.
    pub(crate) fn candidates(&self, algorithm: Algorithm, id: Option<&str>) -> impl Iterator<Item = &VerificationKey> {
        self.0
            .iter()
            .filter(move |key| key.algorithm() == algorithm)
            .filter(move |key| id.is_none() || key.id.as_deref() == id)
    }
}
