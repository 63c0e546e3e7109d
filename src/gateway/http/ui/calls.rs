//! `GET /ui/api/calls`, `GET /ui/api/calls/{id}`: the calls of a moment ago.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use mcproxy_mcp::RawValue;
use serde::{Deserialize, Serialize};

use super::{answer, caller::Caller, capture_state::CaptureState, paths::path_of};
use crate::gateway::base::calls::{CallEnding, CallLog, CallRecord, MAX_CALLS};

/// Calls of one answer, unless it is asked for others.
const USUAL: usize = 200;

/// One call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallRow {
    id: u64,
    at: u64,
    principal: Option<String>,
    client: Option<String>,
    era: &'static str,
    endpoint: String,
    server: String,
    tool: String,
    method: String,
    argument_bytes: usize,
    result_bytes: Option<usize>,
    outcome: &'static str,
    error: Option<String>,
    phases: Option<CallPhases>,
    duration_ms: Option<f64>,
    captured: bool,
    /// Whether the page made it again.
    replay: bool,
}

/// Where its time went, in milliseconds.
#[derive(Debug, Serialize)]
struct CallPhases {
    start: f64,
    approval: f64,
    queue: f64,
    server: f64,
    gateway: f64,
}

/// A call with what was captured of it.
#[derive(Serialize)]
struct CallPage {
    #[serde(flatten)]
    row: CallRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
}

/// Some of them, the newest first.
#[derive(Serialize)]
struct CallsPage {
    calls: Vec<CallRow>,
    capture: CaptureState,
}

/// Which ones are wanted.
#[derive(Deserialize)]
pub(super) struct CallsQuery {
    before: Option<u64>,
    limit: Option<usize>,
    server: Option<String>,
    tool: Option<String>,
    principal: Option<String>,
    outcome: Option<String>,
}

impl CallsQuery {
    fn wants(&self, record: &CallRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|w| w.is_empty() || w == value);
        self.before.is_none_or(|before| record.id < before)
            && is(&self.server, record.call.server.as_str())
            && is(&self.tool, &record.call.name)
            && is(&self.principal, record.call.principal.name().unwrap_or_default())
            && is(&self.outcome, outcome(record))
    }
}

pub(super) async fn list(caller: Caller, query: web::Query<CallsQuery>) -> HttpResponse {
    let caller = caller.verified().await;
    let log = &caller.gateway.calls;
    let limit = query.limit.unwrap_or(USUAL).min(MAX_CALLS);
    let mut calls = Vec::new();
    log.look(|record| {
        if caller.sees(&record.call.principal) && query.wants(record) {
            calls.push(row(log, record));
        }
        calls.len() < limit
    });
    answer::json(&CallsPage { calls, capture: CaptureState::of(log, Instant::now()) })
}

pub(super) async fn one(caller: Caller, id: web::Path<u64>) -> HttpResponse {
    let caller = caller.verified().await;
    let log = &caller.gateway.calls;
    let mut found = None;
    log.look(|record| {
        if record.id == *id && caller.sees(&record.call.principal) {
            let json = |text: &str| RawValue::from_string(text.to_owned()).ok();
            let (arguments, result) =
                record.captured().map_or((None, None), |(arguments, result)| (json(arguments), result.and_then(json)));
            found = Some(CallPage { row: row(log, record), arguments, result });
        }
        record.id > *id
    });
    match found {
        Some(page) => answer::json(&page),
        None => answer::not_found("this call is not remembered", Some("the last 2,000 calls are; reload the list")),
    }
}

/// What changed since a change of that number and may be seen, the oldest first, at most so many; and how many more there were.
pub(super) fn changed(caller: &Caller, since: u64, most: usize) -> (Vec<CallRow>, usize) {
    let log = &caller.gateway.calls;
    let (mut rows, mut more) = (Vec::new(), 0);
    log.look(|record| {
        if record.changed > since && caller.sees(&record.call.principal) {
            if rows.len() < most {
                rows.push(row(log, record));
            } else {
                more += 1;
            }
        }
        true
    });
    rows.reverse();
    (rows, more)
}

fn row(log: &CallLog, record: &CallRecord) -> CallRow {
    let (call, ending) = (&record.call, record.ending.as_ref());
    CallRow {
        id: record.id,
        at: log.wall_clock(call.begun),
        principal: call.principal.name().map(str::to_owned),
        client: call.client.as_deref().map(str::to_owned),
        era: call.version.as_str(),
        endpoint: path_of(&call.scope.endpoint),
        server: call.server.to_string(),
        tool: record.name().to_owned(),
        method: call.method.to_string(),
        argument_bytes: call.argument_bytes,
        result_bytes: ending.and_then(|ending| ending.result_bytes),
        outcome: outcome(record),
        error: ending.and_then(|ending| ending.error.as_deref()).map(str::to_owned),
        phases: ending.map(phases),
        duration_ms: ending.map(|ending| milliseconds(ending.took)),
        captured: record.captured().is_some(),
        replay: call.is_replay,
    }
}

fn outcome(record: &CallRecord) -> &'static str {
    record.ending.as_ref().map_or("running", |ending| ending.verdict.as_str())
}

fn phases(ending: &CallEnding) -> CallPhases {
    let waits = &ending.waits;
    CallPhases {
        start: milliseconds(waits.start.get()),
        approval: milliseconds(waits.approval.get()),
        queue: milliseconds(waits.queue.get()),
        server: milliseconds(waits.server.get()),
        gateway: milliseconds(ending.in_gateway()),
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
