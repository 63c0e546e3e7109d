//! Whether an installation goes on: what it has written so far goes in. Pure.

/// Below this, package runners write a log, a lock, a note of what was looked up.
const WRITTEN: u64 = 64 * 1024;
/// A container engine reports far less of an image than it fetches.
const HEARD: u64 = 2 * 1024;

/// The bytes that the runners of one server have moved since they began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// Written by those that install.
    pub(super) written: u64,
    /// Read and written by container engines.
    pub(super) heard: u64,
}

/// Remembers how much there was.
#[derive(Debug, Default)]
pub(super) struct InstallProgress {
    seen: Option<Moved>,
}

impl InstallProgress {
    /// Whether there was progress since it was last said that there was.
    pub(super) fn goes_on(&mut self, now: Moved) -> bool {
        let Some(seen) = &mut self.seen else {
            self.seen = Some(now);
            return now.written >= WRITTEN;
        };
        // A process that ended may take its account with it.
        seen.written = seen.written.min(now.written);
        seen.heard = seen.heard.min(now.heard);
        let goes_on = now.written - seen.written >= WRITTEN || now.heard - seen.heard >= HEARD;
        if goes_on {
            *seen = now;
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(written: u64) -> Moved {
        Moved { written, heard: 0 }
    }

    #[test]
    fn a_slow_line_is_progress_and_a_line_in_a_log_is_none() {
        let mut progress = InstallProgress::default();
        let looks = [0, 20_000, 40_000, 60_000, 80_000, 80_100, 80_200].map(|bytes| progress.goes_on(written(bytes)));
        assert_eq!(looks, [false, false, false, false, true, false, false]);
    }

    #[test]
    fn what_was_written_before_the_first_look_counts_and_an_account_that_is_lost_does_no_harm() {
        let mut progress = InstallProgress::default();
        assert!(progress.goes_on(written(1 << 20)));
        assert!(!progress.goes_on(written(0)));
        assert!(progress.goes_on(written(WRITTEN)));
    }

    #[test]
    fn an_engine_is_heard() {
        let mut progress = InstallProgress::default();
        let looks = [0, 1000, 2100, 2200].map(|heard| progress.goes_on(Moved { written: 0, heard }));
        assert_eq!(looks, [false, false, true, false]);
    }
}
