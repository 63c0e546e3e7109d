//! One record as a line.

use mcproxy_ipc::{AuditRecord, moment};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::chain::{ChainHead, hex};

/// Longest line that is written or read, in bytes.
pub const MAX_LINE: usize = 256 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditLine<'a> {
    n: u64,
    prev: String,
    at: String,
    principal: Option<&'a str>,
    client: Option<&'a str>,
    session: &'a str,
    endpoint: &'a str,
    server: &'a str,
    method: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    definition_sha256: Option<String>,
    arguments_sha256: String,
    arguments_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Box<RawValue>>,
    approval: Option<ApprovalNoteLine<'a>>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    result_bytes: u64,
    duration_ms: f64,
    /// Calls before this one of which there is no line.
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u64,
}

/// Who agreed, and how.
#[derive(Serialize)]
struct ApprovalNoteLine<'a> {
    by: &'a str,
    how: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Appends the line of a record, with its end, and moves the head of the chain on. `dropped`: so many before it have no line.
pub fn write_line(out: &mut Vec<u8>, head: &mut ChainHead, record: &AuditRecord, dropped: u64) {
    let arguments = record.arguments.as_ref().and_then(|text| RawValue::from_string(text.clone()).ok());
    let mut line = AuditLine {
        n: head.next,
        prev: hex(&head.hash),
        at: moment(record.at_ms),
        principal: record.principal.as_deref(),
        client: record.client.as_deref(),
        session: &record.session,
        endpoint: &record.endpoint,
        server: &record.server,
        method: &record.method,
        name: &record.name,
        definition_sha256: record.definition.as_ref().map(hex),
        arguments_sha256: hex(&record.arguments_sha256),
        arguments_bytes: record.arguments_bytes,
        arguments,
        approval: record.approval.as_ref().map(|note| ApprovalNoteLine { by: &note.by, how: &note.how }),
        outcome: &record.outcome,
        reason: &record.reason,
        result_bytes: record.result_bytes,
        duration_ms: record.duration_us as f64 / 1000.0,
        dropped,
    };
    // Strings, numbers and JSON are JSON.
    let mut text = serde_json::to_vec(&line).unwrap_or_default();
    if text.len() >= MAX_LINE {
        line.arguments = None;
        text = serde_json::to_vec(&line).unwrap_or_default();
    }
    head.pass(&text);
    out.append(&mut text);
    out.push(b'\n');
}
