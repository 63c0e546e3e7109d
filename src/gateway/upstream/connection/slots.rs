//! How many calls a worker takes at once, and which waiting call gets the next free slot (`docs/decisions/0110`).
//!
//! The worker counts, too, and refuses what is too much for it. Here one call more waits instead, and callers take turns.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use mcproxy_ipc::SessionKey;
use tokio::sync::Notify;

use crate::gateway::upstream::fair_queue::{FairQueue, Joined, QueueBounds, QueueFull};

/// Calls of one caller, and of all, that may wait for a place at one server; one more is refused with error 31002.
pub(crate) const WAITING: QueueBounds = QueueBounds { of_party: 256, of_all: 1024 };

/// Why a call gets no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSlot {
    /// Too many calls of its party wait.
    #[error("{0} more of this client wait already")]
    TooManyOfCaller(usize),
    /// Too many calls wait.
    #[error("{0} more wait already")]
    TooMany(usize),
    /// All of them wait for the very client that calls.
    #[error("they wait for this client")]
    OwnInput,
    /// Calls go elsewhere now: to another generation of the server, or nowhere.
    #[error("the worker is gone")]
    Moved,
}

/// The call slots of one connection.
pub(crate) struct CallSlots {
    limit: usize,
    /// Given to calls that waited, and not taken yet; or given up by calls of which the worker does not know that yet.
    held: Cell<usize>,
    line: RefCell<FairQueue<SessionKey, Rc<SlotWait>>>,
}

/// A call that waits for a slot.
#[derive(Default)]
struct SlotWait {
    outcome: Cell<Option<Result<(), NoSlot>>>,
    decided: Notify,
}

/// A place in the line; dropping it leaves the line.
pub(crate) struct QueuedCall<L: HasSlots> {
    connection: Rc<L>,
    caller: SessionKey,
    number: u64,
    waiting: Rc<SlotWait>,
}

/// A place at the worker, until it is taken or dropped.
#[must_use]
pub(crate) struct SlotReservation<L: HasSlots>(Option<Rc<L>>);

impl CallSlots {
    /// `None`: the worker limits its calls itself.
    pub(super) fn new(limit: Option<usize>) -> Self {
        let line = RefCell::new(FairQueue::new(WAITING));
        Self { limit: limit.unwrap_or(usize::MAX), held: Cell::new(0), line }
    }

    /// How many calls it takes at once.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Calls that wait here have to look up their destination again.
    pub(super) fn send_away_waiting(&self) {
        let all = self.line.borrow_mut().take_all();
        all.for_each(|waiting| waiting.decide(Err(NoSlot::Moved)));
    }

    /// Holds one place more, though no call of ours is under way there.
    pub(super) fn hold(&self) {
        self.held.set(self.held.get() + 1);
    }

    /// Frees it again, or counts it as a call of ours that is under way there.
    pub(super) fn let_go(&self) {
        self.held.set(self.held.get() - 1);
    }
}

/// A connection to a worker, as far as the line at it is concerned.
pub(crate) trait HasSlots {
    /// Its call slots.
    fn line(&self) -> &CallSlots;

    /// How many calls are under way there, or kept there for their clients.
    fn taken(&self) -> usize;

    /// How many calls more may be handed over at this moment.
    fn free_places(&self) -> usize {
        let CallSlots { limit, held, .. } = self.line();
        limit.saturating_sub(self.taken() + held.get())
    }

    /// Whether one more call may be handed over at this moment. That is all that a call pays where there is room.
    fn has_place(&self) -> bool {
        self.free_places() > 0 && self.line().line.borrow().is_empty()
    }

    /// Gives free places to those whose turn it is. Called whenever a call is over.
    fn give_places(&self) {
        while self.free_places() > 0 {
            let Some(next) = self.line().line.borrow_mut().next() else { return };
            self.line().hold();
            next.decide(Ok(()));
        }
    }
}

impl SlotWait {
    fn decide(&self, outcome: Result<(), NoSlot>) {
        self.outcome.set(Some(outcome));
        self.decided.notify_one();
    }
}

impl<L: HasSlots> QueuedCall<L> {
    /// Takes a place in the line as one of the calls of this caller.
    pub(super) fn join(connection: &Rc<L>, caller: SessionKey) -> Result<Self, NoSlot> {
        let waiting = Rc::<SlotWait>::default();
        let joined = connection.line().line.borrow_mut().join(caller, waiting.clone());
        let Joined { number, displaced } = joined.map_err(|full| match full {
            QueueFull::Party(count) => NoSlot::TooManyOfCaller(count),
            QueueFull::All(count) => NoSlot::TooMany(count),
        })?;
        if let Some(displaced) = displaced {
            displaced.decide(Err(NoSlot::TooMany(WAITING.of_all)));
        }
        Ok(Self { connection: connection.clone(), caller, number, waiting })
    }

    /// Waits for a slot. Cancel safe.
    pub(crate) async fn place(&mut self) -> Result<SlotReservation<L>, NoSlot> {
        loop {
            match self.waiting.outcome.get() {
                Some(Ok(())) => {
                    // From now on the promise holds it.
                    self.waiting.outcome.set(None);
                    return Ok(SlotReservation(Some(self.connection.clone())));
                }
                Some(Err(why)) => return Err(why),
                None => self.waiting.decided.notified().await,
            }
        }
    }
}

impl<L: HasSlots> Drop for QueuedCall<L> {
    fn drop(&mut self) {
        match self.waiting.outcome.take() {
            Some(Ok(())) => drop(SlotReservation(Some(self.connection.clone()))),
            Some(Err(_)) => {}
            None => {
                self.connection.line().line.borrow_mut().leave(&self.caller, self.number);
            }
        }
    }
}

impl<L: HasSlots> SlotReservation<L> {
    /// The call is handed over now, without another wait in between.
    pub(crate) fn take(mut self) {
        if let Some(connection) = self.0.take() {
            connection.line().let_go();
        }
    }
}

impl<L: HasSlots> Drop for SlotReservation<L> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.line().let_go();
            connection.give_places();
        }
    }
}
