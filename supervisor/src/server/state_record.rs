//! What the log says of a server that has come to another state. Pure.

use std::time::{Duration, Instant};

use mcproxy_ipc::LogLevel;

use crate::lifecycle::{MachineState, StopReason};

/// What is known of the server then.
#[derive(Debug, Default)]
pub(super) struct StateFacts {
    /// Tools that it offers.
    pub(super) tools: usize,
    /// Since its process was started.
    pub(super) running: Duration,
    /// Why it is not well.
    pub(super) error: String,
    /// Whether it is started again at once when it is cleared away.
    pub(super) returns: bool,
}

/// A record of the log, without what all of them have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StateRecord {
    pub(super) level: LogLevel,
    pub(super) message: &'static str,
    pub(super) facts: Vec<(&'static str, String)>,
}

/// Whether a server comes to this state because something is wrong.
pub(super) fn is_failure(state: &MachineState) -> bool {
    match state {
        MachineState::Stopping { why, .. } => matches!(why, StopReason::Fault { .. }),
        MachineState::Backoff { .. } | MachineState::Blocked | MachineState::Failed => true,
        MachineState::Queued
        | MachineState::Starting { .. }
        | MachineState::Ready { .. }
        | MachineState::Resting { .. }
        | MachineState::Stopped
        | MachineState::Idle => false,
    }
}

impl StateRecord {
    /// Of this state.
    pub(super) fn of(state: &MachineState, known: StateFacts, now: Instant) -> Self {
        let StateFacts { tools, running, error, returns } = known;
        let again = |delay: Duration, error| {
            let facts = vec![("delay_ms", delay.as_millis().to_string()), ("error", error)];
            (LogLevel::Warn, "server failed and will be started again", facts)
        };
        let (level, message, facts) = match state {
            MachineState::Queued | MachineState::Starting { .. } => (LogLevel::Info, "server is starting", vec![]),
            MachineState::Ready { .. } | MachineState::Resting { .. } => {
                let facts = vec![("tools", tools.to_string()), ("start_ms", running.as_millis().to_string())];
                (LogLevel::Info, "server is ready", facts)
            }
            MachineState::Stopping { why: StopReason::Fault { .. }, .. } if returns => again(Duration::ZERO, error),
            MachineState::Stopping { why: StopReason::Fault { .. }, .. } => {
                (LogLevel::Debug, "server is being cleared away", vec![])
            }
            MachineState::Stopping { why: StopReason::Unwanted | StopReason::Renew | StopReason::Rest, .. } => {
                (LogLevel::Info, "server is stopping", vec![])
            }
            MachineState::Stopped => (LogLevel::Info, "server is stopped", vec![]),
            MachineState::Idle => (LogLevel::Info, "server is at rest", vec![]),
            MachineState::Backoff { needs_login: true, .. } => {
                (LogLevel::Error, "server needs a login", vec![("error", error)])
            }
            MachineState::Backoff { until, needs_login: false } => again(until.saturating_duration_since(now), error),
            MachineState::Blocked => (LogLevel::Warn, "server is blocked", vec![]),
            MachineState::Failed => {
                (LogLevel::Error, "server failed and will not be started again", vec![("error", error)])
            }
        };
        Self { level, message, facts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_tried_again_is_a_warning_with_the_delay_and_one_that_is_not_an_error() {
        let now = Instant::now();
        let known = || StateFacts { error: "it exited with code 1".to_owned(), ..StateFacts::default() };
        let waits = MachineState::Backoff { until: now + Duration::from_millis(1500), needs_login: false };
        let record = StateRecord::of(&waits, known(), now);
        assert_eq!((record.level, record.message), (LogLevel::Warn, "server failed and will be started again"));
        assert_eq!(record.facts[0], ("delay_ms", "1500".to_owned()));
        let record = StateRecord::of(&MachineState::Backoff { until: now, needs_login: true }, known(), now);
        assert_eq!((record.level, record.message), (LogLevel::Error, "server needs a login"));
        let record = StateRecord::of(&MachineState::Failed, known(), now);
        assert_eq!((record.level, &*record.facts[0].1), (LogLevel::Error, "it exited with code 1"));
        for state in [waits, MachineState::Failed, MachineState::Blocked] {
            assert!(is_failure(&state), "{state:?}");
        }
        assert!(!is_failure(&MachineState::Stopped) && !is_failure(&MachineState::Idle));
    }
}
