//! The requests of one session that are not answered yet, under the ids that its client gave them.

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
};

use mcproxy_mcp::{ErrorCode, ErrorObject, RequestId};
use tokio::sync::Notify;

use crate::gateway::{
    base::{budget::Full, rates::RateExceeded},
    upstream::connection::CallHandle,
};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestRefused {
    /// Two answers under one id could not be told apart.
    #[error("the id {0} is in use by a request that is not answered yet")]
    IdInUse(RequestId),
    /// One client must not use up what is there for all.
    #[error("{0} requests of this session are not answered yet (limits.maxCalls)")]
    TooMany(usize),
    /// Its token has as many as it may.
    #[error("this token has {0}")]
    Rate(#[from] RateExceeded),
    /// There is no room for it in the budget.
    #[error(transparent)]
    NoRoom(#[from] Full),
}

impl RequestRefused {
    /// The code of the error that says so.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::IdInUse(_) | Self::TooMany(_) => ErrorCode::INVALID_REQUEST,
            Self::Rate(_) | Self::NoRoom(_) => ErrorCode::INTERNAL_ERROR,
        }
    }

    /// The error that says so.
    pub(crate) fn to_error(&self) -> ErrorObject {
        let error = ErrorObject::new(self.code(), self);
        match self {
            Self::Rate(exceeded) => exceeded.tell(error),
            Self::IdInUse(_) | Self::TooMany(_) | Self::NoRoom(_) => error,
        }
    }
}

/// The pending requests of one session.
#[derive(Default)]
pub(crate) struct PendingRequests(RefCell<HashMap<RequestId, CallState>>);

/// How far a request has come.
enum CallState {
    /// It has not reached a server yet.
    Waiting,
    /// The client cancelled it.
    Cancelled,
    /// It is with one server.
    With(Party),
    /// It is with several, each of which is told when it is given up.
    WithSeveral(Vec<Party>),
}

/// How a request stands with one server.
enum Party {
    /// The server has it.
    Running(CallHandle),
    /// The server is not there yet, or waits for the client.
    Resting(Rc<Notify>),
}

impl Party {
    /// Whether an answer is still to come.
    fn is_open(&self) -> bool {
        match self {
            Self::Running(handle) => handle.is_under_way(),
            // The task that rests holds it, too.
            Self::Resting(cancelled) => Rc::strong_count(cancelled) > 1,
        }
    }

    fn cancel(&self, reason: Option<String>) {
        match self {
            Self::Running(handle) => handle.cancel(reason),
            Self::Resting(cancelled) => cancelled.notify_one(),
        }
    }
}

impl CallState {
    fn cancel(&mut self, reason: Option<&str>) {
        let reason = || reason.map(str::to_owned);
        match std::mem::replace(self, Self::Cancelled) {
            Self::Waiting | Self::Cancelled => {}
            Self::With(party) => party.cancel(reason()),
            Self::WithSeveral(parties) => parties.iter().for_each(|party| party.cancel(reason())),
        }
    }

    /// Adds this server to those that have it.
    fn add(&mut self, party: Party) {
        *self = match std::mem::replace(self, Self::Waiting) {
            Self::Cancelled => {
                party.cancel(None);
                Self::Cancelled
            }
            Self::With(other) if other.is_open() => Self::WithSeveral(vec![other, party]),
            Self::Waiting | Self::With(_) => Self::With(party),
            Self::WithSeveral(mut parties) => {
                parties.retain(Party::is_open);
                parties.push(party);
                Self::WithSeveral(parties)
            }
        }
    }
}

impl PendingRequests {
    /// Takes up a request id, while fewer than `limit` are taken.
    pub(crate) fn begin(&self, id: &RequestId, limit: usize) -> Result<(), RequestRefused> {
        let mut calls = self.0.borrow_mut();
        if calls.len() >= limit {
            return Err(RequestRefused::TooMany(limit));
        }
        match calls.entry(id.clone()) {
            Entry::Occupied(_) => Err(RequestRefused::IdInUse(id.clone())),
            Entry::Vacant(free) => {
                free.insert(CallState::Waiting);
                Ok(())
            }
        }
    }

    /// From now on a cancellation of the request reaches the server.
    pub(crate) fn attach(&self, id: &RequestId, handle: CallHandle) {
        if let Some(state) = self.0.borrow_mut().get_mut(id) {
            state.add(Party::Running(handle));
        }
    }

    /// No server has the request now; what is rung when the client gives it up.
    pub(crate) fn rest(&self, id: &RequestId) -> Rc<Notify> {
        let cancelled = Rc::<Notify>::default();
        match self.0.borrow_mut().get_mut(id) {
            Some(state) => state.add(Party::Resting(cancelled.clone())),
            None => cancelled.notify_one(),
        }
        cancelled
    }

    /// Whether the client cancelled the request.
    pub(crate) fn is_cancelled(&self, id: &RequestId) -> bool {
        matches!(self.0.borrow().get(id), Some(CallState::Cancelled))
    }

    /// Whether all are answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Ends an answered request.
    pub(crate) fn end(&self, id: &RequestId) {
        self.0.borrow_mut().remove(id);
    }

    /// Cancels a request for its client.
    pub(crate) fn cancel(&self, id: &RequestId, reason: Option<String>) {
        if let Some(state) = self.0.borrow_mut().get_mut(id) {
            state.cancel(reason.as_deref());
        }
    }

    /// Cancels all requests.
    pub(super) fn cancel_all(&self, reason: &str) {
        for state in self.0.borrow_mut().values_mut() {
            state.cancel(Some(reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_rung(cancelled: &Notify) -> bool {
        cancelled.notified().now_or_never().is_some()
    }

    #[test]
    fn a_request_that_is_with_several_servers_is_given_up_at_all_of_them() {
        let id = RequestId::from_raw(&mcproxy_mcp::json_string("7")).expect("an id");
        let calls = PendingRequests::default();
        calls.begin(&id, 1).expect("room");
        let over = calls.rest(&id);
        drop(over);
        let parties: Vec<_> = (0..3).map(|_| calls.rest(&id)).collect();
        assert!(!parties.iter().any(|party| is_rung(party)) && !calls.is_cancelled(&id));
        calls.cancel(&id, None);
        assert!(parties.iter().all(|party| is_rung(party)) && calls.is_cancelled(&id));
        assert!(is_rung(&calls.rest(&id)), "nor does it go on at one more");
    }
}
