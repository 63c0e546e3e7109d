//! One data connection to one worker, and the calls that are under way on it.

mod call;
mod in_flight;
mod incoming;
mod list_checks;
mod parked;
mod slots;

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use mcproxy_ipc::{
    FrameError, Generation, Receiver, Route, SessionKey,
    data::{CallContext, GatewayToWorker, Outcome, Resumption, ServerEra, ServerTraits, WorkerToGateway},
};
use mcproxy_mcp::{Level, ListKind, json_string, method};
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{Instant, timeout, timeout_at},
};

pub(crate) use self::{
    call::{Call, CallEnd, CallEvent, CallHandle, CallOutcome, CancelOnDrop, Continuation, InputRequired},
    parked::{ParkedCall, ParkedEvent, ProgressReporter},
    slots::{HasSlots, NoSlot, SlotReservation},
};
use self::{
    call::{EVENT_BYTES, EVENTS, Step},
    in_flight::{CallOwner, InFlight, Waiter},
    list_checks::{CHECK_TIMEOUT, ListChecks},
    parked::ParkedState,
    slots::{CallSlots, QueuedCall},
};
use crate::gateway::{
    base::{
        budget::Budget,
        metrics::ServerMetrics,
        queue::Queue,
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
    /// What it handed over cannot be used.
    #[error("cannot use the pipes to the worker")]
    Pipes(#[source] io::Error),
}

/// What the worker says that belongs to no single call.
#[derive(Debug)]
pub(crate) enum UpstreamEvent {
    /// The offer changed.
    Catalogue(Bytes),
    /// The server announced that a list has changed; for one session only when the server has an instance for each.
    ListChanged(ListKind, Option<SessionKey>),
    /// A notification that no specification names, with its params; the same.
    Notification(String, Bytes, Option<SessionKey>),
    /// What the instance of one session offers; nothing when that is what all are offered.
    OwnCatalogue(Bytes, SessionKey),
    /// A log line that belongs to no call; for one session only when the server has an instance for each.
    Log(Bytes, Option<SessionKey>),
    /// A log line of a server that does not say which call it belongs to, while there was only one, of this session: that call hears
    /// it apart.
    LikelyLog(Bytes, Option<SessionKey>),
    /// A subscribed resource changed; the same.
    Updated(Bytes, Option<SessionKey>),
    /// The status of a task changed; the same.
    TaskChanged(Bytes, Option<SessionKey>),
    /// A page that a user was asked to visit has served its purpose; the same.
    PageDone(Bytes, Option<SessionKey>),
}

/// How long a call waits for its server to confirm a log level.
const TELLING: Duration = Duration::from_secs(1);
/// Hints (messages that may be lost) are dropped while more bytes than this wait for the worker.
const HINTS: usize = 256 * 1024;

/// Most messages other than answers that are taken from one worker before other tasks run.
const AT_ONCE: usize = 32;

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

    /// A call of the gateway's own whose answer is ignored.
    pub(crate) async fn tell(self: Rc<Self>, method: &'static str, params: String, session: Option<SessionKey>) {
        let context = CallContext { session, ..CallContext::default() };
        let (id, meta_at) = (self.mint(), params.len());
        let message = GatewayToWorker::Call { id, method: method.into(), meta_at, context };
        if let Some(call) = self.send(id, message, params.as_bytes(), CallOwner::Ourselves).await {
            call.wait(|_| ()).await;
        }
    }

    /// Something that is lost when the worker does not keep up, and is no call.
    pub(crate) fn hint(self: &Rc<Self>, message: GatewayToWorker, payload: Vec<u8>) {
        if self.writer.queued() > HINTS {
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

    /// What its server is like, once it has said what it offers.
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
    /// Sessions are filtered by their own wishes, so it is asked for more, never for less.
    pub(crate) async fn ensure_log_level(self: &Rc<Self>, level: Level) {
        let wanted = level.min(Level::Info);
        let shared = !self.is_per_session() && self.traits().era == ServerEra::Legacy;
        if shared && self.told_level().is_none_or(|told| wanted < told) {
            // A server that does not answer this may answer the call.
            let _ = timeout(TELLING, self.clone().tell_level(wanted)).await;
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

    /// A catalogue of it is being taken in.
    pub(crate) fn begin_intake(&self) {
        self.intake.set(true);
    }

    /// All its catalogues so far have been taken in.
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
                // What it answered may be on its way into force.
                let _ = timeout(CHECK_TIMEOUT, self.taken_in()).await;
                return;
            };
            if timeout_at(since + CHECK_TIMEOUT, answered).await.is_err() {
                return;
            }
        }
    }

    /// The client of a session works in other directories than before: for its instance there.
    pub(crate) fn roots_changed(self: &Rc<Self>, session: SessionKey) {
        let connection = self.clone();
        tokio::task::spawn_local(async move {
            // A worker that is gone asks anew when it comes back.
            connection.writer.send(&GatewayToWorker::RootsChanged { session }, &[], false).await;
        });
    }

    /// A session is over, and its instance there with it.
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

    fn mint(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    async fn send(
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

    /// Reads what the worker says until it goes away; then every call that still waits is lost.
    pub(crate) async fn read(
        self: Rc<Self>,
        mut receiver: Receiver<WorkerToGateway>,
        mut on_news: impl FnMut(UpstreamEvent),
    ) -> Result<(), FrameError> {
        let mut news = 0;
        let end = loop {
            match incoming::next(&mut receiver, &self.budget).await {
                Ok(Some((message, payload))) => {
                    news += usize::from(!matches!(message, WorkerToGateway::Done { .. }));
                    self.receive(message, payload, &mut on_news);
                    if news >= AT_ONCE {
                        news = 0;
                        yield_now().await;
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.writer.close();
        self.settle_all(|| CallEnd::Lost);
        self.places.send_away_waiting();
        end
    }

    fn receive(self: &Rc<Self>, message: WorkerToGateway, payload: Bytes, on_news: &mut impl FnMut(UpstreamEvent)) {
        match message {
            WorkerToGateway::Done { id, outcome, era } => self.settle(
                id,
                CallOutcome::Over(match outcome {
                    Outcome::Result => CallEnd::Result(payload, era),
                    Outcome::Error => CallEnd::Error(payload, era),
                    Outcome::Unsent => CallEnd::Unsent,
                }),
            ),
            WorkerToGateway::NeedsInput { id, resumption } => {
                let continuation = match resumption {
                    Resumption::Parked { handle } => {
                        let of = self.waiters.borrow().get(id).map(|waiter| waiter.asker);
                        Continuation::Parked(ParkedCall::new(self, handle, of))
                    }
                    Resumption::Again => Continuation::Again,
                };
                self.settle(id, CallOutcome::NeedsInput(InputRequired { payload, continuation }));
            }
            WorkerToGateway::Progress { id } => {
                self.report(id, CallEvent::Progress(payload));
            }
            WorkerToGateway::Starting { id } => {
                self.report(id, CallEvent::Starting(payload));
            }
            WorkerToGateway::Withdrawn { handle, key, reason } => {
                self.park_says(handle, ParkedEvent::Withdrawn { key, reason });
            }
            WorkerToGateway::ParkedDone { handle } => self.park_says(handle, ParkedEvent::Done),
            WorkerToGateway::Notification { method, id, session } => {
                // With exactly one call under way there is no doubt whose it is.
                let call =
                    if session.is_some() { id } else { self.only_call().filter(|_| self.parked.borrow().is_empty()) };
                let sent =
                    call.is_some_and(|id| self.report(id, CallEvent::Notification(method.clone(), payload.clone())));
                if !sent {
                    on_news(UpstreamEvent::Notification(method, payload, session));
                }
            }
            WorkerToGateway::Log { id: Some(id), .. } => {
                self.report(id, CallEvent::Log(payload));
            }
            WorkerToGateway::Log { id: None, session: Some(session) } => {
                on_news(UpstreamEvent::Log(payload, Some(session)))
            }
            WorkerToGateway::Log { id: None, session: None } => match self.only_call() {
                // A log line carries nothing that leads to a call; with one under way, or those of one session, it is clear whose it is.
                // Others hear it, too, and not through that call's queue, which may be full.
                Some(id) => {
                    let caller = self.caller(id);
                    self.report(id, CallEvent::Log(payload.clone()));
                    on_news(UpstreamEvent::LikelyLog(payload, caller));
                }
                None => on_news(UpstreamEvent::Log(payload, None)),
            },
            WorkerToGateway::ListChecked { method } => {
                if let Some(kind) = ListKind::of_method(&method) {
                    self.checks.answer(kind);
                }
            }
            WorkerToGateway::ListChanged { method, session } => {
                if let Some(kind) = ListKind::of_method(&method) {
                    on_news(UpstreamEvent::ListChanged(kind, session));
                }
            }
            WorkerToGateway::Updated { session } => on_news(UpstreamEvent::Updated(payload, session)),
            WorkerToGateway::TaskChanged { session } => on_news(UpstreamEvent::TaskChanged(payload, session)),
            WorkerToGateway::PageDone { session } => on_news(UpstreamEvent::PageDone(payload, session)),
            WorkerToGateway::Catalogue { traits, session, .. } => {
                self.traits.set(traits);
                on_news(match session {
                    Some(session) => UpstreamEvent::OwnCatalogue(payload, session),
                    None => UpstreamEvent::Catalogue(payload),
                });
            }
        }
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

    /// Gives every call under way up: the time to finish in is over.
    pub(crate) fn abandon(&self) {
        self.settle_all(|| CallEnd::Abandoned);
    }

    fn settle_all(&self, answer: impl Fn() -> CallEnd) {
        let all = self.waiters.take();
        for waiter in all.into_waiters() {
            waiter.steps.push_last(Step::CallOutcome(CallOutcome::Over(answer())));
        }
        self.after_a_call();
    }

    fn settle(&self, id: u64, turn: CallOutcome) {
        // Without a waiter: a call that was cancelled while its answer was on the way.
        let waiter = self.waiters.borrow_mut().remove(id);
        if let Some(Waiter { steps, .. }) = waiter {
            steps.push_last(Step::CallOutcome(turn));
            self.after_a_call();
        }
    }

    /// Passes an event on to the call's waiter; `false`: nothing waits for that call.
    fn report(&self, id: u64, event: CallEvent) -> bool {
        let waiters = self.waiters.borrow();
        let waiter = waiters.get(id);
        waiter.inspect(|waiter| waiter.steps.push(Step::Event(event))).is_some()
    }

    fn park_says(&self, handle: u64, news: ParkedEvent) {
        if let Some(state) = self.parked.borrow().get(&handle) {
            state.say(news);
        }
    }

    /// The session that waits for a call.
    fn caller(&self, id: u64) -> Option<SessionKey> {
        match self.waiters.borrow().get(id)?.asker {
            CallOwner::Client(session) => session,
            CallOwner::Ourselves => None,
        }
    }

    /// The only call of a client that is under way, or the last of those of one session if there are no others.
    fn only_call(&self) -> Option<u64> {
        self.waiters.borrow().only_call()
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

impl Drop for WorkerConnection {
    fn drop(&mut self) {
        self.writer.close();
    }
}
