use std::{fmt, sync::Arc};

use serde_json::value::RawValue;

/// Longest id, in bytes; ids are kept for as long as a call is in flight.
const MAX_LEN: usize = 512;

/// A JSON-RPC id exactly as its sender wrote it, so that `1` and `"1"` stay two ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

/// Why a value is no request id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestIdError {
    /// MCP allows strings and integers, and no null.
    #[error("an id is a string or an integer")]
    Type,
    /// It is over the limit.
    #[error("an id of {0} bytes is longer than {MAX_LEN}")]
    TooLong(usize),
}

impl RequestId {
    /// Checks a raw value.
    pub fn from_raw(raw: &RawValue) -> Result<Self, RequestIdError> {
        let text = raw.get();
        if text.len() > MAX_LEN {
            return Err(RequestIdError::TooLong(text.len()));
        }
        match text.as_bytes() {
            [b'"', ..] => Ok(Self(text.into())),
            [b'-' | b'0'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => Ok(Self(text.into())),
            _ => Err(RequestIdError::Type),
        }
    }

    /// The id as JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The id as a number of ours, when it can be one.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

impl From<u64> for RequestId {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(json: &str) -> Result<RequestId, RequestIdError> {
        RequestId::from_raw(&RawValue::from_string(json.into()).expect("JSON"))
    }

    #[test]
    fn a_number_and_its_text_are_two_ids() {
        assert_ne!(id("1"), id("\"1\""));
        assert_eq!(id("1").expect("valid").as_u64(), Some(1));
        assert_eq!(id("\"1\"").expect("valid").as_u64(), None);
    }

    #[test]
    fn null_objects_and_fractions_are_no_ids() {
        for json in ["null", "{}", "[1]", "true", "1.5", "1e3"] {
            assert_eq!(id(json), Err(RequestIdError::Type), "{json}");
        }
        assert!(matches!(id(&format!("\"{}\"", "x".repeat(600))), Err(RequestIdError::TooLong(_))));
    }
}
