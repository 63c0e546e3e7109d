//! How much one server may say to all who listen. Pure.

use std::time::Instant;

use mcproxy_ipc::TokenBucket;

/// Deliveries a second: each message counts once for each client that it goes to, so that a server with one listener may say a
/// thousand times as much as one with a thousand.
const RATE: f64 = 50_000.0;
/// Deliveries that may come at once after a quiet time; what costs more alone is never delivered.
const BURST: f64 = 100_000.0;
/// Bytes of one message that count as one delivery more.
const UNIT: usize = 4096;

/// The cost of a message that goes to so many.
pub(super) fn cost(bytes: usize, listeners: usize) -> f64 {
    (listeners.max(1) as f64) * (1 + bytes / UNIT) as f64
}

/// The allowance of one server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate(TokenBucket);

impl Rate {
    /// Nothing was said yet.
    pub(super) fn new(now: Instant) -> Self {
        Self(TokenBucket::full(RATE, BURST, now))
    }

    /// Whether something of that cost may be said now, and from now on was.
    pub(super) fn admits(&mut self, cost: f64, now: Instant) -> bool {
        self.0.try_spend(cost, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_listener_hears_everything_and_a_thousand_hear_a_thousandth() {
        let start = Instant::now();
        let heard = |listeners: usize| {
            let mut rate = Rate::new(start);
            // 1,000 lines a second for 10 s.
            (0..10_000).filter(|n| rate.admits(cost(100, listeners), start + Duration::from_millis(*n))).count()
        };
        assert_eq!(heard(1), 10_000);
        let many = heard(1000);
        assert!((590..=610).contains(&many), "a burst of 100 and 50 a second: {many}");
    }

    #[test]
    fn what_is_too_large_for_so_many_reaches_one() {
        let mut rate = Rate::new(Instant::now());
        assert!(!rate.admits(cost(8 << 20, 1000), Instant::now()));
        assert!(rate.admits(cost(8 << 20, 1), Instant::now()));
    }

    proptest! {
        #[test]
        fn whatever_is_said_no_more_is_delivered_than_the_rate_and_one_burst(
            steps in prop::collection::vec((0_u64..100, 0_usize..100_000, 0_usize..2000), 0..200)
        ) {
            let start = Instant::now();
            let (mut rate, mut now, mut delivered) = (Rate::new(start), start, 0.0);
            for (pause, bytes, listeners) in steps {
                now += Duration::from_millis(pause);
                let cost = cost(bytes, listeners);
                if rate.admits(cost, now) {
                    delivered += cost;
                }
                prop_assert!(delivered <= BURST + RATE * (now - start).as_secs_f64() + 1e-3);
            }
        }
    }
}
