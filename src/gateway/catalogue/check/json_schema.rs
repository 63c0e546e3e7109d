//! Whether clients can compile an `outputSchema`. The TypeScript SDK 1.x compiles those of all tools with Ajv as soon as it
//! has a list, and refuses the list for one that it cannot compile: a type that does not exist, a reference that leads
//! nowhere, a pattern that is none.

use std::collections::HashSet;

use mcproxy_mcp::{RawArray, RawObject, RawValue, i_json::push_segment, percent_decoded};
use serde_json::Value;

use crate::gateway::catalogue::text;

/// Longest pattern that is compiled, in bytes, and its most groups.
const MAX_PATTERN: usize = 1000;
const MAX_GROUPS: usize = 50;

/// Most references to places that are none for schemas; each such place is read once more.
const MAX_ELSEWHERE: usize = 16;

const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// The required value of a keyword.
#[derive(Clone, Copy)]
enum Keyword {
    Schema,
    /// A schema, or (up to draft-07) an array of them.
    Schemas,
    /// A non-empty array of schemas.
    Alternatives,
    /// An object of schemas.
    Named,
    /// The same, under patterns.
    Patterns,
    /// An object of schemas or arrays of strings.
    Dependencies,
    Types,
    Choices,
    Strings,
    Count,
    Number,
    Positive,
    Flag,
    Pattern,
    Text,
    Reference,
    /// Moves what references mean, so that they cannot be followed here.
    Base,
    Nullable,
}

const KEYWORDS: &[(&str, Keyword)] = &[
    ("$ref", Keyword::Reference),
    ("$id", Keyword::Base),
    ("id", Keyword::Base),
    ("$anchor", Keyword::Base),
    ("$dynamicAnchor", Keyword::Base),
    ("$recursiveAnchor", Keyword::Base),
    ("$dynamicRef", Keyword::Base),
    ("$recursiveRef", Keyword::Base),
    ("$async", Keyword::Base),
    ("$comment", Keyword::Text),
    ("$defs", Keyword::Named),
    ("definitions", Keyword::Named),
    ("properties", Keyword::Named),
    ("dependentSchemas", Keyword::Named),
    ("patternProperties", Keyword::Patterns),
    ("dependencies", Keyword::Dependencies),
    ("additionalProperties", Keyword::Schema),
    ("additionalItems", Keyword::Schema),
    ("unevaluatedProperties", Keyword::Schema),
    ("unevaluatedItems", Keyword::Schema),
    ("propertyNames", Keyword::Schema),
    ("contains", Keyword::Schema),
    ("not", Keyword::Schema),
    ("if", Keyword::Schema),
    ("then", Keyword::Schema),
    ("else", Keyword::Schema),
    ("items", Keyword::Schemas),
    ("prefixItems", Keyword::Alternatives),
    ("allOf", Keyword::Alternatives),
    ("anyOf", Keyword::Alternatives),
    ("oneOf", Keyword::Alternatives),
    ("type", Keyword::Types),
    ("enum", Keyword::Choices),
    ("required", Keyword::Strings),
    ("minLength", Keyword::Count),
    ("maxLength", Keyword::Count),
    ("minItems", Keyword::Count),
    ("maxItems", Keyword::Count),
    ("minProperties", Keyword::Count),
    ("maxProperties", Keyword::Count),
    ("minContains", Keyword::Count),
    ("maxContains", Keyword::Count),
    ("minimum", Keyword::Number),
    ("maximum", Keyword::Number),
    ("exclusiveMinimum", Keyword::Number),
    ("exclusiveMaximum", Keyword::Number),
    ("multipleOf", Keyword::Positive),
    ("uniqueItems", Keyword::Flag),
    ("pattern", Keyword::Pattern),
    ("format", Keyword::Text),
    ("contentEncoding", Keyword::Text),
    ("contentMediaType", Keyword::Text),
    ("nullable", Keyword::Nullable),
];

/// Why clients could not compile a schema (JSON, as every reader takes it), and where; `None`: they can.
pub(in super::super) fn refused(schema: &RawValue) -> Option<(String, &'static str)> {
    let mut compile = Compile {
        root: schema.get(),
        tree: None,
        pointer: String::new(),
        followed: HashSet::new(),
        elsewhere: MAX_ELSEWHERE,
    };
    compile.schema(schema.get()).err().map(|why| (compile.pointer, why))
}

struct Compile<'a> {
    root: &'a str,
    /// The whole schema, once a reference needs it.
    tree: Option<Value>,
    pointer: String,
    followed: HashSet<String>,
    /// How many references to other places may still follow.
    elsewhere: usize,
}

impl<'a> Compile<'a> {
    /// On failure the pointer stays where it is.
    fn schema(&mut self, raw: &'a str) -> Result<(), &'static str> {
        if matches!(raw, "true" | "false") {
            return Ok(());
        }
        let schema = RawObject::from_text(raw).map_err(|_| "is no schema")?;
        for (key, value) in schema.iter() {
            let Some((_, keyword)) = KEYWORDS.iter().find(|(known, _)| *known == key) else { continue };
            self.within(key, |compile| compile.keyword(*keyword, value.get(), &schema))?;
        }
        Ok(())
    }

    fn keyword(&mut self, keyword: Keyword, raw: &'a str, schema: &RawObject<'a>) -> Result<(), &'static str> {
        let ok = match keyword {
            Keyword::Schema => return self.schema(raw),
            Keyword::Schemas if raw.starts_with('[') => return self.schemas(raw, true),
            Keyword::Schemas => return self.schema(raw),
            Keyword::Alternatives => return self.schemas(raw, false),
            Keyword::Named => return self.named(raw, |compile, _, value| compile.schema(value)),
            Keyword::Patterns => {
                return self.named(raw, |compile, key, value| {
                    if is_pattern(key) { compile.schema(value) } else { Err("is no regular expression") }
                });
            }
            Keyword::Dependencies => {
                return self.named(raw, |compile, _, value| match strings(value) {
                    Some(_) => Ok(()),
                    None => compile.schema(value),
                });
            }
            Keyword::Reference => return self.reference(raw),
            Keyword::Base => return Err("changes what references mean, which clients handle differently"),
            Keyword::Types => {
                let single = text::decode(raw).filter(|_| raw.starts_with('"')).map(|one| vec![one.into_owned()]);
                let types = single.or_else(|| strings(raw)).unwrap_or_default();
                // Ajv: a type null contradicts `nullable: false`.
                !types.is_empty() && types.iter().all(|one| TYPES.contains(&one.as_str()))
            }
            Keyword::Choices => RawArray::from_text(raw).is_ok_and(|choices| !choices.0.is_empty()),
            Keyword::Strings => strings(raw).is_some(),
            Keyword::Count => raw.parse::<u64>().is_ok(),
            Keyword::Number => raw.parse::<f64>().is_ok(),
            Keyword::Positive => raw.parse::<f64>().is_ok_and(|number| number > 0.0),
            Keyword::Flag => matches!(raw, "true" | "false"),
            Keyword::Pattern => text::decode(raw).is_some_and(|pattern| is_pattern(&pattern)),
            Keyword::Text => raw.starts_with('"'),
            Keyword::Nullable => schema.get("type").is_some() && raw == "true",
        };
        if ok { Ok(()) } else { Err("has no value that this keyword may have") }
    }

    fn schemas(&mut self, raw: &'a str, may_be_empty: bool) -> Result<(), &'static str> {
        let RawArray(elements) = RawArray::from_text(raw).map_err(|_| "is no array of schemas")?;
        if elements.is_empty() && !may_be_empty {
            return Err("is an empty array");
        }
        for (at, element) in elements.iter().enumerate() {
            self.within(&at.to_string(), |compile| compile.schema(element.get()))?;
        }
        Ok(())
    }

    fn named(
        &mut self,
        raw: &'a str,
        check: impl Fn(&mut Self, &str, &'a str) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let object = RawObject::from_text(raw).map_err(|_| "is no object of schemas")?;
        for (key, value) in object.iter() {
            self.within(key, |compile| check(compile, key, value.get()))?;
        }
        Ok(())
    }

    /// Only references within the schema are followed; what they lead to is checked where it stands, if that is a place
    /// for schemas, or here.
    fn reference(&mut self, raw: &str) -> Result<(), &'static str> {
        const NOWHERE: &str = "leads to no schema within this one";
        let target = text::decode(raw).filter(|_| raw.starts_with('"')).ok_or("is no string")?;
        let pointer = percent_decoded(target.strip_prefix('#').ok_or(NOWHERE)?).ok_or(NOWHERE)?;
        if pointer.is_empty() || !self.followed.insert(pointer.clone()) {
            return Ok(());
        }
        if self.tree.is_none() {
            self.tree = serde_json::from_str(self.root).ok();
        }
        let target = self.tree.as_ref().and_then(|tree| tree.pointer(&pointer)).ok_or(NOWHERE)?;
        if !(target.is_object() || target.is_boolean()) {
            return Err(NOWHERE);
        }
        // Beside keywords that hold schemas anything may stand.
        let parent = pointer.rsplit('/').nth(1).unwrap_or_default();
        let place = matches!(parent, "$defs" | "definitions" | "properties" | "patternProperties");
        if place {
            return Ok(());
        }
        let json = target.to_string();
        self.elsewhere =
            self.elsewhere.checked_sub(1).ok_or("refers to more than 16 places that are none for schemas")?;
        self.read_elsewhere(&json)
    }

    fn read_elsewhere(&mut self, json: &str) -> Result<(), &'static str> {
        let mut compile = Compile {
            root: json,
            tree: self.tree.take(),
            pointer: String::new(),
            followed: std::mem::take(&mut self.followed),
            elsewhere: self.elsewhere,
        };
        let result = compile.schema(json);
        (self.tree, self.followed, self.elsewhere) = (compile.tree, compile.followed, compile.elsewhere);
        result
    }

    fn within(
        &mut self,
        segment: &str,
        look: impl FnOnce(&mut Self) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let length = self.pointer.len();
        push_segment(&mut self.pointer, segment);
        look(self)?;
        self.pointer.truncate(length);
        Ok(())
    }
}

fn strings(raw: &str) -> Option<Vec<String>> {
    serde_json::from_str(raw).ok()
}

/// Whether a text is a regular expression as Ajv makes one (ECMAScript, flag `u`).
fn is_pattern(pattern: &str) -> bool {
    let groups = pattern.bytes().filter(|byte| *byte == b'(').count();
    pattern.len() <= MAX_PATTERN && groups <= MAX_GROUPS && regress::Regex::with_flags(pattern, "u").is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn why(schema: &str) -> Option<(String, &'static str)> {
        refused(&RawValue::from_string(schema.to_owned()).expect("JSON"))
    }

    #[test]
    fn schemas_as_servers_write_them_are_taken() {
        for schema in [
            r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/A"},"b":{"type":["string","null"],"pattern":"^\\p{L}+$","format":"any"}},"$defs":{"A":{"anyOf":[{"$ref":"#"},true]}},"required":["a"]}"##,
            r##"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","additionalProperties":false,"definitions":{"x y":{}},"items":[{}],"not":{"$ref":"#/definitions/x%20y"}}"##,
            r##"{"properties":{"type":{"type":"string"},"$ref":{"enum":[1]},"n":{"type":"integer","nullable":true,"minimum":-1.5,"maxLength":3}},"unknown":{"type":7}}"##,
            r##"{"type":"array","items":{"$ref":"#/properties/p"},"properties":{"p":{}}}"##,
        ] {
            assert_eq!(why(schema), None, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_clients_cannot_compile_is_named_with_its_place() {
        for (schema, pointer) in [
            (r#"{"properties":{"a":{"type":"strin"}}}"#, "/properties/a/type"),
            (r#"{"properties":{"a":{"pattern":"("}}}"#, "/properties/a/pattern"),
            (r#"{"patternProperties":{"[":{}}}"#, "/patternProperties/["),
            (r##"{"$ref":"#/$defs/none"}"##, "/$ref"),
            (r##"{"items":{"$ref":"other.json"}}"##, "/items/$ref"),
            (r##"{"items":{"$ref":"#/x"},"x":{"type":"nope"}}"##, "/items/$ref"),
            (r#"{"properties":{"a":{"enum":[]}}}"#, "/properties/a/enum"),
            (r#"{"properties":{"a":{"required":true}}}"#, "/properties/a/required"),
            (r#"{"anyOf":[]}"#, "/anyOf"),
            (r#"{"not":null}"#, "/not"),
            (r#"{"properties":{"a":{"nullable":true}}}"#, "/properties/a/nullable"),
            (r#"{"properties":{"a":{"$id":"x"}}}"#, "/properties/a/$id"),
        ] {
            assert_eq!(why(schema).map(|(at, _)| at).as_deref(), Some(pointer), "{schema}");
        }
        assert!(why(&format!(r#"{{"pattern":"{}"}}"#, "(".repeat(100_000))).is_some());
    }

    proptest! {
        #[test]
        fn any_schema_is_taken_or_not(
            members in prop::collection::vec((prop::sample::select(KEYWORDS.iter().map(|(key, _)| *key).collect::<Vec<_>>()), prop::sample::select(vec![
                "1", "null", "true", "[]", "{}", "\"#\"", "\"#/$defs/a\"", "\"#/%zz\"", "[{}]", "[\"a\"]", r##"{"a":{"$ref":"#/items"}}"##, "\"(?<a\"", "-1.5e3",
            ])), 0..6),
        ) {
            let text = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(",");
            let _ = why(&format!("{{{text}}}"));
        }
    }
}
