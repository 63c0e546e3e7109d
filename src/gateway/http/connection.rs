//! One connection of a client: where it stands and what it holds.

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use actix_web::HttpRequest;

use super::{framing::Framing, write_queue::Outgoing};
use crate::gateway::base::{
    auth::{Admission, Auth},
    budget::{Budget, Held, Purpose, Reclaimable, Yielding},
};

/// Most bytes that are read of a client in one turn: so much of what it sends lies in the HTTP library at most, besides what is
/// there of a head.
const TURN: usize = 16 * 1024;
/// Bytes of a head that may be read before it counts; the library takes no more than 128 KiB.
const HEAD_FREE: usize = 16 * 1024;
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
    pub(super) fn new(clock: Rc<Clock>, budget: Budget) -> Self {
        let since = Cell::new(clock.0.get());
        Self {
            clock,
            phase: Cell::new(Phase::Resting),
            framing: RefCell::new(Framing::new()),
            waiting: Cell::new(0),
            since,
            given_up: Cell::new(false),
            admission: RefCell::default(),
            over_by: Cell::new(None),
            task: OnceCell::new(),
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
        let detached = || Rc::new(Self::new(Rc::new(Clock::new(Instant::now())), budget.clone()));
        request.conn_data::<Rc<Self>>().cloned().unwrap_or_else(detached)
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

    /// Drives the connection until it has ended or is closed for a timeout.
    pub(super) async fn carry(&self, dispatcher: impl Future) {
        let mut dispatcher = pin!(dispatcher);
        poll_fn(|cx| {
            if self.given_up.get() {
                return Poll::Ready(());
            }
            // A task has one waker for all its life.
            self.task.get_or_init(|| cx.waker().clone());
            self.turn.set(0);
            dispatcher.as_mut().poll(cx).map(drop)
        })
        .await;
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
            Phase::Resting | Phase::Streaming => timeouts.rest,
        };
        if self.phase.get() == Phase::Streaming && self.is_quiet() && !self.outgoing.is_blocked() {
            self.wake();
        }
        if now.saturating_duration_since(self.since.get()) > limit {
            self.give_up();
        }
    }

    fn give_up(&self) {
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

    /// The application has begun its answer.
    pub(super) fn streams(&self) {
        self.enter(Phase::Streaming);
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
