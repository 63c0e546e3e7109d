//! The subscriptions of a session, which an instance that ends takes with it and the next one gets again.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use mcproxy_ipc::SessionKey;

/// Sessions that are remembered; what is beyond has to subscribe again if its instance ends.
const SESSIONS: usize = 1024;
/// Subscriptions of one of them, and how long the params of one may be.
const EACH: usize = 1024;
const BYTES: usize = 4096;
/// Bytes of all of them; what is beyond is not remembered either.
const ALL_BYTES: usize = 16 * 1024 * 1024;

/// The subscriptions of all sessions: the params of `resources/subscribe`.
#[derive(Debug, Default)]
pub(super) struct SubscriptionMemory {
    of_sessions: HashMap<SessionKey, BTreeSet<Bytes>>,
    bytes: usize,
}

impl SubscriptionMemory {
    /// The session subscribes.
    pub(super) fn note(&mut self, session: SessionKey, params: &Bytes) {
        if params.len() > BYTES
            || self.bytes + params.len() > ALL_BYTES
            || (self.of_sessions.len() >= SESSIONS && !self.of_sessions.contains_key(&session))
        {
            return;
        }
        let subscriptions = self.of_sessions.entry(session).or_default();
        // A copy: the rest of the message need not stay for it.
        if subscriptions.len() < EACH && subscriptions.insert(Bytes::copy_from_slice(params)) {
            self.bytes += params.len();
        }
    }

    /// It does not any more.
    pub(super) fn forget(&mut self, session: SessionKey, params: &Bytes) {
        if let Some(subscriptions) = self.of_sessions.get_mut(&session) {
            if subscriptions.remove(params) {
                self.bytes -= params.len();
            }
            if subscriptions.is_empty() {
                self.of_sessions.remove(&session);
            }
        }
    }

    /// The session is over.
    pub(super) fn release(&mut self, session: SessionKey) {
        let subscriptions = self.of_sessions.remove(&session).unwrap_or_default();
        self.bytes -= subscriptions.iter().map(Bytes::len).sum::<usize>();
    }

    /// All of a session.
    pub(super) fn of(&self, session: SessionKey) -> Vec<Bytes> {
        self.of_sessions.get(&session).map(|all| all.iter().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_remembered_until_it_is_over() {
        let (mut subscription_memory, session) = (SubscriptionMemory::default(), SessionKey([1; 16]));
        let uri = |n: usize| Bytes::from(format!("{{\"uri\":\"a://{n}\"}}"));
        subscription_memory.note(session, &uri(1));
        subscription_memory.note(session, &uri(1));
        subscription_memory.note(session, &uri(2));
        subscription_memory.forget(session, &uri(2));
        assert_eq!(subscription_memory.of(session), [uri(1)]);
        (0..2 * EACH).for_each(|n| subscription_memory.note(session, &uri(n)));
        assert_eq!(subscription_memory.of(session).len(), EACH);
        subscription_memory.release(session);
        assert!(subscription_memory.of(session).is_empty());
        (0..2 * SESSIONS).for_each(|n| subscription_memory.note(SessionKey((n as u128).to_be_bytes()), &uri(n)));
        assert_eq!(subscription_memory.of_sessions.len(), SESSIONS);
    }

    #[test]
    fn what_is_remembered_of_all_is_bounded_in_bytes_and_given_back() {
        let mut subscription_memory = SubscriptionMemory::default();
        let session = |n: u32| SessionKey(u128::from(n).to_be_bytes());
        let long = |n: u32| Bytes::from(format!("{n:0>4096}"));
        for n in 0..10_000 {
            subscription_memory.note(session(n % 100), &long(n));
        }
        assert_eq!(subscription_memory.bytes, ALL_BYTES);
        subscription_memory.forget(session(0), &long(0));
        assert_eq!(subscription_memory.bytes, ALL_BYTES - BYTES);
        (0..100).for_each(|n| subscription_memory.release(session(n)));
        assert_eq!(subscription_memory.bytes, 0);
    }
}
