//! A call that waits at its worker until its client has answered the server.

use std::{cell::Cell, rc::Rc};

use mcproxy_ipc::{
    SessionKey,
    data::{CallContext, GatewayToWorker},
};

use super::{Call, CallOwner, WorkerConnection};
use crate::gateway::base::queue::Queue;

/// The events of a parked call that may wait: a server takes back no more than it asked for, and answers once.
const EVENTS: usize = 64;
/// The same in bytes: keys are ours, and reasons are short.
const EVENT_BYTES: usize = 256 * 1024;

/// A call that a worker keeps until it is resumed. Dropping it gives it up.
pub(crate) struct ParkedCall {
    connection: Rc<WorkerConnection>,
    handle: u64,
    resumed: bool,
    state: Rc<ParkedState>,
}

/// The events since the call was parked.
pub(super) struct ParkedState {
    done: Cell<bool>,
    /// The owner of the call; `None`: its request had ended.
    of: Option<CallOwner>,
    events: Queue<ParkedEvent>,
}

/// One event of a parked call.
#[derive(Debug)]
pub(crate) enum ParkedEvent {
    /// It answered the call: resumed, the call ends at once.
    Done,
    /// The server withdrew one of its requests.
    Withdrawn {
        /// The key of that request.
        key: String,
        /// The reason that the server gave.
        reason: Option<String>,
    },
}

impl ParkedEvent {
    fn size(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Withdrawn { key, reason } => key.len() + reason.as_ref().map_or(0, String::len),
        }
    }
}

/// Where a client's reports on its work at one question go.
pub(crate) struct ProgressReporter {
    connection: Rc<WorkerConnection>,
    handle: u64,
    key: String,
}

impl ProgressReporter {
    /// Passes one on; `params` are those of the notification without the token.
    pub(crate) fn report(&self, params: Vec<u8>) {
        let message = GatewayToWorker::InputProgress { handle: self.handle, key: self.key.clone() };
        self.connection.hint(message, params);
    }
}

impl ParkedCall {
    pub(super) fn new(connection: &Rc<WorkerConnection>, handle: u64, of: Option<CallOwner>) -> Self {
        let state = Rc::new(ParkedState {
            done: Cell::new(false),
            of,
            events: Queue::new(EVENTS, EVENT_BYTES, ParkedEvent::size),
        });
        connection.parked.borrow_mut().insert(handle, state.clone());
        Self { connection: connection.clone(), handle, resumed: false, state }
    }

    /// Whether the server answered the call without waiting.
    pub(crate) fn is_done(&self) -> bool {
        self.state.done.get()
    }

    /// The next event, while the client is asked.
    pub(crate) async fn next_event(&self) -> ParkedEvent {
        self.state.events.next().await
    }

    /// Where the client's reports on its work at one question go.
    pub(crate) fn reporter(&self, key: &str) -> ProgressReporter {
        ProgressReporter { connection: self.connection.clone(), handle: self.handle, key: key.to_owned() }
    }

    /// Brings the server the answers: a JSON object of key → `{"result": …}` or `{"error": …}`. `None` when the worker is
    /// gone.
    pub(crate) async fn resume(mut self, answers: &[u8], context: CallContext) -> Option<Call> {
        self.resumed = true;
        let id = self.connection.mint();
        let client = context.client;
        let message = GatewayToWorker::Resume { id, handle: self.handle, context };
        self.connection.send(id, message, answers, CallOwner::Client(client)).await
    }
}

impl ParkedState {
    /// Whether it waits for the client of this session.
    pub(super) fn is_of(&self, session: SessionKey) -> bool {
        self.of == Some(CallOwner::Client(Some(session)))
    }

    /// Records an event.
    pub(super) fn record(&self, event: ParkedEvent) {
        self.done.set(self.done.get() || matches!(event, ParkedEvent::Done));
        self.events.push(event);
    }
}

impl std::fmt::Debug for ParkedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParkedCall").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Drop for ParkedCall {
    fn drop(&mut self) {
        self.connection.parked.borrow_mut().remove(&self.handle);
        if self.resumed {
            return self.connection.after_a_call();
        }
        // The worker does not know yet that its place is free.
        self.connection.places.hold();
        let (connection, handle) = (self.connection.clone(), self.handle);
        tokio::task::spawn_local(async move {
            // A worker that is gone keeps nothing.
            connection.writer.send(&GatewayToWorker::Abandon { handle }, &[], false).await;
            connection.places.let_go();
            connection.after_a_call();
        });
    }
}
