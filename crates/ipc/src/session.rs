//! Keys of sessions, and what outlives a gateway's process of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most bytes of the snapshot of one session.
pub const MAX_SNAPSHOT: usize = 16 * 1024;

/// Which session of a client this is. It outlives the gateway's process, and is no secret: it lets no client in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u128", into = "u128")]
pub struct SessionKey(pub [u8; 16]);

/// On the wire it is one number, which costs less than sixteen.
impl From<SessionKey> for u128 {
    fn from(key: SessionKey) -> Self {
        Self::from_le_bytes(key.0)
    }
}

impl From<u128> for SessionKey {
    fn from(number: u128) -> Self {
        Self(number.to_le_bytes())
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({self})")
    }
}

/// The key that session ids are sealed with. The supervisor makes it at its start and keeps it; each gateway is given it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// From random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes: for the cipher, and for nothing else.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

/// The supervisor's record of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredSession {
    /// It lives; its snapshot has at most [`MAX_SNAPSHOT`] bytes, which only gateways can read.
    Snapshot(Vec<u8>),
    /// It ended a moment ago and must not be restored.
    Ended,
    /// The supervisor knows nothing of it.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", SealKey::new([7; 32])), "SealKey(..)");
        assert_eq!(SessionKey([0xab; 16]).to_string(), "ab".repeat(16));
    }
}
