//! How many calls a worker takes at once, and who comes next where they are all under way (`docs/decisions/0110`).
//!
//! The worker counts, too, and refuses what is too much for it. Here one call more waits instead, and callers take turns.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use mcproxy_ipc::SessionKey;
use tokio::sync::Notify;

use super::Link;
use crate::gateway::fair::{Bounds, FairQueue, Full, Joined};

/// Calls of one caller, and of all, that may wait for a place at one server; one more is refused with error 31002.
pub(crate) const WAITING: Bounds = Bounds { of_party: 256, of_all: 1024 };

/// Why a call gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// Its caller has too many waiting.
    #[error("{0} more of this client wait already")]
    TooManyOfCaller(usize),
    /// Too many wait.
    #[error("{0} more wait already")]
    TooMany(usize),
    /// All of them wait for the very client that calls.
    #[error("they wait for this client")]
    OwnInput,
    /// Calls go elsewhere now: to another incarnation of the server, or nowhere.
    #[error("the worker is gone")]
    Moved,
}

/// All of one link.
pub(super) struct Places {
    limit: usize,
    /// Given to calls that waited, and not taken yet; or given up by calls of which the worker does not know that yet.
    held: Cell<usize>,
    line: RefCell<FairQueue<SessionKey, Rc<Waiting>>>,
}

/// One that waits.
#[derive(Default)]
struct Waiting {
    outcome: Cell<Option<Result<(), NoPlace>>>,
    decided: Notify,
}

/// A place in the line; dropping it leaves the line.
pub(crate) struct InLine {
    link: Rc<Link>,
    caller: SessionKey,
    number: u64,
    waiting: Rc<Waiting>,
}

/// A place at the worker, until it is taken or dropped.
#[must_use]
pub(crate) struct Promise(Option<Rc<Link>>);

impl Places {
    /// `None`: the worker sees to it.
    pub(super) fn new(limit: Option<usize>) -> Self {
        let line = RefCell::new(FairQueue::new(WAITING));
        Self { limit: limit.unwrap_or(usize::MAX), held: Cell::new(0), line }
    }

    /// One place more is not free, though no call of ours is under way there.
    pub(super) fn hold(&self) {
        self.held.set(self.held.get() + 1);
    }

    /// It is, or a call of ours is under way there.
    pub(super) fn let_go(&self) {
        self.held.set(self.held.get() - 1);
    }
}

impl Link {
    /// How many calls it takes at once.
    pub(crate) fn places(&self) -> usize {
        self.places.limit
    }

    /// Whether one more call may be handed over at this moment. That is all that a call pays where there is room.
    pub(crate) fn has_place(&self) -> bool {
        self.free_places() > 0 && self.places.line.borrow().is_empty()
    }

    fn free_places(&self) -> usize {
        let taken = self.waiters.borrow().len() + self.parked.borrow().len() + self.places.held.get();
        self.places.limit.saturating_sub(taken)
    }

    /// Waits in line for a place, as one of the calls of this caller. `session`: whom its server would ask.
    pub(crate) fn line_up(self: &Rc<Self>, caller: SessionKey, session: Option<SessionKey>) -> Result<InLine, NoPlace> {
        if self.retired.get() || self.is_closed() {
            return Err(NoPlace::Moved);
        }
        // It would wait for itself.
        if session.is_some_and(|session| self.all_wait_for(session)) {
            return Err(NoPlace::OwnInput);
        }
        let waiting = Rc::<Waiting>::default();
        let joined = self.places.line.borrow_mut().join(caller, waiting.clone());
        let Joined { number, displaced } = joined.map_err(|full| match full {
            Full::Party(count) => NoPlace::TooManyOfCaller(count),
            Full::All(count) => NoPlace::TooMany(count),
        })?;
        if let Some(displaced) = displaced {
            displaced.decide(Err(NoPlace::TooMany(WAITING.of_all)));
        }
        Ok(InLine { link: self.clone(), caller, number, waiting })
    }

    /// Whether every call there waits for the client of this session.
    fn all_wait_for(&self, session: SessionKey) -> bool {
        let parked = self.parked.borrow();
        self.waiters.borrow().is_empty() && parked.values().all(|parked| parked.is_of(session))
    }

    /// Gives free places to those whose turn it is. Called whenever a call is over.
    pub(super) fn give_places(&self) {
        while self.free_places() > 0 {
            let Some(next) = self.places.line.borrow_mut().next() else { return };
            self.places.hold();
            next.decide(Ok(()));
        }
    }

    /// Those who wait here have to look where calls go now.
    pub(super) fn send_away_waiting(&self) {
        let all = self.places.line.borrow_mut().take_all();
        all.for_each(|waiting| waiting.decide(Err(NoPlace::Moved)));
    }
}

impl Waiting {
    fn decide(&self, outcome: Result<(), NoPlace>) {
        self.outcome.set(Some(outcome));
        self.decided.notify_one();
    }
}

impl InLine {
    /// Waits for a place. Cancel safe.
    pub(crate) async fn place(&mut self) -> Result<Promise, NoPlace> {
        loop {
            match self.waiting.outcome.get() {
                Some(Ok(())) => {
                    // From now on the promise holds it.
                    self.waiting.outcome.set(None);
                    return Ok(Promise(Some(self.link.clone())));
                }
                Some(Err(why)) => return Err(why),
                None => self.waiting.decided.notified().await,
            }
        }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        match self.waiting.outcome.take() {
            Some(Ok(())) => drop(Promise(Some(self.link.clone()))),
            Some(Err(_)) => {}
            None => {
                self.link.places.line.borrow_mut().leave(&self.caller, self.number);
            }
        }
    }
}

impl Promise {
    /// The call is handed over now, without another wait in between.
    pub(crate) fn take(mut self) {
        if let Some(link) = self.0.take() {
            link.places.let_go();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.places.let_go();
            link.give_places();
        }
    }
}
