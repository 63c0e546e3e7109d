//! Which sessions of earlier gateways may be restored.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::{Duration, Instant},
};

use mcproxy_ipc::{Generation, SessionKey, StoredSession};

use super::{session_id::SessionClaims, snapshot::SessionSnapshot};

/// A session that was opened so shortly before its gateway ended may have left no snapshot; it is restored all the same.
const WITHOUT_SNAPSHOT: Duration = Duration::from_secs(10);
/// The most sessions that are restored without a snapshot.
const MAX_WITHOUT_SNAPSHOT: usize = 65_536;

/// The knowledge of this gateway about a session of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyState {
    /// The supervisor has its snapshot, and it may return.
    Awaited,
    /// It was restored here.
    Taken,
}

/// The sessions of earlier gateways that this one may restore, each once. A session that has not returned within
/// `limits.sessionIdle` has expired. The supervisor keeps their snapshots until they return.
pub(crate) struct RestorableSessions {
    generation: Generation,
    /// When this gateway began; in milliseconds since 1970 as well.
    begun: (Instant, u64),
    known: RefCell<HashMap<SessionKey, KeyState>>,
    /// Whether the keys of all snapshots are loaded.
    complete: Cell<bool>,
    /// How many were restored without a snapshot.
    without_snapshot: Cell<usize>,
    closed: Cell<bool>,
}

impl RestorableSessions {
    /// `generation` is this gateway's own.
    pub(crate) fn new(generation: Generation, begun: (Instant, u64)) -> Self {
        Self {
            generation,
            begun,
            known: RefCell::default(),
            complete: Cell::new(false),
            without_snapshot: Cell::new(0),
            closed: Cell::new(false),
        }
    }

    /// Adds keys of which the supervisor has snapshots.
    pub(crate) fn await_these(&self, keys: &[SessionKey]) {
        let mut known = self.known.borrow_mut();
        keys.iter().for_each(|key| {
            known.entry(*key).or_insert(KeyState::Awaited);
        });
    }

    /// All keys are loaded.
    pub(crate) fn are_all_known(&self) {
        self.complete.set(true);
    }

    /// Whether a session may still return.
    pub(crate) fn are_awaited(&self) -> bool {
        !self.closed.get()
    }

    /// Whether a session may be restored, as far as this gateway knows. Its own sessions are in the registry while they live.
    pub(crate) fn may_be_restored(&self, claims: &SessionClaims) -> bool {
        let is_taken = || self.known.borrow().get(&claims.key) == Some(&KeyState::Taken);
        !self.closed.get() && claims.gateway < self.generation && !is_taken()
    }

    /// The snapshot of a session that may be restored, from the supervisor's answer. If the supervisor did not answer, the session is
    /// restored without its snapshot.
    pub(crate) fn snapshot(&self, claims: &SessionClaims, left: Option<StoredSession>) -> Option<SessionSnapshot> {
        if !self.may_be_restored(claims) {
            return None;
        }
        let is_awaited = || self.known.borrow().contains_key(&claims.key);
        match left {
            Some(StoredSession::Snapshot(snapshot)) => Some(SessionSnapshot::from_bytes(&snapshot)),
            Some(StoredSession::Ended) => None,
            None if is_awaited() || !self.complete.get() => Some(SessionSnapshot::default()),
            Some(StoredSession::Unknown) | None => {
                let age = Duration::from_millis(self.begun.1.saturating_sub(claims.issued));
                (age <= WITHOUT_SNAPSHOT && self.without_snapshot.get() < MAX_WITHOUT_SNAPSHOT)
                    .then(SessionSnapshot::default)
            }
        }
    }

    /// Whether a session with that key has a snapshot, or may have, and has neither returned nor ended.
    pub(crate) fn may_return(&self, key: SessionKey) -> bool {
        let known = self.known.borrow().get(&key).copied();
        !self.closed.get() && known.map_or(!self.complete.get(), |state| state == KeyState::Awaited)
    }

    /// Records that it was restored; that happens once.
    pub(crate) fn restored(&self, key: SessionKey) {
        if self.known.borrow_mut().insert(key, KeyState::Taken).is_none() {
            self.without_snapshot.set(self.without_snapshot.get() + 1);
        }
    }

    /// Removes and returns the keys of sessions that have not returned, once `max_idle` has passed.
    pub(crate) fn expire(&self, max_idle: Duration, now: Instant) -> Vec<SessionKey> {
        if self.closed.get() || now.duration_since(self.begun.0) <= max_idle {
            return Vec::new();
        }
        self.closed.set(true);
        let known = std::mem::take(&mut *self.known.borrow_mut());
        known.into_iter().filter_map(|(key, state)| (state == KeyState::Awaited).then_some(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::base::client_info::Client;

    const BEGUN: u64 = 1_000_000;

    fn restorable(begun: Instant) -> RestorableSessions {
        RestorableSessions::new(Generation(2), (begun, BEGUN))
    }

    fn key(n: u8) -> SessionKey {
        SessionKey([n; 16])
    }

    fn claims(n: u8, gateway: u64, issued: u64) -> SessionClaims {
        let (key, gateway) = (key(n), Generation(gateway));
        SessionClaims { key, version: mcproxy_mcp::LATEST, gateway, issued, client: Client::default() }
    }

    #[test]
    fn a_noted_session_is_taken_up_once_and_an_ended_one_never() {
        let restorable = restorable(Instant::now());
        let (old, empty) = (claims(1, 1, 0), || Some(StoredSession::Snapshot(Vec::new())));
        assert_eq!(restorable.snapshot(&old, empty()), Some(SessionSnapshot::default()));
        restorable.restored(old.key);
        assert_eq!(
            restorable.snapshot(&old, empty()),
            None,
            "a client that deletes it afterwards must not find it again"
        );
        restorable.await_these(&[key(1)]);
        assert_eq!(restorable.snapshot(&old, empty()), None, "nor when it is named late");
        assert_eq!(restorable.snapshot(&claims(2, 1, BEGUN), Some(StoredSession::Ended)), None, "it ended before");
        assert_eq!(
            restorable.snapshot(&claims(3, 1, 0), Some(StoredSession::Unknown)),
            None,
            "it is old and has no snapshot: it ended long ago"
        );
    }

    #[test]
    fn a_session_of_the_last_moment_needs_no_note_but_our_own_are_never_taken_up() {
        let restorable = restorable(Instant::now());
        let nothing = || Some(StoredSession::Unknown);
        let late = claims(1, 1, BEGUN - 5_000);
        assert_eq!(restorable.snapshot(&late, nothing()), Some(SessionSnapshot::default()));
        restorable.restored(late.key);
        assert_eq!(restorable.snapshot(&late, nothing()), None);
        assert_eq!(restorable.snapshot(&claims(2, 2, BEGUN), nothing()), None, "it is ours, and ended");
        assert_eq!(restorable.snapshot(&claims(3, 1, BEGUN - 11_000), nothing()), None);
    }

    #[test]
    fn a_session_goes_on_without_its_note_when_the_supervisor_is_silent() {
        let restorable = restorable(Instant::now());
        restorable.await_these(&[key(1)]);
        assert_eq!(restorable.snapshot(&claims(1, 1, 0), None), Some(SessionSnapshot::default()));
        assert_eq!(
            restorable.snapshot(&claims(2, 1, 0), None),
            Some(SessionSnapshot::default()),
            "it may be one of the others"
        );
        restorable.are_all_known();
        assert_eq!(restorable.snapshot(&claims(2, 1, 0), None), None, "it is none of them");
    }

    #[test]
    fn until_all_are_known_any_may_return() {
        let restorable = restorable(Instant::now());
        restorable.await_these(&[key(1)]);
        assert!(restorable.may_return(key(1)) && restorable.may_return(key(2)));
        restorable.are_all_known();
        assert!(restorable.may_return(key(1)) && !restorable.may_return(key(2)));
    }

    #[test]
    fn who_does_not_come_back_in_time_is_given_up() {
        let begun = Instant::now();
        let restorable = restorable(begun);
        restorable.await_these(&[key(1), key(2)]);
        restorable.restored(key(2));
        let (idle, second) = (Duration::from_secs(60), Duration::from_secs(1));
        assert!(restorable.expire(idle, begun + idle).is_empty() && restorable.are_awaited());
        assert_eq!(restorable.expire(idle, begun + idle + second), [key(1)]);
        assert!(
            !restorable.are_awaited()
                && restorable.snapshot(&claims(1, 1, BEGUN), Some(StoredSession::Unknown)).is_none()
        );
        assert!(restorable.expire(idle, begun + 9 * idle).is_empty());
    }
}
