//! One connection of a client: where it stands and what it holds.

use std::{
    cell::{Cell, OnceCell, RefCell},
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest,
    body::{BoxBody, MessageBody},
};
use bytes::Bytes;
use tokio::net::TcpStream;

use super::{carrier::Carrier, framing::Framing, write_queue::Outgoing};
use crate::gateway::base::{
    auth::{Admission, Auth},
    budget::{Budget, Full, Held, Purpose, Reclaimable, Yielding},
};

/// Most bytes that are read of a client in one turn: so much of what it sends lies in the HTTP library at most, besides what is
/// there of a head.
const TURN: usize = 16 * 1024;
/// Bytes of a head that may be read before it counts; the library takes no more than 128 KiB.
const HEAD_FREE: usize = 16 * 1024;
/// A connection keeps the HTTP library for so long after its last answer.
const LINGER: Duration = Duration::from_secs(1);
/// A stream that has said nothing for so long says a comment, so that proxies keep it and a vanished client is noticed.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The time of the last check of all connections. Reading it costs no system call.
#[derive(Debug)]
pub(super) struct Clock(Cell<Instant>);

impl Clock {
    pub(super) fn new(now: Instant) -> Self {
        Self(Cell::new(now))
    }

    pub(super) fn set(&self, now: Instant) {
        self.0.set(now);
    }
}

/// The activity of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is owed to the client, or an answer is on its way.
    Resting,
    /// A request is being read or thought about; its own time limits hold. That it was told to go on (100, RFC 9110 §10.1.1) is
    /// no answer.
    Request,
    /// A stream is its answer, and has not ended.
    Streaming,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionTimeouts {
    /// For the head of a request.
    pub(super) head: Duration,
    /// For its next request, or ours for something to say.
    pub(super) rest: Duration,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    clock: Rc<Clock>,
    /// The client's address.
    peer: Option<SocketAddr>,
    phase: Cell<Phase>,
    /// The framing of the bytes that the client has sent.
    framing: RefCell<Framing>,
    /// Requests that came while an earlier one was not answered.
    waiting: Cell<u32>,
    /// Of the phase, of the head that is not complete, or of the last byte that was ours.
    since: Cell<Instant>,
    given_up: Cell<bool>,
    /// The admission of the request that is under way, or of the stream that is its answer.
    admission: RefCell<Option<Admission>>,
    /// When it has to be over, because that does not hold any more.
    over_by: Cell<Option<Instant>>,
    task: OnceCell<Waker>,
    carrier: Cell<Carrier>,
    /// Its cost, on the budget.
    room: RefCell<Held>,
    /// It is to go on without the HTTP library when that has nothing left to do.
    lets_go: Cell<bool>,
    /// Its socket, between two carriers.
    socket: RefCell<Option<TcpStream>>,
    /// The stream that is its answer, and whether the connection outlives it.
    stream: RefCell<Option<BoxBody>>,
    persists: Cell<bool>,
    /// Bytes that were read in this turn of its task.
    turn: Cell<usize>,
    /// Something of the client may be there that was not read.
    unread: Cell<bool>,
    /// How much there is of a head that is not complete, and what of it counts.
    head: Cell<usize>,
    head_held: RefCell<Option<Held>>,
    budget: Budget,
    /// Bytes that the client has not read yet.
    outgoing: Outgoing,
}

impl Connection {
    pub(super) fn new(clock: Rc<Clock>, budget: Budget, peer: Option<SocketAddr>) -> Self {
        let since = Cell::new(clock.0.get());
        let room = RefCell::new(budget.nothing(Purpose::Connections));
        Self {
            clock,
            peer,
            phase: Cell::new(Phase::Resting),
            framing: RefCell::new(Framing::new()),
            waiting: Cell::new(0),
            since,
            given_up: Cell::new(false),
            admission: RefCell::default(),
            over_by: Cell::new(None),
            task: OnceCell::new(),
            carrier: Cell::new(Carrier::New),
            room,
            lets_go: Cell::new(false),
            socket: RefCell::default(),
            stream: RefCell::default(),
            persists: Cell::new(false),
            turn: Cell::new(0),
            unread: Cell::new(false),
            head: Cell::new(0),
            head_held: RefCell::default(),
            budget,
            outgoing: Outgoing::default(),
        }
    }

    /// The connection of a request. One that came by no connection (in a test) gets one that leads nowhere.
    pub(super) fn of(request: &HttpRequest, budget: &Budget) -> Rc<Self> {
        let detached = || Rc::new(Self::new(Rc::new(Clock::new(Instant::now())), budget.clone(), None));
        request.conn_data::<Rc<Self>>().cloned().unwrap_or_else(detached)
    }

    /// The client's address; none where it came by no connection.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Bytes that the client has not read yet.
    pub(super) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// From now on this connection may be asked to give way.
    pub(super) fn owes(self: &Rc<Self>) {
        if self.outgoing.begin() {
            self.budget.register(Purpose::Answers, self);
        }
    }

    /// The time of the last check of all connections.
    pub(super) fn now(&self) -> Instant {
        self.clock.0.get()
    }

    /// Whether its stream has been silent for so long that the client is to hear a comment.
    fn is_quiet(&self) -> bool {
        self.now().saturating_duration_since(self.since.get()) >= KEEP_ALIVE
    }

    /// Begins a turn of its task. `false`: the connection is over.
    pub(super) fn begin_turn(&self, cx: &Context<'_>) -> bool {
        // A task has one waker for all its life.
        self.task.get_or_init(|| cx.waker().clone());
        self.turn.set(0);
        !self.given_up.get()
    }

    /// Takes room for this carrier, which has the connection from now on; there may be none.
    pub(super) fn carry(&self, carrier: Carrier) -> Result<(), Full> {
        let (cost, held) = (carrier.cost(), self.room.borrow().bytes());
        if cost > held {
            // Not while it is borrowed: whoever gives way may look at it.
            let more = self.budget.take(Purpose::Connections, cost - held)?;
            self.room.borrow_mut().add(more);
        } else {
            self.room.borrow_mut().shrink_to(cost);
        }
        self.carrier.set(carrier);
        Ok(())
    }

    /// The carrier that has it now.
    pub(super) fn carrier(&self) -> Carrier {
        self.carrier.get()
    }

    /// The time for which it has been idle, or silent from its beginning.
    pub(super) fn idle_for(&self, now: Instant) -> Option<Duration> {
        matches!(self.carrier.get(), Carrier::New | Carrier::Idle)
            .then(|| now.saturating_duration_since(self.since.get()))
    }

    /// Whether its client owes nothing and is owed nothing, or nothing but a stream.
    fn is_between_requests(&self) -> bool {
        self.phase.get() != Phase::Request
            && self.waiting.get() == 0
            && self.framing.borrow().is_between()
            && !self.unread.get()
            && !self.outgoing.is_blocked()
    }

    /// Asks the HTTP library to go if it has nothing to do; whether it has nothing.
    pub(super) fn let_go(&self) -> bool {
        let idle = self.carrier.get() == Carrier::Http
            && (self.phase.get() == Phase::Resting || self.persists.get())
            && self.is_between_requests();
        if idle {
            self.lets_go.set(true);
            self.wake();
        }
        idle
    }

    /// The carrier that is to follow the HTTP library after this turn of it, if it is to go.
    pub(super) fn next_carrier(&self) -> Option<Carrier> {
        // What was read in this turn may lie in the library.
        let goes = self.lets_go.take() && self.turn.get() == 0 && self.is_between_requests();
        match self.phase.get() {
            Phase::Resting if goes => Some(Carrier::Idle),
            Phase::Streaming if goes && self.persists.get() => Some(Carrier::Stream),
            Phase::Resting | Phase::Streaming | Phase::Request => None,
        }
    }

    /// Takes the socket back from its carrier.
    pub(super) fn put_socket(&self, socket: TcpStream) {
        *self.socket.borrow_mut() = Some(socket);
    }

    /// The socket that was given back.
    pub(super) fn take_socket(&self) -> Option<TcpStream> {
        self.socket.take()
    }

    /// Wakes its task.
    pub(super) fn wake(&self) {
        self.task.get().inspect(|task| task.wake_by_ref());
    }

    /// Records the admission of the request that is under way.
    pub(super) fn admitted(&self, admission: Admission) {
        *self.admission.borrow_mut() = Some(admission);
    }

    /// If the credentials of its request are no longer accepted, closes the connection at that time.
    pub(super) fn recheck_admission(&self, auth: &Auth, by: Instant) {
        if self.admission.borrow().as_ref().is_some_and(|admission| !auth.still_admits(admission)) {
            self.over_by.set(Some(by));
        }
    }

    /// Closes the connection if the client exceeded a timeout or its token was removed.
    pub(super) fn check(&self, timeouts: ConnectionTimeouts, now: Instant) {
        if self.over_by.get().is_some_and(|by| by <= now) {
            self.given_up.set(true);
            return self.wake();
        }
        let limit = match self.phase.get() {
            Phase::Request => return,
            // The head of a request behind others that are not answered is in no hurry.
            Phase::Resting if self.waiting.get() == 0 && self.framing.borrow().is_in_head() => timeouts.head,
            Phase::Resting if self.carrier.get() == Carrier::New => timeouts.head,
            Phase::Resting | Phase::Streaming => timeouts.rest,
        };
        let rested = now.saturating_duration_since(self.since.get());
        if self.phase.get() == Phase::Streaming || rested >= LINGER {
            self.let_go();
        }
        if self.phase.get() == Phase::Streaming && self.is_quiet() && !self.outgoing.is_blocked() {
            self.wake();
        }
        if rested > limit {
            self.give_up();
        }
    }

    /// Ends the connection with the next turn of its task.
    pub(super) fn give_up(&self) {
        self.given_up.set(true);
        self.wake();
    }

    /// The application has been given the next request.
    pub(super) fn asked(&self) {
        self.waiting.set(self.waiting.get().saturating_sub(1));
        self.phase.set(Phase::Request);
    }

    /// The application has given its answer, all of it.
    pub(super) fn answered(&self) {
        self.admission.take();
        self.over_by.set(None);
        self.enter(Phase::Resting);
    }

    /// The application has begun its answer, which is this stream. `persists`: the connection can outlive it, as its end is marked.
    pub(super) fn streams(&self, stream: BoxBody, persists: bool) {
        *self.stream.borrow_mut() = Some(stream);
        self.persists.set(persists);
        self.enter(Phase::Streaming);
    }

    /// The next part of the stream.
    pub(super) fn poll_stream(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match &mut *self.stream.borrow_mut() {
            // What cannot be had is the end.
            Some(stream) => stream.as_pin_mut().poll_next(cx).map(|part| part?.ok()),
            None => Poll::Ready(None),
        }
    }

    /// Drops the stream: it has ended, or its client is gone.
    pub(super) fn end_stream(&self) {
        let stream = self.stream.take();
        drop(stream);
        self.answered();
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.clock.0.get());
        if phase == Phase::Resting {
            self.read_on();
        }
    }

    /// Whether no more is to be read now: an answer is owed first, or the task has read enough in this turn.
    pub(super) fn is_ahead(&self) -> bool {
        let behind_another = match self.phase.get() {
            Phase::Resting => self.outgoing.is_blocked(),
            Phase::Request | Phase::Streaming => self.waiting.get() > 0 || self.framing.borrow().is_in_head(),
        };
        if behind_another {
            self.unread.set(true);
        } else if self.turn.get() >= TURN {
            self.wake();
        } else {
            return false;
        }
        true
    }

    /// It can be read on, if it was not.
    fn read_on(&self) {
        if self.unread.take() {
            self.wake();
        }
    }

    /// Bytes of the client, before anything else sees them.
    pub(super) fn read(&self, bytes: &mut [u8]) {
        let mut framing = self.framing.borrow_mut();
        let was_in_head = framing.is_in_head();
        let heads = framing.take(bytes);
        self.waiting.set(self.waiting.get().saturating_add(heads));
        let in_head = framing.is_in_head();
        drop(framing);
        self.turn.set(self.turn.get() + bytes.len());
        if in_head && (heads > 0 || !was_in_head) {
            self.since.set(self.clock.0.get());
            self.head.set(0);
        }
        if in_head {
            self.count_head(bytes.len());
        } else if self.head.replace(0) > HEAD_FREE {
            self.head_held.take();
        }
    }

    /// A long head counts as far as it has come; without room for it the connection is over.
    fn count_head(&self, bytes: usize) {
        self.head.set(self.head.get() + bytes);
        if self.head.get() <= HEAD_FREE {
            return;
        }
        match self.budget.take(Purpose::Sockets, bytes) {
            Ok(more) => match &mut *self.head_held.borrow_mut() {
                Some(held) => held.add(more),
                held @ None => *held = Some(more),
            },
            Err(_) => self.give_up(),
        }
    }

    /// A client that receives something is no stranger, and may take its time.
    pub(super) fn written(&self, bytes: usize) {
        self.since.set(self.clock.0.get());
        self.outgoing.taken(bytes);
    }

    /// The client does not take any more for now, and so much waits for it in the library.
    pub(super) fn blocked(self: &Rc<Self>, bytes: usize) {
        self.owes();
        let more = bytes.saturating_sub(self.outgoing.blocked());
        // Not while it is borrowed: this connection may be the one that gives way.
        let more = (more > 0).then(|| self.budget.take(Purpose::Sockets, more));
        match more {
            // It is there already. The slowest have given way, if there were such.
            Some(Err(_)) => self.outgoing.block(&self.budget, None, bytes),
            Some(Ok(more)) => self.outgoing.block(&self.budget, Some(more), bytes),
            None => self.outgoing.block(&self.budget, None, bytes),
        }
    }

    /// The client has taken all that was written.
    pub(super) fn flushed(&self) {
        if self.outgoing.unblock() && self.phase.get() == Phase::Resting {
            self.read_on();
        }
    }
}

impl Yielding for Connection {
    fn offer(&self, now: Instant) -> Option<Reclaimable> {
        self.outgoing.offer(now)
    }

    fn give_way(&self) {
        self.outgoing.clear();
        self.give_up();
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
