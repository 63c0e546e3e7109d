//! How long a server keeps its place among those that start. A place is for the beginning, which is heavy on the processors: a
//! server that is silent, or waits for a network, needs none. Pure: the time and what the server's processes have used go in.

use std::time::{Duration, Instant};

use mcproxy_ipc::Activity;

/// Time between two checks of what the server's processes do.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// No server is judged before: its worker has to start it first.
const LEAST: Duration = Duration::from_secs(1);
/// A start that has used so much of the processors is given its place no longer. It is processor time, not time: where many
/// share the processors, each takes longer, and more starts at once would make it worse for all.
const HEAVIEST: Duration = Duration::from_secs(8);
/// No server keeps a place longer, whatever it does.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);
/// A tree that used less of one processor than this since the last look is quiet.
const QUIET: f64 = 0.1;
/// So many quiet looks one after the other mean that the heavy part is over.
const QUIET_LOOKS: u32 = 2;

/// A place that a server holds.
#[derive(Debug, Clone)]
pub(crate) struct StartPlace {
    since: Instant,
    seen: (Instant, Duration),
    quiet: u32,
}

impl StartPlace {
    /// Taken now.
    pub(crate) fn taken(now: Instant) -> Self {
        Self { since: now, seen: (now, Duration::ZERO), quiet: 0 }
    }

    /// When to look next.
    pub(crate) fn due(&self) -> Instant {
        self.seen.0 + CHECK_INTERVAL
    }

    /// Whether the place should be given back.
    pub(crate) fn is_over(&mut self, activity: Activity, now: Instant) -> bool {
        let (before, used) = std::mem::replace(&mut self.seen, (now, activity.cpu));
        let share =
            activity.cpu.saturating_sub(used).as_secs_f64() / now.duration_since(before).as_secs_f64().max(0.001);
        // On a busy machine who wants a processor does not always get one.
        self.quiet = if activity.runnable || share >= QUIET { 0 } else { self.quiet + 1 };
        let held = now.duration_since(self.since);
        held >= LONGEST || activity.cpu >= HEAVIEST || (held >= LEAST && self.quiet >= QUIET_LOOKS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How long a place is held by a server that uses this share of a processor in each interval.
    fn held(shares: &[(f64, bool)]) -> Option<Duration> {
        let begun = Instant::now();
        let (mut place, mut now, mut cpu) = (StartPlace::taken(begun), begun, Duration::ZERO);
        for (share, runnable) in shares {
            now += CHECK_INTERVAL;
            cpu += CHECK_INTERVAL.mul_f64(*share);
            if place.is_over(Activity { cpu, runnable: *runnable }, now) {
                return Some(now - begun);
            }
        }
        None
    }

    #[test]
    fn a_silent_server_gives_its_place_back_after_a_second_and_a_busy_one_when_it_is_quiet() {
        assert_eq!(held(&[(0.0, false); 9]), Some(2 * CHECK_INTERVAL));
        let mut shares = vec![(0.9, true); 5];
        shares.extend([(0.0, false); 9]);
        assert_eq!(held(&shares), Some(7 * CHECK_INTERVAL));
    }

    #[test]
    fn one_that_waits_for_a_processor_is_not_quiet() {
        assert_eq!(held(&[(0.01, true); 9]), None);
    }

    #[test]
    fn one_that_is_busy_for_ever_keeps_it_for_some_seconds_of_processor_time() {
        assert_eq!(held(&[(2.0, true); 99]), Some(8 * CHECK_INTERVAL));
        assert_eq!(held(&[(1.0, true); 99]), Some(16 * CHECK_INTERVAL));
        assert_eq!(held(&[(0.1, true); 99]), Some(LONGEST), "one that gets little of them");
    }

    proptest! {
        #[test]
        fn no_server_keeps_a_place_beyond_its_bound(shares in prop::collection::vec((0.0f64..4.0, any::<bool>()), 64)) {
            prop_assert!(held(&shares).is_some_and(|held| held <= LONGEST));
        }
    }
}
