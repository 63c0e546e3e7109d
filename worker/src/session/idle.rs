//! Whether any client needs the server. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Notices that a server has had no call for a while. Only while the gateway is there: without it no client can call.
#[derive(Debug)]
pub(crate) struct Idle {
    after: Duration,
    /// The last sign of a call, or that the gateway came.
    since: Instant,
    /// It was said, and no call has come since.
    said: bool,
}

impl Idle {
    pub(crate) fn new(after: Duration, now: Instant) -> Self {
        Self { after, since: now, said: false }
    }

    /// The gateway came.
    pub(crate) fn begin(&mut self, now: Instant) {
        (self.since, self.said) = (now, false);
    }

    /// A call came or ended. True if the opposite was said before.
    pub(crate) fn used(&mut self, now: Instant) -> bool {
        self.since = now;
        std::mem::take(&mut self.said)
    }

    /// Whether it is to be said, or said again, that no client needs the server. `busy`: a call is in flight.
    pub(crate) fn check(&mut self, busy: bool, now: Instant) -> bool {
        if now < self.deadline() {
            return false;
        }
        self.since = now;
        self.said = !busy;
        !busy
    }

    /// Whether it was said, and holds.
    pub(crate) fn is_said(&self) -> bool {
        self.said
    }

    /// When [`Idle::check`] should be asked next.
    pub(crate) fn deadline(&self) -> Instant {
        self.since + self.after
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AFTER: Duration = Duration::from_secs(10);

    #[test]
    fn a_call_after_it_was_said_takes_it_back_once() {
        let start = Instant::now();
        let mut idle = Idle::new(AFTER, start);
        assert!(!idle.check(false, start + AFTER / 2));
        assert!(idle.check(false, start + AFTER) && idle.is_said());
        assert!(idle.check(false, start + 2 * AFTER), "said again: the first may have been lost");
        assert!(idle.used(start + 2 * AFTER));
        assert!(!idle.used(start + 2 * AFTER) && !idle.is_said());
    }

    proptest! {
        #[test]
        fn it_is_never_said_during_a_call_or_sooner_than_the_timeout_after_one(
            steps in proptest::collection::vec((0u64..15, 0u8..3), 0..60),
        ) {
            let mut now = Instant::now();
            let mut idle = Idle::new(AFTER, now);
            let (mut last, mut open) = (now, 0u32);
            for (seconds, what) in steps {
                now += Duration::from_secs(seconds);
                match what {
                    0 => {
                        open += 1;
                        idle.used(now);
                        last = now;
                    }
                    1 if open > 0 => {
                        open -= 1;
                        idle.used(now);
                        last = now;
                    }
                    _ => {
                        let said = idle.check(open > 0, now);
                        prop_assert!(!said || (open == 0 && now - last >= AFTER));
                    }
                }
                prop_assert!(!idle.is_said() || open == 0);
            }
        }
    }
}
