//! The requests of one session that are not answered yet, under the ids that its client gave them.

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
};

use mcproxy_mcp::RequestId;
use tokio::sync::Notify;

use crate::gateway::link::CallHandle;

/// Why a request is not taken up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallRefused {
    /// Two answers under one id could not be told apart.
    #[error("the id {0} is in use by a request that is not answered yet")]
    IdInUse(RequestId),
    /// One client must not use up what is there for all.
    #[error("{0} requests of this session are not answered yet (limits.maxCalls)")]
    TooMany(usize),
}

/// All of one session.
#[derive(Default)]
pub(crate) struct Calls(RefCell<HashMap<RequestId, CallState>>);

/// How far a request has come.
enum CallState {
    /// It has not reached a server yet.
    Waiting,
    /// It was given up before it did.
    Cancelled,
    /// A server has it.
    Running(CallHandle),
    /// A server had it and waits for the client.
    Resting(Rc<Notify>),
}

impl CallState {
    fn cancel(&mut self, reason: Option<String>) {
        match self {
            Self::Waiting => *self = Self::Cancelled,
            Self::Cancelled => {}
            Self::Running(handle) => handle.cancel(reason),
            Self::Resting(cancelled) => {
                cancelled.notify_one();
                *self = Self::Cancelled;
            }
        }
    }
}

impl Calls {
    /// Takes up a request id, while fewer than `limit` are taken.
    pub(crate) fn begin(&self, id: &RequestId, limit: usize) -> Result<(), CallRefused> {
        let mut calls = self.0.borrow_mut();
        if calls.len() >= limit {
            return Err(CallRefused::TooMany(limit));
        }
        match calls.entry(id.clone()) {
            Entry::Occupied(_) => Err(CallRefused::IdInUse(id.clone())),
            Entry::Vacant(free) => {
                free.insert(CallState::Waiting);
                Ok(())
            }
        }
    }

    /// From now on a cancellation of the request reaches the server.
    pub(crate) fn attach(&self, id: &RequestId, handle: CallHandle) {
        if let Some(state) = self.0.borrow_mut().get_mut(id) {
            *state = CallState::Running(handle);
        }
    }

    /// No server has the request now; what is rung when the client gives it up.
    pub(crate) fn rest(&self, id: &RequestId) -> Rc<Notify> {
        let cancelled = Rc::<Notify>::default();
        match self.0.borrow_mut().get_mut(id) {
            Some(state @ (CallState::Waiting | CallState::Running(_) | CallState::Resting(_))) => {
                *state = CallState::Resting(cancelled.clone());
            }
            Some(CallState::Cancelled) | None => cancelled.notify_one(),
        }
        cancelled
    }

    /// Whether the client gave the request up before it reached a server.
    pub(crate) fn is_cancelled(&self, id: &RequestId) -> bool {
        matches!(self.0.borrow().get(id), Some(CallState::Cancelled))
    }

    /// Whether all are answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The request is answered.
    pub(crate) fn end(&self, id: &RequestId) {
        self.0.borrow_mut().remove(id);
    }

    /// The client gave a request up.
    pub(crate) fn cancel(&self, id: &RequestId, reason: Option<String>) {
        if let Some(state) = self.0.borrow_mut().get_mut(id) {
            state.cancel(reason);
        }
    }

    /// The client gave all of them up.
    pub(super) fn cancel_all(&self, reason: &str) {
        for state in self.0.borrow_mut().values_mut() {
            state.cancel(Some(reason.to_owned()));
        }
    }
}
