use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::{Duration, Instant},
};

use mcproxy_ipc::{Generation, Keepsake, SessionKey};

use super::{note::Note, seal::Pass};

/// A session that was opened so shortly before its gateway's end may have left no note; it is taken up all the same.
const UNNOTED: Duration = Duration::from_secs(10);
/// So many of those at most.
const MAX_UNNOTED: usize = 65_536;

/// The sessions of earlier gateways: which of them this one may take up. Each is taken up once; what has not come back
/// within `limits.sessionIdle` was idle for at least so long, and is over.
pub(crate) struct Heirs {
    generation: Generation,
    /// When this gateway began; in milliseconds since 1970 as well.
    begun: (Instant, u64),
    /// What is known of them. `None`: over, or taken up.
    left: RefCell<HashMap<SessionKey, Option<Vec<u8>>>>,
    /// How many were taken up without a note.
    unnoted: Cell<usize>,
    closed: Cell<bool>,
}

impl Heirs {
    /// `generation` is this gateway's own.
    pub(crate) fn new(generation: Generation, keepsakes: Vec<Keepsake>, begun: (Instant, u64)) -> Self {
        let left = keepsakes.into_iter().map(|Keepsake { key, note }| (key, note)).collect();
        Self { generation, begun, left: RefCell::new(left), unnoted: Cell::new(0), closed: Cell::new(false) }
    }

    /// Whether anybody may still come back.
    pub(crate) fn are_awaited(&self) -> bool {
        !self.closed.get()
    }

    /// The note of a session that may be taken up.
    pub(crate) fn find(&self, pass: &Pass) -> Option<Note> {
        // Our own sessions are known while they live.
        if self.closed.get() || pass.gateway >= self.generation {
            return None;
        }
        match self.left.borrow().get(&pass.key) {
            Some(note) => note.as_deref().map(Note::from_bytes),
            None => {
                let age = Duration::from_millis(self.begun.1.saturating_sub(pass.issued));
                (age <= UNNOTED && self.unnoted.get() < MAX_UNNOTED).then(Note::default)
            }
        }
    }

    /// Whether a session of that name left a note and has neither come back nor ended.
    pub(crate) fn may_return(&self, key: SessionKey) -> bool {
        !self.closed.get() && self.left.borrow().get(&key).is_some_and(Option::is_some)
    }

    /// It was taken up; that happens once.
    pub(crate) fn take(&self, key: SessionKey) {
        if self.left.borrow_mut().insert(key, None).is_none() {
            self.unnoted.set(self.unnoted.get() + 1);
        }
    }

    /// Gives up, once `max_idle` has passed, on those who have not come back, and names them.
    pub(crate) fn expire(&self, max_idle: Duration, now: Instant) -> Vec<SessionKey> {
        if self.closed.get() || now.duration_since(self.begun.0) <= max_idle {
            return Vec::new();
        }
        self.closed.set(true);
        let left = std::mem::take(&mut *self.left.borrow_mut());
        left.into_iter().filter_map(|(key, note)| note.map(|_| key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::client::Client;

    const BEGUN: u64 = 1_000_000;

    fn heirs(keepsakes: Vec<Keepsake>, begun: Instant) -> Heirs {
        Heirs::new(Generation(2), keepsakes, (begun, BEGUN))
    }

    fn pass(key: u8, gateway: u64, issued: u64) -> Pass {
        let (key, gateway) = (SessionKey([key; 16]), Generation(gateway));
        Pass { key, version: mcproxy_mcp::LATEST, gateway, issued, client: Client::default() }
    }

    fn kept(key: u8, note: Option<&str>) -> Keepsake {
        Keepsake { key: SessionKey([key; 16]), note: note.map(|note| note.as_bytes().to_vec()) }
    }

    #[test]
    fn a_noted_session_is_taken_up_once_and_an_ended_one_never() {
        let heirs = heirs(vec![kept(1, Some("")), kept(2, None)], Instant::now());
        let old = pass(1, 1, 0);
        assert_eq!(heirs.find(&old), Some(Note::default()));
        heirs.take(old.key);
        assert_eq!(heirs.find(&old), None, "a client that deletes it afterwards must not find it again");
        assert_eq!(heirs.find(&pass(2, 1, BEGUN)), None, "it ended before");
        assert_eq!(heirs.find(&pass(3, 1, 0)), None, "it is old and has no note: it ended long ago");
    }

    #[test]
    fn a_session_of_the_last_moment_needs_no_note_but_our_own_are_never_taken_up() {
        let heirs = heirs(Vec::new(), Instant::now());
        let late = pass(1, 1, BEGUN - 5_000);
        assert_eq!(heirs.find(&late), Some(Note::default()));
        heirs.take(late.key);
        assert_eq!(heirs.find(&late), None);
        assert_eq!(heirs.find(&pass(2, 2, BEGUN)), None, "it is ours, and ended");
        assert_eq!(heirs.find(&pass(3, 1, BEGUN - 11_000)), None);
    }

    #[test]
    fn who_does_not_come_back_in_time_is_given_up() {
        let begun = Instant::now();
        let heirs = heirs(vec![kept(1, Some("")), kept(2, None)], begun);
        let (idle, second) = (Duration::from_secs(60), Duration::from_secs(1));
        assert!(heirs.expire(idle, begun + idle).is_empty() && heirs.are_awaited());
        assert_eq!(heirs.expire(idle, begun + idle + second), [SessionKey([1; 16])]);
        assert!(!heirs.are_awaited() && heirs.find(&pass(1, 1, BEGUN)).is_none());
        assert!(heirs.expire(idle, begun + 9 * idle).is_empty());
    }
}
