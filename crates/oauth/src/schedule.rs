//! When a token is renewed. Pure: times and chance are arguments.

use std::time::Duration;

/// A token is renewed at least so long before its end, if it lasts long enough.
const LONGEST_LEAD: Duration = Duration::from_secs(300);
/// The part of a token's life at whose end it is renewed.
const LEAD: f64 = 0.2;
/// Pauses while the authorization server cannot be reached: the first, doubled up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFreshness {
    /// Good for a while.
    Fresh,
    /// Good, and to be renewed.
    Due,
    /// Of no use.
    Expired,
}

impl TokenFreshness {
    /// Of a token that was obtained `age` ago, is due after `due` and lasts for `lifetime`; one without lasts until it is refused.
    pub fn of(age: Duration, due: Duration, lifetime: Option<Duration>) -> Self {
        match lifetime {
            Some(lifetime) if age >= lifetime => Self::Expired,
            Some(_) if age >= due => Self::Due,
            Some(_) | None => Self::Fresh,
        }
    }
}

/// How long after it was obtained a token is to be renewed. `chance`, from 0 to 1, spreads those of several servers.
pub fn due_after(lifetime: Duration, chance: f64) -> Duration {
    let lead = lifetime.mul_f64(LEAD).min(LONGEST_LEAD);
    lifetime.saturating_sub(lead.mul_f64(0.75 + 0.5 * chance.clamp(0.0, 1.0)))
}

/// How long to wait after so many attempts in vain.
pub fn retry_after(attempts: u32, chance: f64) -> Duration {
    let pause = PAUSES.0.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(PAUSES.1);
    pause.mul_f64(0.75 + 0.5 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let seconds = Duration::from_secs;
        assert_eq!(due_after(seconds(5), 0.5), seconds(4));
        assert_eq!(due_after(seconds(3600), 0.5), seconds(3300));
        assert_eq!(TokenFreshness::of(seconds(3), seconds(4), Some(seconds(5))), TokenFreshness::Fresh);
        assert_eq!(TokenFreshness::of(seconds(4), seconds(4), Some(seconds(5))), TokenFreshness::Due);
        assert_eq!(TokenFreshness::of(seconds(5), seconds(4), Some(seconds(5))), TokenFreshness::Expired);
        assert_eq!(TokenFreshness::of(seconds(5_000_000), seconds(4), None), TokenFreshness::Fresh);
        assert_eq!((retry_after(1, 0.5), retry_after(30, 0.5)), (seconds(1), seconds(60)));
    }

    proptest! {
        #[test]
        fn it_is_due_within_its_life(lifetime in 0u64..10_000_000, chance in 0.0f64..=1.0) {
            let lifetime = Duration::from_secs(lifetime);
            let due = due_after(lifetime, chance);
            prop_assert!(due <= lifetime && lifetime - due <= LONGEST_LEAD.mul_f64(1.25));
            prop_assert!(due >= lifetime.mul_f64(0.7));
        }
    }
}
