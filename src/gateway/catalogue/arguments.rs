//! Whether arguments fit the `inputSchema` of a tool, before its server is asked.
//!
//! A server's schema is a stranger's program: it is run only where its size says that it ends soon. Arguments pass where it does not, or
//! where it cannot be understood: the server will say what is wrong with them.

use jsonschema::{PatternOptions, Validator};
use mcproxy_mcp::RawObject;
use serde_json::Value;

/// Largest schema that is read, and largest arguments, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Most subschemas of one schema, each counted as often as it is referred to.
const MAX_SUBSCHEMAS: usize = 4096;
/// Most subschemas times values of the arguments.
const MAX_STEPS: usize = 1 << 20;
/// Most mistakes that are told at once.
const MAX_MISTAKES: usize = 5;
/// Longest text of a mistake, in characters; it quotes the value.
const MAX_MISTAKE: usize = 200;

/// A schema that arguments are held against.
#[derive(Debug)]
pub(super) struct ArgumentSchema {
    validator: Validator,
    subschemas: usize,
}

impl ArgumentSchema {
    /// The schema of a tool as it is listed; `None`: arguments cannot be held against it.
    pub(super) fn of_tool(json: &str) -> Option<Self> {
        let tool = RawObject::from_text(json).ok()?;
        let schema = tool.get("inputSchema").filter(|schema| schema.get().len() <= MAX_BYTES)?;
        let schema: Value = serde_json::from_str(schema.get()).ok()?;
        let mut subschemas = 0;
        count(&schema, &schema, &mut Vec::new(), &mut subschemas)?;
        // A pattern must not backtrack.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        let validator = options.should_validate_formats(false).build(&schema).ok()?;
        Some(Self { validator, subschemas })
    }

    /// What is wrong with the arguments of a call, JSON; none: nothing, or they were not looked at.
    pub(super) fn mistakes(&self, arguments: &str) -> Vec<String> {
        if arguments.len() > MAX_BYTES {
            return Vec::new();
        }
        let Ok(arguments) = serde_json::from_str::<Value>(arguments) else { return Vec::new() };
        if self.subschemas.saturating_mul(values(&arguments)) > MAX_STEPS {
            return Vec::new();
        }
        let mistakes = self.validator.iter_errors(&arguments).take(MAX_MISTAKES);
        let told = mistakes.map(|mistake| {
            let at = mistake.instance_path().to_string();
            let colon = if at.is_empty() { "" } else { ": " };
            let text = mistake.to_string();
            let end = text.char_indices().nth(MAX_MISTAKE).map_or(text.len(), |(end, _)| end);
            format!("{at}{colon}{}", &text[..end])
        });
        told.collect()
    }
}

/// Counts the subschemas below one, each as often as it is referred to. `None`: there are too many, or one refers to itself or to what
/// is not in this schema.
fn count<'s>(schema: &'s Value, root: &'s Value, within: &mut Vec<&'s str>, counted: &mut usize) -> Option<()> {
    *counted += 1;
    if *counted > MAX_SUBSCHEMAS {
        return None;
    }
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("$ref", Value::String(target)) => {
                        let pointer = target.strip_prefix('#')?;
                        if within.contains(&pointer) {
                            return None;
                        }
                        within.push(pointer);
                        count(root.pointer(pointer)?, root, within, counted)?;
                        within.pop();
                    }
                    ("$dynamicRef" | "$recursiveRef", _) => return None,
                    _ => count(value, root, within, counted)?,
                }
            }
            Some(())
        }
        Value::Array(elements) => elements.iter().try_for_each(|element| count(element, root, within, counted)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(()),
    }
}

/// How many values there are, all levels together.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Object(members) => members.values().map(values).sum(),
        Value::Array(elements) => elements.iter().map(values).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(schema: &Value) -> Option<ArgumentSchema> {
        ArgumentSchema::of_tool(&json!({"name": "x", "inputSchema": schema}).to_string())
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let schema = schema(&json!({
            "type": "object",
            "properties": {"n": {"$ref": "#/$defs/count"}, "kind": {"enum": ["a", "b"]}},
            "required": ["n"],
            "$defs": {"count": {"type": "integer", "minimum": 1}},
        }))
        .expect("it is understood");
        assert!(schema.mistakes(r#"{"n":1,"kind":"a","other":true}"#).is_empty());
        let [mistake] = &schema.mistakes("{}")[..] else { panic!("one mistake") };
        assert!(mistake.contains("\"n\" is a required property"), "{mistake}");
        let mistakes = schema.mistakes(r#"{"n":"1","kind":"c"}"#);
        assert!(mistakes.len() == 2 && mistakes.iter().any(|m| m.starts_with("/n: ")), "{mistakes:?}");
        let long = schema.mistakes(&json!({"n": "x".repeat(10_000)}).to_string());
        assert!(long[0].len() <= MAX_MISTAKE + 10, "{long:?}");
    }

    #[test]
    fn what_cannot_be_understood_or_might_not_end_lets_arguments_pass() {
        let mut doubling = serde_json::Map::new();
        for n in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            doubling.insert(format!("d{n}"), json!({"anyOf": [next, next]}));
        }
        doubling.insert("d40".into(), json!({"type": "string"}));
        for strange in [
            json!({"$ref": "https://example.com/schema"}),
            json!({"$ref": "#/$defs/gone"}),
            json!({"properties": {"x": {"$ref": "#"}}}),
            json!({"$dynamicRef": "#x"}),
            json!({"type": "nothing"}),
            json!({"pattern": "(?=x)"}),
            json!({"$ref": "#/$defs/d0", "$defs": doubling}),
        ] {
            assert!(schema(&strange).is_none(), "{strange}");
        }
        let items = json!({"items": {"anyOf": vec![json!({"minLength": 3}); 500]}});
        let many = json!(vec![1; 2000]).to_string();
        assert!(schema(&items).expect("it is understood").mistakes(&many).is_empty());
    }
}
