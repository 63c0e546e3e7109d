//! Values that a request repeats in its headers (2026-07-28, transports, value encoding).

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};

/// The marks around a value that is encoded; their case matters.
const BEFORE: &str = "=?base64?";
const AFTER: &str = "?=";

/// The text that a header's value stands for. `None`: it stands for nothing.
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER)) {
        Some(inner) => {
            let bytes = BASE64_STANDARD.decode(inner).ok()?;
            String::from_utf8(bytes).ok().map(Cow::Owned)
        }
        None => value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')).then_some(Cow::Borrowed(value)),
    }
}

/// A text as a header's value.
pub fn encode(text: &str) -> Cow<'_, str> {
    let is_marked = text.starts_with(BEFORE) && text.ends_with(AFTER);
    let is_plain = text.bytes().all(|b| matches!(b, b' '..=b'~')) && text.trim_matches(' ') == text && !is_marked;
    if is_plain { Cow::Borrowed(text) } else { Cow::Owned(format!("{BEFORE}{}{AFTER}", BASE64_STANDARD.encode(text))) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_values_stand_for_themselves_and_marked_ones_for_what_is_encoded() {
        assert_eq!(decode("us-west1").as_deref(), Some("us-west1"));
        assert_eq!(decode("=?base64?SGVsbG8sIOS4lueVjA==?=").as_deref(), Some("Hello, 世界"));
        assert_eq!(decode("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=").as_deref(), Some("=?base64?literal?="));
        assert_eq!(decode("=?BASE64?SGk=?=").as_deref(), Some("=?BASE64?SGk=?="), "the marks are case-sensitive");
        assert_eq!(decode("SGk=").as_deref(), Some("SGk="));
        for wrong in ["=?base64?SGk?=", "=?base64?S!k=?=", "=?base64?/w==?=", "a\u{7f}", "ü"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_header_cannot_carry_is_encoded() {
        for plain in ["us-west1", "a b", "=?base64?", ""] {
            assert_eq!(encode(plain), plain);
        }
        assert_eq!(encode(" padded "), "=?base64?IHBhZGRlZCA=?=");
        assert_eq!(encode("=?base64?literal?="), "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_plain_and_read_again(text in ".{0,30}") {
            let header = encode(&text);
            prop_assert!(header.bytes().all(|b| matches!(b, b' '..=b'~')) && header.trim() == header);
            let decoded = decode(&header);
            prop_assert_eq!(decoded.as_deref(), Some(&*text));
        }

        #[test]
        fn any_value_is_read_or_refused(text in ".{0,40}") {
            let _ = decode(&text);
        }
    }
}
