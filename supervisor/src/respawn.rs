//! When the next gateway follows one that ended (`docs/decisions/0052`).
//!
//! | the one before          | the next follows |
//! |-------------------------|------------------|
//! | served for a second     | at once |
//! | served for less         | after 50 ms, doubled up to 500 ms |
//! | never served            | after 100 ms, doubled up to 5 s |
//!
//! So one that works is back within a second however often it is killed, nothing makes us start more than about three
//! gateways a second, and one that cannot serve is tried at the pace of its start.

use std::time::Duration;

use crate::backoff::{Backoff, BackoffPolicy, Jitter};

/// A gateway that served as long as this was well: what ended it is over, or comes again so seldom that no delay is needed.
const WELL_AFTER: Duration = Duration::from_secs(1);

/// The reason for its end may come again at once, so there is some delay; but clients wait for it in the port's queue.
const SERVED_BRIEFLY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(50),
    max: Duration::from_millis(500),
    healthy_after: WELL_AFTER,
    budget: None,
};

/// It cannot serve here at present, and trying costs all others' time.
const NEVER_SERVED: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(5),
    healthy_after: WELL_AFTER,
    budget: None,
};

/// Counts ends that came too soon, in a row.
#[derive(Debug)]
pub(crate) struct Respawn(Backoff);

impl Respawn {
    /// Nothing has ended so far.
    pub(crate) fn new(jitter: Jitter) -> Self {
        Self(Backoff::new(jitter))
    }

    /// The delay before the next start. `served`: for how long the one that ended had; `None`: it never said that it does.
    pub(crate) fn after(&mut self, served: Option<Duration>) -> Duration {
        let policy = match served {
            Some(served) if served >= WELL_AFTER => {
                self.0.reset();
                return Duration::ZERO;
            }
            Some(_) => SERVED_BRIEFLY,
            None => NEVER_SERVED,
        };
        self.0.after_failure(&policy, None).unwrap_or(policy.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backoff::JITTER;

    /// The longest delay that a policy comes to.
    fn longest(policy: &BackoffPolicy) -> Duration {
        policy.max.mul_f64(1.0 + JITTER)
    }

    #[test]
    fn a_gateway_that_cannot_serve_is_tried_less_and_less() {
        let mut respawn = Respawn::new(Jitter::seeded(7));
        let delays: Vec<f64> = (0..9).map(|_| respawn.after(None).as_secs_f64()).collect();
        for (delay, expected) in delays.iter().zip([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]) {
            assert!((delay - expected).abs() <= expected * JITTER + 1e-6, "{delays:?}");
        }
    }

    proptest! {
        /// Killed at whatever moment, and whatever came before.
        #[test]
        fn a_gateway_that_served_is_followed_within_a_second(
            seed: u64, lives in prop::collection::vec(prop::option::of(0u64..30_000), 1..60)
        ) {
            let mut respawn = Respawn::new(Jitter::seeded(seed));
            for served in lives {
                let delay = respawn.after(served.map(Duration::from_millis));
                match served {
                    Some(served) if served >= 1000 => prop_assert_eq!(delay, Duration::ZERO),
                    Some(_) => prop_assert!(delay <= longest(&SERVED_BRIEFLY)),
                    None => prop_assert!(delay <= longest(&NEVER_SERVED)),
                }
            }
        }

        /// A request that kills each gateway at once, sent again by its client for ever, costs a bounded number of starts.
        #[test]
        fn no_sequence_of_ends_costs_more_than_three_starts_a_second(
            seed: u64, lives in prop::collection::vec(prop::option::of(0u64..2_000), 60..200)
        ) {
            let mut respawn = Respawn::new(Jitter::seeded(seed));
            let mut clock = Duration::ZERO;
            let starts = lives.len();
            for served in lives {
                clock += served.map(Duration::from_millis).unwrap_or_default();
                clock += respawn.after(served.map(Duration::from_millis));
            }
            prop_assert!(starts as f64 <= 5.0 + 3.1 * clock.as_secs_f64(), "{starts} starts in {clock:?}");
        }
    }
}
