//! Ids of JSON-RPC requests.

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

    /// The same, also where the peer made a text of the number.
    pub fn meant_u64(&self) -> Option<u64> {
        meant(&self.0)
    }

    /// The id as a number of ours, when it can be one.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

/// A number of ours that a peer sends back: as it was, as a text (`"7"`), or as a floating point number (`7.0`), which is what
/// becomes of it in languages that know no integers.
pub fn meant_u64(raw: &RawValue) -> Option<u64> {
    meant(raw.get())
}

fn meant(json: &str) -> Option<u64> {
    /// Floating point numbers are exact up to here.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let text = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json);
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..EXACT).contains(number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
    let float = || text.parse().ok().filter(whole).map(|number: f64| number as u64);
    is_number.then(|| text.parse().ok().or_else(float)).flatten()
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
    fn a_number_of_ours_is_known_in_every_form_that_peers_give_it() {
        let raw = |json: &str| RawValue::from_string(json.into()).expect("JSON");
        for json in ["7", "\"7\"", "7.0", "\"7.0\"", "70e-1", "\"07\""] {
            assert_eq!(meant_u64(&raw(json)), Some(7), "{json}");
        }
        for json in ["7.5", "-7", "\"-7\"", "null", "\"\"", "\"x7\"", "[7]", "{}", "1e400", "\"inf\"", "\"7\\u0000\""] {
            assert_eq!(meant_u64(&raw(json)), None, "{json}");
        }
        assert_eq!(id("\"1\"").expect("valid").meant_u64(), Some(1));
    }

    #[test]
    fn null_objects_and_fractions_are_no_ids() {
        for json in ["null", "{}", "[1]", "true", "1.5", "1e3"] {
            assert_eq!(id(json), Err(RequestIdError::Type), "{json}");
        }
        assert!(matches!(id(&format!("\"{}\"", "x".repeat(600))), Err(RequestIdError::TooLong(_))));
    }
}
