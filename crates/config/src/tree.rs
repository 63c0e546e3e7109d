//! The file as a tree in which every key and value knows where it stands.

use std::ops::Range;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::interpolate::{EnvLookup, Expanded, Lack, expand};
use crate::report::Report;

/// The deepest nesting that is read; the configuration never needs more.
const MAX_DEPTH: usize = 64;

/// A value and the bytes it was written with. A value merged from `defaults` keeps the place where it was written.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: TreeValue,
}

/// A value without its place.
#[derive(Clone)]
pub(crate) enum TreeValue {
    Null,
    Bool(bool),
    Number(Number),
    String(ConfigText),
    Array(Vec<Node>),
    Object(Vec<TreeMember>),
}

/// A string as written and what interpolation made of it.
#[derive(Clone)]
pub(crate) struct ConfigText {
    pub(crate) written: String,
    pub(crate) expanded: Expanded,
}

/// A key with its value.
#[derive(Clone)]
pub(crate) struct TreeMember {
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
            TreeValue::Object(members) => {
                members.iter_mut().find(|member| member.key == key).map(|member| &mut member.node)
            }
            _ => None,
        }
    }

    /// The members of an object; none for anything else.
    pub(crate) fn members(&self) -> &[TreeMember] {
        match &self.value {
            TreeValue::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements of an array; none for anything else.
    pub(crate) fn elements(&self) -> &[Node] {
        match &self.value {
            TreeValue::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The string, when this is one.
    pub(crate) fn text(&self) -> Option<&ConfigText> {
        match &self.value {
            TreeValue::String(text) => Some(text),
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
    pub(crate) fn each_text(&self, visit: &mut dyn FnMut(&Node, &ConfigText)) {
        match &self.value {
            TreeValue::String(text) => visit(self, text),
            TreeValue::Array(elements) => elements.iter().for_each(|node| node.each_text(visit)),
            TreeValue::Object(members) => members.iter().for_each(|member| member.node.each_text(visit)),
            _ => {}
        }
    }

    /// Fills in what `defaults` has and this value lacks; objects merge key by key, anything else is taken whole.
    pub(crate) fn merge_defaults(&mut self, defaults: &Node) {
        let (TreeValue::Object(members), TreeValue::Object(defaults)) = (&mut self.value, &defaults.value) else {
            return;
        };
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
            TreeValue::Null => Json::Null,
            TreeValue::Bool(value) => Json::Bool(*value),
            TreeValue::Number(number) => Json::Number(number.clone()),
            TreeValue::String(text) => Json::String(text.value().to_owned()),
            TreeValue::Array(elements) => Json::Array(elements.iter().map(Node::to_json).collect()),
            TreeValue::Object(members) => {
                Json::Object(members.iter().map(|member| (member.key.clone(), member.node.to_json())).collect())
            }
        }
    }

    /// The JSON pointer of what was written at a byte offset, seen from this node as the root.
    pub(crate) fn pointer_to(&self, offset: usize) -> String {
        let (mut node, mut pointer) = (self, String::new());
        loop {
            let step = match &node.value {
                TreeValue::Array(elements) => elements
                    .iter()
                    .enumerate()
                    .find(|(_, element)| element.span.contains(&offset))
                    .map(|(index, element)| (index.to_string(), element)),
                TreeValue::Object(members) => members
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

impl ConfigText {
    /// The text, with its references replaced.
    pub(crate) fn new(written: String, lookup: EnvLookup<'_>) -> Self {
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

/// JSON, with comments and trailing commas, to a tree. A syntax error ends it. Of equal keys the first counts; all are kept, for the
/// shape to find.
pub(crate) fn parse(text: &str, lookup: EnvLookup<'_>, report: &mut Report) -> Option<Node> {
    let options = ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: true,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let root = match parse_to_ast(text, &CollectOptions::default(), &options) {
        Ok(result) => result.value,
        Err(error) => {
            let message = match error.kind() {
                ParseErrorKind::NestingDepthExceeded => too_deep(),
                kind => format!("not JSON: {}", lower_first(&kind.to_string())),
            };
            report.add(error.range().start, message);
            return None;
        }
    };
    let Some(root) = root else {
        report.add(0, "the file is empty; the smallest configuration is {}");
        return None;
    };
    let mut builder = Builder { text, lookup, mistake: None };
    let node = builder.node(root, 0);
    match builder.mistake {
        None => Some(node),
        Some((offset, message)) => {
            report.add(offset, message);
            None
        }
    }
}

fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} levels")
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

struct Builder<'a> {
    text: &'a str,
    lookup: EnvLookup<'a>,
    /// The first thing that the parser forgives and we do not.
    mistake: Option<(usize, String)>,
}

impl Builder<'_> {
    fn node(&mut self, from: ast::Value<'_>, depth: usize) -> Node {
        let span = from.range().start..from.range().end;
        let value = match from {
            ast::Value::NullKeyword(_) => TreeValue::Null,
            ast::Value::BooleanLit(literal) => TreeValue::Bool(literal.value),
            ast::Value::NumberLit(literal) => {
                self.check_strict(span.clone());
                // A number that is too large for any type is out of every range, and is reported as such.
                let number = literal.value.parse().ok().or(Number::from_f64(f64::MAX));
                TreeValue::Number(number.unwrap_or(Number::from(u64::MAX)))
            }
            ast::Value::StringLit(literal) => {
                self.check_strict(span.clone());
                TreeValue::String(ConfigText::new(literal.value.into_owned(), self.lookup))
            }
            ast::Value::Array(_) | ast::Value::Object(_) if depth == MAX_DEPTH => {
                self.mistake.get_or_insert_with(|| (span.start, too_deep()));
                TreeValue::Null
            }
            ast::Value::Array(array) => {
                TreeValue::Array(array.elements.into_iter().map(|node| self.node(node, depth + 1)).collect())
            }
            ast::Value::Object(object) => TreeValue::Object(self.members(object, depth + 1)),
        };
        Node { span, value }
    }

    fn members(&mut self, object: ast::Object<'_>, depth: usize) -> Vec<TreeMember> {
        let member = |property: ast::ObjectProp<'_>| {
            let key_span = property.name.range().start..property.name.range().end;
            self.check_strict(key_span.clone());
            TreeMember { key_span, key: property.name.into_string(), node: self.node(property.value, depth) }
        };
        object.properties.into_iter().map(member).collect()
    }

    /// The parser forgives a little (numbers like `01`, line breaks in strings); files must be JSON to every reader.
    fn check_strict(&mut self, span: Range<usize>) {
        // A number that is too large is one all the same, so nothing is made of it here.
        let is_strict = serde_json::from_str::<&RawValue>(&self.text[span.clone()]).is_ok();
        if !is_strict && self.mistake.is_none() {
            self.mistake = Some((span.start, "not JSON: this number or string is malformed".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<serde_json::Value> {
        parse(text, &|_| None, &mut Report::default()).map(|root| root.to_json())
    }

    #[test]
    fn comments_and_trailing_commas_are_passed_over_and_move_nothing() {
        for (text, expected) in [
            ("{} // é\n", "{}"),
            ("{/* a\n*/\"a\":1,}", "{\"a\":1}"),
            ("[1, // x\n]", "[1]"),
            ("[1,/**/]", "[1]"),
            (r#"["// no", "/* no */", "a,]", "\"//"]"#, r#"["// no", "/* no */", "a,]", "\"//"]"#),
        ] {
            assert_eq!(read(text), serde_json::from_str(expected).ok(), "{text}");
        }
        let root = parse("/*\n*/[ 1, // é\n 2,]", &|_| None, &mut Report::default()).expect("read");
        let spans: Vec<usize> = root.elements().iter().map(|element| element.span.start).collect();
        assert_eq!(spans, [7, 17]);
    }

    #[test]
    fn what_is_no_json_to_another_reader_is_refused() {
        for text in
            ["[,]", "{,}", "[1,,]", "[1] /* open", "\"open // x", "[01]", "[1.]", "\"a\nb\"", "{\"a\tb\":1}", "['a']"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_refused_and_brackets_in_strings_and_comments_do_not_nest() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&nested(MAX_DEPTH)).is_some() && read(&nested(MAX_DEPTH + 1)).is_none());
        let brackets = "[".repeat(1000);
        assert!(read(&format!("\"\\\"{brackets}\" // {brackets}")).is_some());
    }

    proptest! {
        #[test]
        fn strict_json_is_read_as_it_is(value in "[ -#%-~é]{0,12}", n in any::<i32>()) {
            let json = serde_json::json!({"a": [value, n, {}], "b": {"c": [], "d": null}});
            prop_assert_eq!(read(&json.to_string()), Some(json));
        }

        #[test]
        fn whatever_is_read_is_json_without_its_comments(text in "[\\[\\]{},:/*\"\\\\a\né0]{0,40}") {
            if let Some(value) = read(&text) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&value.to_string()).is_ok());
            }
        }
    }
}
