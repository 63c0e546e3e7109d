//! Values that a request repeats in its headers (2026-07-28, transports, value encoding).

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};

/// What a request's headers say under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stated<'r> {
    /// Nothing.
    Nothing,
    /// This.
    Once(&'r str),
    /// More than one thing, or something that is not text: whoever else reads it may see something else.
    Unclear,
}

/// What a header's value stands for. `None`: it stands for nothing.
pub(super) fn decode(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(inner) => {
            let bytes = BASE64_STANDARD.decode(inner).ok()?;
            String::from_utf8(bytes).ok().map(Cow::Owned)
        }
        None => value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')).then_some(Cow::Borrowed(value)),
    }
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

    proptest! {
        #[test]
        fn what_is_encoded_is_read_again(text in "\\PC{0,30}") {
            let header = format!("=?base64?{}?=", BASE64_STANDARD.encode(&text));
            let decoded = decode(&header);
            prop_assert_eq!(decoded.as_deref(), Some(&*text));
        }

        #[test]
        fn any_value_is_read_or_refused(text in ".{0,40}") {
            let _ = decode(&text);
        }
    }
}
