//! Reads of JSON what is wanted and passes over what is otherwise than expected, in one pass.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Of an object the members that are wanted.
pub(crate) trait WantedMembers<'de>: Default {
    /// Reads the value of a member, whatever it is; `false`: it is not wanted, and was not read.
    fn member<A: MapAccess<'de>>(&mut self, key: &str, value: &mut A) -> Result<bool, A::Error>;
}

/// An object; of anything else nothing is read.
#[derive(Default)]
pub(crate) struct LenientObject<T>(pub(crate) T);

/// The members of an object in their order, each with what is wanted of it; of anything else none.
#[derive(Default)]
pub(crate) struct LenientEntries<'de, T>(pub(crate) Vec<(Cow<'de, str>, T)>);

/// A string; of anything else nothing is read.
#[derive(Default)]
pub(crate) struct LenientText<'de>(pub(crate) Option<Cow<'de, str>>);

/// A key, borrowed where it has no escapes.
struct LenientKey<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for LenientKey<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let LenientText(text) = LenientText::deserialize(from)?;
        Ok(Self(text.unwrap_or_default()))
    }
}

/// What a visitor does with values that are not expected: it reads to their end.
macro_rules! passes_over {
    ($($visit:ident: $type:ty),* $(,)?) => {
        $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*
    };
    (scalars) => {
        passes_over!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            while from.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

struct LenientTextVisitor;

impl<'de> Visitor<'de> for LenientTextVisitor {
    type Value = LenientText<'de>;

    passes_over!(scalars);

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<LenientText<'de>, E> {
        Ok(LenientText(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<LenientText<'de>, E> {
        Ok(LenientText(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<LenientText<'de>, A::Error> {
        while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(LenientText(None))
    }
}

impl<'de> Deserialize<'de> for LenientText<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LenientTextVisitor)
    }
}

struct LenientObjectVisitor<T>(T);

impl<'de, T: WantedMembers<'de>> Visitor<'de> for LenientObjectVisitor<T> {
    type Value = LenientObject<T>;

    passes_over!(scalars);
    passes_over!(visit_str: &str);

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut from: A) -> Result<LenientObject<T>, A::Error> {
        while let Some(LenientKey(key)) = from.next_key()? {
            if !self.0.member(&key, &mut from)? {
                from.next_value::<IgnoredAny>()?;
            }
        }
        Ok(LenientObject(self.0))
    }
}

impl<'de, T: WantedMembers<'de>> Deserialize<'de> for LenientObject<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LenientObjectVisitor(T::default()))
    }
}

struct LenientEntriesVisitor<'de, T>(Vec<(Cow<'de, str>, T)>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for LenientEntriesVisitor<'de, T> {
    type Value = LenientEntries<'de, T>;

    passes_over!(scalars);
    passes_over!(visit_str: &str);

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut from: A) -> Result<LenientEntries<'de, T>, A::Error> {
        while let Some((LenientKey(key), value)) = from.next_entry()? {
            self.0.push((key, value));
        }
        Ok(LenientEntries(self.0))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for LenientEntries<'de, T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LenientEntriesVisitor(Vec::new()))
    }
}
