use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt::Write as _,
    rc::Rc,
    time::{Duration, Instant},
};

use mcproxy_mcp::ProtocolVersion;

use super::{scope::Scope, session::Session};

/// Session ids are 128 random bits.
const ID_BYTES: usize = 16;

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// All sessions are in use.
    #[error("all {0} sessions are in use (limits.maxSessions)")]
    Full(usize),
    /// The system gives no random numbers.
    #[error("no random numbers for a session id")]
    Random,
}

/// All sessions of the initialize era.
#[derive(Default)]
pub(crate) struct Sessions {
    all: RefCell<HashMap<Box<str>, Rc<Session>>>,
    opened: Cell<u64>,
}

impl Sessions {
    /// Opens one. At the limit the one that was idle for longest makes room; with none idle there is no room.
    pub(crate) fn open(
        &self,
        scope: Scope,
        principal: Option<String>,
        version: ProtocolVersion,
        limit: usize,
        now: Instant,
    ) -> Result<(Rc<Session>, Option<Rc<Session>>), OpenError> {
        let id = new_id().ok_or(OpenError::Random)?;
        let mut all = self.all.borrow_mut();
        let mut evicted = None;
        if all.len() >= limit {
            let (idle, victim) = all
                .values()
                .map(|s| (s.idle(now), s))
                .max_by_key(|(idle, _)| *idle)
                .map(|(idle, s)| (idle, s.clone()))
                .ok_or(OpenError::Full(limit))?;
            if idle.is_zero() {
                return Err(OpenError::Full(limit));
            }
            evicted = all.remove(victim.id());
        }
        let session = Rc::new(Session::new(id.clone(), scope, principal, version, now));
        all.insert(id, session.clone());
        self.opened.set(self.opened.get() + 1);
        Ok((session, evicted))
    }

    /// The session of that id, if it belongs to this caller and endpoint.
    pub(crate) fn find(&self, id: &str, scope: &Scope, principal: Option<&str>) -> Option<Rc<Session>> {
        let session = self.all.borrow().get(id).cloned()?;
        (session.scope() == scope && session.principal() == principal).then_some(session)
    }

    /// Forgets one.
    pub(crate) fn close(&self, id: &str) -> Option<Rc<Session>> {
        self.all.borrow_mut().remove(id)
    }

    /// Forgets those that were idle for so long, and returns them.
    pub(crate) fn sweep(&self, max_idle: Duration, now: Instant) -> Vec<Rc<Session>> {
        let mut all = self.all.borrow_mut();
        let expired: Vec<_> = all.values().filter(|s| s.idle(now) > max_idle).cloned().collect();
        for session in &expired {
            all.remove(session.id());
        }
        expired
    }

    /// A snapshot of all of them, so that none is borrowed while they are told something.
    pub(crate) fn all(&self) -> Vec<Rc<Session>> {
        self.all.borrow().values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// How many there ever were.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.get()
    }
}

fn new_id() -> Option<Box<str>> {
    let mut random = [0u8; ID_BYTES];
    getrandom::fill(&mut random).ok()?;
    let mut id = String::with_capacity(2 * ID_BYTES);
    for byte in random {
        let _ = write!(id, "{byte:02x}"); // a String takes everything
    }
    Some(id.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(sessions: &Sessions, limit: usize, now: Instant) -> Result<Rc<Session>, OpenError> {
        sessions.open(Scope::All, None, mcproxy_mcp::LATEST, limit, now).map(|(session, _)| session)
    }

    #[test]
    fn at_the_limit_the_longest_idle_session_makes_room() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let first = open(&sessions, 2, start).expect("room");
        let second = open(&sessions, 2, start + Duration::from_secs(1)).expect("room");
        let third = open(&sessions, 2, start + Duration::from_secs(2)).expect("made room");
        assert!(sessions.find(first.id(), &Scope::All, None).is_none());
        assert!(sessions.find(second.id(), &Scope::All, None).is_some());
        assert!(sessions.find(third.id(), &Scope::All, None).is_some());
    }

    #[test]
    fn sessions_in_use_are_never_evicted() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let session = open(&sessions, 1, now).expect("room");
        let _reader = session.open_stream();
        assert!(matches!(open(&sessions, 1, now + Duration::from_secs(60)), Err(OpenError::Full(1))));
        assert!(sessions.sweep(Duration::ZERO, now + Duration::from_secs(60)).is_empty());
    }

    #[test]
    fn a_session_is_unknown_to_other_callers_and_endpoints() {
        let sessions = Sessions::default();
        let (session, _) =
            sessions.open(Scope::All, Some("ann".into()), mcproxy_mcp::LATEST, 8, Instant::now()).expect("room");
        assert!(sessions.find(session.id(), &Scope::All, Some("ann")).is_some());
        assert!(sessions.find(session.id(), &Scope::All, Some("bob")).is_none());
        assert!(sessions.find(session.id(), &Scope::All, None).is_none());
        assert!(sessions.find(session.id(), &Scope::Group("g".into()), Some("ann")).is_none());
    }
}
