//! The state of the server's lists, and the work that is left for each. Pure: time is an argument.

use std::time::{Duration, Instant};

use mcproxy_mcp::ListKind;

use super::{catalogue::Catalogue, freshness::Freshness};

/// Servers announce several changes in a row; one new list answers them all.
pub(super) const DEBOUNCE: Duration = Duration::from_millis(200);
/// Announcements of a list that is as it was are passed on no more often than that.
const REPEATED: Duration = Duration::from_secs(1);
/// How many bytes of lists that change again and again are read of a server in a second: a long list is asked for again only after
/// the time that it takes at this rate. One that has not changed for so long is asked for at once.
const REREAD_BYTES: u64 = 1024 * 1024;
/// However long the list is.
const LONGEST_REREAD: Duration = Duration::from_secs(10);
/// New lists that a server may announce while it starts.
const ROUNDS_BEFORE_READY: u32 = 2;

/// The work that is left for one list.
#[derive(Debug, Default)]
struct ListWork {
    /// The server said that it has changed.
    stale: bool,
    /// It is asked for because the server said so.
    announcing: bool,
    /// It is too old for a client, or was refused: it is asked for when no other is.
    wanted: bool,
    /// The gateway waits for it.
    awaited: bool,
    /// When clients were last told that it has changed although it has not.
    repeated: Option<Instant>,
}

/// Who is told when nothing more comes of the question for a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    /// Clients are told that it has changed.
    pub(super) announce: bool,
    /// The gateway is told that it was looked at.
    pub(super) awaited: bool,
}

/// All lists.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) catalogue: Catalogue,
    pub(super) freshness: Freshness,
    /// Of the catalogue that the gateway was told last.
    pub(super) revision: u64,
    /// The server declares no list at all, and is asked for all of them all the same.
    pub(super) declares_nothing: bool,
    work: [ListWork; 4],
    /// When to ask for the lists that the server said have changed.
    refresh_at: Option<Instant>,
    /// How many more times lists may change while they are read before the server counts as ready all the same.
    rounds_before_ready: u32,
}

impl Lists {
    /// Nothing is known yet. `list_ttl`: how long a list is true whose changes nothing announces.
    pub(super) fn new(list_ttl: Option<Duration>) -> Self {
        Self {
            catalogue: Catalogue::default(),
            freshness: Freshness::new(list_ttl),
            revision: 0,
            declares_nothing: false,
            work: Default::default(),
            refresh_at: None,
            rounds_before_ready: ROUNDS_BEFORE_READY,
        }
    }

    /// Nothing that the last process said counts for the next one.
    pub(super) fn forget_process(&mut self) {
        self.catalogue = Catalogue::default();
        self.freshness.forget();
        (self.work, self.refresh_at) = (Default::default(), None);
        self.rounds_before_ready = ROUNDS_BEFORE_READY;
    }

    /// The server says that these have changed.
    pub(super) fn changed(&mut self, kinds: &[ListKind], now: Instant) {
        for kind in kinds {
            self.work[*kind as usize].stale = true;
        }
        // Not moved by further changes, or a talkative server would never be asked.
        self.refresh_at.get_or_insert(now + DEBOUNCE);
    }

    /// Whether the lists that changed are to be asked for before the server counts as ready.
    pub(super) fn takes_another_round(&mut self) -> bool {
        let takes = self.rounds_before_ready > 0 && self.work.iter().any(|work| work.stale);
        self.rounds_before_ready -= u32::from(takes);
        takes
    }

    /// Whether [`Lists::take_changed`] is due.
    pub(super) fn is_refresh_due(&self, now: Instant) -> bool {
        self.refresh_at.is_some_and(|at| now >= at)
    }

    /// The lists that are to be asked for because the server said that they have changed. One that is on its way is asked for after
    /// that, and a long one after a pause; `serves`: the server is ready, so that no start waits for its lists.
    pub(super) fn take_changed(
        &mut self,
        is_listing: impl Fn(ListKind) -> bool,
        serves: bool,
        now: Instant,
    ) -> Vec<ListKind> {
        self.refresh_at = None;
        let mut due = Vec::new();
        for kind in ListKind::ALL {
            let next = match (is_listing(kind), self.rests_until(kind)) {
                (true, _) => Some(now + DEBOUNCE),
                (false, until) => until.filter(|until| serves && now < *until),
            };
            let work = &mut self.work[kind as usize];
            match (work.stale, next) {
                (false, _) => {}
                (true, Some(next)) => self.refresh_at = Some(self.refresh_at.map_or(next, |at| at.min(next))),
                (true, None) => {
                    (work.stale, work.announcing, work.wanted) = (false, true, false);
                    due.push(kind);
                }
            }
        }
        due
    }

    /// Until when a list is not asked for again, because reading it costs so much.
    fn rests_until(&self, kind: ListKind) -> Option<Instant> {
        let millis = (self.catalogue.bytes_of(kind) as u64).saturating_mul(1000) / REREAD_BYTES;
        Some(self.freshness.listed_at(kind)? + Duration::from_millis(millis).min(LONGEST_REREAD))
    }

    /// Notes the lists that were refused and may be asked for again.
    pub(super) fn note_retries(&mut self, now: Instant) {
        for kind in self.freshness.due(now).collect::<Vec<_>>() {
            self.freshness.retrying(kind, now);
            self.work[kind as usize].wanted = true;
        }
    }

    /// One list that is wanted, which is asked for now.
    pub(super) fn take_wanted(&mut self) -> Option<ListKind> {
        let kind = ListKind::ALL.into_iter().find(|kind| self.work[*kind as usize].wanted)?;
        self.work[kind as usize].wanted = false;
        Some(kind)
    }

    /// A list is too old for a client. It is asked for unless it is on its way; `awaited`: the gateway waits for it.
    pub(super) fn want(&mut self, kind: ListKind, is_listing: bool, awaited: bool) {
        let work = &mut self.work[kind as usize];
        work.wanted = !is_listing || (work.wanted && !awaited);
        work.awaited |= awaited;
    }

    /// Nothing more comes of the question for a list. `serves`: the server is ready, so that clients know the list.
    pub(super) fn settled(&mut self, kind: ListKind, changed: bool, serves: bool, now: Instant) -> Settled {
        let work = &mut self.work[kind as usize];
        let (announcing, awaited) = (std::mem::take(&mut work.announcing), std::mem::take(&mut work.awaited));
        // The announcement is the server's word, even where we see no difference.
        let is_due = changed || work.repeated.is_none_or(|before| before + REPEATED <= now);
        let announce = announcing && is_due && serves;
        if announce && !changed {
            work.repeated = Some(now);
        }
        Settled { announce, awaited }
    }

    /// When [`Lists::is_refresh_due`], or [`Lists::note_retries`], has something to do.
    pub(super) fn deadlines(&self) -> [Option<Instant>; 2] {
        [self.refresh_at, self.freshness.deadline()]
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::ServerLimits;

    use super::*;
    use crate::session::{
        catalogue::{AfterPage, Gathering},
        tests::spec,
    };

    #[test]
    fn a_list_that_is_on_its_way_is_asked_for_again_after_that() {
        let (mut lists, now) = (Lists::new(None), Instant::now());
        lists.changed(&[ListKind::Tools, ListKind::Prompts], now);
        assert!(!lists.is_refresh_due(now) && lists.is_refresh_due(now + DEBOUNCE));
        let due = lists.take_changed(|kind| kind == ListKind::Tools, true, now + DEBOUNCE);
        assert_eq!(due, [ListKind::Prompts]);
        assert!(!lists.is_refresh_due(now + DEBOUNCE) && lists.is_refresh_due(now + 2 * DEBOUNCE));
        assert_eq!(lists.take_changed(|_| false, true, now + 2 * DEBOUNCE), [ListKind::Tools]);
    }

    #[test]
    fn a_long_list_that_changes_again_and_again_is_read_at_a_bounded_rate() {
        let (mut lists, now) = (Lists::new(None), Instant::now());
        let limits = ServerLimits { catalogue_bytes: 8 << 20, ..spec().limits };
        let mut gathering = Gathering::new(ListKind::Tools, &lists.catalogue, &limits);
        let page = format!(r#"{{"tools":[{{"name":"a","description":"{}"}}]}}"#, "d".repeat(3 * REREAD_BYTES as usize));
        assert_eq!(gathering.page(&serde_json::value::RawValue::from_string(page).expect("JSON")), AfterPage::Complete);
        lists.catalogue.replace(gathering);
        for kind in [ListKind::Tools, ListKind::Prompts] {
            lists.freshness.listed(kind, None, now);
        }
        lists.changed(&[ListKind::Tools, ListKind::Prompts], now);
        assert_eq!(lists.take_changed(|_| false, true, now + DEBOUNCE), [ListKind::Prompts], "a short one at once");
        let [Some(later), _] = lists.deadlines() else { panic!("it is asked for later") };
        assert!(later >= now + Duration::from_secs(3) && later < now + Duration::from_secs(4));
        assert!(lists.take_changed(|_| false, true, later - DEBOUNCE).is_empty());
        assert_eq!(lists.take_changed(|_| false, true, later), [ListKind::Tools]);
        lists.changed(&[ListKind::Tools], now);
        assert_eq!(lists.take_changed(|_| false, false, now), [ListKind::Tools], "a start does not wait");
    }

    #[test]
    fn what_the_server_announces_in_vain_is_passed_on_once_a_second_and_what_changed_always() {
        let (mut lists, now) = (Lists::new(None), Instant::now());
        let mut announce = |changed: bool, at: Instant| {
            lists.changed(&[ListKind::Tools], at);
            lists.take_changed(|_| false, true, at);
            lists.settled(ListKind::Tools, changed, true, at).announce
        };
        assert!(announce(false, now) && !announce(false, now + REPEATED / 2));
        assert!(announce(true, now + REPEATED / 2) && announce(false, now + REPEATED));
    }

    #[test]
    fn two_rounds_of_changes_are_waited_for_at_the_start() {
        let (mut lists, now) = (Lists::new(None), Instant::now());
        assert!(!lists.takes_another_round());
        for _ in 0..ROUNDS_BEFORE_READY {
            lists.changed(&[ListKind::Tools], now);
            assert!(lists.takes_another_round());
        }
        assert!(!lists.takes_another_round());
    }
}
