//! What tool rules say of a tool in place of its server: description, title, annotations.

use std::fmt::Write as _;

use mcproxy_ipc::{ToolAnnotations, ToolRules};
use mcproxy_mcp::{RawObject, json_string};

use super::entry::lookup;
use crate::gateway::rewrite::Splices;

const ANNOTATIONS: &str = "annotations";

/// Puts the texts and annotations of the rules in the place of the tool's own. `name`: what the rules call the tool.
pub(super) fn apply(tool: &RawObject<'_>, edits: &mut Splices<'_>, name: &str, rules: &ToolRules) {
    for (key, texts) in [("description", &rules.describe), ("title", &rules.title)] {
        if let Some(text) = lookup(texts, name) {
            edits.set(tool, key, json_string(text).get());
        }
    }
    let Some((_, annotations)) = rules.annotations.iter().find(|(of, _)| of == name) else { return };
    let new = members(annotations);
    match tool.get_object(ANNOTATIONS).filter(|own| own.iter().next().is_some()) {
        Some(own) => new.iter().for_each(|(key, value)| edits.set(&own, key, value)),
        None => edits.set(tool, ANNOTATIONS, &object(&new)),
    }
}

/// The annotations that are given, as members of a JSON object.
fn members(annotations: &ToolAnnotations) -> Vec<(&'static str, String)> {
    let ToolAnnotations { title, read_only, destructive, idempotent, open_world } = annotations;
    let hints = [
        ("readOnlyHint", read_only),
        ("destructiveHint", destructive),
        ("idempotentHint", idempotent),
        ("openWorldHint", open_world),
    ];
    let title = title.as_ref().map(|title| ("title", json_string(title).get().to_owned()));
    let hints = hints.into_iter().filter_map(|(key, hint)| Some((key, hint.as_ref()?.to_string())));
    title.into_iter().chain(hints).collect()
}

fn object(members: &[(&str, String)]) -> String {
    let mut json = String::from("{");
    for (key, value) in members {
        let comma = if json.len() > 1 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(json, "{comma}\"{key}\":{value}");
    }
    json.push('}');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(tool: &str, rules: &ToolRules) -> serde_json::Value {
        let mut edits = Splices::of(tool);
        apply(&RawObject::from_text(tool).expect("an object"), &mut edits, "a", rules);
        serde_json::from_str(&edits.finish()).expect("JSON")
    }

    #[test]
    fn what_rules_say_of_a_tool_takes_the_place_of_what_the_server_says() {
        let of = |text: &str| vec![("a".to_owned(), text.to_owned()), ("b".to_owned(), "other".to_owned())];
        let annotations = ToolAnnotations { title: Some("\"T\"".into()), read_only: Some(true), ..Default::default() };
        let rules = ToolRules {
            describe: of("new"),
            title: of("Title"),
            annotations: vec![("a".to_owned(), annotations)],
            ..ToolRules::default()
        };
        let plain = serde_json::json!({
            "name": "a", "description": "new", "title": "Title",
            "annotations": {"title": "\"T\"", "readOnlyHint": true},
        });
        for tool in [
            r#"{"name":"a"}"#,
            r#"{"name":"a","annotations":{}}"#,
            r#"{"name":"a","annotations":null,"title":"old"}"#,
            r#"{"annotations":{"readOnlyHint":false},"name":"a","description":"old"}"#,
        ] {
            assert_eq!(applied(tool, &rules), plain, "{tool}");
        }
        let kept = applied(r#"{"name":"a","annotations":{"destructiveHint":false,"x":1}}"#, &rules);
        assert_eq!(kept["annotations"]["destructiveHint"], false);
        assert_eq!(kept["annotations"]["x"], 1);
    }

    #[test]
    fn tools_that_the_rules_do_not_name_stay() {
        let rules = ToolRules { title: vec![("b".to_owned(), "B".to_owned())], ..ToolRules::default() };
        let tool = r#"{"name":"a","annotations":{"title":"x"}}"#;
        assert_eq!(applied(tool, &rules), serde_json::from_str::<serde_json::Value>(tool).expect("JSON"));
    }
}
