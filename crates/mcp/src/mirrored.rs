//! Arguments of a tool that calls of it repeat in headers (2026-07-28, transports, custom headers from tool parameters).

use serde_json::value::RawValue;

use crate::{RawArray, RawObject};

/// The key of the annotation in a schema.
pub const ANNOTATION: &str = "x-mcp-header";
/// The beginning of the names of these headers.
pub const HEADER_PREFIX: &str = "Mcp-Param-";
/// Levels of a schema that are looked at. What lies deeper is not annotated.
const MAX_DEPTH: usize = 64;
/// Keys whose values are schemas by name.
const SCHEMAS_BY_NAME: [&str; 5] = ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties"];
/// Keys whose values are data and no schemas.
const DATA: [&str; 6] = ["default", "const", "enum", "examples", "required", "dependentRequired"];

/// One argument, and the header that repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredParam {
    header: Box<str>,
    path: Box<[Box<str>]>,
}

/// An annotation that clients must not follow.
#[derive(Debug, Clone, Copy)]
pub struct BadAnnotation<'s> {
    /// The schema that holds it.
    pub schema: &'s RawValue,
    /// The fault.
    pub why: &'static str,
}

impl MirroredParam {
    /// The whole name of the header.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The argument's value in a call; `None` when there is none, or it is null: then there is no header either.
    pub fn value_in<'a>(&self, arguments: &'a RawValue) -> Option<&'a RawValue> {
        let mut value = arguments;
        for key in &self.path {
            value = RawObject::from_raw(value).ok()?.get(key)?;
        }
        (value.get() != "null").then_some(value)
    }
}

/// Reads the annotations of a tool's `inputSchema`: those that hold, and those that do not.
pub fn mirrored_params(schema: &RawValue) -> (Vec<MirroredParam>, Vec<BadAnnotation<'_>>) {
    let mut walk = Walk::default();
    // It may be written with escapes.
    if schema.get().contains(ANNOTATION) || schema.get().contains("\\u") {
        walk.schema(schema, Some(Vec::new()), 0);
    }
    (walk.params, walk.bad)
}

#[derive(Default)]
struct Walk<'s> {
    params: Vec<MirroredParam>,
    bad: Vec<BadAnnotation<'s>>,
}

impl<'s> Walk<'s> {
    /// `path`: how it is reached by keys of `properties` alone; `None` for what is reached otherwise.
    fn schema(&mut self, schema: &'s RawValue, path: Option<Vec<Box<str>>>, depth: usize) {
        if depth == MAX_DEPTH {
            return;
        }
        if schema.get().starts_with('[') {
            for element in RawArray::from_raw(schema).unwrap_or_default().0 {
                self.schema(element, None, depth + 1);
            }
            return;
        }
        let Ok(members) = RawObject::from_raw(schema) else { return };
        for (key, value) in members.iter() {
            match key {
                ANNOTATION => match self.param(&members, path.as_deref()) {
                    Ok(param) => self.params.push(param),
                    Err(why) => self.bad.push(BadAnnotation { schema, why }),
                },
                "properties" => {
                    for (name, property) in RawObject::from_raw(value).unwrap_or_default().iter() {
                        let path = path.as_ref().map(|path| [&path[..], &[name.into()]].concat());
                        self.schema(property, path, depth + 1);
                    }
                }
                _ if SCHEMAS_BY_NAME.contains(&key) => {
                    for (_, schema) in RawObject::from_raw(value).unwrap_or_default().iter() {
                        self.schema(schema, None, depth + 1);
                    }
                }
                _ if DATA.contains(&key) => {}
                _ => self.schema(value, None, depth + 1),
            }
        }
    }

    fn param(&self, schema: &RawObject<'_>, path: Option<&[Box<str>]>) -> Result<MirroredParam, &'static str> {
        let path = path.ok_or("is not reached by `properties` alone")?;
        if path.is_empty() {
            return Err("is on the schema itself and on no property");
        }
        let name = schema.get_string(ANNOTATION).ok_or("is not a string")?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err("is no name that a header could have");
        }
        if !matches!(schema.get_string("type").as_deref(), Some("string" | "integer" | "boolean")) {
            return Err("is on a property that is neither string nor integer nor boolean");
        }
        let header: Box<str> = format!("{HEADER_PREFIX}{name}").into();
        if self.params.iter().any(|other| other.header.eq_ignore_ascii_case(&header)) {
            return Err("is the name of another property's header");
        }
        Ok(MirroredParam { header, path: path.into() })
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn headers(schema: &str) -> (Vec<String>, usize) {
        let schema = raw(schema);
        let (params, bad) = mirrored_params(&schema);
        (params.iter().map(|param| param.header.to_string()).collect(), bad.len())
    }

    #[test]
    fn arguments_are_found_where_their_properties_are() {
        let schema = raw(
            r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"x-mcp-header":{"type":"string"},
                "at":{"type":"object","properties":{"n":{"type":"integer","x\u002dmcp-header":"N"}}},
                "d":{"type":"object","default":{"x-mcp-header":"data"}}}}"#,
        );
        let (params, bad) = mirrored_params(&schema);
        assert!(bad.is_empty(), "{bad:?}");
        let names: Vec<&str> = params.iter().map(MirroredParam::header).collect();
        assert_eq!(names, ["Mcp-Param-Region", "Mcp-Param-N"]);
        let value = |n: usize, arguments: &str| params[n].value_in(&raw(arguments)).map(|raw| raw.get().to_owned());
        assert_eq!(value(0, r#"{"region":"x"}"#).as_deref(), Some("\"x\""));
        assert_eq!(value(1, r#"{"at":{"n":42.0}}"#).as_deref(), Some("42.0"));
        for none in ["{}", r#"{"region":null}"#, r#"{"at":3,"region":null}"#, "[]", "7"] {
            assert_eq!((value(0, none), value(1, none)), (None, None), "{none}");
        }
    }

    #[test]
    fn an_annotation_that_clients_must_not_follow_is_found_and_no_other_suffers() {
        let property = |property: &str| {
            format!(r#"{{"properties":{{"good":{{"type":"boolean","x-mcp-header":"Good"}},"p":{property}}}}}"#)
        };
        for bad in [
            r#"{"type":"number","x-mcp-header":"N"}"#,
            r#"{"type":["string","null"],"x-mcp-header":"N"}"#,
            r#"{"x-mcp-header":"N"}"#,
            r#"{"type":"string","x-mcp-header":""}"#,
            r#"{"type":"string","x-mcp-header":"a b"}"#,
            r#"{"type":"string","x-mcp-header":"a\r\nb"}"#,
            r#"{"type":"string","x-mcp-header":"ä"}"#,
            r#"{"type":"string","x-mcp-header":7}"#,
            r#"{"type":"string","x-mcp-header":"gOOD"}"#,
            r#"{"type":"array","items":{"type":"string","x-mcp-header":"N"}}"#,
            r#"{"anyOf":[{"type":"string","x-mcp-header":"N"}]}"#,
            r#"{"not":{"properties":{"q":{"type":"string","x-mcp-header":"N"}}}}"#,
        ] {
            assert_eq!(headers(&property(bad)), (vec!["Mcp-Param-Good".to_owned()], 1), "{bad}");
        }
        assert_eq!(headers(r#"{"type":"string","x-mcp-header":"Root"}"#), (vec![], 1));
        assert_eq!(headers(r#"{"$defs":{"a":{"type":"string","x-mcp-header":"N"}}}"#), (vec![], 1));
        assert_eq!(headers(r#"{"properties":3}"#), (vec![], 0));
    }

    #[test]
    fn a_schema_of_any_depth_is_read() {
        let deep = r#"{"properties":{"a":"#.repeat(2000) + r#"{"x-mcp-header":"N"}"# + &"}}".repeat(2000);
        assert_eq!(headers(&deep), (vec![], 0));
    }

    proptest! {
        #[test]
        fn what_holds_is_a_header_that_no_other_property_has(names in prop::collection::vec("[a-bA-B !-]{0,2}", 0..6)) {
            let properties: Vec<String> = names
                .iter()
                .enumerate()
                .map(|(n, name)| format!(r#""p{n}":{{"type":"string","x-mcp-header":"{name}"}}"#))
                .collect();
            let (found, bad) = headers(&format!(r#"{{"properties":{{{}}}}}"#, properties.join(",")));
            prop_assert_eq!(found.len() + bad, names.len());
            let mut unique: Vec<String> = found.iter().map(|name| name.to_ascii_lowercase()).collect();
            unique.sort();
            unique.dedup();
            prop_assert_eq!(unique.len(), found.len());
            prop_assert!(found.iter().all(|name| name.len() > HEADER_PREFIX.len() && name.bytes().all(is_token)));
        }
    }
}
