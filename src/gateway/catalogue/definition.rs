//! What has to be known of a tool before somebody agrees to a call of it.

use mcproxy_mcp::{RawObject, RawValue};

use super::{ListKind, View};

/// The definition of a tool, as far as an approval depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToolDefinition {
    /// The SHA-256 of it.
    pub(crate) digest: [u8; 32],
    /// Whether a call may destroy something, as far as is known: a tool that says nothing of it may (MCP, `ToolAnnotations`).
    pub(crate) is_destructive: bool,
}

impl View {
    /// The definition in force of the tool of this name.
    pub(crate) fn tool_definition(&self, name: &str) -> Option<ToolDefinition> {
        let (_, entry) = self.entry(ListKind::Tools, name)?;
        Some(ToolDefinition { digest: entry.digest(), is_destructive: is_destructive(entry.text()) })
    }
}

/// Whether a tool, JSON, may destroy something. Whatever is no plain `true` or `false` says nothing.
fn is_destructive(tool: &str) -> bool {
    let tool = RawObject::from_text(tool).unwrap_or_default();
    let annotations = tool.get_object("annotations").unwrap_or_default();
    let hint = |key| annotations.get(key).map(RawValue::get);
    hint("readOnlyHint") != Some("true") && hint("destructiveHint") != Some("false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tool_that_is_said_to_be_harmless_is() {
        for (annotations, expected) in [
            ("{}", true),
            (r#"{"readOnlyHint":true}"#, false),
            (r#"{"readOnlyHint":true,"destructiveHint":true}"#, false),
            (r#"{"destructiveHint":false}"#, false),
            (r#"{"readOnlyHint":false}"#, true),
            (r#"{"readOnlyHint":"true"}"#, true),
            (r#"{"destructiveHint":null}"#, true),
            ("[]", true),
        ] {
            assert_eq!(
                is_destructive(&format!(r#"{{"name":"a","annotations":{annotations}}}"#)),
                expected,
                "{annotations}"
            );
        }
        assert!(is_destructive(r#"{"name":"a"}"#) && is_destructive("no JSON"));
    }
}
