//! Takes what looks like a secret out of JSON: the values of members that are called so, and words that have the form of one.

use mcproxy_ipc::secret_words::{MASK, is_secret_name, mask_words};
use serde_json::Value;

/// The same JSON with masks in the places of secrets. `None`: it is no JSON.
pub(crate) fn redacted(json: &[u8]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(json).ok()?;
    redact(&mut value);
    Some(value.to_string())
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if is_secret_name(name) && !matches!(value, Value::Null | Value::Bool(_)) {
                    *value = MASK.into();
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(redact),
        Value::String(text) => {
            if let Some(masked) = mask_words(text) {
                *text = masked;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn members_that_are_called_secret_are_masked_and_others_are_not() {
        let value = json!({
            "password": "x", "apiKey": "y", "API_KEY": 7, "auth": {"client_secret": ["a", "b"]},
            "path": "/home/ann/notes.txt", "progressToken": 4, "token": null, "text": ["a plain sentence", "Bearer abcdefgh1"],
        });
        let text = redacted(value.to_string().as_bytes()).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Value>(&text).expect("JSON"),
            json!({
                "password": MASK, "apiKey": MASK, "API_KEY": MASK, "auth": {"client_secret": MASK},
                "path": "/home/ann/notes.txt", "progressToken": 4, "token": null, "text": ["a plain sentence", "Bearer •••"],
            })
        );
        assert_eq!(redacted(b"{"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_redacted_stays_json(text in "\\PC{0,60}", name in "[a-zA-Z_]{1,12}") {
            let value = json!({name: {"a": text}});
            let text = redacted(value.to_string().as_bytes());
            prop_assert!(text.is_some_and(|text| serde_json::from_str::<Value>(&text).is_ok()));
        }
    }
}
