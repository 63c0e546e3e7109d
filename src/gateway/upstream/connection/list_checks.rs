//! Whether lists are as new as they have to be: what the worker was asked, and has not answered yet.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use mcproxy_ipc::SessionKey;
use mcproxy_mcp::{ListKind, OwnKeyMap};
use tokio::{
    sync::{Notify, futures::Notified},
    time::Instant,
};

/// A worker is asked about one list, of all or of one session, no more often than that.
const PACE: Duration = Duration::from_millis(100);
/// How long a client waits for a list that its server has announced as changed. The gateway does not wait again for a server that
/// took longer until it has answered.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_millis(500);

/// Sessions that are remembered before those that asked longer ago than that are forgotten.
const SESSIONS: usize = 64;

/// The list checks of one connection.
#[derive(Default)]
pub(super) struct ListChecks {
    lists: RefCell<[ListCheck; 4]>,
    /// When a worker was last asked about the lists of single sessions, of those that asked within the last [`PACE`] and no more
    /// others than that.
    of_sessions: RefCell<OwnKeyMap<SessionKey, [Option<Instant>; 4]>>,
    /// With so many of them it is time to forget some.
    many: Cell<usize>,
    /// Notified with every answer.
    answered: Notify,
}

#[derive(Debug, Clone, Copy, Default)]
struct ListCheck {
    sent: Option<Instant>,
    open: bool,
}

impl ListChecks {
    /// Whether the worker is to be asked now, and from now on was.
    pub(super) fn begin(&self, kind: ListKind, now: Instant) -> bool {
        let check = &mut self.lists.borrow_mut()[kind as usize];
        let is_due = !check.open && check.sent.is_none_or(|sent| sent + PACE <= now);
        if is_due {
            *check = ListCheck { sent: Some(now), open: true };
        }
        is_due
    }

    /// The same about the list of one session; the worker does not answer.
    pub(super) fn begin_for(&self, session: SessionKey, kind: ListKind, now: Instant) -> bool {
        let mut all = self.of_sessions.borrow_mut();
        let is_recent = |sent: &Option<Instant>| sent.is_some_and(|sent| sent + PACE > now);
        if all.len() >= self.many.get().max(SESSIONS) {
            all.retain(|_, lists| lists.iter().any(is_recent));
            self.many.set(2 * all.len());
        }
        let sent = &mut all.entry(session).or_default()[kind as usize];
        let is_due = !is_recent(sent);
        if is_due {
            *sent = Some(now);
        }
        is_due
    }

    /// The worker answered.
    pub(super) fn answer(&self, kind: ListKind) {
        self.lists.borrow_mut()[kind as usize].open = false;
        self.answered.notify_waiters();
    }

    /// Notified with the next answer.
    pub(super) fn answered(&self) -> Notified<'_> {
        self.answered.notified()
    }

    /// Since when the worker has not answered.
    pub(super) fn open_since(&self, kind: ListKind) -> Option<Instant> {
        let check = self.lists.borrow()[kind as usize];
        check.sent.filter(|_| check.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_asked_about_a_list_once_at_a_time_and_not_too_often() {
        let (checks, now) = (ListChecks::default(), Instant::now());
        assert!(checks.begin(ListKind::Tools, now) && checks.begin(ListKind::Prompts, now));
        assert!(!checks.begin(ListKind::Tools, now + 10 * PACE), "it has not answered");
        assert_eq!(checks.open_since(ListKind::Tools), Some(now));
        checks.answer(ListKind::Tools);
        assert_eq!(checks.open_since(ListKind::Tools), None);
        assert!(!checks.begin(ListKind::Tools, now + PACE / 2));
        assert!(checks.begin(ListKind::Tools, now + PACE));
    }

    #[test]
    fn a_worker_is_not_asked_too_often_about_the_list_of_one_session_either() {
        let (checks, now) = (ListChecks::default(), Instant::now());
        let session = |n: u32| SessionKey(u128::from(n).to_be_bytes());
        let due = |n, kind, now| checks.begin_for(session(n), kind, now);
        assert!(due(1, ListKind::Tools, now) && due(1, ListKind::Prompts, now) && due(2, ListKind::Tools, now));
        assert!(!due(1, ListKind::Tools, now + PACE / 2));
        assert!(due(1, ListKind::Tools, now + PACE));
        for n in 0..10_000 {
            due(n, ListKind::Tools, now + n * PACE / 10);
        }
        assert!(checks.of_sessions.borrow().len() <= 2 * SESSIONS, "those of long ago are forgotten");
    }
}
