//! A tool as a search sees it: texts in fields.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

/// The texts of one tool.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Document<'t> {
    /// The name that it is called by.
    pub name: Cow<'t, str>,
    /// A name for people.
    pub title: Option<Cow<'t, str>>,
    /// What it does.
    pub description: Option<Cow<'t, str>>,
    /// Its parameters, those of the top level.
    pub parameters: Vec<Parameter<'t>>,
}

/// One parameter.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Parameter<'t> {
    /// Its name.
    pub name: Cow<'t, str>,
    /// What it is for.
    pub description: Option<Cow<'t, str>>,
}

impl<'t> Document<'t> {
    /// Reads the entry of a `tools/list`. What is not as the specification has it is left out: such a tool is found by its name.
    pub fn of_tool(name: impl Into<Cow<'t, str>>, entry: &'t str) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct ToolTexts<'t> {
            #[serde(borrow)]
            title: Option<Cow<'t, str>>,
            #[serde(borrow)]
            description: Option<Cow<'t, str>>,
            #[serde(borrow)]
            input_schema: Option<&'t RawValue>,
        }

        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct ParameterTexts<'t> {
            #[serde(borrow)]
            properties: BTreeMap<Cow<'t, str>, &'t RawValue>,
        }

        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct ParameterText<'t> {
            #[serde(borrow)]
            description: Option<Cow<'t, str>>,
        }

        let tool: ToolTexts<'t> = serde_json::from_str(entry).unwrap_or_default();
        let schema: ParameterTexts<'t> =
            tool.input_schema.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let parameters = schema.properties.into_iter().map(|(name, raw)| {
            // A property may be `true`.
            let property: ParameterText<'t> = serde_json::from_str(raw.get()).unwrap_or_default();
            Parameter { name, description: property.description }
        });
        Self { name: name.into(), title: tool.title, description: tool.description, parameters: parameters.collect() }
    }

    /// A text that says what the tool is for, to be embedded: no longer than so many bytes.
    pub fn to_text(&self, server: &str, most: usize) -> String {
        let mut text = format!("{server}: {}", self.name.replace(['_', '-', '.'], " "));
        for part in self.title.iter().chain(&self.description) {
            text.push('\n');
            text.push_str(part);
        }
        for Parameter { name, description } in &self.parameters {
            if text.len() >= most {
                break;
            }
            text.push_str("\n- ");
            text.push_str(name);
            if let Some(description) = description {
                text.push_str(": ");
                text.push_str(description);
            }
        }
        text.truncate(text.floor_char_boundary(most));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_read_by_its_fields() {
        let entry = r#"{"name":"x","title":"A \"tool\"","description":"Does","inputSchema":{"type":"object",
            "properties":{"path":{"type":"string","description":"Where"},"any":true,"n":{"description":4}}}}"#;
        let document = Document::of_tool("s__x", entry);
        assert_eq!(document.name, "s__x");
        assert_eq!(document.title.as_deref(), Some("A \"tool\""));
        assert_eq!(document.description.as_deref(), Some("Does"));
        let parameters: Vec<_> =
            document.parameters.iter().map(|p| (p.name.as_ref(), p.description.as_deref())).collect();
        assert_eq!(parameters, [("any", None), ("n", None), ("path", Some("Where"))]);
    }

    #[test]
    fn the_text_of_a_tool_says_all_of_it_within_its_bound() {
        let entry = r#"{"title":"T","description":"Dies und das, größer","inputSchema":{"properties":{"p":{"description":"Where"},"q":{}}}}"#;
        let document = Document::of_tool("read_file", entry);
        assert_eq!(document.to_text("fs", 1000), "fs: read file\nT\nDies und das, größer\n- p: Where\n- q");
        for most in 0..60 {
            assert!(document.to_text("fs", most).len() <= most);
        }
    }

    #[test]
    fn what_is_no_tool_has_its_name() {
        for entry in
            ["", "4", "[]", r#"{"description":4}"#, r#"{"inputSchema":[]}"#, r#"{"inputSchema":{"properties":4}}"#]
        {
            let document = Document::of_tool("x", entry);
            assert_eq!(document, Document { name: "x".into(), ..Document::default() }, "{entry}");
        }
    }
}
