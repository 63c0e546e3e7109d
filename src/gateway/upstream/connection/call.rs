//! One call at a worker, and what comes of it.

use std::rc::Rc;

use bytes::Bytes;
use mcproxy_ipc::data::{GatewayToWorker, ServerEra};

use super::{ParkedCall, WorkerConnection};
use crate::gateway::base::queue::Queue;

/// Progress and log events of one call that may wait for its client; beyond it they are dropped.
pub(super) const EVENTS: usize = 64;
/// The same in bytes; what is larger than all of that finds room where nothing else waits.
pub(super) const EVENT_BYTES: usize = 1024 * 1024;

/// What happens to one call before its answer.
#[derive(Debug)]
pub(crate) enum CallEvent {
    /// The params of a progress notification, without the token.
    Progress(Bytes),
    /// It waits for an instance of its server to start: what its client is told, a JSON string.
    Starting(Bytes),
    /// A notification that no specification names, and its params.
    Notification(String, Bytes),
    /// The params of a log notification.
    Log(Bytes),
}

/// What comes of a call, for now or for good.
#[derive(Debug)]
pub(crate) enum CallOutcome {
    /// The server wants something from the client first.
    NeedsInput(InputRequired),
    /// The call has ended.
    Over(CallEnd),
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum CallEnd {
    /// The server's result, and of which era it is.
    Result(Bytes, ServerEra),
    /// An error object: the server's, of that era, or the worker's about it.
    Error(Bytes, ServerEra),
    /// The client gave the call up and wants no answer.
    Cancelled,
    /// The worker ended without an answer.
    Lost,
    /// The server had ended before it was told of the call, which another generation may have.
    Unsent,
    /// We are being stopped and do not wait any longer.
    Abandoned,
}

/// What a server wants before it goes on with a call.
#[derive(Debug)]
pub(crate) struct InputRequired {
    /// `inputRequests` and `requestState`, as in `NeedsInput`.
    pub(crate) payload: Bytes,
    /// How the call continues.
    pub(crate) continuation: Continuation,
}

/// How a call that needs input continues.
#[derive(Debug)]
pub(crate) enum Continuation {
    /// The worker has parked it.
    Parked(ParkedCall),
    /// It is made again, with the answers among its params.
    Again,
}

/// One event of a call, queued for the task that waits for the call.
pub(super) enum Step {
    Event(CallEvent),
    /// The end of the call; nothing comes after it.
    CallOutcome(CallOutcome),
}

impl Step {
    /// What it is, in bytes. An answer has room in any case.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Event(
                CallEvent::Progress(params)
                | CallEvent::Starting(params)
                | CallEvent::Notification(_, params)
                | CallEvent::Log(params),
            ) => params.len(),
            Self::CallOutcome(_) => 0,
        }
    }
}

/// A call that was handed to the worker. Dropping it discards the answer but does not cancel the call: in the
/// legacy era a disconnect is not a cancellation (MCP 2025-11-25, transports).
pub(crate) struct Call {
    pub(super) handle: CallHandle,
    pub(super) steps: Rc<Queue<Step>>,
}

/// What is needed to cancel a call.
#[derive(Clone)]
pub(crate) struct CallHandle {
    pub(super) connection: Rc<WorkerConnection>,
    pub(super) id: u64,
}

impl Call {
    /// What is needed to cancel it.
    pub(crate) fn handle(&self) -> CallHandle {
        self.handle.clone()
    }

    /// What comes of it; `on_event` sees everything that came before that, in order.
    pub(crate) async fn wait(self, mut on_event: impl FnMut(CallEvent)) -> CallOutcome {
        loop {
            match self.steps.next().await {
                Step::Event(event) => on_event(event),
                Step::CallOutcome(turn) => return turn,
            }
        }
    }
}

/// Cancels a call when it is dropped before the answer is there.
pub(crate) struct CancelOnDrop(CallHandle);

impl CancelOnDrop {
    pub(crate) fn new(call: CallHandle) -> Self {
        Self(call)
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel(None); // nothing happens to a call that was answered
    }
}

impl CallHandle {
    /// Whether its answer is still awaited.
    pub(crate) fn is_under_way(&self) -> bool {
        self.connection.waiters.borrow().get(self.id).is_some()
    }

    /// Cancels the call at the server, and frees the slot.
    pub(crate) fn cancel(&self, reason: Option<String>) {
        let waiter = self.connection.waiters.borrow_mut().remove(self.id);
        if let Some(waiter) = waiter {
            waiter.steps.push_last(Step::CallOutcome(CallOutcome::Over(CallEnd::Cancelled)));
            let connection = self.connection.clone();
            let id = self.id;
            // The worker does not know yet that its place is free.
            connection.places.hold();
            tokio::task::spawn_local(async move {
                // A worker that is gone needs no cancellation.
                connection.writer.send(&GatewayToWorker::Cancel { id, reason }, &[], false).await;
                connection.places.let_go();
                connection.after_a_call();
            });
        }
    }
}
