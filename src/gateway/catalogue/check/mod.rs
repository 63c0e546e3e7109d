//! A server's lists and declarations, made readable for every client: first as JSON ([`mcproxy_mcp::i_json`]), then member by
//! member against what the SDKs accept ([`shape`]). What is wrong and not needed goes, what has an obvious right form gets
//! it, and an entry that lacks what it needs is left out. All other bytes stay.

mod instant;
mod json_schema;
mod shape;

use std::{borrow::Cow, fmt};

use mcproxy_mcp::{
    RawArray, RawObject, RawValue,
    i_json::{self, FaultKind, push_segment},
};

pub(super) use self::json_schema::refused as refused_output;
use self::{
    instant::is_instant,
    shape::{Absent, CAPABILITIES, Member, Shape},
};
use crate::gateway::{
    catalogue::{ListKind, text},
    rewrite::Splices,
};

/// Something that was wrong, and what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mended {
    /// Where, as a JSON pointer.
    pub(crate) pointer: String,
    /// What, as the end of a sentence.
    pub(crate) why: Cow<'static, str>,
    /// The repair, as a sentence.
    pub(crate) done: &'static str,
}

impl Mended {
    /// Longest pointer in a warning, in characters.
    const SHOWN: usize = 120;

    /// Where and what, for a warning.
    pub(crate) fn fault(&self) -> String {
        let shown: String = self.pointer.chars().take(Self::SHOWN).flat_map(char::escape_debug).collect();
        let cut = if self.pointer.chars().nth(Self::SHOWN).is_some() { "…" } else { "" };
        format!("`{shown}{cut}` {}", self.why)
    }
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.fault(), self.done)
    }
}

const LEFT_OUT: &str = "it was left out, or clients would refuse the whole list";

/// A text as every reader takes it, and what was mended.
pub(super) fn as_i_json(json: &str) -> (Cow<'_, str>, Vec<Mended>) {
    let repairs = i_json::repairs(json);
    let told = repairs.told.into_iter().map(|(pointer, kind)| {
        let done = match kind {
            FaultKind::Surrogate => "it was replaced by U+FFFD",
            FaultKind::Duplicate => "only the last was kept",
            FaultKind::Deep | FaultKind::Number => LEFT_OUT,
        };
        Mended { pointer, why: kind.to_string().into(), done }
    });
    let told = told.collect();
    let mut edits = Splices::of(json);
    for (range, with) in repairs.edits {
        edits.replace_range(range, with.to_owned());
    }
    (edits.finish(), told)
}

/// One entry of a list as every client takes it, and what was mended. `Err`: it cannot be mended.
pub(super) fn entry(kind: ListKind, json: &str) -> Result<(Cow<'_, str>, Vec<Mended>), Mended> {
    object(json, Shape::of(kind))
}

/// Capabilities as every client takes them, and what was mended.
pub(super) fn capabilities(json: &str) -> (Cow<'_, str>, Vec<Mended>) {
    object(json, CAPABILITIES).unwrap_or_else(|fatal| (Cow::Borrowed("{}"), vec![fatal]))
}

fn object<'t>(json: &'t str, members: &'static [Member]) -> Result<(Cow<'t, str>, Vec<Mended>), Mended> {
    let mut check = EntryCheck { edits: Splices::of(json), pointer: String::new(), mended: Vec::new() };
    match check.value(json, &Shape::Object(members)) {
        ValueCheck::Fits => Ok((check.edits.finish(), check.mended)),
        ValueCheck::Becomes(other) => Ok((other, check.mended)),
        ValueCheck::Goes(fatal) => Err(fatal),
    }
}

/// The verdict on a value.
enum ValueCheck {
    /// It stays, perhaps with edits inside.
    Fits,
    /// Something else stands in its place.
    Becomes(Cow<'static, str>),
    /// It is left out.
    Goes(Mended),
}

struct EntryCheck<'t> {
    edits: Splices<'t>,
    /// Where the value stands that is looked at.
    pointer: String,
    mended: Vec<Mended>,
}

impl<'t> EntryCheck<'t> {
    fn value(&mut self, raw: &'t str, shape: &Shape) -> ValueCheck {
        let string = || text::decode(raw);
        let fits = match shape {
            Shape::Text => raw.starts_with('"'),
            Shape::Flag => matches!(raw, "true" | "false"),
            Shape::Size => raw.bytes().all(|byte| byte.is_ascii_digit()) && raw.parse::<u64>().is_ok(),
            Shape::Share => raw.parse().is_ok_and(|share: f64| (0.0..=1.0).contains(&share)),
            Shape::Instant => string().is_some_and(|text| is_instant(&text)),
            Shape::OneOf(values) => string().is_some_and(|text| values.contains(&&*text)),
            Shape::Object(members) => return self.members(raw, shape, members),
            Shape::Map(values) => return self.map(raw, shape, values),
            Shape::List(elements) => return self.list(raw, shape, elements),
            Shape::Schema => return self.schema(raw),
            Shape::ObjectType => return self.object_type(raw),
        };
        if fits { ValueCheck::Fits } else { self.goes(shape) }
    }

    fn goes(&self, shape: &Shape) -> ValueCheck {
        let why = format!("is not {}", shape.noun()).into();
        ValueCheck::Goes(Mended { pointer: self.pointer.clone(), why, done: LEFT_OUT })
    }

    /// One entry may be wrong in a million places.
    fn tell(&mut self, mended: Mended) {
        const MAX: usize = 100;
        if self.mended.len() < MAX {
            self.mended.push(mended);
        }
    }

    fn becomes(&mut self, why: &'static str, done: &'static str, other: impl Into<Cow<'static, str>>) -> ValueCheck {
        self.tell(Mended { pointer: self.pointer.clone(), why: why.into(), done });
        ValueCheck::Becomes(other.into())
    }

    fn members(&mut self, raw: &'t str, shape: &Shape, members: &'static [Member]) -> ValueCheck {
        if is_empty_array(raw) {
            // PHP writes an empty object so.
            return match added_to_nothing(members) {
                Some(object) => self.becomes("is an empty array", "it is taken for an empty object", object),
                None => self.goes(shape),
            };
        }
        let Some(object) = read(raw) else { return self.goes(shape) };
        let mut gone: Vec<&'static str> = Vec::new();
        let mut added = [String::new(), String::new()];
        for member in members {
            let found = object.get(member.key).map(RawValue::get);
            // A null is the same as no member, for all but some clients.
            let verdict = match (found, member.absent) {
                (None, absent) => {
                    if absent == Absent::Fatal {
                        return self.within(member.key, |check| check.goes(&member.shape));
                    }
                    add(&mut added, member);
                    continue;
                }
                (Some("null"), Absent::First(_) | Absent::Last(_)) => {
                    add(&mut added, member);
                    self.within(member.key, |check| check.goes(&member.shape))
                }
                (Some(value), _) => self.within(member.key, |check| check.value(value, &member.shape)),
            };
            match verdict {
                ValueCheck::Fits => {}
                ValueCheck::Becomes(other) => {
                    if let Some(value) = object.get(member.key) {
                        self.edits.replace(value, other.into_owned());
                    }
                }
                ValueCheck::Goes(fatal) if member.absent != Absent::Fine && found != Some("null") => {
                    return ValueCheck::Goes(fatal);
                }
                ValueCheck::Goes(fatal) if member.absent == Absent::Fatal => return ValueCheck::Goes(fatal),
                ValueCheck::Goes(why) => {
                    gone.push(member.key);
                    // Many servers write null for what they do not have.
                    if found != Some("null") || !self.pointer.is_empty() {
                        self.tell(why);
                    }
                }
            }
        }
        self.edit_members(raw, &object, &gone, &added)
    }

    fn edit_members(&mut self, raw: &'t str, object: &RawObject<'t>, gone: &[&str], added: &[String; 2]) -> ValueCheck {
        let [first, last] = added;
        if object.iter().all(|(key, _)| gone.contains(&key)) && !(first.is_empty() && last.is_empty()) {
            let comma = if first.is_empty() || last.is_empty() { "" } else { "," };
            return ValueCheck::Becomes(format!("{{{first}{comma}{last}}}").into());
        }
        if !first.is_empty() {
            self.edits.insert_in(raw, &format!("{first},"));
        }
        if !gone.is_empty() {
            self.edits.retain(raw, object, |key| !gone.contains(&key));
        }
        if !last.is_empty() {
            self.edits.insert_last(object, &format!(",{last}"));
        }
        ValueCheck::Fits
    }

    fn map(&mut self, raw: &'t str, shape: &Shape, values: &'static Shape) -> ValueCheck {
        if is_empty_array(raw) {
            return self.becomes("is an empty array", "it is taken for an empty object", "{}");
        }
        let Some(object) = read(raw) else { return self.goes(shape) };
        let mut gone: Vec<&str> = Vec::new();
        for (key, value) in object.iter() {
            match self.within(key, |check| check.value(value.get(), values)) {
                ValueCheck::Fits => {}
                ValueCheck::Becomes(other) => self.edits.replace(value, other.into_owned()),
                ValueCheck::Goes(why) => {
                    gone.push(key);
                    self.tell(why);
                }
            }
        }
        if !gone.is_empty() {
            gone.sort_unstable();
            self.edits.retain(raw, &object, |key| gone.binary_search(&key).is_err());
        }
        ValueCheck::Fits
    }

    fn list(&mut self, raw: &'t str, shape: &Shape, elements: &'static Shape) -> ValueCheck {
        if matches!(elements, Shape::Text) && raw.starts_with('"') {
            // Icons had their sizes so in a draft.
            return self.becomes("is one string", "it is taken for an array of one", format!("[{raw}]"));
        }
        let Ok(RawArray(found)) = RawArray::from_text(raw) else { return self.goes(shape) };
        let mut keep = vec![true; found.len()];
        for (at, element) in found.iter().enumerate() {
            match self.within(&at.to_string(), |check| check.value(element.get(), elements)) {
                ValueCheck::Fits => {}
                ValueCheck::Becomes(other) => self.edits.replace(element, other.into_owned()),
                ValueCheck::Goes(why) => {
                    keep[at] = false;
                    self.tell(why);
                }
            }
        }
        if keep.contains(&false) {
            self.edits.retain_elements(raw, &found, |at| keep[at]);
        }
        ValueCheck::Fits
    }

    /// `true` allows everything and `false` nothing (JSON Schema 2020-12, 4.3.2); both can be said with an object.
    fn schema(&mut self, raw: &str) -> ValueCheck {
        match raw {
            _ if raw.starts_with('{') => ValueCheck::Fits,
            "true" => self.becomes("is `true`, which some clients refuse", "it is shown as `{}`", "{}"),
            "false" => {
                self.becomes("is `false`, which some clients refuse", "it is shown as `{\"not\":{}}`", "{\"not\":{}}")
            }
            _ => self.becomes("is no schema", "it is shown as `{}`", "{}"),
        }
    }

    fn object_type(&mut self, raw: &str) -> ValueCheck {
        const OBJECT: &str = r#""object""#;
        if text::decode(raw).as_deref() == Some("object") {
            return ValueCheck::Fits;
        }
        let types = RawArray::from_text(raw).unwrap_or_default().0;
        if types.iter().any(|one| one.get() == OBJECT) {
            return self.becomes("is an array, which clients refuse", "it is shown as `\"object\"`", OBJECT);
        }
        self.goes(&Shape::ObjectType)
    }

    fn within<T>(&mut self, segment: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        push_segment(&mut self.pointer, segment);
        let result = look(self);
        self.pointer.truncate(length);
        result
    }
}

fn read(raw: &str) -> Option<RawObject<'_>> {
    RawObject::from_text(raw).ok()
}

fn is_empty_array(raw: &str) -> bool {
    raw.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| inner.trim().is_empty())
}

/// Adds what a member that is not there has to be.
fn add(added: &mut [String; 2], member: &Member) {
    let (to, value) = match member.absent {
        Absent::First(value) => (&mut added[0], value),
        Absent::Last(value) => (&mut added[1], value),
        Absent::Fine | Absent::Fatal => return,
    };
    if !to.is_empty() {
        to.push(',');
    }
    to.push_str(&format!("\"{}\":{value}", member.key));
}

/// An object that has nothing but what is added; `None`: something else is needed.
fn added_to_nothing(members: &[Member]) -> Option<String> {
    let mut added = [String::new(), String::new()];
    for member in members {
        if member.absent == Absent::Fatal {
            return None;
        }
        add(&mut added, member);
    }
    let [first, last] = added;
    let comma = if first.is_empty() || last.is_empty() { "" } else { "," };
    Some(format!("{{{first}{comma}{last}}}"))
}

#[cfg(test)]
mod tests;
