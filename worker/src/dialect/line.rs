//! Lines for a server, of either era.

use std::fmt::Write as _;

use mcproxy_mcp::{RawObject, json_string, meta, object_body, write_request};

/// A call's payload is not what the gateway promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("params are not an object")]
pub(crate) struct BadPayload;

/// `_meta` keys with this prefix are the protocol's own.
const RESERVED_META: &str = "io.modelcontextprotocol/";

/// Who we are, as `clientInfo`.
pub(super) const OWN_INFO: &str = concat!(r#"{"name":"mcproxy","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
/// MCP Apps (SEP-1865): clients say which kinds of pages they show.
const APPS: (&str, &str) = ("io.modelcontextprotocol/ui", r#"{"mimeTypes":["text/html;profile=mcp-app"]}"#);

/// The member `extensions` of a client's capabilities that has these; `None`: none.
pub(super) fn declared_extensions(identifiers: &[String]) -> Option<String> {
    let settings = |identifier: &str| if identifier == APPS.0 { APPS.1 } else { "{}" };
    let members: Vec<String> = identifiers
        .iter()
        .map(|identifier| format!("{}:{}", json_string(identifier).get(), settings(identifier)))
        .collect();
    (!members.is_empty()).then(|| format!("\"extensions\":{{{}}}", members.join(",")))
}

/// Makes one line of what was written from `start` on. Line breaks in foreign JSON stand between tokens only, where a
/// space means the same.
pub(super) fn end_line(out: &mut Vec<u8>, start: usize) {
    let mut at = start;
    while let Some(found) = memchr::memchr2(b'\n', b'\r', &out[at..]) {
        at += found;
        out[at] = b' ';
    }
    out.push(b'\n');
}

/// Writes a call under an id of ours, which is its progress token too. `own_meta` adds members to its `_meta`, each
/// followed by a comma; it is told what the caller's `_meta` says.
pub(super) fn call(
    out: &mut Vec<u8>,
    id: u64,
    method: &str,
    (params, meta): (&[u8], &[u8]),
    own_meta: impl FnOnce(&mut Vec<u8>, &RawObject<'_>),
) -> Result<(), BadPayload> {
    let params = if params.is_empty() { "{}" } else { std::str::from_utf8(params).map_err(|_| BadPayload)? };
    let params = object_body(params).ok_or(BadPayload)?;
    let meta = match meta {
        [] | b"{}" => RawObject::default(),
        meta => RawObject::from_slice(meta).map_err(|_| BadPayload)?,
    };
    let start = out.len();
    // Written in place: a large `params` is copied once.
    write_request(out, &id.into(), method, "{");
    out.truncate(out.len() - 1);
    out.extend_from_slice(params.as_bytes());
    out.extend_from_slice(if params.is_empty() { b"\"_meta\":{" } else { b",\"_meta\":{" });
    for (key, value) in meta.iter().filter(|(key, _)| is_the_callers(key)) {
        out.extend_from_slice(json_string(key).get().as_bytes());
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
        out.push(b',');
    }
    own_meta(out, &meta);
    let mut token = String::with_capacity(48);
    write!(token, "\"{}\":{id}}}}}}}", meta::PROGRESS_TOKEN).expect("a String takes it");
    out.extend_from_slice(token.as_bytes());
    end_line(out, start);
    Ok(())
}

/// Whether a member of `_meta` is between caller and server, and none of the protocol's.
fn is_the_callers(key: &str) -> bool {
    key != meta::PROGRESS_TOKEN && !key.starts_with(RESERVED_META)
}
