//! How a server is ended: asked first, forced at last.

use std::time::{Duration, Instant};

/// From the end of stdin to SIGTERM. Well-behaved servers leave at once; half of them need the signal.
const AFTER_EOF: Duration = Duration::from_secs(2);
/// From SIGTERM to SIGKILL.
const AFTER_TERM: Duration = Duration::from_secs(3);
/// From SIGKILL until a process that still has not ended (in an uninterruptible wait) is left behind.
const AFTER_KILL: Duration = Duration::from_secs(3);

/// A step to end the server's process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopStep {
    /// Close its stdin.
    CloseStdin,
    /// SIGTERM, and SIGCONT in case it is stopped.
    Terminate,
    /// SIGKILL.
    Kill,
    /// Stop waiting.
    GiveUp,
}

/// Where the ladder stands.
#[derive(Debug)]
pub(crate) struct Ladder {
    next: Option<(Instant, StopStep)>,
}

impl Ladder {
    /// Begins with the end of stdin.
    pub(crate) fn polite(now: Instant) -> Self {
        Self { next: Some((now, StopStep::CloseStdin)) }
    }

    /// Begins with SIGTERM, for a server that does not react.
    pub(crate) fn firm(now: Instant) -> Self {
        Self { next: Some((now, StopStep::Terminate)) }
    }

    /// Begins with SIGKILL, when no client is left whom the server could be of use to.
    pub(crate) fn last(now: Instant) -> Self {
        Self { next: Some((now, StopStep::Kill)) }
    }

    /// The step that is due now.
    pub(crate) fn step(&mut self, now: Instant) -> Option<StopStep> {
        let (_, step) = self.next.filter(|(at, _)| *at <= now)?;
        self.next = match step {
            StopStep::CloseStdin => Some((now + AFTER_EOF, StopStep::Terminate)),
            StopStep::Terminate => Some((now + AFTER_TERM, StopStep::Kill)),
            StopStep::Kill => Some((now + AFTER_KILL, StopStep::GiveUp)),
            StopStep::GiveUp => None,
        };
        Some(step)
    }

    /// When the next step is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next.map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn climb(mut ladder: Ladder, start: Instant) -> Vec<(u64, StopStep)> {
        let mut steps = Vec::new();
        while let Some(at) = ladder.deadline() {
            assert_eq!(ladder.step(at - Duration::from_nanos(1)), None);
            steps.push(((at - start).as_secs(), ladder.step(at).expect("due")));
        }
        steps
    }

    #[test]
    fn a_server_is_asked_twice_before_it_is_killed() {
        let now = Instant::now();
        let steps = [(0, StopStep::CloseStdin), (2, StopStep::Terminate), (5, StopStep::Kill), (8, StopStep::GiveUp)];
        assert_eq!(climb(Ladder::polite(now), now), steps);
    }

    #[test]
    fn a_server_that_does_not_react_is_not_asked_through_stdin() {
        let now = Instant::now();
        let steps = [(0, StopStep::Terminate), (3, StopStep::Kill), (6, StopStep::GiveUp)];
        assert_eq!(climb(Ladder::firm(now), now), steps);
        assert_eq!(climb(Ladder::last(now), now), [(0, StopStep::Kill), (3, StopStep::GiveUp)]);
    }
}
