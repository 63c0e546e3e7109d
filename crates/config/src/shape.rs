//! Whether a tree has the shape that the schema describes. What does not fit is reported and left out, so that the rest
//! can still be checked and all problems appear at once.
//!
//! Understands what [`schema`](crate::schema()) uses of JSON Schema, and no more. Messages never repeat a value: a token
//! written in the wrong place must not reach a log.

use std::collections::HashSet;

use serde_json::Value as Json;

use crate::dialect::{self, Stranger};
use crate::interpolate::Expanded;
use crate::nearest::{did_you_mean, typo_of};
use crate::problem::printable;
use crate::report::Report;
use crate::tree::{Node, TreeValue};

/// Checks nodes against parts of one schema.
pub(crate) struct ShapeCheck<'a> {
    pub(crate) root: &'a Json,
    pub(crate) report: &'a mut Report,
}

/// Where an object stands, and so whose keys may be found in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShapeLevel {
    /// It is the file: other programs keep their own settings there.
    File,
    /// It is a server: other programs say more of one.
    Entry,
    /// It is a part of ours alone.
    Within,
}

/// So many unknown keys of the file are named one by one.
const MAX_NAMED: usize = 8;

impl<'a> ShapeCheck<'a> {
    /// Reports what is wrong in `node`, drops it, and says whether the rest is usable. `key` is where the node stands.
    pub(crate) fn keep(&mut self, node: &mut Node, schema: &'a Json, key: &str) -> bool {
        let options = options(self.root, schema);
        let Some(schema) = options.iter().copied().find(|option| accepts_type(option, &node.value)) else {
            let found = describe(&node.value);
            self.report.add(node.span.start, format!("expected {}, found {found}", expectation(&options)));
            return false;
        };
        let offset = node.span.start;
        match &mut node.value {
            TreeValue::Null | TreeValue::Bool(_) => true,
            TreeValue::Number(number) => self.number_fits(number.as_f64(), schema, offset),
            TreeValue::String(text) => {
                let (value, expanded) = (text.value().to_owned(), &text.expanded);
                match words(schema) {
                    None => true,
                    Some(words) if words.contains(&value.as_str()) => true,
                    Some(_) if matches!(expanded, Expanded::Lacking(_)) => false,
                    Some(words) => {
                        self.report.add(offset, wrong_word(&value, &words, &expectation(&options)));
                        false
                    }
                }
            }
            TreeValue::Array(elements) => {
                if elements.is_empty() && schema["minItems"].as_u64().is_some_and(|least| least > 0) {
                    self.report
                        .add(offset, format!("an empty `{key}` lets nothing through; leave the key out instead"));
                    return false;
                }
                let items = &schema["items"];
                elements.retain_mut(|element| self.keep(element, items, key));
                true
            }
            TreeValue::Object(_) => self.members_fit(node, schema, ShapeLevel::Within),
        }
    }

    /// The same for the file or for an entry, where keys of other programs are expected.
    pub(crate) fn keep_all(&mut self, node: &mut Node, schema: &'a Json, level: ShapeLevel) -> bool {
        match node.value {
            TreeValue::Object(_) => self.members_fit(node, schema, level),
            _ => self.keep(node, schema, ""),
        }
    }

    fn members_fit(&mut self, node: &mut Node, schema: &'a Json, level: ShapeLevel) -> bool {
        let known = &schema["properties"];
        let TreeValue::Object(members) = &mut node.value else { return true };
        let mut usable = true;
        let mut seen = HashSet::new();
        let mut unknown: Vec<(usize, String, String)> = Vec::new();
        members.retain_mut(|member| {
            if !seen.insert(member.key.clone()) {
                let message = format!("the key `{}` is written twice in this object", printable(&member.key));
                self.report.add(member.key_span.start, message);
                return false;
            }
            let part = match (known.get(member.key.as_str()), &schema["additionalProperties"]) {
                (Some(part), _) => part,
                (None, any @ Json::Object(_)) => any,
                (None, _) => {
                    if let Some(message) = self.stranger(&member.key, member.key_span.start, known, level) {
                        unknown.push((member.key_span.start, member.key.clone(), message));
                    }
                    return false;
                }
            };
            // Null is no value, except where it is one.
            if matches!(member.node.value, TreeValue::Null)
                && !options(self.root, part).iter().any(|option| accepts_type(option, &TreeValue::Null))
            {
                return false;
            }
            let kept = self.keep(&mut member.node, part, &member.key);
            // A required key that is present but wrong has been reported; it is not missing.
            usable &= kept || !is_required(schema, &member.key);
            kept
        });
        self.tell_unknown(unknown);
        if usable {
            for key in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
                if node.get(key).is_none() {
                    self.report.add(node.span.start, format!("`{key}` is missing"));
                    usable = false;
                }
            }
        }
        usable
    }

    /// Reports a key that the schema does not have, or returns what to say of one that no program is known to have.
    fn stranger(&mut self, key: &str, offset: usize, known: &Json, level: ShapeLevel) -> Option<String> {
        let known = known.as_object().filter(|_| self.report.is_read());
        let known = known.into_iter().flat_map(|keys| keys.keys().map(String::as_str));
        let stranger = match level {
            ShapeLevel::File => dialect::of_file(key, known),
            ShapeLevel::Entry => dialect::of_entry(key, known),
            ShapeLevel::Within if typo_of(key, known.clone()).is_some() => {
                Stranger::Mistake(format!("unknown key `{}`{}", printable(key), did_you_mean(key, known)))
            }
            ShapeLevel::Within => {
                self.report.add(offset, format!("unknown key `{}`{}", printable(key), did_you_mean(key, known)));
                return None;
            }
        };
        match stranger {
            Stranger::Mistake(message) => self.report.refuse(offset, message),
            Stranger::Known(message) => self.report.warn(offset, message),
            Stranger::Unknown(message) => return Some(message),
        }
        None
    }

    /// Whole files of other programs have a hundred keys of their own.
    fn tell_unknown(&mut self, unknown: Vec<(usize, String, String)>) {
        if unknown.len() <= MAX_NAMED {
            unknown.into_iter().for_each(|(offset, _, message)| self.report.warn(offset, message));
            return;
        }
        let named: Vec<String> = unknown.iter().take(3).map(|(_, key, _)| format!("`{}`", printable(key))).collect();
        let more = unknown.len() - named.len();
        let message = format!("{} and {more} further keys are not keys of MCProxy and are ignored", named.join(", "));
        self.report.warn(unknown[0].0, message);
    }

    fn number_fits(&mut self, number: Option<f64>, schema: &Json, offset: usize) -> bool {
        let (least, most) = (&schema["minimum"], &schema["maximum"]);
        let fits = number.is_some_and(|number| {
            least.as_f64().is_none_or(|least| number >= least) && most.as_f64().is_none_or(|most| number <= most)
        });
        if !fits {
            self.report.add(offset, format!("must be between {least} and {most}"));
        }
        fits
    }
}

/// The alternatives that a schema allows, references followed.
fn options<'a>(root: &'a Json, schema: &'a Json) -> Vec<&'a Json> {
    let schema = match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).unwrap_or(schema),
        None => schema,
    };
    match schema["anyOf"].as_array() {
        Some(parts) => parts.iter().flat_map(|part| options(root, part)).collect(),
        None => vec![schema],
    }
}

fn is_required(schema: &Json, key: &str) -> bool {
    schema["required"].as_array().is_some_and(|required| required.iter().any(|name| name == key))
}

/// The words that a string may be, if it may not be any.
fn words(schema: &Json) -> Option<Vec<&str>> {
    schema["enum"].as_array().map(|words| words.iter().filter_map(Json::as_str).collect())
}

fn types(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(one) => vec![one],
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        _ => vec![],
    }
}

fn accepts_type(schema: &Json, value: &TreeValue) -> bool {
    types(schema).iter().any(|kind| match (*kind, value) {
        ("integer", TreeValue::Number(number)) => number.is_i64() || number.is_u64(),
        (kind, value) => kind == kind_of(value),
    })
}

fn kind_of(value: &TreeValue) -> &'static str {
    match value {
        TreeValue::Null => "null",
        TreeValue::Bool(_) => "boolean",
        TreeValue::Number(_) => "number",
        TreeValue::String(_) => "string",
        TreeValue::Array(_) => "array",
        TreeValue::Object(_) => "object",
    }
}

/// All that the alternatives allow, as "a, b or c".
fn expectation(options: &[&Json]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for option in options {
        match words(option) {
            Some(words) => parts.extend(words.iter().map(|word| format!("`{word}`"))),
            None => parts.extend(types(option).iter().map(|kind| in_words(kind).to_owned())),
        }
    }
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

fn describe(value: &TreeValue) -> &'static str {
    match value {
        TreeValue::Number(number) if !number.is_f64() => "a whole number",
        value => in_words(kind_of(value)),
    }
}

fn in_words(kind: &str) -> &'static str {
    match kind {
        "null" => "null",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        _ => "an object",
    }
}

fn wrong_word(value: &str, words: &[&str], expected: &str) -> String {
    format!("expected {expected}, found another string{}", did_you_mean(value, words.iter().copied()))
}
