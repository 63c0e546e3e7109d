//! The lists of a server behind its connection: whether they are as new as they have to be, and in force.

use std::rc::Rc;

use mcproxy_ipc::{SessionKey, data::GatewayToWorker};
use mcproxy_mcp::ListKind;
use tokio::time::{Instant, timeout, timeout_at};

use super::{WorkerConnection, list_checks::CHECK_TIMEOUT};

impl WorkerConnection {
    /// Begins the intake of a catalogue.
    pub(crate) fn begin_intake(&self) {
        self.intake.set(true);
    }

    /// Ends the intake: all its catalogues so far are in force.
    pub(crate) fn end_intake(&self) {
        self.intake.set(false);
        self.taken_in.notify_waiters();
    }

    /// Waits until all that it said so far of what it offers is in force.
    pub(crate) async fn taken_in(&self) {
        loop {
            let taken_in = self.taken_in.notified();
            if !self.intake.get() {
                return;
            }
            taken_in.await;
        }
    }

    /// A client asks for a list: the worker sees to it that it is not too old. Of one for all sessions it is asked once at a
    /// time.
    pub(crate) fn check_list(self: &Rc<Self>, kind: ListKind, session: Option<SessionKey>) {
        let now = Instant::now();
        let is_due = match session {
            Some(session) => self.checks.begin_for(session, kind, now),
            None => self.checks.begin(kind, now),
        };
        if !is_due {
            return;
        }
        let connection = self.clone();
        tokio::task::spawn_local(async move {
            let message = GatewayToWorker::CheckList { method: kind.method().into(), session };
            // With a worker that is gone so is its list.
            connection.writer.send(&message, &[], false).await;
        });
    }

    /// Waits until the worker has answered, for a moment.
    pub(crate) async fn list_checked(&self, kind: ListKind) {
        loop {
            let answered = self.checks.answered();
            let Some(since) = self.checks.open_since(kind) else {
                // The catalogue that it sent first may still be taken in.
                let _ = timeout(CHECK_TIMEOUT, self.taken_in()).await;
                return;
            };
            if timeout_at(since + CHECK_TIMEOUT, answered).await.is_err() {
                return;
            }
        }
    }
}
