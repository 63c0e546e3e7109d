//! Whether a process of ours still answers: pings go out at a fixed pace, and too many without an answer mean death.

use std::time::{Duration, Instant};

/// From one ping to the next.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
/// So many pings in a row may stay without an answer.
pub(crate) const MISSES: u32 = 3;

/// The step to take when [`Heartbeat::deadline`] is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Send a ping of this number.
    Ping(u64),
    /// It does not answer any more.
    Dead,
}

/// The pings of one connection.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    next: Instant,
    number: u64,
    missed: u32,
}

impl Heartbeat {
    /// The first ping is due one interval after the connection was made.
    pub(crate) fn new(now: Instant) -> Self {
        Self { next: now + INTERVAL, number: 0, missed: 0 }
    }

    /// When the next beat is due.
    pub(crate) fn deadline(&self) -> Instant {
        self.next
    }

    /// The step to take at the deadline.
    pub(crate) fn beat(&mut self, now: Instant) -> Beat {
        // Counted from now: if it was us who slept, the peer is not to blame for more than one.
        self.next = now + INTERVAL;
        if self.missed >= MISSES {
            return Beat::Dead;
        }
        self.missed += 1;
        self.number += 1;
        Beat::Ping(self.number)
    }

    /// An answer came.
    pub(crate) fn pong(&mut self, number: u64) {
        if number <= self.number {
            self.missed = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_pings_without_an_answer_are_too_many_and_one_answer_is_enough() {
        let now = Instant::now();
        let mut heart = Heartbeat::new(now);
        assert_eq!(heart.beat(now), Beat::Ping(1));
        assert_eq!(heart.beat(now), Beat::Ping(2));
        heart.pong(1);
        for n in 3..6 {
            assert_eq!(heart.beat(now), Beat::Ping(n));
        }
        heart.pong(99);
        assert_eq!(heart.beat(now), Beat::Dead);
    }
}
