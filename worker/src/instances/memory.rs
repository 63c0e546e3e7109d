//! What a session wants of whichever instance it has: subscriptions, which an instance that ended takes with it.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use mcproxy_ipc::SessionKey;

/// Sessions that are remembered; what is beyond has to subscribe again if its instance ends.
const SESSIONS: usize = 1024;
/// Subscriptions of one of them, and how long the params of one may be.
const EACH: usize = 1024;
const BYTES: usize = 4096;

/// The subscriptions of all sessions: the params of `resources/subscribe`.
#[derive(Debug, Default)]
pub(super) struct Memory(HashMap<SessionKey, BTreeSet<Bytes>>);

impl Memory {
    /// The session subscribes.
    pub(super) fn note(&mut self, session: SessionKey, params: &Bytes) {
        if params.len() > BYTES || (self.0.len() >= SESSIONS && !self.0.contains_key(&session)) {
            return;
        }
        let subscriptions = self.0.entry(session).or_default();
        if subscriptions.len() < EACH {
            // A copy: the rest of the message need not stay for it.
            subscriptions.insert(Bytes::copy_from_slice(params));
        }
    }

    /// It does not any more.
    pub(super) fn forget(&mut self, session: SessionKey, params: &Bytes) {
        if let Some(subscriptions) = self.0.get_mut(&session) {
            subscriptions.remove(params);
            if subscriptions.is_empty() {
                self.0.remove(&session);
            }
        }
    }

    /// The session is over.
    pub(super) fn release(&mut self, session: SessionKey) {
        self.0.remove(&session);
    }

    /// All of a session.
    pub(super) fn of(&self, session: SessionKey) -> Vec<Bytes> {
        self.0.get(&session).map(|all| all.iter().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_remembered_until_it_is_over() {
        let (mut memory, session) = (Memory::default(), SessionKey([1; 16]));
        let uri = |n: usize| Bytes::from(format!("{{\"uri\":\"a://{n}\"}}"));
        memory.note(session, &uri(1));
        memory.note(session, &uri(1));
        memory.note(session, &uri(2));
        memory.forget(session, &uri(2));
        assert_eq!(memory.of(session), [uri(1)]);
        (0..2 * EACH).for_each(|n| memory.note(session, &uri(n)));
        assert_eq!(memory.of(session).len(), EACH);
        memory.release(session);
        assert!(memory.of(session).is_empty());
        (0..2 * SESSIONS).for_each(|n| memory.note(SessionKey((n as u128).to_be_bytes()), &uri(n)));
        assert_eq!(memory.0.len(), SESSIONS);
    }
}
