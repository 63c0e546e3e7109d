//! Requests that are refused for their head: counted by reason, and logged at a bounded rate, so that neither a misconfigured
//! client nor an attack goes unseen, and neither fills the log.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// For each reason one record is logged in this time; it says how many were not.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// `Host`, or the target, names no host of ours.
    Host,
    /// `Origin` names a page that may not call.
    Origin,
    /// No credentials, or wrong ones.
    Credentials,
    /// A header that may occur once occurs twice.
    DoubledHeader,
    /// Its token was used more often than its rate says.
    Rate,
    /// It is for the web page's own interface, and not of that page.
    Page,
}

impl RefusalReason {
    const ALL: [Self; 6] = [Self::Host, Self::Origin, Self::Credentials, Self::DoubledHeader, Self::Rate, Self::Page];

    /// The word for it in the log and in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Credentials => "credentials",
            Self::DoubledHeader => "doubled_header",
            Self::Rate => "rate",
            Self::Page => "page",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

/// One reason: its counter, and what was logged of it.
#[derive(Debug)]
struct Refused {
    requests: Counter,
    logged: Cell<Option<Instant>>,
    unlogged: Cell<u64>,
}

/// All refusals since the start of this gateway.
#[derive(Debug)]
pub(crate) struct Refusals {
    family: Family<RefusalLabels, Counter>,
    by_reason: [Refused; RefusalReason::ALL.len()],
}

impl Default for Refusals {
    fn default() -> Self {
        let family = Family::<RefusalLabels, Counter>::default();
        let by_reason = RefusalReason::ALL.map(|reason| Refused {
            requests: family.get_or_create(&RefusalLabels { reason: reason.as_str() }).clone(),
            logged: Cell::default(),
            unlogged: Cell::default(),
        });
        Self { family, by_reason }
    }
}

impl Refusals {
    /// Counts a refusal. `Some`: it is to be logged, and so many of the same reason were not since the last that was.
    pub(crate) fn count(&self, reason: RefusalReason, now: Instant) -> Option<u64> {
        let refused = self.by_reason.get(reason as usize)?;
        refused.requests.inc();
        if refused.logged.get().is_some_and(|last| now < last + LOG_INTERVAL) {
            refused.unlogged.set(refused.unlogged.get() + 1);
            return None;
        }
        refused.logged.set(Some(now));
        Some(refused.unlogged.take())
    }

    /// Puts the counters on a page.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Requests that were refused for their head, by reason";
        registry.register("requests_refused", help, self.family.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_logged_once_in_a_while_with_the_number_of_those_that_were_not() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(refusals.count(RefusalReason::Host, start), Some(0));
        assert_eq!(refusals.count(RefusalReason::Host, after(10)), None);
        assert_eq!(refusals.count(RefusalReason::Host, after(999)), None);
        assert_eq!(refusals.count(RefusalReason::Credentials, after(999)), Some(0), "reasons are apart");
        assert_eq!(refusals.count(RefusalReason::Host, after(1000)), Some(2));
        assert_eq!(refusals.by_reason.map(|refused| refused.requests.get()), [4, 0, 1, 0, 0, 0]);
    }
}
