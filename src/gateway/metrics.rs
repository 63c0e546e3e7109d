//! What is counted, in Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::{cell::RefCell, collections::HashSet, fmt::Write as _, sync::atomic::AtomicU64, time::Duration};

use mcproxy_ipc::{ProcessStatus, ServerState, StatusReport};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{budget::Purpose, reason, state::Gateway};

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
struct ErrorLabels {
    server: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProcessLabel {
    process: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PurposeLabel {
    purpose: &'static str,
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

impl Outcome {
    const ALL: [Self; 5] = [Self::Result, Self::Error, Self::Cancelled, Self::Lost, Self::Unavailable];

    /// The word for it in counters and the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Unavailable => "unavailable",
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.as_str())
    }
}

/// The counters. Everything that can be read off the state at scrape time is not counted here.
pub(crate) struct Metrics {
    calls: Family<CallLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    duration: Family<ServerLabel, Histogram>,
    waiting: Family<ServerLabel, Gauge>,
    /// Servers that something was counted of.
    counted: RefCell<HashSet<Box<str>>>,
    dropped: Family<ServerLabel, Counter>,
}

/// A call that waits for its server to start, or for a place there; counted until it is dropped.
pub(crate) struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The counters of one server, so that a call need not look them up.
pub(crate) struct ServerMetrics {
    outcomes: [Counter; 4],
    duration: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            calls: Family::default(),
            errors: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            waiting: Family::default(),
            counted: RefCell::default(),
            dropped: Family::default(),
        }
    }

    /// Whoever counts something of a server says so, or it would stay for ever.
    fn counts(&self, server: &str) {
        let mut counted = self.counted.borrow_mut();
        if !counted.contains(server) {
            counted.insert(server.into());
        }
    }

    /// Forgets what was counted of servers that are gone.
    pub(crate) fn forget(&self, is_there: impl Fn(&str) -> bool) {
        self.counted.borrow_mut().retain(|name| {
            let stays = is_there(name);
            if !stays {
                let server = name.to_string();
                for outcome in Outcome::ALL {
                    self.calls.remove(&CallLabels { server: server.clone(), outcome });
                }
                for reason in reason::all() {
                    self.errors.remove(&ErrorLabels { server: server.clone(), reason });
                }
                let label = ServerLabel { server };
                self.duration.remove(&label);
                self.waiting.remove(&label);
                self.dropped.remove(&label);
            }
            stays
        });
    }

    /// The counters of one server.
    pub(crate) fn server(&self, server: &str) -> ServerMetrics {
        self.counts(server);
        let counter = |outcome| {
            let labels = CallLabels { server: server.to_owned(), outcome };
            self.calls.get_or_create(&labels).clone()
        };
        // A page that lacks what has not happened yet cannot be told from one that does not know of it.
        drop(self.waiting.get_or_create(&ServerLabel { server: server.to_owned() }));
        ServerMetrics {
            outcomes: [Outcome::Result, Outcome::Error, Outcome::Cancelled, Outcome::Lost].map(counter),
            duration: self.duration.get_or_create(&ServerLabel { server: server.to_owned() }).clone(),
        }
    }

    /// A call found no server.
    pub(crate) fn turned_away(&self, server: &str) {
        self.counts(server);
        let labels = CallLabels { server: server.to_owned(), outcome: Outcome::Unavailable };
        self.calls.get_or_create(&labels).inc();
    }

    /// A client got an error; `reason` is one of few words.
    pub(crate) fn failed(&self, server: &str, reason: &'static str) {
        self.counts(server);
        self.errors.get_or_create(&ErrorLabels { server: server.to_owned(), reason }).inc();
    }

    /// A server said more than can be passed on to all who listen.
    pub(crate) fn dropped(&self, server: &str) {
        self.counts(server);
        self.dropped.get_or_create(&ServerLabel { server: server.to_owned() }).inc();
    }

    /// A call waits for its server to start, or for a place there.
    pub(crate) fn waiting(&self, server: &str) -> Waiting {
        self.counts(server);
        let gauge = self.waiting.get_or_create(&ServerLabel { server: server.to_owned() }).clone();
        gauge.inc();
        Waiting(gauge)
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

/// The whole page. `report`: what the supervisor knows of processes, when it answered.
pub(crate) fn render(gateway: &Gateway, report: Option<&StatusReport>) -> String {
    gateway.forget_removed_servers();
    let mut registry = Registry::with_prefix("mcproxy");
    let Metrics { calls, errors, duration, waiting, dropped, counted: _ } = &gateway.metrics;
    registry.register("calls", "Calls for a server, by how they ended", calls.clone());
    registry.register("call_errors", "Errors that clients got, by reason", errors.clone());
    let help = "Time from a client's request to its answer";
    registry.register_with_unit("call_duration", help, Unit::Seconds, duration.clone());
    registry.register(
        "calls_waiting",
        "Calls that wait for their server to start, or for a place there",
        waiting.clone(),
    );
    let help = "Notifications of a server that were too many for all who listen";
    registry.register("notifications_dropped", help, dropped.clone());
    of_servers(gateway, &mut registry);
    of_clients(gateway, &mut registry);
    of_memory(gateway, &mut registry);
    if let Some(report) = report {
        of_processes(report, &mut registry);
    }
    let mut page = String::new();
    // Writing to a String cannot fail; a label that cannot be encoded would cut the page short, never panic.
    let _ = encode(&mut page, &registry);
    page
}

fn of_servers(gateway: &Gateway, registry: &mut Registry) {
    let states: Family<StateLabels, Gauge> = Family::default();
    let generations: Family<ServerLabel, Gauge> = Family::default();
    for route in gateway.fleet.routes() {
        let server = route.server.to_string();
        generations.get_or_create(&ServerLabel { server: server.clone() }).set(gauged(route.generation.0));
        for state in ServerState::ALL {
            let labels = StateLabels { server: server.clone(), state: state.to_string() };
            states.get_or_create(&labels).set(i64::from(route.state == state));
        }
    }
    registry.register("server_state", "1 for the state that a server is in", states);
    registry.register("server_generation", "Incarnation of a server; grows with each start", generations);
    let in_flight: Family<ServerLabel, Gauge> = Family::default();
    let queued: Family<ServerLabel, Gauge> = Family::default();
    for (server, load) in gateway.fleet.load() {
        let label = ServerLabel { server: server.to_string() };
        in_flight.get_or_create(&label).set(gauged(load.calls));
        queued.get_or_create(&label).set(gauged(load.queued_bytes));
    }
    registry.register("calls_in_flight", "Calls that wait for their server's answer", in_flight);
    let help = "What waits for a server's worker to read it";
    registry.register_with_unit("queued", help, Unit::Bytes, queued);
}

fn of_clients(gateway: &Gateway, registry: &mut Registry) {
    let gauge = |value: usize| {
        let gauge: Gauge = Gauge::default();
        gauge.set(gauged(value));
        gauge
    };
    let counter = |value: u64| {
        let counter: Counter<u64, AtomicU64> = Counter::default();
        counter.inc_by(value);
        counter
    };
    registry.register("sessions", "Sessions that are open", gauge(gateway.sessions.len()));
    let streams = gateway.sessions.all().iter().map(|session| session.streams_read()).sum();
    registry.register("streams", "Streams of sessions that a client reads", gauge(streams));
    let kept = gateway.archive.bytes();
    registry.register("streams_kept_bytes", "What streams keep for clients that come back", gauge(kept));
    registry.register("sessions_opened", "Sessions ever opened", counter(gateway.sessions.opened()));
    let help = "Log records of the gateway that found no room on their way to the supervisor";
    registry.register("log_records_dropped", help, counter(gateway.supervisor.dropped_records()));
}

fn of_memory(gateway: &Gateway, registry: &mut Registry) {
    let budget = &gateway.budget;
    let held: Family<PurposeLabel, Gauge> = Family::default();
    let refused: Family<PurposeLabel, Counter> = Family::default();
    for purpose in Purpose::ALL {
        let label = PurposeLabel { purpose: purpose.as_str() };
        held.get_or_create(&label).set(gauged(budget.held(purpose)));
        refused.get_or_create(&label).inc_by(budget.refused(purpose));
    }
    registry.register_with_unit(
        "held",
        "What is held for clients and servers (limits.totalBuffered)",
        Unit::Bytes,
        held,
    );
    let total: Gauge = Gauge::default();
    total.set(gauged(budget.total()));
    registry.register_with_unit("held_limit", "limits.totalBuffered", Unit::Bytes, total);
    registry.register("held_refused", "How often there was no room in limits.totalBuffered", refused);
    let gave_way: Counter<u64, AtomicU64> = Counter::default();
    gave_way.inc_by(budget.gave_way());
    let help = "Slow clients that lost their connection because limits.totalBuffered was exhausted";
    registry.register("held_given_way", help, gave_way);
}

fn of_processes(report: &StatusReport, registry: &mut Registry) {
    let dropped: Counter<u64, AtomicU64> = Counter::default();
    dropped.inc_by(report.log_dropped);
    registry.register("log_records_lost", "Log records that syslog or standard output was too slow for", dropped);
    let notes: Counter<u64, AtomicU64> = Counter::default();
    notes.inc_by(report.notes_dropped);
    let help = "What sessions wanted kept for the next gateway, and there was no room for";
    registry.register("session_notes_dropped", help, notes);
    let restarts: Family<ServerLabel, Counter> = Family::default();
    let resident: Family<ServerLabel, Gauge> = Family::default();
    for server in &report.servers {
        let label = ServerLabel { server: server.name.to_string() };
        restarts.get_or_create(&label).inc_by(server.restarts);
        resident.get_or_create(&label).set(gauged(server.rss_bytes));
    }
    registry.register("server_restarts", "How often a server was started again", restarts);
    let help = "Memory of a server with its worker and all it started";
    registry.register_with_unit("server_resident", help, Unit::Bytes, resident);
    let restarts: Family<ProcessLabel, Counter> = Family::default();
    let resident: Family<ProcessLabel, Gauge> = Family::default();
    let add = |process: &'static str, status: &ProcessStatus| {
        restarts.get_or_create(&ProcessLabel { process }).inc_by(status.restarts);
        resident.get_or_create(&ProcessLabel { process }).set(gauged(status.rss_bytes));
    };
    add("supervisor", &report.supervisor);
    report.gateway.iter().for_each(|gateway| add("gateway", gateway));
    registry.register("process_restarts", "How often a process of MCProxy was started again", restarts);
    registry.register_with_unit("process_resident", "Memory of a process of MCProxy", Unit::Bytes, resident);
}

/// Prometheus' gauges are signed.
fn gauged(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_of_a_server_goes_with_it_and_whatever_can_be_counted_does() {
        let metrics = Metrics::new();
        let page = |metrics: &Metrics| {
            let mut registry = Registry::default();
            registry.register("calls", "", metrics.calls.clone());
            registry.register("errors", "", metrics.errors.clone());
            registry.register("duration", "", metrics.duration.clone());
            registry.register("waiting", "", metrics.waiting.clone());
            let mut page = String::new();
            encode(&mut page, &registry).expect("a String takes everything");
            page
        };
        for server in ["a", "b"] {
            metrics.server(server).ended(Outcome::Lost, Duration::from_millis(1));
            metrics.turned_away(server);
            reason::all().for_each(|reason| metrics.failed(server, reason));
            drop(metrics.waiting(server));
        }
        assert!(page(&metrics).contains("server=\"a\""));
        metrics.forget(|server| server == "b");
        let left = page(&metrics);
        assert!(!left.contains("server=\"a\"") && left.contains("server=\"b\""), "{left}");
        metrics.failed("a", "timeout");
        metrics.forget(|server| server == "b");
        assert!(!page(&metrics).contains("server=\"a\""), "what is counted late goes, too");
    }
}
