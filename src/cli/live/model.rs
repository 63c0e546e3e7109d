//! What is known of servers and calls, changed by events. Pure.

use std::{collections::VecDeque, time::Duration};

use mcproxy_ipc::{ServerState, StatusReport, moment};
use serde::{Deserialize, Serialize};

use crate::cli::human::{bytes, one_line};

/// Calls that are kept, the newest last.
const MAX_CALLS: usize = 500;
/// Servers that are taken from a stream.
const MAX_SERVERS: usize = 4096;

/// One server.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LiveServer {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) tools: Option<u64>,
    pub(crate) calls_per_minute: Option<Vec<f64>>,
    pub(crate) calls_total: Option<u64>,
    pub(crate) errors_total: Option<u64>,
    #[serde(rename = "p50Ms")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(rename = "p95Ms")]
    pub(crate) p95_ms: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) restarts: Option<u64>,
    pub(crate) in_flight: Option<u64>,
    pub(crate) last_error: Option<String>,
    /// What it writes while it starts.
    pub(crate) saying: Option<String>,
}

/// One call, as it begins or as it ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LiveCall {
    pub(crate) id: u64,
    pub(crate) at: u64,
    pub(crate) principal: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) argument_bytes: Option<u64>,
    pub(crate) result_bytes: Option<u64>,
    pub(crate) outcome: String,
    pub(crate) error: Option<String>,
    pub(crate) phases: Option<LivePhases>,
    pub(crate) duration_ms: Option<f64>,
}

/// Where the time of a call went, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LivePhases {
    pub(crate) start: f64,
    pub(crate) queue: f64,
    pub(crate) server: f64,
    pub(crate) gateway: f64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LiveEvent {
    /// All servers as they are.
    Servers(Vec<LiveServer>),
    /// Some of them, and those that are gone.
    Changed { servers: Vec<LiveServer>, removed: Vec<String> },
    /// Calls that began or ended, and how many more there were.
    Calls { calls: Vec<LiveCall>, dropped: u64 },
}

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct LiveModel {
    pub(crate) servers: Vec<LiveServer>,
    pub(crate) calls: VecDeque<LiveCall>,
    pub(crate) dropped: u64,
}

impl LiveModel {
    /// Takes an event in.
    pub(crate) fn apply(&mut self, event: LiveEvent) {
        match event {
            LiveEvent::Servers(servers) => self.servers = servers.into_iter().take(MAX_SERVERS).collect(),
            LiveEvent::Changed { servers, removed } => {
                self.servers.retain(|server| !removed.contains(&server.name));
                for server in servers {
                    let has_room = self.servers.len() < MAX_SERVERS;
                    match self.servers.iter_mut().find(|known| known.name == server.name) {
                        Some(known) => *known = server,
                        None if has_room => self.servers.push(server),
                        None => {}
                    }
                }
            }
            LiveEvent::Calls { calls, dropped } => {
                self.dropped += dropped;
                for call in calls {
                    match self.calls.iter_mut().rev().find(|known| known.id == call.id) {
                        Some(known) => *known = call,
                        None => self.calls.push_back(call),
                    }
                }
                while self.calls.len() > MAX_CALLS {
                    self.calls.pop_front();
                }
            }
        }
    }
}

impl LiveEvent {
    /// Of a named event of the gateway's stream; `None`: it is about something else.
    pub(crate) fn of_stream(name: &str, data: &[u8]) -> Option<Self> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Data {
            servers: Vec<LiveServer>,
            removed: Vec<String>,
            calls: Vec<LiveCall>,
            dropped: u64,
        }
        let read = || serde_json::from_slice::<Data>(data).ok();
        Some(match name {
            "state" => Self::Servers(read()?.servers),
            "servers" => read().map(|data| Self::Changed { servers: data.servers, removed: data.removed })?,
            "calls" => read().map(|data| Self::Calls { calls: data.calls, dropped: data.dropped })?,
            _ => return None,
        })
    }

    /// What the supervisor knows of the servers.
    pub(crate) fn of_report(report: &StatusReport) -> Self {
        let server = |server: &mcproxy_ipc::ServerStatus| LiveServer {
            name: server.name.to_string(),
            state: match (server.wanted, server.state) {
                (false, ServerState::Stopped) => "disabled".to_owned(),
                (_, state) => state.to_string(),
            },
            tools: server.description.as_ref().and_then(|described| u64::try_from(described.counts.tools).ok()),
            memory_bytes: Some(server.rss_bytes).filter(|bytes| *bytes > 0),
            restarts: Some(server.restarts),
            last_error: server.last_error.clone(),
            saying: server.start.as_ref().and_then(|start| start.last_line.clone()),
            ..LiveServer::default()
        };
        Self::Servers(report.servers.iter().map(server).collect())
    }
}

impl LiveServer {
    /// Calls in a minute: the last whole one, or more if there have been more since.
    pub(crate) fn last_minute(&self) -> Option<f64> {
        self.calls_per_minute.as_ref()?.iter().rev().take(2).copied().reduce(f64::max)
    }

    /// What somebody should read of it, on one line.
    pub(crate) fn remark(&self) -> String {
        let text = match self.state.as_str() {
            "starting" => self.saying.as_deref().or(self.last_error.as_deref()),
            "ready" | "idle" => None,
            _ => self.last_error.as_deref(),
        };
        one_line(text.and_then(|text| text.lines().find(|line| !line.trim().is_empty())).unwrap_or_default())
    }
}

/// A call as one line: when, what, how it went, how long, who. `None`: it has only begun.
pub(crate) fn call_line(call: &LiveCall) -> Option<String> {
    if call.outcome == "running" {
        return None;
    }
    let what = match (&call.server, &call.tool) {
        (Some(server), Some(tool)) => format!("{server}__{tool}"),
        (Some(server), None) => format!("{server} {}", call.method.as_deref().unwrap_or_default()),
        (None, Some(tool)) => tool.clone(),
        (None, None) => call.method.clone().unwrap_or_default(),
    };
    let time = moment(call.at);
    let clock = time.get(11..23).unwrap_or(&time).to_owned();
    let duration = call.duration_ms.map_or_else(|| "-".to_owned(), milliseconds);
    let size = |bytes_of: Option<u64>| bytes_of.map_or_else(|| "-".to_owned(), bytes_of_call);
    let sizes = format!("{} → {}", size(call.argument_bytes), size(call.result_bytes));
    let who = [call.principal.as_deref(), call.client.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let error = call.error.as_deref().map(|error| format!("  {}", one_line(error))).unwrap_or_default();
    Some(
        one_line(&format!("{clock} {what} {} {duration}", call.outcome))
            + &format!("  {sizes}  {}{error}", one_line(&who)),
    )
}

/// A time of a call, as precise as is worth reading.
pub(crate) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

fn bytes_of_call(n: u64) -> String {
    if n < 1024 { format!("{n} B") } else { bytes(n) }
}

/// Where the time went, for a call that took some; `None`: nothing is known of it.
pub(crate) fn phases_line(call: &LiveCall) -> Option<String> {
    let phases = call.phases.as_ref()?;
    let parts =
        [("start", phases.start), ("queue", phases.queue), ("server", phases.server), ("gateway", phases.gateway)];
    let parts: Vec<String> =
        parts.iter().filter(|(_, ms)| *ms >= 0.05).map(|(name, ms)| format!("{name} {}", milliseconds(*ms))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How long a quiet stream is waited for before it is taken for broken: it says something every fifteen seconds.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> LiveEvent {
        LiveEvent::of_stream(name, data.as_bytes()).expect("an event")
    }

    #[test]
    fn events_change_what_they_are_about_and_nothing_else() {
        let mut model = LiveModel::default();
        model.apply(event("state", r#"{"servers": [{"name": "a", "state": "ready", "p50Ms": 3.5}, {"name": "b", "state": "starting", "saying": "fetching"}], "needs": []}"#));
        model.apply(event("servers", r#"{"servers": [{"name": "b", "state": "ready"}, {"name": "c", "state": "failed", "lastError": "boom"}], "removed": ["a"]}"#));
        let states: Vec<_> = model.servers.iter().map(|server| (server.name.as_str(), server.state.as_str())).collect();
        assert_eq!(states, [("b", "ready"), ("c", "failed")]);
        assert_eq!(model.servers[1].remark(), "boom");
        model.apply(event(
            "calls",
            r#"{"calls": [{"id": 1, "at": 0, "server": "b", "tool": "t", "outcome": "running"}], "dropped": 2}"#,
        ));
        model.apply(event("calls", r#"{"calls": [{"id": 1, "at": 0, "server": "b", "tool": "t", "outcome": "ok", "durationMs": 12.3}], "dropped": 0}"#));
        assert_eq!((model.calls.len(), model.dropped, model.calls[0].outcome.as_str()), (1, 2, "ok"));
        assert_eq!(LiveEvent::of_stream("logs", b"{}"), None);
        assert_eq!(LiveEvent::of_stream("calls", b"{"), None);
    }

    #[test]
    fn calls_are_bounded_and_a_line_of_one_stays_one() {
        let mut model = LiveModel::default();
        for id in 0..2 * MAX_CALLS as u64 {
            let call = LiveCall { id, outcome: "ok".to_owned(), ..LiveCall::default() };
            model.apply(LiveEvent::Calls { calls: vec![call], dropped: 0 });
        }
        assert_eq!((model.calls.len(), model.calls[0].id), (MAX_CALLS, MAX_CALLS as u64));
        let call = LiveCall {
            at: 1000,
            server: Some("a".into()),
            tool: Some("t\u{1b}[2J\n".into()),
            outcome: "error".into(),
            error: Some("boom\nagain".into()),
            duration_ms: Some(12_345.0),
            argument_bytes: Some(10),
            result_bytes: Some(5000),
            client: Some("claude/1".into()),
            phases: Some(LivePhases { server: 12_000.0, gateway: 0.01, ..LivePhases::default() }),
            ..LiveCall::default()
        };
        assert_eq!(
            call_line(&call).as_deref(),
            Some("00:00:01.000 a__t error 12.3 s  10 B → 5 KiB  claude/1  boom again")
        );
        assert_eq!(phases_line(&call).as_deref(), Some("server 12.0 s"));
        assert_eq!(call_line(&LiveCall { outcome: "running".into(), ..call }), None);
    }
}
