//! The digest that two requests share if they are the same one, however their JSON is written: the order of keys, white space and
//! escapes do not change.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// The digest of a JSON text. Numbers are compared as they are written. What is no JSON gets some digest, too.
pub(crate) fn digest(json: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    JsonReader { text: json, at: 0 }.value(&mut hash);
    hash.finalize().into()
}

struct JsonReader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> JsonReader<'a> {
    fn value(&mut self, hash: &mut Sha256) {
        match self.next() {
            Some(b'{') => self.object(hash),
            Some(b'[') => self.array(hash),
            Some(b'"') => push(hash, b'"', &self.string()),
            Some(_) => push(hash, b'1', self.scalar()),
            None => {}
        }
    }

    fn object(&mut self, hash: &mut Sha256) {
        let mut members: Vec<(Cow<'a, [u8]>, [u8; 32])> = Vec::new();
        self.at += 1;
        loop {
            match self.next() {
                Some(b'"') => {
                    let key = self.string();
                    if self.next() == Some(b':') {
                        self.at += 1;
                    }
                    let mut of_value = Sha256::new();
                    self.value(&mut of_value);
                    members.push((key, of_value.finalize().into()));
                }
                Some(b',') => self.at += 1,
                Some(_) => break self.at += 1,
                None => break,
            }
        }
        members.sort_unstable();
        push(hash, b'{', &members.len().to_le_bytes());
        for (key, value) in members {
            push(hash, b':', &key);
            hash.update(value);
        }
    }

    fn array(&mut self, hash: &mut Sha256) {
        hash.update(b"[");
        self.at += 1;
        loop {
            match self.next() {
                Some(b']') => break self.at += 1,
                Some(b',') => self.at += 1,
                Some(_) => self.value(hash),
                None => break,
            }
        }
        hash.update(b"]");
    }

    /// The text of the string that begins here. Half a surrogate pair has no text, and stays as it is written.
    fn string(&mut self) -> Cow<'a, [u8]> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        let end = self.at.min(self.text.len());
        let raw = &self.text[start..end];
        if raw.contains(&b'\\')
            && let Ok(text) = serde_json::from_slice::<String>(raw)
        {
            return Cow::Owned(format!("\"{text}\"").into_bytes());
        }
        Cow::Borrowed(raw)
    }

    /// At least one byte of it.
    fn scalar(&mut self) -> &'a [u8] {
        let start = self.at;
        self.at += 1;
        while self
            .text
            .get(self.at)
            .is_some_and(|byte| !matches!(byte, b',' | b']' | b'}') && !byte.is_ascii_whitespace())
        {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn next(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }
}

/// With its kind and length, so that nothing runs into what follows.
fn push(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update(bytes.len().to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn same(one: &str, other: &str) -> bool {
        digest(one.as_bytes()) == digest(other.as_bytes())
    }

    #[test]
    fn how_it_is_written_makes_no_difference_and_what_it_says_does() {
        for (one, other) in [
            (
                r#"{"name":"t","arguments":{"a":1,"b":[2,{"c":3,"d":4}]}}"#,
                r#"{ "arguments" : {"b":[2 ,{"d":4,"c":3}],"a":1},"name":"t"}"#,
            ),
            (r#"{"a":"\u00e4\/"}"#, r#"{"\u0061":"ä/"}"#),
            ("{}", " { } "),
            (r#"{"a":"\ud800"}"#, r#"{ "a":"\ud800" }"#),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [
            (r#"{"a":[1,23]}"#, r#"{"a":[12,3]}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":"1"}"#, r#"{"a":1}"#),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#),
            (r#"{"a":[[1],2]}"#, r#"{"a":[[1,2]]}"#),
            (r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b,\"c\":1"}"#, r#"{"a":"b","c":1}"#),
            (r#"{"n":9007199254740993}"#, r#"{"n":9007199254740992}"#),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let text = || "[a-c\"\\\\{}\\[\\],:ä \n]{0,4}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            text().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same value with the keys of every object the other way round, and room between all tokens.
    fn reversed(value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let members: Vec<String> = members
                    .iter()
                    .rev()
                    .map(|(key, value)| format!(" {} : {}", Value::from(key.as_str()), reversed(value)))
                    .collect();
                format!("{{ {} }}", members.join(" ,"))
            }
            Value::Array(elements) => format!("[ {} ]", elements.iter().map(reversed).collect::<Vec<_>>().join(" , ")),
            plain => plain.to_string(),
        }
    }

    proptest! {
        #[test]
        fn two_texts_have_one_digest_when_they_mean_one_thing(one in json(), other in json()) {
            prop_assert!(same(&one.to_string(), &reversed(&one)));
            prop_assert_eq!(same(&one.to_string(), &other.to_string()), one == other);
        }

        #[test]
        fn any_bytes_have_a_digest(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\1 a".to_vec()), 0..40), other in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (digest(&bytes), digest(&other));
        }
    }
}
