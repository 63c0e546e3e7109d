//! What people write that MCProxy understands and does not offer, so that it is not called a typing mistake.

use crate::report::Report;
use crate::tree::{Node, Value};

/// Keys of a later version.
pub(crate) fn is_key(key: &str) -> bool {
    key == "sandbox"
}

/// Reports a server that is reached over the network instead of started. Its other keys are not worth checking.
pub(crate) fn is_remote(entry: &Node, report: &mut Report) -> bool {
    let url = entry.members().iter().find(|member| matches!(member.key.as_str(), "url" | "serverUrl" | "httpUrl"));
    let kind = entry.members().iter().find(|member| member.key == "type" && is_remote_type(&member.node));
    let Some(member) = kind.or(url) else { return false };
    report.add(member.key_span.start, "remote servers are not supported; MCProxy starts commands");
    true
}

fn is_remote_type(node: &Node) -> bool {
    let Value::String(text) = &node.value else { return false };
    let letters: String = text.value().chars().filter(char::is_ascii_alphabetic).collect();
    matches!(letters.to_ascii_lowercase().as_str(), "http" | "sse" | "streamablehttp" | "ws" | "websocket")
}
