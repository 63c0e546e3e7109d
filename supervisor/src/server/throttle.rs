//! Bounds the rate at which others are told of what comes in quick succession.

use std::time::{Duration, Instant};

/// The least time between two times that they are told of such news.
const APART: Duration = Duration::from_secs(1);

/// When they were told last, and whether there is something that they have not been told.
#[derive(Debug, Default)]
pub(super) struct PublishThrottle {
    told: Option<Instant>,
    waits: bool,
}

impl PublishThrottle {
    /// There is news that can wait. True: it need not.
    pub(super) fn may_tell(&mut self, now: Instant) -> bool {
        self.waits = self.told.is_some_and(|told| now.saturating_duration_since(told) < APART);
        !self.waits
    }

    /// They are told everything.
    pub(super) fn told(&mut self, now: Instant) {
        *self = Self { told: Some(now), waits: false };
    }

    /// When they are to be told what waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.told.filter(|_| self.waits).map(|told| told + APART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_in_quick_succession_is_told_once_a_second_and_the_last_of_it_always() {
        let begun = Instant::now();
        let (mut throttle, mut told) = (PublishThrottle::default(), 0);
        for ms in 0..3500 {
            let now = begun + Duration::from_millis(ms);
            if ms < 3200 && throttle.may_tell(now) || throttle.due().is_some_and(|due| due <= now) {
                throttle.told(now);
                told += 1;
            }
        }
        assert_eq!((told, throttle.due()), (4, Some(begun + Duration::from_secs(4))));
        throttle.told(begun + Duration::from_secs(4));
        assert_eq!(throttle.due(), None);
    }
}
