//! How often the announcements of a server cause an update: at once if they are rare, and less often the more it sends. Pure.

use std::time::{Duration, Instant};

/// Shortest gap between two updates.
const SHORTEST: Duration = Duration::from_millis(25);
/// Longest gap, however often the server announces.
const LONGEST: Duration = Duration::from_secs(1);
/// Updates cheaper than this need no rest.
const CHEAP: Duration = Duration::from_millis(20);
/// The rest after an update, as a multiple of its cost beyond [`CHEAP`]: so no server takes more than about a tenth of a processor
/// with its updates.
const REST: u32 = 9;
/// Longest rest, however expensive the update.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// The pace of one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throttle {
    gap: Duration,
    due: Option<Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { gap: SHORTEST, due: None }
    }
}

impl Throttle {
    /// When the next update may run: now, or when the gap after the last one is over.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        self.due.map_or(now, |due| due.max(now))
    }

    /// Records an update and its cost. `held`: it was announced too early and had to wait.
    pub(crate) fn was(&mut self, now: Instant, cost: Duration, held: bool) {
        self.gap = if held { 2 * self.gap } else { self.gap / 2 }.clamp(SHORTEST, LONGEST);
        self.due = Some(now + self.gap.max((REST * cost.saturating_sub(CHEAP)).min(LONGEST_REST)));
    }

    /// Whether no update has run yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.due.is_none()
    }

    /// Whether the last update is so long ago that the gaps have no effect any more.
    pub(crate) fn is_at_rest(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due + LONGEST < now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_now_and_then_has_no_delay_and_a_flood_has_ever_more() {
        let (mut pace, mut now) = (Throttle::default(), Instant::now());
        for _ in 0..5 {
            assert_eq!(pace.due(now), now);
            pace.was(now, Duration::ZERO, false);
            now += Duration::from_millis(300);
        }
        let mut gaps = Vec::new();
        for _ in 0..6 {
            pace.was(now, Duration::ZERO, true);
            gaps.push((pace.due(now) - now).as_millis());
            now = pace.due(now);
        }
        assert_eq!(gaps, [50, 100, 200, 400, 800, 1000]);
        now += Duration::from_secs(5);
        assert!(pace.due(now) == now && pace.is_at_rest(now));
    }

    #[test]
    fn what_costs_much_leaves_the_more_time_to_others() {
        let (mut pace, now) = (Throttle::default(), Instant::now());
        pace.was(now, Duration::from_millis(200), false);
        assert_eq!(pace.due(now), now + Duration::from_millis(1620));
        pace.was(now, CHEAP, false);
        assert_eq!(pace.due(now), now + SHORTEST);
        pace.was(now, Duration::from_secs(60), false);
        assert_eq!(pace.due(now), now + LONGEST_REST);
    }
}
