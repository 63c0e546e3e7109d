//! The tools of an endpoint that does not list what its servers have: they find, describe and call all others.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::json;

use super::{bounded, read, signature::signatures};
use crate::gateway::catalogue::{Offered, visible};

/// Finds tools.
pub(crate) const FIND: &str = "find_tools";
/// Says all of some tools.
pub(crate) const DESCRIBE: &str = "describe_tools";
/// Calls one.
pub(crate) const CALL: &str = "call_tool";

const DEFAULT_LIMIT: usize = 8;
const MAX_LIMIT: usize = 25;
/// Most tools that are described at once.
const MAX_NAMES: usize = 5;

static DEFINITIONS: LazyLock<Arc<[Box<str>]>> = LazyLock::new(|| {
    let read_only = json!({"readOnlyHint": true, "openWorldHint": false});
    let tools = [
        json!({
            "name": FIND,
            "description": "Finds tools of all servers by what you want to do. Returns signatures, best first; a parameter with `?` \
                may be left out.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "What the tool should do, e.g. `create a pull request`"},
                    "server": {"type": "string", "description": "Only tools of this server"},
                    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
                },
                "required": ["query"],
            },
            "annotations": read_only,
        }),
        json!({
            "name": DESCRIBE,
            "description": "Shows the full definitions of tools, with their schemas.",
            "inputSchema": {
                "type": "object",
                "properties": {"names": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_NAMES}},
                "required": ["names"],
            },
            "annotations": read_only,
        }),
        json!({
            "name": CALL,
            "description": "Calls a tool that `find_tools` found.",
            "inputSchema": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
                "required": ["name"],
            },
        }),
    ];
    tools.iter().map(|tool| tool.to_string().into()).collect()
});

/// Their definitions, as JSON.
pub(crate) fn definitions() -> Arc<[Box<str>]> {
    DEFINITIONS.clone()
}

/// What is to be found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ToolQuery {
    /// The words.
    pub(crate) query: String,
    /// Only tools of this server.
    pub(crate) server: Option<String>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// Reads the arguments of `find_tools`; `Err`: what is wrong with them.
pub(crate) fn read_search(arguments: Option<&str>) -> Result<ToolQuery, String> {
    #[derive(Deserialize)]
    struct Arguments {
        query: String,
        #[serde(default)]
        server: Option<String>,
        #[serde(default)]
        limit: Option<f64>,
    }

    let Arguments { query, server, limit } = read(arguments)?;
    if query.trim().is_empty() {
        return Err("`query` has no words".into());
    }
    Ok(ToolQuery { query, server, limit: bounded("limit", limit, DEFAULT_LIMIT, MAX_LIMIT)? })
}

/// Reads the arguments of `describe_tools`; `Err`: what is wrong with them.
pub(crate) fn read_names(arguments: Option<&str>) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Arguments {
        names: Vec<String>,
    }

    let Arguments { names } = read(arguments)?;
    match names.len() {
        0 => Err("`names` is empty".into()),
        1..=MAX_NAMES => Ok(names),
        many => Err(format!("`names` has {many} names; describe at most {MAX_NAMES} tools at once")),
    }
}

/// The answer of `find_tools`: the first of the tools that were found, a line each.
pub(crate) fn render_found(search: &ToolQuery, found: usize, shown: &[Offered<'_>]) -> String {
    let lines = signatures(shown.iter().map(|tool| (&*tool.name, tool.json)));
    if lines.is_empty() {
        let of = search.server.as_ref().map(|server| format!(" of {}", visible(server))).unwrap_or_default();
        return text(&format!("No tool{of} matches {:?}. Try other words.", search.query));
    }
    let more = if found > lines.len() { format!("\n… {} more", found - lines.len()) } else { String::new() };
    text(&format!("{}{more}", lines.join("\n")))
}

/// The answer of `describe_tools`: each tool as it would be listed, or why it is not there.
pub(crate) fn render_described<'t>(tools: impl Iterator<Item = Result<std::borrow::Cow<'t, str>, String>>) -> String {
    let lines: Vec<_> = tools.map(|tool| tool.unwrap_or_else(Into::into).into_owned()).collect();
    text(&lines.join("\n"))
}

fn text(text: &str) -> String {
    json!({"content": [{"type": "text", "text": text}]}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_bounded() {
        assert_eq!(
            read_search(Some(r#"{"query":"x","server":"git","limit":3.0}"#)),
            Ok(ToolQuery { query: "x".into(), server: Some("git".into()), limit: 3 })
        );
        assert_eq!(read_search(Some(r#"{"query":"x","limit":900}"#)).map(|search| search.limit), Ok(MAX_LIMIT));
        for wrong in
            [None, Some("[]"), Some(r#"{"query":" "}"#), Some(r#"{"query":4}"#), Some(r#"{"query":"x","limit":0}"#)]
        {
            assert!(read_search(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(read_names(Some(r#"{"names":["a"]}"#)), Ok(vec!["a".to_owned()]));
        assert!(read_names(Some(r#"{"names":["1","2","3","4","5","6"]}"#)).is_err_and(|why| why.contains("at most 5")));
        assert!(read_names(Some(r#"{"names":[]}"#)).is_err());
    }

    #[test]
    fn nothing_found_says_what_to_do() {
        let search = ToolQuery { query: "x".into(), server: Some("git".into()), limit: 8 };
        assert!(render_found(&search, 0, &[]).contains("No tool of git matches"));
    }

    #[test]
    fn the_definitions_are_tools() {
        let names: Vec<String> = definitions()
            .iter()
            .map(|json| serde_json::from_str::<serde_json::Value>(json).expect("JSON")["name"].to_string())
            .collect();
        assert_eq!(names, [r#""find_tools""#, r#""describe_tools""#, r#""call_tool""#]);
    }
}
