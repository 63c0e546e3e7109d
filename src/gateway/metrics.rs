//! What is counted, in Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::{fmt::Write as _, sync::atomic::AtomicU64, time::Duration};

use mcproxy_ipc::ServerState;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::state::Gateway;

/// Bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    server: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabel {
    server: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    server: String,
    state: String,
}

/// How a call ended, for the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// With a result.
    Result,
    /// With the server's error.
    Error,
    /// The client gave it up.
    Cancelled,
    /// The server went away.
    Lost,
    /// The server was not there; the call was not sent.
    Unavailable,
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let word = match self {
            Self::Result => "result",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Unavailable => "unavailable",
        };
        encoder.write_str(word)
    }
}

/// The counters. Everything that can be read off the state at scrape time is not counted here.
pub(crate) struct Metrics {
    calls: Family<CallLabels, Counter>,
    duration: Family<ServerLabel, Histogram>,
}

/// The counters of one server, so that a call need not look them up.
pub(crate) struct ServerMetrics {
    outcomes: [Counter; 4],
    duration: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self { calls: Family::default(), duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)) }
    }

    /// The counters of one server.
    pub(crate) fn server(&self, server: &str) -> ServerMetrics {
        let counter = |outcome| {
            let labels = CallLabels { server: server.to_owned(), outcome };
            self.calls.get_or_create(&labels).clone()
        };
        ServerMetrics {
            outcomes: [Outcome::Result, Outcome::Error, Outcome::Cancelled, Outcome::Lost].map(counter),
            duration: self.duration.get_or_create(&ServerLabel { server: server.to_owned() }).clone(),
        }
    }

    /// A call found no server.
    pub(crate) fn turned_away(&self, server: &str) {
        let labels = CallLabels { server: server.to_owned(), outcome: Outcome::Unavailable };
        self.calls.get_or_create(&labels).inc();
    }
}

impl ServerMetrics {
    /// A call that was handed over ended.
    pub(crate) fn ended(&self, outcome: Outcome, took: Duration) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.inc();
        }
        self.duration.observe(took.as_secs_f64());
    }
}

/// The whole page.
pub(crate) fn render(gateway: &Gateway) -> String {
    let mut registry = Registry::with_prefix("mcproxy");
    registry.register("calls", "Calls forwarded to a server", gateway.metrics.calls.clone());
    registry.register_with_unit(
        "call_duration",
        "Time from a client's request to its answer",
        Unit::Seconds,
        gateway.metrics.duration.clone(),
    );
    let states: Family<StateLabels, Gauge> = Family::default();
    let generations: Family<ServerLabel, Gauge> = Family::default();
    for route in gateway.fleet.routes() {
        let server = route.server.to_string();
        generations
            .get_or_create(&ServerLabel { server: server.clone() })
            .set(i64::try_from(route.generation.0).unwrap_or(i64::MAX));
        for state in [
            ServerState::Stopped,
            ServerState::Starting,
            ServerState::Ready,
            ServerState::Stopping,
            ServerState::Backoff,
            ServerState::Blocked,
            ServerState::Failed,
        ] {
            let labels = StateLabels { server: server.clone(), state: state.to_string() };
            states.get_or_create(&labels).set(i64::from(route.state == state));
        }
    }
    registry.register("server_state", "1 for the state that a server is in", states);
    registry.register("server_generation", "Incarnation of a server; grows with each start", generations);
    let in_flight: Family<ServerLabel, Gauge> = Family::default();
    for (server, calls) in gateway.fleet.in_flight() {
        let label = ServerLabel { server: server.to_string() };
        in_flight.get_or_create(&label).set(i64::try_from(calls).unwrap_or(i64::MAX));
    }
    registry.register("calls_in_flight", "Calls that wait for their server's answer", in_flight);
    let sessions: Gauge = Gauge::default();
    sessions.set(i64::try_from(gateway.sessions.len()).unwrap_or(i64::MAX));
    registry.register("sessions", "Sessions that are open", sessions);
    let opened: Counter<u64, AtomicU64> = Counter::default();
    opened.inc_by(gateway.sessions.opened());
    registry.register("sessions_opened", "Sessions ever opened", opened);
    let mut page = String::new();
    // Writing to a String cannot fail; a label that cannot be encoded would cut the page short, never panic.
    let _ = encode(&mut page, &registry);
    page
}
