//! The file as a tree in which every key and value knows where it stands.

use std::ops::Range;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::Number;

use crate::interpolate::{Expanded, Lack, Lookup, expand};
use crate::report::Report;

/// A value and the bytes it was written with. A value merged from `defaults` keeps the place where it was written.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// What a value is.
#[derive(Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(Text),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// A string as written and what interpolation made of it.
#[derive(Clone)]
pub(crate) struct Text {
    pub(crate) written: String,
    pub(crate) expanded: Expanded,
}

/// A key with its value.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

impl Node {
    /// The value of a member, when this is an object that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.members().iter().find(|member| member.key == key).map(|member| &member.node)
    }

    /// The value at the end of a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The value of a member, to change it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.value {
            Value::Object(members) => {
                members.iter_mut().find(|member| member.key == key).map(|member| &mut member.node)
            }
            _ => None,
        }
    }

    /// The members of an object; none for anything else.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements of an array; none for anything else.
    pub(crate) fn elements(&self) -> &[Node] {
        match &self.value {
            Value::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The string, when this is one.
    pub(crate) fn text(&self) -> Option<&Text> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether a string below has no text to judge.
    pub(crate) fn lacks_text(&self) -> bool {
        let mut lacks = false;
        self.each_text(&mut |_, text| lacks |= matches!(text.expanded, Expanded::Lacking(_)));
        lacks
    }

    /// Visits whatever keeps a string below from having a text.
    pub(crate) fn each_lack(&self, visit: &mut dyn FnMut(&Node, &Lack)) {
        self.each_text(&mut |node, text| {
            if let Expanded::Lacking(lacks) = &text.expanded {
                lacks.iter().for_each(|lack| visit(node, lack));
            }
        });
    }

    /// Visits every string below.
    pub(crate) fn each_text(&self, visit: &mut dyn FnMut(&Node, &Text)) {
        match &self.value {
            Value::String(text) => visit(self, text),
            Value::Array(elements) => elements.iter().for_each(|node| node.each_text(visit)),
            Value::Object(members) => members.iter().for_each(|member| member.node.each_text(visit)),
            _ => {}
        }
    }

    /// Fills in what `defaults` has and this value lacks; objects merge key by key, anything else is taken whole.
    pub(crate) fn merge_defaults(&mut self, defaults: &Node) {
        let (Value::Object(members), Value::Object(defaults)) = (&mut self.value, &defaults.value) else { return };
        for default in defaults {
            match members.iter_mut().find(|member| member.key == default.key) {
                Some(member) => member.node.merge_defaults(&default.node),
                None => members.push(default.clone()),
            }
        }
    }

    /// The value for serde. A string without a text stays as written: it is never used, and never "".
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::String(text) => Json::String(text.value().to_owned()),
            Value::Array(elements) => Json::Array(elements.iter().map(Node::to_json).collect()),
            Value::Object(members) => {
                Json::Object(members.iter().map(|member| (member.key.clone(), member.node.to_json())).collect())
            }
        }
    }

    /// The JSON pointer of what was written at a byte offset, seen from this node as the root.
    pub(crate) fn pointer_to(&self, offset: usize) -> String {
        let (mut node, mut pointer) = (self, String::new());
        loop {
            let step = match &node.value {
                Value::Array(elements) => elements
                    .iter()
                    .enumerate()
                    .find(|(_, element)| element.span.contains(&offset))
                    .map(|(index, element)| (index.to_string(), element)),
                Value::Object(members) => members
                    .iter()
                    .find(|member| (member.key_span.start..member.node.span.end).contains(&offset))
                    .map(|member| (member.key.replace('~', "~0").replace('/', "~1"), &member.node)),
                _ => None,
            };
            let Some((name, next)) = step else { return pointer };
            pointer.push('/');
            pointer.push_str(&name);
            node = next;
        }
    }
}

impl Text {
    /// What is written, with its references replaced.
    pub(crate) fn new(written: String, lookup: Lookup<'_>) -> Self {
        let expanded = expand(&written, lookup);
        Self { written, expanded }
    }

    /// A text of the author's own without references.
    pub(crate) fn literal(written: String) -> Self {
        Self { expanded: Expanded::Literal(written.clone()), written }
    }

    /// The interpolated text, or the text as written when there is none.
    pub(crate) fn value(&self) -> &str {
        match &self.expanded {
            Expanded::Literal(text) | Expanded::Replaced(text, _) => text,
            Expanded::Lacking(_) => &self.written,
        }
    }
}

/// JSON to a tree, comments and trailing commas taken out before. A syntax error ends it. Of equal keys the first counts;
/// all are kept, for the shape to find.
pub(crate) fn parse(text: &str, lookup: Lookup<'_>, report: &mut Report) -> Option<Node> {
    let strict = ParseOptions {
        // What is left of them is one without an end.
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let root = match parse_to_ast(text, &CollectOptions::default(), &strict) {
        Ok(result) => result.value?,
        Err(error) => {
            report.add(error.range().start, format!("not JSON: {}", lower_first(&error.kind().to_string())));
            return None;
        }
    };
    // The parser above locates well but forgives a little (numbers like `01`); files must be JSON to every reader.
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        report.add(line_start + error.column().saturating_sub(1), "not JSON: this number or string is malformed");
        return None;
    }
    Some(Builder { lookup }.node(root))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

struct Builder<'a> {
    lookup: Lookup<'a>,
}

impl Builder<'_> {
    fn node(&self, from: ast::Value<'_>) -> Node {
        let span = from.range().start..from.range().end;
        let value = match from {
            ast::Value::NullKeyword(_) => Value::Null,
            ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
            // What no number can hold is out of every range, and is reported as such.
            ast::Value::NumberLit(literal) => Value::Number(
                literal.value.parse().ok().or(Number::from_f64(f64::MAX)).unwrap_or(Number::from(u64::MAX)),
            ),
            ast::Value::StringLit(literal) => Value::String(Text::new(literal.value.into_owned(), self.lookup)),
            ast::Value::Array(array) => Value::Array(array.elements.into_iter().map(|node| self.node(node)).collect()),
            ast::Value::Object(object) => Value::Object(self.members(object)),
        };
        Node { span, value }
    }

    fn members(&self, object: ast::Object<'_>) -> Vec<Member> {
        let member = |property: ast::ObjectProp<'_>| {
            let key_span = property.name.range().start..property.name.range().end;
            Member { key_span, key: property.name.into_string(), node: self.node(property.value) }
        };
        object.properties.into_iter().map(member).collect()
    }
}
