//! How old the lists of a server are, which of them it refused, and when each is asked for again. Pure: time is an argument.

use std::time::{Duration, Instant};

use mcproxy_ipc::ListFailure;
use mcproxy_mcp::ListKind;

/// Before a list that was refused is asked for again; doubled with every further refusal.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest such pause.
const LAST_RETRY: Duration = Duration::from_secs(300);
/// A client that asks for a refused list shortens the pause to that.
const RETRY_ON_DEMAND: Duration = Duration::from_secs(5);

/// Whether a list is to be asked for again because a client wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// The known list holds.
    Fresh,
    /// It is to be asked for again, and what is known of it answers the client.
    Old,
    /// The server said itself that what is known of it holds no longer.
    Expired,
}

#[derive(Debug, Default)]
struct ListState {
    /// The server declares that it has such a list.
    declared: bool,
    /// The server announces that it has changed.
    announced: bool,
    /// When it was asked for last, whatever came of it.
    asked: Option<Instant>,
    /// When it was complete last.
    listed: Option<Instant>,
    /// For how long it is true, as the server says (`ttlMs`).
    ttl: Option<Duration>,
    failure: Option<ListRefusal>,
}

#[derive(Debug)]
struct ListRefusal {
    error: String,
    attempts: u32,
    retry_at: Instant,
}

/// All lists of one server.
#[derive(Debug)]
pub(super) struct Freshness {
    lists: [ListState; 4],
    /// For how long a list is true whose changes nothing announces (`listTtl`).
    ttl: Option<Duration>,
}

impl Freshness {
    /// `ttl`: for how long a list is true whose changes nothing announces; `None`: for ever.
    pub(super) fn new(ttl: Option<Duration>) -> Self {
        Self { lists: Default::default(), ttl }
    }

    /// Nothing that the server said of its lists counts any more.
    pub(super) fn forget(&mut self) {
        self.lists = Default::default();
    }

    /// The server declares a list, and whether it announces its changes.
    pub(super) fn declare(&mut self, kind: ListKind, announced: bool) {
        let list = &mut self.lists[kind as usize];
        (list.declared, list.announced) = (true, announced);
    }

    /// Whether the server declares it.
    pub(super) fn is_declared(&self, kind: ListKind) -> bool {
        self.lists[kind as usize].declared
    }

    /// The server does not announce changes after all.
    pub(super) fn forget_announcements(&mut self) {
        self.lists.iter_mut().for_each(|list| list.announced = false);
    }

    /// A list was asked for.
    pub(super) fn asked(&mut self, kind: ListKind, now: Instant) {
        self.lists[kind as usize].asked = Some(now);
    }

    /// A list is complete, and true for so long as the server says. Whether it was refused before.
    pub(super) fn listed(&mut self, kind: ListKind, ttl: Option<Duration>, now: Instant) -> bool {
        let list = &mut self.lists[kind as usize];
        (list.listed, list.ttl) = (Some(now), ttl);
        list.failure.take().is_some()
    }

    /// When a list was complete last.
    pub(super) fn listed_at(&self, kind: ListKind) -> Option<Instant> {
        self.lists[kind as usize].listed
    }

    /// A list was refused, or not given in time. How often that has happened in a row, and after which pause the list is asked
    /// for again; `None`: it need not be, because the server does not declare it.
    pub(super) fn failed(&mut self, kind: ListKind, error: String, now: Instant) -> Option<(u32, Duration)> {
        let list = &mut self.lists[kind as usize];
        if !list.declared {
            return None;
        }
        let attempts = list.failure.as_ref().map_or(0, |failure| failure.attempts).saturating_add(1);
        let pause = FIRST_RETRY.saturating_mul(1 << (attempts - 1).min(16)).min(LAST_RETRY);
        list.failure = Some(ListRefusal { error, attempts, retry_at: now + pause });
        Some((attempts, pause))
    }

    /// A client asks for a list.
    pub(super) fn age(&self, kind: ListKind, now: Instant) -> Age {
        let ListState { declared, announced, asked, listed, ttl, failure } = &self.lists[kind as usize];
        let is_over = |since: &Option<Instant>, time: Duration| since.is_none_or(|since| since + time <= now);
        match (failure, ttl) {
            _ if !declared => Age::Fresh,
            (Some(_), _) if is_over(asked, RETRY_ON_DEMAND) => Age::Old,
            (Some(_), _) => Age::Fresh,
            (None, Some(ttl)) if is_over(listed, *ttl) => Age::Expired,
            (None, Some(_)) => Age::Fresh,
            (None, None) if *announced => Age::Fresh,
            (None, None) if self.ttl.is_some_and(|ttl| is_over(listed, ttl)) => Age::Old,
            (None, None) => Age::Fresh,
        }
    }

    /// The refused lists whose pause is over.
    pub(super) fn due(&self, now: Instant) -> impl Iterator<Item = ListKind> {
        let due = move |list: &ListState| list.failure.as_ref().is_some_and(|failure| failure.retry_at <= now);
        ListKind::ALL.into_iter().filter(move |kind| due(&self.lists[*kind as usize]))
    }

    /// A refused list is being asked for again: its pause is not over a second time.
    pub(super) fn retrying(&mut self, kind: ListKind, now: Instant) {
        if let Some(failure) = &mut self.lists[kind as usize].failure {
            failure.retry_at = now + LAST_RETRY;
        }
    }

    /// When [`Freshness::due`] should be asked next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lists.iter().filter_map(|list| Some(list.failure.as_ref()?.retry_at)).min()
    }

    /// Whether some list was complete once.
    pub(super) fn has_any(&self) -> bool {
        self.lists.iter().any(|list| list.listed.is_some())
    }

    /// Whether a list is refused that was never given: nothing is known of it, not even that it is empty.
    pub(super) fn is_any_unknown(&self) -> bool {
        self.lists.iter().any(|list| list.failure.is_some() && list.listed.is_none())
    }

    /// All lists that are refused.
    pub(super) fn failures(&self, now: Instant) -> Vec<ListFailure> {
        let failure = |kind: ListKind| {
            let ListRefusal { error, attempts, retry_at } = self.lists[kind as usize].failure.as_ref()?;
            let retry_in = retry_at.saturating_duration_since(now);
            Some(ListFailure { method: kind.method().to_owned(), error: error.clone(), attempts: *attempts, retry_in })
        };
        ListKind::ALL.into_iter().filter_map(failure).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const TOOLS: ListKind = ListKind::Tools;

    fn declared(announced: bool, ttl: Option<Duration>) -> Freshness {
        let mut freshness = Freshness::new(ttl);
        freshness.declare(TOOLS, announced);
        freshness
    }

    #[test]
    fn a_list_whose_changes_nothing_announces_is_old_after_its_time() {
        let now = Instant::now();
        let mut silent = declared(false, Some(MINUTE));
        silent.listed(TOOLS, None, now);
        assert_eq!(silent.age(TOOLS, now + MINUTE / 2), Age::Fresh);
        assert_eq!(silent.age(TOOLS, now + MINUTE), Age::Old);
        assert_eq!(silent.age(ListKind::Prompts, now + MINUTE), Age::Fresh, "it declares none");
        for mut other in [declared(true, Some(MINUTE)), declared(false, None)] {
            other.listed(TOOLS, None, now);
            assert_eq!(other.age(TOOLS, now + 100 * MINUTE), Age::Fresh);
        }
        let mut unheard = declared(true, Some(MINUTE));
        unheard.listed(TOOLS, None, now);
        unheard.forget_announcements();
        assert_eq!(unheard.age(TOOLS, now + MINUTE), Age::Old);
    }

    #[test]
    fn what_the_server_says_of_the_time_wins_over_everything_else() {
        let now = Instant::now();
        for mut freshness in [declared(true, Some(MINUTE)), declared(false, Some(MINUTE)), declared(false, None)] {
            freshness.listed(TOOLS, Some(10 * MINUTE), now);
            assert_eq!(freshness.age(TOOLS, now + 9 * MINUTE), Age::Fresh);
            assert_eq!(freshness.age(TOOLS, now + 10 * MINUTE), Age::Expired);
            freshness.listed(TOOLS, Some(Duration::ZERO), now);
            assert_eq!(freshness.age(TOOLS, now), Age::Expired);
        }
    }

    #[test]
    fn a_refused_list_is_asked_for_again_and_sooner_if_a_client_asks() {
        let now = Instant::now();
        let mut freshness = declared(true, None);
        freshness.asked(TOOLS, now);
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let (_, said) = freshness.failed(TOOLS, "no network".into(), now).expect("it is declared");
            assert_eq!(said, Duration::from_secs(pause));
            assert_eq!(freshness.deadline(), Some(now + said));
        }
        assert_eq!(freshness.age(TOOLS, now + RETRY_ON_DEMAND / 2), Age::Fresh);
        assert_eq!(freshness.age(TOOLS, now + RETRY_ON_DEMAND), Age::Old);
        assert_eq!(freshness.due(now + LAST_RETRY).collect::<Vec<_>>(), [TOOLS]);
        let [failure] = &freshness.failures(now)[..] else { panic!("one list is refused") };
        assert_eq!((&*failure.method, &*failure.error, failure.attempts), ("tools/list", "no network", 11));
        assert!(freshness.listed(TOOLS, None, now) && freshness.deadline().is_none());
        assert_eq!(freshness.failures(now), []);
        assert_eq!(freshness.failed(ListKind::Prompts, "?".into(), now), None, "no client misses it");
    }

    proptest! {
        #[test]
        fn a_refused_list_is_never_forgotten_and_never_asked_for_in_haste(seconds in prop::collection::vec(0u64..400, 1..40)) {
            let start = Instant::now();
            let (mut now, mut freshness) = (start, declared(false, None));
            let mut last: Option<Instant> = None;
            freshness.failed(TOOLS, "no".into(), now);
            for second in seconds {
                now += Duration::from_secs(second);
                if freshness.due(now).next().is_some() {
                    prop_assert!(last.is_none_or(|last| now - last >= FIRST_RETRY));
                    last = Some(now);
                    freshness.retrying(TOOLS, now);
                    freshness.failed(TOOLS, "no".into(), now);
                }
                prop_assert!(freshness.deadline().is_some_and(|at| at <= now + LAST_RETRY));
            }
        }
    }
}
