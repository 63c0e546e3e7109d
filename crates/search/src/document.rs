//! A tool as a search sees it: texts in fields.

use std::borrow::Cow;

use serde::de::MapAccess;

use crate::lenient::{LenientEntries, LenientObject, LenientText, WantedMembers};

/// The texts of one tool.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Document<'t> {
    /// The name that it is called by.
    pub name: Cow<'t, str>,
    /// A name for people.
    pub title: Option<Cow<'t, str>>,
    /// What it does.
    pub description: Option<Cow<'t, str>>,
    /// Its parameters, those of the top level, in their order.
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

/// What is wanted of a tool.
#[derive(Default)]
struct ToolTexts<'t> {
    title: Option<Cow<'t, str>>,
    description: Option<Cow<'t, str>>,
    parameters: Vec<(Cow<'t, str>, LenientObject<ParameterText<'t>>)>,
}

impl<'t> WantedMembers<'t> for ToolTexts<'t> {
    fn member<A: MapAccess<'t>>(&mut self, key: &str, value: &mut A) -> Result<bool, A::Error> {
        match key {
            "title" => LenientText(self.title) = value.next_value()?,
            "description" => LenientText(self.description) = value.next_value()?,
            "inputSchema" => LenientObject(SchemaTexts(self.parameters)) = value.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What is wanted of an input schema: its properties.
#[derive(Default)]
struct SchemaTexts<'t>(Vec<(Cow<'t, str>, LenientObject<ParameterText<'t>>)>);

impl<'t> WantedMembers<'t> for SchemaTexts<'t> {
    fn member<A: MapAccess<'t>>(&mut self, key: &str, value: &mut A) -> Result<bool, A::Error> {
        match key {
            "properties" => LenientEntries(self.0) = value.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What is wanted of a property; it may be `true` as well.
#[derive(Default)]
struct ParameterText<'t>(Option<Cow<'t, str>>);

impl<'t> WantedMembers<'t> for ParameterText<'t> {
    fn member<A: MapAccess<'t>>(&mut self, key: &str, value: &mut A) -> Result<bool, A::Error> {
        match key {
            "description" => LenientText(self.0) = value.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'t> Document<'t> {
    /// Reads the entry of a `tools/list`. What is not as the specification has it is left out: such a tool is found by its name.
    pub fn of_tool(name: impl Into<Cow<'t, str>>, entry: &'t str) -> Self {
        let LenientObject(tool): LenientObject<ToolTexts<'t>> = serde_json::from_str(entry).unwrap_or_default();
        let parameters = tool.parameters.into_iter().map(|(name, LenientObject(text))| {
            let ParameterText(description) = text;
            Parameter { name, description }
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
        assert_eq!(parameters, [("path", Some("Where")), ("any", None), ("n", None)]);
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
        for entry in [
            "",
            "4",
            "[]",
            r#""text""#,
            r#"{"description":4,"title":{"a":[]}}"#,
            r#"{"inputSchema":[1,{}]}"#,
            r#"{"inputSchema":"{}"}"#,
            r#"{"inputSchema":{"properties":4}}"#,
        ] {
            let document = Document::of_tool("x", entry);
            assert_eq!(document, Document { name: "x".into(), ..Document::default() }, "{entry}");
        }
    }
}
