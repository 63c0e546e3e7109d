//! How what is kept of a login is sealed: by ChaCha20-Poly1305, for one server.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Length of the key.
pub const LOGIN_KEY_BYTES: usize = 32;
/// Before the nonce; another layout has another one.
const MAGIC: &[u8] = b"mcproxy-login-1\n";

/// Seals and opens what is kept of the logins at one server.
pub struct LoginSeal {
    key: LessSafeKey,
    /// What is sealed for one server opens for no other.
    server: String,
}

/// What lies there was not sealed with this key for this server, or has been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not sealed with this key for this server, or is damaged")]
pub struct SealError;

impl LoginSeal {
    /// For this server.
    pub fn new(key: &[u8; LOGIN_KEY_BYTES], server: &str) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the length of this algorithm");
        Self { key: LessSafeKey::new(key), server: server.to_owned() }
    }

    /// Seals it. `nonce` is random: a login is written a few million times at most, so two are never the same.
    pub fn seal(&self, plain: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut body = plain.to_vec();
        let sealed = self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), self.aad(), &mut body);
        sealed.expect("far shorter than the algorithm's bound");
        [MAGIC, &nonce, &body].concat()
    }

    /// Opens it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let rest = sealed.strip_prefix(MAGIC).ok_or(SealError)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.open_in_place(nonce, self.aad(), &mut body).map_err(|_| SealError)?;
        Ok(plain.to_vec())
    }

    fn aad(&self) -> Aad<&[u8]> {
        Aad::from(self.server.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_server_with_its_key_only() {
        let seal = LoginSeal::new(&[1; 32], "a");
        let sealed = seal.seal(b"secret", [2; 12]);
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(seal.open(&sealed).as_deref(), Ok(&b"secret"[..]));
        assert_eq!(LoginSeal::new(&[1; 32], "b").open(&sealed), Err(SealError));
        assert_eq!(LoginSeal::new(&[3; 32], "a").open(&sealed), Err(SealError));
    }

    proptest! {
        #[test]
        fn whatever_was_changed_does_not_open(at in 0usize..50, bit in 0u8..8, cut in 0usize..60) {
            let seal = LoginSeal::new(&[1; 32], "a");
            let mut sealed = seal.seal(b"secret", [2; 12]);
            prop_assert_eq!(seal.open(&sealed[..cut.min(sealed.len() - 1)]), Err(SealError));
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(seal.open(&sealed), Err(SealError));
        }
    }
}
