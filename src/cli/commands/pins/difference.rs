//! How a tool differs from what it was.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::words::word_diff;

/// One tool that is not as it was.
#[derive(Debug, PartialEq)]
pub(super) struct ToolDifference {
    name: String,
    kind: DifferenceKind,
}

#[derive(Debug, PartialEq)]
enum DifferenceKind {
    Added(Value),
    Removed,
    /// By the place in the definition, a JSON pointer: what was there and what is.
    Changed(Vec<(String, Option<String>, Option<String>)>),
}

/// The tools that differ, by name.
pub(super) fn differences(before: &[Value], now: &[Value]) -> Vec<ToolDifference> {
    let by_name = |tools: &[Value]| -> BTreeMap<String, Value> {
        tools.iter().filter_map(|tool| Some((tool["name"].as_str()?.to_owned(), tool.clone()))).collect()
    };
    let (before, now) = (by_name(before), by_name(now));
    let mut found = Vec::new();
    for (name, tool) in &now {
        let kind = match before.get(name) {
            None => DifferenceKind::Added(tool.clone()),
            Some(old) if old == tool => continue,
            Some(old) => DifferenceKind::Changed(changes(old, tool)),
        };
        found.push(ToolDifference { name: name.clone(), kind });
    }
    let removed = before.keys().filter(|name| !now.contains_key(*name));
    found.extend(removed.map(|name| ToolDifference { name: name.clone(), kind: DifferenceKind::Removed }));
    found
}

fn changes(before: &Value, now: &Value) -> Vec<(String, Option<String>, Option<String>)> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    leaves(before, String::new(), &mut old);
    leaves(now, String::new(), &mut new);
    let mut places: Vec<&String> = old.keys().chain(new.keys()).collect();
    places.sort_unstable();
    places.dedup();
    let change = |place: &String| (place.clone(), old.get(place).cloned(), new.get(place).cloned());
    places.into_iter().map(change).filter(|(_, old, new)| old != new).collect()
}

/// Every text, number and empty thing with its place.
fn leaves(value: &Value, place: String, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(key, value)| leaves(value, format!("{place}/{key}"), out));
        }
        Value::Array(elements) if !elements.is_empty() => {
            elements.iter().enumerate().for_each(|(at, value)| leaves(value, format!("{place}/{at}"), out));
        }
        Value::String(text) => drop(out.insert(place, text.clone())),
        other => drop(out.insert(place, other.to_string())),
    }
}

impl ToolDifference {
    /// For people.
    pub(super) fn lines(&self, server: &str) -> Vec<String> {
        let name = format!("{server}: {}", self.name);
        match &self.kind {
            DifferenceKind::Added(tool) => {
                vec![
                    format!("{name}: is new"),
                    format!("  /description: {}", tool["description"].as_str().unwrap_or_default()),
                ]
            }
            DifferenceKind::Removed => vec![format!("{name}: is gone")],
            DifferenceKind::Changed(changes) => {
                let line = |(place, old, new): &(String, Option<String>, Option<String>)| {
                    let text = |text: &Option<String>| text.clone().unwrap_or_default();
                    format!("  {place}: {}", word_diff(&text(old), &text(new)))
                };
                std::iter::once(format!("{name}: has changed")).chain(changes.iter().map(line)).collect()
            }
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        match &self.kind {
            DifferenceKind::Added(tool) => json!({"name": self.name, "kind": "added", "tool": tool}),
            DifferenceKind::Removed => json!({"name": self.name, "kind": "removed"}),
            DifferenceKind::Changed(changes) => {
                let change = |(place, old, new): &(String, Option<String>, Option<String>)| json!({"at": place, "before": old, "now": new});
                json!({"name": self.name, "kind": "changed", "changes": changes.iter().map(change).collect::<Vec<_>>()})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_that_changed_is_shown_and_no_other() {
        let before = [
            json!({"name": "a", "description": "Reads a file", "inputSchema": {"type": "object"}}),
            json!({"name": "b"}),
        ];
        let now = [
            json!({"name": "a", "inputSchema": {"type": "object", "properties": {}}, "description": "Reads a secret file"}),
            json!({"name": "c", "description": "New"}),
        ];
        let found = differences(&before, &now);
        let lines: Vec<String> = found.iter().flat_map(|difference| difference.lines("s")).collect();
        assert_eq!(
            lines,
            [
                "s: a: has changed",
                "  /description: Reads a {+secret +}file",
                "  /inputSchema/properties: {+{}+}",
                "s: c: is new",
                "  /description: New",
                "s: b: is gone",
            ]
        );
        assert_eq!(found[0].json()["changes"][0]["before"], "Reads a file");
        assert!(differences(&now, &now).is_empty());
    }
}
