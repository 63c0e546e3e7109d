//! Where the servers of a file are.

use std::ops::Range;

use super::{in_place_of, members_mut, remote, take, word};
use crate::report::Report;
use crate::server::Blocked;
use crate::tree::{Node, TreeMember, TreeValue};

/// One server of the file, whatever form it has there.
pub(crate) struct ServerEntry {
    /// Its name as written.
    pub(crate) name: Option<String>,
    /// Where its name is written, or would be.
    pub(crate) name_at: usize,
    /// The entry. Always an object.
    pub(crate) node: Node,
    /// Why it cannot be started, as far as the entry is right.
    pub(crate) blocked: Option<Blocked>,
    /// Its mistakes and warnings.
    pub(crate) report: Report,
}

/// Keys of the file under which servers are found, by name or in a list. `servers` and `mcpServers` are our own.
const CONTAINERS: &[&str] = &[
    "servers",
    "mcpServers",
    // Zed
    "context_servers",
    // Codex, in JSON; Continue
    "mcp_servers",
    "mcp-servers",
    // Amp
    "amp.mcpServers",
];

/// A key with two meanings: settings of VS Code have `servers` in it, opencode and Crush the servers themselves, and Gemini
/// CLI something else.
const NESTED: &str = "mcp";

/// Takes the servers out of the file, in its order.
pub(crate) fn take_entries(root: &mut Node, report: &mut Report) -> Vec<ServerEntry> {
    let mut entries = Vec::new();
    let is_container = |member: &TreeMember| CONTAINERS.contains(&member.key.as_str());
    let is_bare = !root.members().iter().any(|member| is_container(member) || member.key == NESTED);
    let Some(members) = members_mut(root) else { return entries };
    let mut seen: Vec<String> = Vec::new();
    members.retain_mut(|member| {
        if seen.contains(&member.key) && is_container(member) {
            report.refuse(member.key_span.start, format!("the key `{}` is written twice in this object", member.key));
            return false;
        }
        if is_container(member) {
            seen.push(member.key.clone());
            take_from(&mut member.node, &mut entries, report);
            return false;
        }
        if member.key == NESTED {
            take_nested(&mut member.node, &mut entries, report);
            // The rest of it is not ours, and the shape says so.
            return !member.node.members().is_empty();
        }
        // Some programs write servers by name and nothing around them.
        if is_bare && is_server(&member.node) {
            entries.push(named(member.key.clone(), member.key_span.clone(), member.node.clone()));
            return false;
        }
        true
    });
    entries
}

fn take_from(container: &mut Node, entries: &mut Vec<ServerEntry>, report: &mut Report) {
    let at = container.span.start;
    match std::mem::replace(&mut container.value, TreeValue::Null) {
        TreeValue::Object(members) => {
            entries.extend(members.into_iter().map(|member| named(member.key, member.key_span, member.node)));
        }
        TreeValue::Array(elements) => entries.extend(elements.into_iter().map(listed)),
        TreeValue::Null => {}
        _ => report.refuse(at, "expected the servers by name, or a list of them"),
    }
}

fn take_nested(node: &mut Node, entries: &mut Vec<ServerEntry>, report: &mut Report) {
    for key in ["servers", "mcpServers"] {
        if let Some(mut member) = take(node, key) {
            take_from(&mut member.node, entries, report);
        }
    }
    let Some(members) = members_mut(node) else { return };
    members.retain(|member| {
        let server = is_server(&member.node);
        if server {
            entries.push(named(member.key.clone(), member.key_span.clone(), member.node.clone()));
        }
        !server
    });
}

/// Whether this can only be a server.
fn is_server(node: &Node) -> bool {
    let command =
        node.get("command").is_some_and(|command| !matches!(command.value, TreeValue::Null | TreeValue::Bool(_)));
    command || remote::has_url(node)
}

fn named(name: String, at: Range<usize>, node: Node) -> ServerEntry {
    entry(Some(name), at.start, node)
}

fn listed(mut node: Node) -> ServerEntry {
    let at = node.span.start;
    if let Some(member) = take(&mut node, "name") {
        return match &member.node.value {
            TreeValue::String(text) => entry(Some(text.written.clone()), member.node.span.start, node),
            _ => {
                let mut entry = entry(None, member.node.span.start, node);
                entry.report.add(member.node.span.start, "the name of a server is a string");
                entry
            }
        };
    }
    let other = ["id", "key"].iter().find_map(|key| node.get(key)).and_then(word).map(str::to_owned);
    let mut entry = entry(other, at, node);
    if entry.name.is_none() {
        entry.report.add(at, "`name` is missing");
    }
    entry
}

fn entry(name: Option<String>, name_at: usize, node: Node) -> ServerEntry {
    let mut report = Report::of_entry();
    if matches!(node.value, TreeValue::Object(_)) {
        return ServerEntry { name, name_at, node, blocked: None, report };
    }
    let message = "a server is an object: {\"command\": …}";
    report.add(node.span.start, message);
    let node = in_place_of(&node, TreeValue::Object(Vec::new()));
    ServerEntry { name, name_at, node, blocked: Some(Blocked::Mistake(message.into())), report }
}
