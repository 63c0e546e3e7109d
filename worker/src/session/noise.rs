//! Output of a server that it should not write: counted, logged at a bounded rate, and too much at some point.

use std::time::{Duration, Instant};

/// How many bytes of a server's text one log line shows.
pub(super) const LOGGED: usize = 200;
const WINDOW: Duration = Duration::from_secs(60);
/// Log records per minute about all this.
const LOGGED_PER_WINDOW: u64 = 20;

/// Counts of what is wrong with a server's output.
#[derive(Debug)]
pub(crate) struct Noise {
    /// Lines per window that are no messages, before the server is given up.
    bearable: u64,
    window: Instant,
    garbage: u64,
    logged: u64,
    /// All lines so far that were no messages.
    pub(crate) total_garbage: u64,
    /// All answers so far to nothing that was asked (unknown, late or repeated).
    pub(crate) total_unknown: u64,
}

impl Noise {
    pub(crate) fn new(bearable: u64, now: Instant) -> Self {
        Self { bearable, window: now, garbage: 0, logged: 0, total_garbage: 0, total_unknown: 0 }
    }

    /// A line that is no message; false when there were too many.
    pub(crate) fn garbage(&mut self, now: Instant) -> bool {
        self.roll(now);
        self.garbage += 1;
        self.total_garbage += 1;
        self.garbage <= self.bearable
    }

    /// Whether one more record may be written about it.
    pub(crate) fn may_log(&mut self, now: Instant) -> bool {
        self.roll(now);
        self.logged += 1;
        self.logged <= LOGGED_PER_WINDOW
    }

    fn roll(&mut self, now: Instant) {
        if now.duration_since(self.window) >= WINDOW {
            (self.window, self.garbage, self.logged) = (now, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_garbage_lines_a_minute_as_allowed_are_borne_and_one_more_is_not() {
        let start = Instant::now();
        let mut noise = Noise::new(1000, start);
        assert!((0..1000).all(|_| noise.garbage(start)));
        assert!(!noise.garbage(start));
        assert!(noise.garbage(start + WINDOW));
        assert_eq!(noise.total_garbage, 1002);
    }
}
