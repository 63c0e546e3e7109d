//! Whether a server still answers. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Silence after which a server is asked whether it lives.
const QUIET: Duration = Duration::from_secs(30);
/// How long it has for its answer.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Unanswered questions in a row that make it dead.
const MISSES: u32 = 3;

/// The next step of watching a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Diagnosis {
    /// Nothing.
    Fine,
    /// Ask it.
    Ask,
    /// End it.
    Dead,
}

/// The possible reason of its silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// It has nothing to do.
    Idle,
    /// It has calls to answer. Many a server does one thing at a time and answers no ping meanwhile.
    CallTable,
    /// Its output is not being read.
    Unread,
}

/// Watches over a server. One that is silent while calls are in flight is asked as well, but has longer to answer: a call's
/// timeout more. Otherwise a server that hangs would live for as long as clients go on calling it.
#[derive(Debug)]
pub(crate) struct Health {
    /// How long a call may take without a sign of life.
    call_timeout: Duration,
    quiet_since: Instant,
    /// It had calls to answer since it was last heard.
    had_calls: bool,
    misses: u32,
    next_check: Instant,
}

impl Health {
    pub(crate) fn new(call_timeout: Duration, now: Instant) -> Self {
        Self { call_timeout, quiet_since: now, had_calls: false, misses: 0, next_check: now + QUIET }
    }

    /// The server said something.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.quiet_since = now;
        self.misses = 0;
        self.had_calls = false;
    }

    /// Looks after the server.
    pub(crate) fn check(&mut self, work: Work, now: Instant) -> Diagnosis {
        if now < self.next_check {
            return Diagnosis::Fine;
        }
        match work {
            Work::Unread => self.heard(now),
            Work::CallTable => self.had_calls = true,
            Work::Idle => {}
        }
        let quiet_until = self.quiet_since + QUIET;
        if self.misses == 0 && now < quiet_until {
            self.next_check = quiet_until;
            return Diagnosis::Fine;
        }
        if self.misses == MISSES {
            // Also when its calls are over: it may not know that yet.
            let dead_at = quiet_until + MISSES * PING_TIMEOUT + self.call_timeout;
            if self.had_calls && now < dead_at {
                self.next_check = dead_at;
                return Diagnosis::Fine;
            }
            return Diagnosis::Dead;
        }
        self.misses += 1;
        self.next_check = now + PING_TIMEOUT;
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
        assert_eq!(asked_and_dead(Work::Idle, start), [30, 40, 50, 60]);
    }

    #[test]
    fn a_silent_server_with_calls_is_asked_as_well_and_given_up_a_call_timeout_later() {
        let start = Instant::now();
        assert_eq!(asked_and_dead(Work::CallTable, start), [30, 40, 50, 60 + TIMEOUT.as_secs()]);
    }

    #[test]
    fn a_server_whose_call_is_over_may_still_be_busy_with_it() {
        let start = Instant::now();
        let mut health = Health::new(TIMEOUT, start);
        for _ in 0..3 {
            let now = health.deadline();
            assert_eq!(health.check(Work::CallTable, now), Diagnosis::Ask);
        }
        let now = health.deadline();
        assert_eq!(health.check(Work::Idle, now), Diagnosis::Fine);
        health.heard(now + Duration::from_secs(1));
        let now = health.deadline();
        assert_eq!(health.check(Work::Idle, now), Diagnosis::Ask);
    }

    const TIMEOUT: Duration = Duration::from_secs(45);

    /// The seconds at which a server that says nothing is asked, and at last given up.
    fn asked_and_dead(work: Work, start: Instant) -> Vec<u64> {
        let mut health = Health::new(TIMEOUT, start);
        let mut steps = Vec::new();
        loop {
            let now = health.deadline();
            let diagnosis = health.check(work, now);
            if diagnosis != Diagnosis::Fine {
                steps.push((now - start).as_secs());
            }
            if diagnosis == Diagnosis::Dead {
                return steps;
            }
        }
    }

    #[test]
    fn any_word_of_the_server_starts_the_wait_anew() {
        let start = Instant::now();
        let mut health = Health::new(TIMEOUT, start);
        assert_eq!(health.check(Work::Idle, start + QUIET), Diagnosis::Ask);
        health.heard(start + Duration::from_secs(35));
        assert_eq!(health.check(Work::Idle, health.deadline()), Diagnosis::Fine);
        assert_eq!(health.deadline(), start + Duration::from_secs(65));
        assert_eq!(health.check(Work::Idle, health.deadline()), Diagnosis::Ask);
    }

    #[test]
    fn a_server_that_nobody_reads_is_not_asked() {
        let start = Instant::now();
        let mut health = Health::new(TIMEOUT, start);
        for _ in 0..10 {
            let now = health.deadline();
            assert_eq!(health.check(Work::Unread, now), Diagnosis::Fine);
        }
    }
}
