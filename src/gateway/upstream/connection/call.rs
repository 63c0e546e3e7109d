//! One call at a worker: how it is handed over, and what comes of it.

use std::{borrow::Cow, rc::Rc};

use bytes::Bytes;
use mcproxy_ipc::{
    SessionKey,
    data::{CallContext, GatewayToWorker, ServerEra},
};

use super::{
    ParkedCall, WorkerConnection,
    in_flight::{CallOwner, Waiter},
};
use crate::gateway::base::queue::Queue;

/// Progress and log events of one call that may wait for its client; beyond it they are dropped.
const EVENTS: usize = 64;
/// The same in bytes; what is larger than all of that finds room where nothing else waits.
const EVENT_BYTES: usize = 1024 * 1024;

/// An event of one call before its answer.
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

/// The outcome of a call, for now or for good.
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

/// The requests of a server that have to be answered before it goes on with a call.
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
    /// Its size in bytes. An answer has room in any case.
    fn size(&self) -> usize {
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

/// A handle that cancels a call.
#[derive(Clone)]
pub(crate) struct CallHandle {
    pub(super) connection: Rc<WorkerConnection>,
    pub(super) id: u64,
}

impl Call {
    /// The handle that cancels it.
    pub(crate) fn handle(&self) -> CallHandle {
        self.handle.clone()
    }

    /// Waits for its outcome; `on_event` sees every event before that, in order.
    pub(crate) async fn wait(self, mut on_event: impl FnMut(CallEvent)) -> CallOutcome {
        loop {
            match self.steps.next().await {
                Step::Event(event) => on_event(event),
                Step::CallOutcome(outcome) => return outcome,
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

impl WorkerConnection {
    /// A call of the gateway's own whose answer is ignored.
    pub(crate) async fn tell(self: Rc<Self>, method: &'static str, params: String, session: Option<SessionKey>) {
        let context = CallContext { session, ..CallContext::default() };
        let (id, meta_at) = (self.mint(), params.len());
        let message = GatewayToWorker::Call { id, method: method.into(), meta_at, context };
        if let Some(call) = self.send(id, message, params.as_bytes(), CallOwner::Ourselves).await {
            call.wait(|_| ()).await;
        }
    }

    /// Hands a call to the worker. `payload`: the params without `_meta`, and from `meta_at` on the `_meta`, as the data
    /// plane wants them. `None` when the worker is gone: the call was not sent.
    pub(crate) async fn call(
        self: &Rc<Self>,
        method: impl Into<Cow<'static, str>>,
        payload: &[u8],
        meta_at: usize,
        context: CallContext,
    ) -> Option<Call> {
        let id = self.mint();
        let client = context.client;
        let message = GatewayToWorker::Call { id, method: method.into(), meta_at, context };
        self.send(id, message, payload, CallOwner::Client(client)).await
    }

    pub(super) fn mint(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    pub(super) async fn send(
        self: &Rc<Self>,
        id: u64,
        message: GatewayToWorker,
        payload: &[u8],
        asker: CallOwner,
    ) -> Option<Call> {
        let steps = Rc::new(Queue::new(EVENTS, EVENT_BYTES, Step::size));
        let alone = {
            let mut waiters = self.waiters.borrow_mut();
            waiters.insert(id, Waiter { steps: steps.clone(), asker });
            waiters.len() == 1
        };
        if !self.writer.send(&message, payload, alone).await {
            self.waiters.borrow_mut().remove(id);
            self.after_a_call();
            return None;
        }
        Some(Call { handle: CallHandle { connection: self.clone(), id }, steps })
    }

    /// Gives every call under way up: the time to finish in is over.
    pub(crate) fn abandon(&self) {
        self.settle_all(|| CallEnd::Abandoned);
    }

    pub(super) fn settle_all(&self, answer: impl Fn() -> CallEnd) {
        let all = self.waiters.take();
        for waiter in all.into_waiters() {
            waiter.steps.push_last(Step::CallOutcome(CallOutcome::Over(answer())));
        }
        self.after_a_call();
    }

    pub(super) fn settle(&self, id: u64, outcome: CallOutcome) {
        // Without a waiter: a call that was cancelled while its answer was on the way.
        let waiter = self.waiters.borrow_mut().remove(id);
        if let Some(Waiter { steps, .. }) = waiter {
            steps.push_last(Step::CallOutcome(outcome));
            self.after_a_call();
        }
    }

    /// Passes an event on to the call's waiter; `false`: nothing waits for that call.
    pub(super) fn report(&self, id: u64, event: CallEvent) -> bool {
        let waiters = self.waiters.borrow();
        let waiter = waiters.get(id);
        waiter.inspect(|waiter| waiter.steps.push(Step::Event(event))).is_some()
    }

    /// The session that waits for a call.
    pub(super) fn caller(&self, id: u64) -> Option<SessionKey> {
        match self.waiters.borrow().get(id)?.asker {
            CallOwner::Client(session) => session,
            CallOwner::Ourselves => None,
        }
    }

    /// The only call of a client that is under way, or the last of those of one session if there are no others.
    pub(super) fn only_call(&self) -> Option<u64> {
        self.waiters.borrow().only_call()
    }
}
