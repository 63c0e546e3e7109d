//! Servers that are reached over the network instead of started: what programs write of them, as `url` and `type`.

use super::{members_mut, word};
use crate::problem::printable;
use crate::report::Report;
use crate::server::Blocked;
use crate::tree::{ConfigText, Node, TreeMember, TreeValue};

/// Keys under which programs write a server's address.
const URLS: &[&str] = &["url", "httpUrl", "serverUrl", "server_url", "http_url", "endpoint"];
/// Keys under which they write how it is reached.
const KINDS: &[&str] = &["type", "transport", "transportType", "transport_type"];

/// What the word for a kind of server means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RemoteKind {
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE.
    Sse,
    /// Over the network, no more is said.
    Any,
    /// Over the network, in a way that MCProxy does not know.
    Unknown,
}

/// Whether an entry says that its server is reached over the network. Then it says so in our words afterwards; an address beside
/// a command is taken out of the others.
pub(super) fn translate(entry: &mut Node, report: &mut Report) -> Option<Result<(), (usize, Blocked)>> {
    let kind = entry.members().iter().find_map(|member| {
        let kind = KINDS.contains(&member.key.as_str()).then(|| kind_of(&member.node)).flatten();
        kind.map(|kind| (kind, member.key_span.start, word(&member.node).unwrap_or_default().to_owned()))
    });
    let url = entry.members().iter().find(|member| URLS.contains(&member.key.as_str()) && is_address(&member.node));
    if let Some((RemoteKind::Unknown, at, word)) = kind {
        return Some(Err((at, Blocked::Kind(printable(&word)))));
    }
    // A command beside an empty or a leftover address is a command.
    let command = entry.get("command").or_else(|| entry.get("cmd"));
    let has_command =
        command.is_some_and(|command| !matches!(&command.value, TreeValue::Null) && word(command) != Some(""));
    if kind.is_none() && (has_command || url.is_none()) {
        leave_out_urls(entry, report);
        return None;
    }
    let url = url.cloned();
    let kind = match (kind, url.as_ref().map(|url| url.key.as_str())) {
        (Some((RemoteKind::Http, ..)), _) | (None, Some("httpUrl")) => Some("http"),
        (Some((RemoteKind::Sse, ..)), _) => Some("sse"),
        _ => None,
    };
    if let Some(members) = members_mut(entry) {
        members.retain(|member| {
            let key = member.key.as_str();
            !URLS.contains(&key) && !KINDS.contains(&key) && !matches!(key, "command" | "cmd")
        });
        // Without an address the check of the entry asks for one.
        let span = url.as_ref().map_or(entry.span.clone(), |url| url.key_span.clone());
        let text =
            |word: &str| Node { span: span.clone(), value: TreeValue::String(ConfigText::literal(word.to_owned())) };
        let url = url.map_or_else(|| text(""), |url| url.node);
        let member = |key: &str, node| TreeMember { key: key.to_owned(), key_span: span.clone(), node };
        let members = members_mut(entry)?;
        members.push(member("url", url));
        members.extend(kind.map(|kind| member("type", text(kind))));
    }
    Some(Ok(()))
}

/// Whether there is an address.
pub(super) fn has_url(entry: &Node) -> bool {
    URLS.iter().filter(|key| **key != "endpoint").any(|key| entry.get(key).is_some_and(is_address))
}

/// Of a server that is started: an address beside its command means nothing.
fn leave_out_urls(entry: &mut Node, report: &mut Report) {
    let Some(members) = members_mut(entry) else { return };
    members.retain(|member| {
        let is_url = URLS.contains(&member.key.as_str());
        if is_url && is_address(&member.node) {
            let message = format!("`{}` is ignored: the server is started, because there is a `command`", member.key);
            report.warn(member.key_span.start, message);
        }
        !is_url
    });
}

fn is_address(node: &Node) -> bool {
    word(node).is_some_and(|text| !text.trim().is_empty())
        || node.text().is_some_and(|text| text.written.contains("${"))
}

fn kind_of(node: &Node) -> Option<RemoteKind> {
    let TreeValue::String(text) = &node.value else { return None };
    let letters: String = text.value().chars().filter(char::is_ascii_alphabetic).collect();
    match letters.to_ascii_lowercase().as_str() {
        "http" | "https" | "streamablehttp" | "streamable" | "httpstream" | "httpstreamable" => Some(RemoteKind::Http),
        "sse" | "httpsse" => Some(RemoteKind::Sse),
        "remote" => Some(RemoteKind::Any),
        "ws" | "wss" | "websocket" | "grpc" | "unix" => Some(RemoteKind::Unknown),
        _ => None,
    }
}
