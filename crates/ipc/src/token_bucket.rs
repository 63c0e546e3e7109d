//! A rate with bursts. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Fills with `rate` units a second up to `burst`; what is spent is taken out of it.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    rate: f64,
    burst: f64,
    left: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full one.
    pub fn full(rate: f64, burst: f64, now: Instant) -> Self {
        Self { rate, burst, left: burst, at: now }
    }

    /// The tokens that may be spent now; below zero where more than there were have been spent.
    pub fn left(&mut self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left, self.at) = ((self.left + since * self.rate).min(self.burst), now);
        self.left
    }

    /// How long it takes until so much is there; nothing, if it is.
    pub fn wait(&mut self, cost: f64, now: Instant) -> Duration {
        let missing = cost - self.left(now);
        if missing > 0.0 {
            Duration::try_from_secs_f64(missing / self.rate).unwrap_or(Duration::MAX)
        } else {
            Duration::ZERO
        }
    }

    /// Takes out so much, whether it is there or not: the debt has to be filled up first.
    pub fn spend(&mut self, cost: f64) {
        self.left -= cost;
    }

    /// Takes out so much if it is there.
    pub fn try_spend(&mut self, cost: f64, now: Instant) -> bool {
        let admitted = cost <= self.left(now);
        if admitted {
            self.spend(cost);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_debt_is_filled_up_first() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(10.0, 5.0, start);
        bucket.spend(15.0);
        assert!(!bucket.try_spend(0.1, start + Duration::from_millis(1000)));
        assert!(bucket.try_spend(0.9, start + Duration::from_millis(1100)));
    }

    #[test]
    fn after_the_wait_there_is_enough_and_before_it_there_is_not() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(2.0, 1.0, start);
        assert_eq!(bucket.wait(1.0, start), Duration::ZERO);
        assert!(bucket.try_spend(1.0, start));
        let wait = bucket.wait(1.0, start);
        assert_eq!(wait, Duration::from_millis(500));
        assert!(!bucket.try_spend(1.0, start + wait - Duration::from_millis(1)) && bucket.try_spend(1.0, start + wait));
        assert_eq!(TokenBucket::full(0.0, 0.0, start).wait(1.0, start), Duration::MAX);
    }

    proptest! {
        #[test]
        fn no_more_is_spent_than_the_rate_and_one_burst(
            steps in prop::collection::vec((0_u64..1000, 0.0_f64..60.0), 0..100)
        ) {
            let start = Instant::now();
            let (mut bucket, mut now, mut spent) = (TokenBucket::full(10.0, 50.0, start), start, 0.0);
            for (pause, cost) in steps {
                now += Duration::from_millis(pause);
                if bucket.try_spend(cost, now) {
                    spent += cost;
                }
                prop_assert!(spent <= 50.0 + 10.0 * (now - start).as_secs_f64() + 1e-3);
            }
        }
    }
}
