//! Whether an idle server still answers. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Silence after which a server is asked whether it lives.
const QUIET: Duration = Duration::from_secs(30);
/// How long it has for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Unanswered questions in a row that make it dead.
const MISSES: u32 = 3;

/// What is to be done about the health of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Diagnosis {
    /// Nothing.
    Fine,
    /// Ask it.
    Ask,
    /// End it.
    Dead,
}

/// Watches over a server that has nothing to do. Calls have their own timeouts.
#[derive(Debug)]
pub(crate) struct Health {
    quiet_since: Instant,
    misses: u32,
    next_check: Instant,
}

impl Health {
    pub(crate) fn new(now: Instant) -> Self {
        Self { quiet_since: now, misses: 0, next_check: now + QUIET }
    }

    /// The server said something.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.quiet_since = now;
        self.misses = 0;
    }

    /// Looks after the server. `busy`: it has work, or nobody reads what it says; then silence means nothing.
    pub(crate) fn check(&mut self, busy: bool, now: Instant) -> Diagnosis {
        if now < self.next_check {
            return Diagnosis::Fine;
        }
        if busy {
            self.heard(now);
        }
        let quiet_until = self.quiet_since + QUIET;
        if self.misses == 0 && now < quiet_until {
            self.next_check = quiet_until;
            return Diagnosis::Fine;
        }
        if self.misses == MISSES {
            return Diagnosis::Dead;
        }
        self.misses += 1;
        self.next_check = now + PATIENCE;
        Diagnosis::Ask
    }

    /// When [`Health::check`] should be asked next.
    pub(crate) fn deadline(&self) -> Instant {
        self.next_check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_is_asked_three_times_and_then_given_up() {
        let start = Instant::now();
        let mut health = Health::new(start);
        let mut steps = Vec::new();
        loop {
            let now = health.deadline();
            match health.check(false, now) {
                Diagnosis::Fine => {}
                Diagnosis::Ask => steps.push((now - start).as_secs()),
                Diagnosis::Dead => {
                    steps.push((now - start).as_secs());
                    break;
                }
            }
        }
        assert_eq!(steps, [30, 40, 50, 60]);
    }

    #[test]
    fn any_word_of_the_server_starts_the_wait_anew() {
        let start = Instant::now();
        let mut health = Health::new(start);
        assert_eq!(health.check(false, start + QUIET), Diagnosis::Ask);
        health.heard(start + Duration::from_secs(35));
        assert_eq!(health.check(false, health.deadline()), Diagnosis::Fine);
        assert_eq!(health.deadline(), start + Duration::from_secs(65));
        assert_eq!(health.check(false, health.deadline()), Diagnosis::Ask);
    }

    #[test]
    fn a_server_with_work_is_not_asked() {
        let start = Instant::now();
        let mut health = Health::new(start);
        for _ in 0..10 {
            let now = health.deadline();
            assert_eq!(health.check(true, now), Diagnosis::Fine);
        }
    }
}
