//! Counters for Prometheus. Everything that can be read off the state at scrape time is not counted here, see `http/metrics_page.rs`.

use std::{cell::RefCell, collections::HashSet, fmt::Write as _, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::error_reason;

/// Bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    server: String,
    outcome: OutcomeLabel,
}

/// Which server something was counted of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ServerLabel {
    /// Its name.
    pub(crate) server: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    server: String,
    reason: &'static str,
}

/// How a call ended, for the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OutcomeLabel {
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

impl OutcomeLabel {
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

impl EncodeLabelValue for OutcomeLabel {
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
pub(crate) struct CountedWait(Gauge);

impl Drop for CountedWait {
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

    /// Notes that a server has counters, so that they go with it.
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
                for outcome in OutcomeLabel::ALL {
                    self.calls.remove(&CallLabels { server: server.clone(), outcome });
                }
                for reason in error_reason::all() {
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

    /// Puts the counters on a page.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Self { calls, errors, duration, waiting, dropped, counted: _ } = self;
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
            outcomes: [OutcomeLabel::Result, OutcomeLabel::Error, OutcomeLabel::Cancelled, OutcomeLabel::Lost]
                .map(counter),
            duration: self.duration.get_or_create(&ServerLabel { server: server.to_owned() }).clone(),
        }
    }

    /// A call found no server.
    pub(crate) fn turned_away(&self, server: &str) {
        self.counts(server);
        let labels = CallLabels { server: server.to_owned(), outcome: OutcomeLabel::Unavailable };
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
    pub(crate) fn waiting(&self, server: &str) -> CountedWait {
        self.counts(server);
        let gauge = self.waiting.get_or_create(&ServerLabel { server: server.to_owned() }).clone();
        gauge.inc();
        CountedWait(gauge)
    }
}

impl ServerMetrics {
    /// A call that was handed over ended.
    pub(crate) fn ended(&self, outcome: OutcomeLabel, took: Duration) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.inc();
        }
        self.duration.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

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
            metrics.server(server).ended(OutcomeLabel::Lost, Duration::from_millis(1));
            metrics.turned_away(server);
            error_reason::all().for_each(|reason| metrics.failed(server, reason));
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
