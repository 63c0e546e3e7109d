//! The one place that knows how a message becomes bytes (`docs/decisions/0001-bincode.md`).

use serde::{Serialize, de::DeserializeOwned};

/// Most memory that decoding one message head may claim, in bytes; without it a hostile length aborts the process.
pub(crate) const MAX_HEAD: usize = 1024 * 1024;

/// Why a message could not be turned into bytes or back.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value does not fit or cannot be expressed.
    #[error("cannot encode a message")]
    Encode(#[source] bincode::error::EncodeError),
    /// The bytes are not such a message, or claim more than the limit.
    #[error("cannot decode a message")]
    Decode(#[source] bincode::error::DecodeError),
    /// The message ended before its bytes did.
    #[error("a message is followed by {0} bytes that are not part of it")]
    Trailing(usize),
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_HEAD>()
}

/// Appends the encoded `value` to `out` and returns how many bytes it took.
pub(crate) fn encode<T: Serialize>(value: &T, out: &mut bytes::BytesMut) -> Result<usize, CodecError> {
    struct Tail<'a>(&'a mut bytes::BytesMut);
    impl bincode::enc::write::Writer for Tail<'_> {
        fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    let before = out.len();
    let mut tail = Tail(out);
    bincode::serde::encode_into_writer(value, &mut tail, config()).map_err(CodecError::Encode)?;
    Ok(out.len() - before)
}

/// Decodes exactly one message that fills `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, read) = bincode::serde::decode_from_slice(bytes, config()).map_err(CodecError::Decode)?;
    match bytes.len() - read {
        0 => Ok(value),
        rest => Err(CodecError::Trailing(rest)),
    }
}
