//! Whether lists are as new as they have to be: what the worker was asked, and has not answered yet.

use std::{cell::RefCell, rc::Rc, time::Duration};

use mcproxy_ipc::{SessionKey, data::GatewayToWorker};
use mcproxy_mcp::ListKind;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::Link;

/// A worker is asked about one list no more often than that.
const PACE: Duration = Duration::from_millis(100);
/// So long a client waits for a list that its server says is true no longer. A server that takes longer is not waited for
/// again until it has answered.
const PATIENCE: Duration = Duration::from_millis(500);

/// All of one link.
#[derive(Default)]
pub(super) struct Checks {
    lists: RefCell<[Check; 4]>,
    /// Rung with every answer.
    answered: Notify,
}

#[derive(Debug, Clone, Copy, Default)]
struct Check {
    sent: Option<Instant>,
    open: bool,
}

impl Checks {
    /// Whether the worker is to be asked now, and from now on was.
    fn begin(&self, kind: ListKind, now: Instant) -> bool {
        let check = &mut self.lists.borrow_mut()[kind as usize];
        let is_due = !check.open && check.sent.is_none_or(|sent| sent + PACE <= now);
        if is_due {
            *check = Check { sent: Some(now), open: true };
        }
        is_due
    }

    /// The worker answered.
    pub(super) fn answer(&self, kind: ListKind) {
        self.lists.borrow_mut()[kind as usize].open = false;
        self.answered.notify_waiters();
    }

    /// Since when the worker has not answered.
    fn open_since(&self, kind: ListKind) -> Option<Instant> {
        let check = self.lists.borrow()[kind as usize];
        check.sent.filter(|_| check.open)
    }
}

impl Link {
    /// A client asks for a list: the worker sees to it that it is not too old. Of one for all sessions it is asked once at a
    /// time.
    pub(crate) fn check_list(self: &Rc<Self>, kind: ListKind, session: Option<SessionKey>) {
        if session.is_none() && !self.checks.begin(kind, Instant::now()) {
            return;
        }
        let link = self.clone();
        tokio::task::spawn_local(async move {
            let message = GatewayToWorker::CheckList { method: kind.method().into(), session };
            // With a worker that is gone so is its list.
            link.outbox.send(&message, &[], false).await;
        });
    }

    /// Waits until the worker has answered, for a moment.
    pub(crate) async fn list_checked(&self, kind: ListKind) {
        loop {
            let answered = self.checks.answered.notified();
            let Some(since) = self.checks.open_since(kind) else { return };
            if timeout_at(since + PATIENCE, answered).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_asked_about_a_list_once_at_a_time_and_not_too_often() {
        let (checks, now) = (Checks::default(), Instant::now());
        assert!(checks.begin(ListKind::Tools, now) && checks.begin(ListKind::Prompts, now));
        assert!(!checks.begin(ListKind::Tools, now + 10 * PACE), "it has not answered");
        assert_eq!(checks.open_since(ListKind::Tools), Some(now));
        checks.answer(ListKind::Tools);
        assert_eq!(checks.open_since(ListKind::Tools), None);
        assert!(!checks.begin(ListKind::Tools, now + PACE / 2));
        assert!(checks.begin(ListKind::Tools, now + PACE));
    }
}
