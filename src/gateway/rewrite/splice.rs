//! Edits of a JSON text that leave every other byte alone.

use std::{borrow::Cow, ops::Range};

use mcproxy_mcp::{RawArray, RawObject, RawValue, json_string};

/// Pending edits of one text. The values that are edited are slices of that text. Of two edits that overlap the one
/// that begins first counts, and of two of the same place the one that was asked for first.
#[derive(Debug)]
pub(crate) struct Splices<'a> {
    text: &'a str,
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Splices<'a> {
    /// No edits yet.
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, edits: Vec::new() }
    }

    /// Puts `with` (JSON) in the place of a value.
    pub(crate) fn replace(&mut self, value: &RawValue, with: String) {
        if let Some(range) = span(self.text, value.get()) {
            self.edits.push((range, with));
        }
    }

    /// Puts `with` in the place of a part of the text.
    pub(crate) fn replace_range(&mut self, range: Range<usize>, with: String) {
        self.edits.push((range, with));
    }

    /// Puts `with` right behind the opening brace of an object.
    pub(crate) fn insert_in(&mut self, object: &str, with: &str) {
        if let Some(range) = span(self.text, object) {
            self.edits.push((range.start + 1..range.start + 1, with.to_owned()));
        }
    }

    /// Gives a member of an object another value (JSON), or adds it.
    pub(crate) fn set(&mut self, object: &RawObject<'_>, key: &str, json: &str) {
        match object.get(key) {
            Some(old) => self.replace(old, json.to_owned()),
            None => self.append(object, key, json),
        }
    }

    /// Adds a member at the end of an object that has at least one.
    pub(crate) fn append(&mut self, object: &RawObject<'_>, key: &str, json: &str) {
        self.insert_last(object, &format!(",{}:{json}", json_string(key).get()));
    }

    /// Puts `with` behind the last member of an object that has at least one.
    pub(crate) fn insert_last(&mut self, object: &RawObject<'_>, with: &str) {
        let end = object.iter().last().and_then(|(_, value)| span(self.text, value.get())).map(|range| range.end);
        if let Some(end) = end {
            self.edits.push((end..end, with.to_owned()));
        }
    }

    /// Takes members out of an object (`object` is its text, `members` what was read from it).
    pub(crate) fn retain(&mut self, object: &str, members: &RawObject<'_>, keep: impl Fn(&str) -> bool) {
        self.keep(object, members.iter().map(|(key, value)| (keep(key), value)));
    }

    /// Takes elements out of an array, by their places.
    pub(crate) fn retain_elements(&mut self, array: &str, elements: &[&RawValue], keep: impl Fn(usize) -> bool) {
        self.keep(array, elements.iter().enumerate().map(|(at, value)| (keep(at), *value)));
    }

    fn keep<'v>(&mut self, outer: &str, items: impl Iterator<Item = (bool, &'v RawValue)>) {
        let Some(outer) = span(self.text, outer) else { return };
        let mut kept_one = false;
        // Where the leading run of removed items ends.
        let mut leading_end = None;
        let mut previous_end = outer.start + 1;
        for (keep, value) in items {
            let Some(range) = span(self.text, value.get()) else { return };
            match (keep, kept_one) {
                (true, _) => {
                    if let Some(end) = leading_end.take() {
                        let comma = self.text[end..].find(',').map_or(end, |at| end + at + 1);
                        self.edits.push((outer.start + 1..comma, String::new()));
                    }
                    kept_one = true;
                }
                (false, true) => self.edits.push((previous_end..range.end, String::new())),
                (false, false) => leading_end = Some(range.end),
            }
            previous_end = range.end;
        }
        if let Some(end) = leading_end {
            self.edits.push((outer.start + 1..end, String::new()));
        }
    }

    /// The edited text; the same one when there was nothing to edit.
    pub(crate) fn finish(mut self) -> Cow<'a, str> {
        if self.edits.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out =
            String::with_capacity(self.text.len() + self.edits.iter().map(|(_, with)| with.len()).sum::<usize>());
        let mut at = 0;
        for (range, with) in &self.edits {
            // Text within an earlier edit is gone already.
            let Some(between) = self.text.get(at..range.start) else { continue };
            out.push_str(between);
            out.push_str(with);
            at = range.end;
        }
        out.push_str(&self.text[at..]);
        Cow::Owned(out)
    }
}

/// Where `part`, a slice of `text`, lies in it.
pub(crate) fn span(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start + part.len();
    (end <= text.len()).then_some(start..end)
}

/// The elements of a value that is an array; none when it is something else.
pub(crate) fn elements(value: Option<&RawValue>) -> Vec<&RawValue> {
    match value {
        Some(raw) if raw.get().starts_with('[') => RawArray::from_raw(raw).unwrap_or_default().0,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn without(text: &str, gone: &[&str]) -> String {
        let object = RawObject::from_text(text).expect("an object");
        let mut splices = Splices::of(text);
        splices.retain(text, &object, |key| !gone.contains(&key));
        splices.finish().into_owned()
    }

    #[test]
    fn members_leave_and_the_rest_keeps_its_bytes() {
        let text = r#"{ "a":1, "b" : [2 ,3],"c":"x" }"#;
        assert_eq!(without(text, &["a"]), r#"{ "b" : [2 ,3],"c":"x" }"#);
        assert_eq!(without(text, &["b"]), r#"{ "a":1,"c":"x" }"#);
        assert_eq!(without(text, &["c"]), r#"{ "a":1, "b" : [2 ,3] }"#);
        assert_eq!(without(text, &["a", "b", "c"]), "{ }");
        assert_eq!(without(text, &[]), text);
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_was_kept(keys in prop::collection::btree_map("[a-h]", any::<bool>(), 0..8), pad in "[ \t]{0,2}") {
            let members: Vec<String> = keys.keys().map(|k| format!("{pad}\"{k}\"{pad}:{pad}[\"{k},\"]{pad}")).collect();
            let text = format!("{{{}}}", members.join(","));
            let gone: Vec<&str> = keys.iter().filter(|(_, keep)| !**keep).map(|(k, _)| k.as_str()).collect();
            let out = without(&text, &gone);
            let left: Vec<String> = RawObject::from_text(&out).expect("still an object").iter().map(|(k, _)| k.to_owned()).collect();
            let kept: Vec<String> = keys.iter().filter(|(_, keep)| **keep).map(|(k, _)| k.clone()).collect();
            prop_assert_eq!(left, kept);
        }
    }
}
