//! How long to wait before something that failed is started again.

use std::time::Duration;

/// Where the jitter comes from: a small generator with a given seed, so that a decision can be repeated exactly.
#[derive(Debug, Clone)]
pub(crate) struct Jitter(u64);

impl Jitter {
    /// Always the same sequence for the same seed.
    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed that differs from process to process and from server to server.
    pub(crate) fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one(std::process::id()))
    }

    /// Evenly spread over −1 … 1 (splitmix64).
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// The decision when something ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackoffPolicy {
    /// The first delay; doubled for each further failure in a row.
    pub(crate) initial: Duration,
    /// The longest delay, before the jitter.
    pub(crate) max: Duration,
    /// After this long in health the delay starts anew.
    pub(crate) healthy_after: Duration,
    /// Failures in a row after which there is no further start; `None` for never.
    pub(crate) budget: Option<u32>,
}

/// The jitter is at most this part of the delay, in either direction.
pub(crate) const JITTER: f64 = 0.1;

/// Counts failures in a row and turns them into delays.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    failures: u32,
    /// So many of them cost a delay.
    delays: u32,
    jitter: Jitter,
}

impl Backoff {
    /// Without failures so far.
    pub(crate) fn new(jitter: Jitter) -> Self {
        Self { failures: 0, delays: 0, jitter }
    }

    /// Forgets the failures.
    pub(crate) fn reset(&mut self) {
        (self.failures, self.delays) = (0, 0);
    }

    /// Whether one more failure would cost no delay: the first of something that was well (`docs/decisions/0120`).
    /// `healthy_for`: how long it had been; `None`: it never was.
    pub(crate) fn spares(&self, policy: &BackoffPolicy, healthy_for: Option<Duration>) -> bool {
        let first = self.failures == 0 || healthy_for.is_some_and(|time| time >= policy.healthy_after);
        healthy_for.is_some() && first && policy.budget != Some(0)
    }

    /// The delay after one more failure, zero where [`Self::spares`] says so; `None` when the budget is spent.
    pub(crate) fn after_failure(&mut self, policy: &BackoffPolicy, healthy_for: Option<Duration>) -> Option<Duration> {
        let is_spared = self.spares(policy, healthy_for);
        if healthy_for.is_some_and(|time| time >= policy.healthy_after) {
            self.reset();
        }
        if policy.budget.is_some_and(|budget| self.failures >= budget) {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        if is_spared {
            return Some(Duration::ZERO);
        }
        let doubled = policy.initial.saturating_mul(1u32.checked_shl(self.delays).unwrap_or(u32::MAX));
        self.delays = self.delays.saturating_add(1);
        Some(self.spread(doubled.min(policy.max)))
    }

    /// As [`Self::after_failure`], for what a quick retry will not heal: the longest delay at once.
    pub(crate) fn after_lasting_failure(&mut self, policy: &BackoffPolicy) -> Option<Duration> {
        self.after_failure(policy, None)?;
        Some(self.spread(policy.max))
    }

    fn spread(&mut self, delay: Duration) -> Duration {
        delay.mul_f64(1.0 + JITTER * self.jitter.next())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: BackoffPolicy = BackoffPolicy {
        initial: Duration::from_secs(1),
        max: Duration::from_secs(60),
        healthy_after: Duration::from_secs(600),
        budget: None,
    };

    #[test]
    fn delays_double_to_the_maximum_and_start_anew_after_health() {
        let mut backoff = Backoff::new(Jitter::seeded(7));
        let delays: Vec<f64> =
            (0..8).filter_map(|_| backoff.after_failure(&POLICY, None)).map(|d| d.as_secs_f64()).collect();
        for (delay, expected) in delays.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]) {
            assert!((delay - expected).abs() <= expected * JITTER + 1e-6, "{delays:?}");
        }
        assert_eq!(backoff.after_failure(&POLICY, Some(POLICY.healthy_after)), Some(Duration::ZERO));
        let again = backoff.after_failure(&POLICY, None).expect("no budget");
        assert!(again < Duration::from_secs(2), "{again:?}");
    }

    #[test]
    fn the_first_failure_of_what_was_well_costs_no_delay_and_the_second_does() {
        let mut backoff = Backoff::new(Jitter::seeded(7));
        let minute = Some(Duration::from_secs(60));
        assert_eq!(backoff.after_failure(&POLICY, minute), Some(Duration::ZERO));
        let delays: Vec<f64> =
            (0..3).filter_map(|_| backoff.after_failure(&POLICY, minute)).map(|d| d.as_secs_f64()).collect();
        for (delay, expected) in delays.iter().zip([1.0, 2.0, 4.0]) {
            assert!((delay - expected).abs() <= expected * JITTER + 1e-6, "{delays:?}");
        }
        let mut never_well = Backoff::new(Jitter::seeded(7));
        assert!(never_well.after_failure(&POLICY, None) > Some(Duration::ZERO));
        assert!(never_well.after_failure(&POLICY, minute) > Some(Duration::ZERO), "it is the second in a row");
    }

    #[test]
    fn a_budget_ends_the_restarts() {
        let policy = BackoffPolicy { budget: Some(2), ..POLICY };
        let mut backoff = Backoff::new(Jitter::seeded(7));
        assert!(backoff.after_failure(&policy, Some(Duration::ZERO)).is_some(), "it counts, without a delay");
        assert!(backoff.after_lasting_failure(&policy).is_some());
        assert_eq!(backoff.after_failure(&policy, None), None);
        let none = BackoffPolicy { budget: Some(0), ..POLICY };
        assert_eq!(Backoff::new(Jitter::seeded(7)).after_failure(&none, Some(Duration::ZERO)), None);
    }

    proptest! {
        #[test]
        fn no_number_of_failures_leads_beyond_the_bounds(seed: u64, failures in 1usize..200) {
            let mut backoff = Backoff::new(Jitter::seeded(seed));
            for _ in 0..failures {
                let delay = backoff.after_failure(&POLICY, None).expect("no budget");
                prop_assert!(delay >= POLICY.initial.mul_f64(1.0 - JITTER) && delay <= POLICY.max.mul_f64(1.0 + JITTER));
            }
        }
    }
}
