//! Shallow JSON: objects and arrays whose members stay the bytes that the peer sent.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Most members of one object that is read shallowly; a message has a handful.
const MAX_MEMBERS: usize = 4096;
/// Up to here a key is compared with all before it, which is the cheapest; beyond, all are sorted once at the end.
const FEW_MEMBERS: usize = 64;

/// Most elements of one array that is read shallowly. Each costs a pointer and a length, which is many times what it
/// takes on the wire; the longest list that is worth cutting short, rather than refusing, is shorter.
const MAX_ELEMENTS: usize = 1024 * 1024;

/// Why bytes are not such an object or array.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Not UTF-8; JSON is (RFC 8259 §8.1).
    #[error("not UTF-8")]
    Utf8(#[source] std::str::Utf8Error),
    /// Not JSON, or JSON of another shape.
    #[error("not the JSON that is expected here: {0}")]
    Json(#[source] serde_json::Error),
}

/// A JSON object, read one level deep: its members' values are slices of the text it came from.
#[derive(Debug, Clone, Default)]
pub struct RawObject<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> RawObject<'a> {
    /// Reads an object from UTF-8 bytes. A key that occurs twice is an error: two readers would see different objects.
    pub fn from_slice(bytes: &'a [u8]) -> Result<Self, ObjectError> {
        Self::from_text(std::str::from_utf8(bytes).map_err(ObjectError::Utf8)?)
    }

    /// Reads an object from text.
    pub fn from_text(text: &'a str) -> Result<Self, ObjectError> {
        serde_json::from_str(text).map_err(ObjectError::Json)
    }

    /// Reads an object from a value that was left raw.
    pub fn from_raw(raw: &'a RawValue) -> Result<Self, ObjectError> {
        Self::from_text(raw.get())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(k, _)| k == key).map(|(_, v)| *v)
    }

    /// The value of a key, when it is a string.
    pub fn get_string(&self, key: &str) -> Option<Cow<'a, str>> {
        #[derive(Deserialize)]
        struct Text<'b>(#[serde(borrow)] Cow<'b, str>);
        let raw = self.get(key)?.get();
        if raw.starts_with('"') { serde_json::from_str::<Text<'a>>(raw).ok().map(|t| t.0) } else { None }
    }

    /// The value of a key as an object.
    pub fn get_object(&self, key: &str) -> Option<RawObject<'a>> {
        RawObject::from_raw(self.get(key)?).ok()
    }

    /// The members in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().map(|(k, v)| (k.as_ref(), *v))
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Takes a member out and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(k, _)| k == key)?;
        Some(self.members.remove(at).1)
    }

    /// Replaces a value in its place, or adds it at the end.
    pub fn set(&mut self, key: &'a str, value: &'a RawValue) {
        match self.members.iter_mut().find(|(k, _)| k == key) {
            Some(member) => member.1 = value,
            None => self.members.push((Cow::Borrowed(key), value)),
        }
    }

    /// Keeps the members that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.members.retain(|(k, _)| keep(k));
    }

    /// Appends the object as JSON to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (i, (key, value)) in self.members.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            crate::write::push_string(out, key);
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
        out.push(b'}');
    }

    /// The object as a raw value of its own.
    pub fn to_raw(&self) -> Box<RawValue> {
        let mut out = Vec::new();
        self.write(&mut out);
        let text = String::from_utf8(out).expect("members and keys are UTF-8");
        RawValue::from_string(text).expect("raw members between braces are JSON")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
            type Value = RawObject<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject<'a>, A::Error> {
                #[derive(Deserialize)]
                struct Key<'b>(#[serde(borrow)] Cow<'b, str>);
                let mut members: Vec<(Cow<'a, str>, &'a RawValue)> = Vec::with_capacity(4);
                while let Some((Key(key), value)) = map.next_entry::<Key<'a>, &'a RawValue>()? {
                    if members.len() == MAX_MEMBERS {
                        return Err(serde::de::Error::custom(format_args!("more than {MAX_MEMBERS} members")));
                    }
                    if members.len() < FEW_MEMBERS && members.iter().any(|(k, _)| *k == key) {
                        return Err(occurs_twice(&key));
                    }
                    members.push((key, value));
                }
                if members.len() > FEW_MEMBERS {
                    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
                    keys.sort_unstable();
                    if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
                        return Err(occurs_twice(pair[0]));
                    }
                }
                Ok(RawObject { members })
            }
        }

        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}

fn occurs_twice<E: serde::de::Error>(key: &str) -> E {
    E::custom(format_args!("the key {key:?} occurs twice"))
}

/// A JSON array, read one level deep.
#[derive(Debug, Clone, Default)]
pub struct RawArray<'a>(pub Vec<&'a RawValue>);

impl<'a> RawArray<'a> {
    /// Reads an array from a value that was left raw.
    pub fn from_raw(raw: &'a RawValue) -> Result<Self, ObjectError> {
        Self::from_text(raw.get())
    }

    /// Reads an array from text.
    pub fn from_text(text: &'a str) -> Result<Self, ObjectError> {
        serde_json::from_str(text).map_err(ObjectError::Json)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawArray<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Elements<'a> {
            type Value = RawArray<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawArray<'a>, A::Error> {
                let mut all = Vec::new();
                while let Some(value) = seq.next_element()? {
                    if all.len() == MAX_ELEMENTS {
                        return Err(serde::de::Error::custom(format_args!("more than {MAX_ELEMENTS} elements")));
                    }
                    all.push(value);
                }
                Ok(RawArray(all))
            }
        }

        deserializer.deserialize_seq(Elements(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = RawObject::from_slice(&bytes);
        }

        #[test]
        fn members_come_back_as_they_were(keys in prop::collection::btree_set("[a-z\\PC]{0,6}", 0..6), big in any::<i128>()) {
            let text = keys
                .iter()
                .map(|k| format!("{}:{{\"n\":{big},\"x\":1.50e+3}}", serde_json::to_string(k).expect("a string")))
                .collect::<Vec<_>>()
                .join(",");
            let text = format!("{{{text}}}");
            let object = RawObject::from_text(&text).expect("reads");
            let mut out = Vec::new();
            object.write(&mut out);
            let again = RawObject::from_slice(&out).expect("reads again");
            let values = |o: &RawObject<'_>| o.iter().map(|(k, v)| (k.to_owned(), v.get().to_owned())).collect::<Vec<_>>();
            prop_assert_eq!(values(&again), values(&object));
        }
    }

    #[test]
    fn a_key_that_occurs_twice_is_refused() {
        assert!(RawObject::from_text(r#"{"a":1,"a":2}"#).is_err());
    }

    #[test]
    fn a_key_that_occurs_twice_is_refused_behind_any_number_of_others() {
        for others in [0, 1, 63, 64, 65, 500] {
            let others: String = (0..others).map(|i| format!("\"k{i}\":0,")).collect();
            for text in [format!("{{{}\"a\":1,\"a\":2}}", others), format!("{{\"a\":1,{}\"a\":2}}", others)] {
                let error = RawObject::from_text(&text).expect_err("refused").to_string();
                assert!(error.contains("the key \"a\" occurs twice"), "{error}");
            }
            assert!(RawObject::from_text(&format!("{{{}\"a\":1}}", others)).is_ok());
        }
    }

    #[test]
    fn an_array_is_bounded() {
        let array = |elements: usize| format!("[{}0]", "0,".repeat(elements - 1));
        assert_eq!(RawArray::from_text(&array(MAX_ELEMENTS)).expect("fits").0.len(), MAX_ELEMENTS);
        assert!(RawArray::from_text(&array(MAX_ELEMENTS + 1)).is_err());
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(RawObject::from_text(&deep).is_ok());
    }

    #[test]
    fn set_keeps_the_place_of_a_member() {
        let value = RawValue::from_string("7".into()).expect("JSON");
        let mut object = RawObject::from_text(r#"{"a":1,"b":2}"#).expect("reads");
        object.set("a", &value);
        let mut out = Vec::new();
        object.write(&mut out);
        assert_eq!(out, br#"{"a":7,"b":2}"#);
    }
}
