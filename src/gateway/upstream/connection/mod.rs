//! One data connection to one worker.

mod call;
mod in_flight;
mod incoming;
mod list_checks;
mod lists;
mod parked;
mod slots;
mod upstream_event;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    rc::Rc,
    time::Duration,
};

use mcproxy_ipc::{
    Generation, Receiver, Route, SessionKey,
    data::{CallContext, GatewayToWorker, ServerEra, ServerTraits, WorkerToGateway},
};
use mcproxy_mcp::{Level, json_string, method};
use tokio::{sync::Notify, time::timeout};

use self::{
    call::Step,
    in_flight::{CallOwner, InFlight},
    list_checks::ListChecks,
    parked::ParkedState,
    slots::{CallSlots, QueuedCall},
};
pub(crate) use self::{
    call::{Call, CallEnd, CallEvent, CallHandle, CallOutcome, CancelOnDrop, Continuation, InputRequired},
    parked::{ParkedCall, ParkedEvent, ProgressReporter},
    slots::{HasSlots, NoSlot, SlotReservation},
    upstream_event::UpstreamEvent,
};
use crate::gateway::{
    base::{
        budget::Budget,
        metrics::ServerMetrics,
        supervisor::{ConnectError, SupervisorHandle},
    },
    upstream::writer::FrameWriter,
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The supervisor made none.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The pipes that it handed over cannot be used.
    #[error("cannot use the pipes to the worker")]
    Pipes(#[source] io::Error),
}

/// How long a call waits for its server to confirm a log level.
const LEVEL_TIMEOUT: Duration = Duration::from_secs(1);
/// Hints (messages that may be lost) are dropped while more bytes than this wait for the worker.
const MAX_HINTS: usize = 256 * 1024;

/// How busy a connection is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// Calls that wait for an answer.
    pub(crate) calls: usize,
    /// Bytes that the worker has not read yet.
    pub(crate) queued_bytes: usize,
}

impl Load {
    /// The sum of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, queued_bytes: self.queued_bytes + other.queued_bytes }
    }
}

/// The sending side of the connection. Its reading side is [`WorkerConnection::read`], one task per connection.
pub(crate) struct WorkerConnection {
    generation: Generation,
    per_session: bool,
    traits: Cell<ServerTraits>,
    /// The level of log lines that the server was last asked for.
    told_level: Cell<Option<Level>>,
    writer: Rc<FrameWriter>,
    next_id: Cell<u64>,
    waiters: RefCell<InFlight<Step>>,
    checks: ListChecks,
    /// Calls that wait for their clients, at the worker.
    parked: RefCell<HashMap<u64, Rc<ParkedState>>>,
    /// The calls that may be at the worker at once, and those that wait.
    places: CallSlots,
    /// Whether a catalogue of it is being taken in.
    intake: Cell<bool>,
    /// Notified when a catalogue has been taken in.
    taken_in: Notify,
    /// Takes no new calls; closes when those under way have their answers.
    retired: Cell<bool>,
    metrics: ServerMetrics,
    budget: Budget,
}

impl WorkerConnection {
    /// Gets a connection to a worker. The second part is for [`WorkerConnection::read`].
    pub(crate) async fn open(
        route: &Route,
        supervisor: &SupervisorHandle,
        metrics: ServerMetrics,
        budget: Budget,
    ) -> Result<(Rc<Self>, Receiver<WorkerToGateway>), ConnectionError> {
        let end = supervisor.connect(route.server.clone(), route.generation).await?;
        let (receiver, sender) = end.open().map_err(ConnectionError::Pipes)?;
        let connection = Self {
            generation: route.generation,
            per_session: route.per_session,
            traits: Cell::default(),
            told_level: Cell::default(),
            writer: FrameWriter::open(sender, budget.clone()),
            budget,
            next_id: Cell::new(1),
            waiters: RefCell::default(),
            checks: ListChecks::default(),
            parked: RefCell::default(),
            // Of instances each has places of its own, and the worker knows which.
            places: CallSlots::new((!route.per_session).then_some(route.concurrent_calls)),
            intake: Cell::new(false),
            taken_in: Notify::new(),
            retired: Cell::new(false),
            metrics,
        };
        Ok((Rc::new(connection), receiver))
    }

    /// Something that is lost when the worker does not keep up, and is no call.
    pub(crate) fn hint(self: &Rc<Self>, message: GatewayToWorker, payload: Vec<u8>) {
        if self.writer.queued() > MAX_HINTS {
            return;
        }
        let connection = self.clone();
        tokio::task::spawn_local(async move {
            connection.writer.send(&message, &payload, false).await;
        });
    }

    /// The generation of the worker at the other end.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether each session has an instance of its own there, so that calls have to say whose they are.
    pub(crate) fn is_per_session(&self) -> bool {
        self.per_session
    }

    /// The traits of its server, once the first catalogue has come.
    pub(crate) fn traits(&self) -> ServerTraits {
        self.traits.get()
    }

    /// The level of log lines that a server that all share was last asked for.
    pub(crate) fn told_level(&self) -> Option<Level> {
        self.told_level.get()
    }

    /// Asks a server that all share for log lines from this level on.
    pub(crate) async fn tell_level(self: Rc<Self>, level: Level) {
        self.told_level.set(Some(level));
        let params = format!("{{\"level\":{}}}", json_string(level.as_str()).get());
        self.tell(method::SET_LEVEL, params, None).await;
    }

    /// Before a call whose client wants to hear log lines of this level: a server that all share must not keep them to itself.
    /// Sessions are filtered by their own levels, so it is asked for more, never for less.
    pub(crate) async fn ensure_log_level(self: &Rc<Self>, level: Level) {
        let wanted = level.min(Level::Info);
        let shared = !self.is_per_session() && self.traits().era == ServerEra::Legacy;
        if shared && self.told_level().is_none_or(|told| wanted < told) {
            // A server that does not answer this may answer the call.
            let _ = timeout(LEVEL_TIMEOUT, self.clone().tell_level(wanted)).await;
        }
    }

    /// A session is about to list what the server offers. Whether the worker knows what it has to show, and has shown it.
    pub(crate) async fn meet(self: &Rc<Self>, context: CallContext) -> bool {
        let id = self.mint();
        match self.send(id, GatewayToWorker::Meet { id, context }, &[], CallOwner::Ourselves).await {
            Some(call) => {
                let shown = matches!(call.wait(|_| ()).await, CallOutcome::Over(CallEnd::Result(..)));
                self.taken_in().await;
                shown
            }
            None => false,
        }
    }

    /// Tells the instance of a session that its client works in other directories than before.
    pub(crate) fn roots_changed(self: &Rc<Self>, session: SessionKey) {
        let connection = self.clone();
        tokio::task::spawn_local(async move {
            // A worker that is gone asks anew when it comes back.
            connection.writer.send(&GatewayToWorker::RootsChanged { session }, &[], false).await;
        });
    }

    /// Releases the instance of a session that is over.
    pub(crate) fn release(self: &Rc<Self>, session: SessionKey) {
        let connection = self.clone();
        tokio::task::spawn_local(async move {
            // With a worker that is gone its instances are as well.
            connection.writer.send(&GatewayToWorker::Release { session }, &[], false).await;
        });
    }

    /// The counters of its calls.
    pub(crate) fn metrics(&self) -> &ServerMetrics {
        &self.metrics
    }

    /// Its present load.
    pub(crate) fn load(&self) -> Load {
        Load { calls: self.waiters.borrow().len(), queued_bytes: self.writer.queued() }
    }

    /// Takes no new calls. Those under way continue; then the connection is closed, which tells a worker
    /// that drains that it may end.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.places.send_away_waiting();
        self.after_a_call();
    }

    /// Whether nothing can be sent there any more.
    fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    /// A call is over, or was none: its place is free, and a connection that was only kept for it is closed.
    fn after_a_call(&self) {
        self.give_places();
        self.close_if_over();
    }

    fn close_if_over(&self) {
        if self.retired.get() && self.waiters.borrow().is_empty() && self.parked.borrow().is_empty() {
            self.writer.close();
        }
    }
}

impl HasSlots for WorkerConnection {
    fn line(&self) -> &CallSlots {
        &self.places
    }

    fn taken(&self) -> usize {
        self.waiters.borrow().len() + self.parked.borrow().len()
    }
}

impl WorkerConnection {
    /// How many calls it takes at once.
    pub(crate) fn places(&self) -> usize {
        self.places.limit()
    }

    /// Waits in line for a place, as one of the calls of this caller. `session`: whom its server would ask.
    pub(crate) fn line_up(
        self: &Rc<Self>,
        caller: SessionKey,
        session: Option<SessionKey>,
    ) -> Result<QueuedCall<Self>, NoSlot> {
        if self.retired.get() || self.is_closed() {
            return Err(NoSlot::Moved);
        }
        // It would wait for itself.
        if session.is_some_and(|session| self.all_wait_for(session)) {
            return Err(NoSlot::OwnInput);
        }
        QueuedCall::join(self, caller)
    }

    /// Whether every call there waits for the client of this session.
    fn all_wait_for(&self, session: SessionKey) -> bool {
        let parked = self.parked.borrow();
        self.waiters.borrow().is_empty() && parked.values().all(|parked| parked.is_of(session))
    }
}

impl Drop for WorkerConnection {
    fn drop(&mut self) {
        self.writer.close();
    }
}
