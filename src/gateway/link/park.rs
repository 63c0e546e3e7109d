//! A call that waits at its worker until its client has answered the server.

use std::rc::Rc;

use mcproxy_ipc::data::{CallContext, GatewayToWorker};

use super::{Call, Link};

/// A call that a worker keeps until it is resumed. Dropping it gives it up.
pub(crate) struct Park {
    link: Rc<Link>,
    handle: u64,
    resumed: bool,
}

impl Park {
    pub(super) fn new(link: &Rc<Link>, handle: u64) -> Self {
        link.parked.set(link.parked.get() + 1);
        Self { link: link.clone(), handle, resumed: false }
    }

    /// Brings the server the answers: a JSON object of key → `{"result": …}` or `{"error": …}`. `None` when the worker is
    /// gone.
    pub(crate) async fn resume(mut self, answers: &[u8], context: CallContext) -> Option<Call> {
        self.resumed = true;
        let id = self.link.mint();
        let message = GatewayToWorker::Resume { id, handle: self.handle, context };
        self.link.send(id, message, answers).await
    }
}

impl std::fmt::Debug for Park {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Park").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Drop for Park {
    fn drop(&mut self) {
        self.link.parked.set(self.link.parked.get().saturating_sub(1));
        if self.resumed {
            return self.link.close_if_over();
        }
        let (link, handle) = (self.link.clone(), self.handle);
        tokio::task::spawn_local(async move {
            // A worker that is gone keeps nothing.
            link.outbox.send(&GatewayToWorker::Abandon { handle }, &[], false).await;
            link.close_if_over();
        });
    }
}
