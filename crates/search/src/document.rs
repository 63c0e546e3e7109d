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
    fn what_is_no_tool_has_its_name() {
        for entry in
            ["", "4", "[]", r#"{"description":4}"#, r#"{"inputSchema":[]}"#, r#"{"inputSchema":{"properties":4}}"#]
        {
            let document = Document::of_tool("x", entry);
            assert_eq!(document, Document { name: "x".into(), ..Document::default() }, "{entry}");
        }
    }
}
