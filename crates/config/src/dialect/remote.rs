//! Servers that are reached over the network instead of started.

use super::word;
use crate::tree::{Node, TreeValue};

/// Keys under which programs write a server's address.
const URLS: &[&str] = &["url", "serverUrl", "httpUrl", "server_url", "endpoint"];
/// Keys under which they write how it is reached.
const KINDS: &[&str] = &["type", "transport", "transportType", "transport_type"];

/// Where an entry says that its server is reached over the network.
pub(super) fn place(entry: &Node) -> Option<usize> {
    let kind =
        entry.members().iter().find(|member| KINDS.contains(&member.key.as_str()) && is_remote_kind(&member.node));
    if let Some(member) = kind {
        return Some(member.key_span.start);
    }
    // A command beside an empty or a leftover address is a command.
    let command = entry.get("command").or_else(|| entry.get("cmd"));
    if command.is_some_and(|command| !matches!(&command.value, TreeValue::Null) && word(command) != Some("")) {
        return None;
    }
    let url = entry.members().iter().find(|member| URLS.contains(&member.key.as_str()) && is_address(&member.node));
    url.map(|member| member.key_span.start)
}

/// Whether there is an address.
pub(super) fn has_url(entry: &Node) -> bool {
    URLS.iter().filter(|key| **key != "endpoint").any(|key| entry.get(key).is_some_and(is_address))
}

fn is_address(node: &Node) -> bool {
    word(node).is_some_and(|text| !text.trim().is_empty())
}

fn is_remote_kind(node: &Node) -> bool {
    let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    let words = ["http", "https", "sse", "streamablehttp", "streamable", "httpstream", "ws", "websocket", "remote"];
    match &node.value {
        TreeValue::String(text) => words.contains(&letters(text.value()).as_str()),
        // Continue: `"transport": {"type": "sse", …}`
        TreeValue::Object(_) => node.get("type").is_some_and(is_remote_kind),
        _ => false,
    }
}
