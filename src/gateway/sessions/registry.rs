//! All sessions, by id and by key, with their limits; restores those of earlier gateways.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt::Write as _,
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use mcproxy_ipc::{Generation, SessionKey, StoredSession, control::GatewaySettings, unix_millis};
use mcproxy_mcp::{Level, OwnKeyMap, ProtocolVersion};

use super::{
    log_listeners::LogListeners,
    restore::RestorableSessions,
    session::{Identity, Life, Session},
    session_id::{SALT, SessionClaims, SessionIdCodec},
    snapshot::SessionSnapshot,
};
use crate::gateway::base::{client_info::Client, principal::Principal, scope::Scope, supervisor::RestoreState};

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// All sessions are in use.
    #[error("all {0} sessions are in use (limits.maxSessions)")]
    Full(usize),
    /// All that one token may have are in use.
    #[error("all {0} sessions that one token may have are in use (limits.maxSessionsPerToken)")]
    TokenFull(usize),
    /// The system gives no random numbers.
    #[error("no random numbers for a session id")]
    Random,
}

/// How many sessions there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// At once.
    pub(crate) all: usize,
    /// Of one token.
    pub(crate) per_token: usize,
}

impl Limits {
    /// The limits of these settings.
    pub(crate) fn of(settings: &GatewaySettings) -> Self {
        Self { all: settings.max_sessions, per_token: settings.max_sessions_per_token }
    }
}

/// A new session, and the one that made room for it.
pub(crate) type Opened = (Rc<Session>, Option<Rc<Session>>);

/// All sessions of the legacy era.
pub(crate) struct Sessions {
    all: RefCell<OwnKeyMap<Box<str>, Rc<Session>>>,
    /// The same by their keys.
    by_key: RefCell<OwnKeyMap<SessionKey, Rc<Session>>>,
    /// Those that read log lines.
    hearing: RefCell<LogListeners>,
    /// How many each principal with a name has.
    held: RefCell<HashMap<Principal, usize>>,
    seal: SessionIdCodec,
    generation: Generation,
    /// The sessions of earlier gateways.
    pub(crate) restorable: RestorableSessions,
    opened: Cell<u64>,
}

impl Sessions {
    /// None yet, but those of earlier gateways may come back.
    pub(crate) fn new(restore_state: RestoreState, now: Instant) -> Self {
        let RestoreState { seal, generation } = restore_state;
        Self {
            all: RefCell::default(),
            by_key: RefCell::default(),
            hearing: RefCell::default(),
            held: RefCell::default(),
            seal: SessionIdCodec::new(&seal),
            generation,
            restorable: RestorableSessions::new(generation, (now, unix_millis(SystemTime::now()))),
            opened: Cell::new(0),
        }
    }

    /// Opens a session that the next gateway can restore. At a limit the session that was idle for longest is closed; if none is
    /// idle, the new one is refused.
    pub(crate) fn open(
        &self,
        scope: Scope,
        principal: Principal,
        version: ProtocolVersion,
        client: Client,
        limits: Limits,
        now: Instant,
    ) -> Result<Opened, OpenError> {
        let key = SessionKey(random().ok_or(OpenError::Random)?);
        let salt: [u8; SALT] = random().ok_or(OpenError::Random)?;
        let claims =
            SessionClaims { key, version, gateway: self.generation, issued: unix_millis(SystemTime::now()), client };
        let id = self.seal.seal(&claims, salt, &scope.endpoint, principal.sealed_name().as_deref());
        let identity = Identity { id, key, scope, principal, client: claims.client, life: Life::Durable };
        self.add(identity, version, limits, now)
    }

    /// Opens a session that lives as long as its stream (2024-11-05), with the same limits.
    pub(crate) fn open_with_stream(
        &self,
        scope: Scope,
        principal: Principal,
        limits: Limits,
        now: Instant,
    ) -> Result<Opened, OpenError> {
        let key = SessionKey(random().ok_or(OpenError::Random)?);
        let secret: [u8; 16] = random().ok_or(OpenError::Random)?;
        let mut id = String::with_capacity(2 * secret.len());
        for byte in secret {
            let _ = write!(id, "{byte:02x}"); // a String takes everything
        }
        let client = Client::default();
        let identity = Identity { id: id.into(), key, scope, principal, client, life: Life::OfItsStream };
        self.add(identity, ProtocolVersion::V2024_11_05, limits, now)
    }

    /// The claims of a session id that an earlier gateway issued to this caller; `None`: it may not be restored.
    pub(crate) fn claims(&self, id: &str, scope: &Scope, principal: &Principal) -> Option<SessionClaims> {
        let open = |principal: &Principal| self.seal.open(id, &scope.endpoint, principal.sealed_name().as_deref());
        // Its caller may have got one more scope after it was opened.
        let claims = open(principal).or_else(|| principal.with_one_less().find_map(|principal| open(&principal)));
        claims.filter(|claims| self.restorable.may_be_restored(claims))
    }

    /// Restores a session of an earlier gateway with what it `left` at the supervisor; `None`: there is no such session any more.
    pub(crate) fn restore(
        &self,
        id: &str,
        claims: SessionClaims,
        (scope, principal): (&Scope, &Principal),
        left: Option<StoredSession>,
        limits: Limits,
        now: Instant,
    ) -> Option<Result<(Opened, SessionSnapshot), OpenError>> {
        let snapshot = self.restorable.snapshot(&claims, left)?;
        let SessionClaims { key, version, client, .. } = claims;
        let (scope, principal) = (scope.clone(), principal.clone());
        let identity = Identity { id: id.into(), key, scope, principal, client, life: Life::Durable };
        Some(self.add(identity, version, limits, now).map(|opened| {
            self.restorable.restored(key);
            (opened, snapshot)
        }))
    }

    fn add(
        &self,
        identity: Identity,
        version: ProtocolVersion,
        limits: Limits,
        now: Instant,
    ) -> Result<Opened, OpenError> {
        let evicted = self.make_room(&identity.principal, limits, now)?;
        let session = Rc::new(Session::new(identity, version, now));
        if !session.principal().is_anonymous() {
            *self.held.borrow_mut().entry(session.principal().clone()).or_default() += 1;
        }
        self.all.borrow_mut().insert(session.id().into(), session.clone());
        self.by_key.borrow_mut().insert(session.key(), session.clone());
        self.opened.set(self.opened.get() + 1);
        Ok((session, evicted))
    }

    /// Forgets the longest idle session where a limit is reached: one of the same token where it is the token's.
    fn make_room(&self, principal: &Principal, limits: Limits, now: Instant) -> Result<Option<Rc<Session>>, OpenError> {
        let held = self.held.borrow().get(principal).copied().unwrap_or_default();
        let (of, full) = match principal.name() {
            Some(_) if held >= limits.per_token => (Some(principal), OpenError::TokenFull(limits.per_token)),
            _ if self.len() >= limits.all => (None, OpenError::Full(limits.all)),
            _ => return Ok(None),
        };
        let victim = {
            let all = self.all.borrow();
            let candidates = all.values().filter(|session| of.is_none_or(|of| session.principal() == of));
            candidates.max_by_key(|session| session.idle(now)).filter(|session| !session.idle(now).is_zero()).cloned()
        };
        victim.and_then(|victim| self.close(victim.id())).map(Some).ok_or(full)
    }

    /// The session of that id, for any principal.
    pub(crate) fn get(&self, id: &str) -> Option<Rc<Session>> {
        self.all.borrow().get(id).cloned()
    }

    /// The session of that name among ourselves.
    pub(crate) fn by_key(&self, key: SessionKey) -> Option<Rc<Session>> {
        self.by_key.borrow().get(&key).cloned()
    }

    /// Whether there is such a session, or it may still come back; what is said of others is of no use.
    pub(crate) fn concerns(&self, key: SessionKey) -> bool {
        self.by_key.borrow().contains_key(&key) || self.restorable.may_return(key)
    }

    /// Removes a session.
    pub(crate) fn close(&self, id: &str) -> Option<Rc<Session>> {
        let session = self.all.borrow_mut().remove(id)?;
        self.by_key.borrow_mut().remove(&session.key());
        self.hearing.borrow_mut().set(session.key(), session.scope(), None);
        self.let_go(session.principal());
        Some(session)
    }

    /// Lets the same person go on in a session with more scopes than before; `false`: that happened too often.
    pub(crate) fn raise(&self, session: &Session, scope: Scope, principal: Principal) -> bool {
        let (before, level) = (session.scope().clone(), session.level());
        let was_held = session.principal().clone();
        if !session.raise(scope, principal) {
            return false;
        }
        if let Some(level) = level {
            let mut hearing = self.hearing.borrow_mut();
            hearing.set(session.key(), &before, None);
            hearing.set(session.key(), session.scope(), Some(level));
        }
        self.let_go(&was_held);
        *self.held.borrow_mut().entry(session.principal().clone()).or_default() += 1;
        true
    }

    /// A principal holds one session less.
    fn let_go(&self, principal: &Principal) {
        if principal.is_anonymous() {
            return;
        }
        let mut held = self.held.borrow_mut();
        match held.get_mut(principal) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                held.remove(principal);
            }
        }
    }

    /// Forgets those that were idle for so long, and returns them.
    pub(crate) fn sweep(&self, max_idle: Duration, now: Instant) -> Vec<Rc<Session>> {
        let expired: Vec<_> = self.all.borrow().values().filter(|s| s.idle(now) > max_idle).cloned().collect();
        for session in &expired {
            self.close(session.id());
        }
        expired
    }

    /// From now on a session wants to hear log lines of this level and above.
    pub(crate) fn set_level(&self, session: &Session, level: Level) {
        session.set_level(level);
        // One that is over is not told anything.
        if self.by_key.borrow().contains_key(&session.key()) {
            self.hearing.borrow_mut().set(session.key(), session.scope(), Some(level));
        }
    }

    /// How many want to hear a log line of this level.
    pub(crate) fn hearing(&self, level: Level) -> usize {
        self.hearing.borrow().count(level)
    }

    /// The most verbose level that sessions ask for at these endpoints.
    pub(crate) fn most_verbose(&self, concerns: impl Fn(&Scope) -> bool) -> Option<Level> {
        self.hearing.borrow().most_verbose(concerns)
    }

    /// Those that want to hear log lines of some level.
    pub(crate) fn hearing_keys(&self) -> Vec<SessionKey> {
        self.hearing.borrow().keys()
    }

    /// The keys of all sessions, for walks that are interrupted by other work.
    pub(crate) fn keys(&self) -> Vec<SessionKey> {
        self.by_key.borrow().keys().copied().collect()
    }

    /// A copy of the list, so that it is not borrowed while messages are sent.
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

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::SealKey;

    use super::*;
    use crate::gateway::base::{budget::Budget, scope::EndpointScope};

    const ROOMY: Limits = Limits { all: 8, per_token: 8 };

    fn gateway(generation: u64) -> Sessions {
        let (seal, generation) = (SealKey::new([1; 32]), Generation(generation));
        Sessions::new(RestoreState { seal, generation }, Instant::now())
    }

    fn open(sessions: &Sessions, who: Option<&str>, limits: Limits, now: Instant) -> Result<Rc<Session>, OpenError> {
        let (version, client) = (mcproxy_mcp::LATEST, Client::default());
        sessions.open(Scope::all(), Principal::of(who), version, client, limits, now).map(|(session, _)| session)
    }

    /// A session that left a snapshot.
    fn restore(sessions: &Sessions, id: &str, scope: &Scope, who: Option<&str>) -> Option<Rc<Session>> {
        let who = Principal::of(who);
        let claims = sessions.claims(id, scope, &who)?;
        let left = Some(StoredSession::Snapshot(br#"{"level":"error"}"#.to_vec()));
        let taken = sessions.restore(id, claims, (scope, &who), left, ROOMY, Instant::now())?;
        Some(taken.expect("room").0.0)
    }

    #[test]
    fn at_the_limit_the_longest_idle_session_makes_room() {
        let (sessions, start) = (gateway(1), Instant::now());
        let limits = Limits { all: 2, per_token: 2 };
        let first = open(&sessions, None, limits, start).expect("room");
        let second = open(&sessions, None, limits, start + Duration::from_secs(1)).expect("room");
        let third = open(&sessions, None, limits, start + Duration::from_secs(2)).expect("made room");
        assert!(sessions.get(first.id()).is_none());
        assert!(sessions.get(second.id()).is_some() && sessions.get(third.id()).is_some());
    }

    #[test]
    fn sessions_in_use_are_never_evicted() {
        let (sessions, now) = (gateway(1), Instant::now());
        let limits = Limits { all: 1, per_token: 1 };
        let session = open(&sessions, None, limits, now).expect("room");
        let _reader = session.open_stream(&Budget::new(1 << 20));
        assert!(matches!(open(&sessions, None, limits, now + Duration::from_secs(60)), Err(OpenError::Full(1))));
        assert!(sessions.sweep(Duration::ZERO, now + Duration::from_secs(60)).is_empty());
    }

    #[test]
    fn a_token_at_its_limit_makes_room_among_its_own_only() {
        let (sessions, start) = (gateway(1), Instant::now());
        let limits = Limits { all: 9, per_token: 2 };
        let at = |second| start + Duration::from_secs(second);
        let others = open(&sessions, Some("bob"), limits, at(0)).expect("room");
        let first = open(&sessions, Some("ann"), limits, at(1)).expect("room");
        let second = open(&sessions, Some("ann"), limits, at(2)).expect("room");
        let third = open(&sessions, Some("ann"), limits, at(3)).expect("made room");
        assert!(sessions.get(first.id()).is_none() && sessions.get(others.id()).is_some());
        let _readers = (second.open_stream(&Budget::new(1 << 20)), third.open_stream(&Budget::new(1 << 20)));
        assert!(matches!(open(&sessions, Some("ann"), limits, at(9)), Err(OpenError::TokenFull(2))));
        sessions.close(second.id());
        open(&sessions, Some("ann"), limits, at(9)).expect("room again");
    }

    #[test]
    fn the_next_gateway_takes_up_what_was_left_for_the_same_caller_and_endpoint() {
        let before = gateway(1);
        let session = open(&before, Some("ann"), ROOMY, Instant::now()).expect("room");
        let after = gateway(2);
        let group = Scope::new(EndpointScope::Group("g".into()), Principal::default());
        for (scope, who) in [(Scope::all(), Some("bob")), (Scope::all(), None), (group, Some("ann"))] {
            assert!(restore(&after, session.id(), &scope, who).is_none());
        }
        let taken = restore(&after, session.id(), &Scope::all(), Some("ann")).expect("it is the same session");
        assert_eq!((taken.id(), taken.key(), taken.version()), (session.id(), session.key(), session.version()));
        after.close(taken.id());
        assert!(restore(&after, session.id(), &Scope::all(), Some("ann")).is_none(), "it ended meanwhile");
        let full = Limits { all: 0, per_token: 1 };
        let after = gateway(2);
        let ann = Principal::of(Some("ann"));
        let claims = after.claims(session.id(), &Scope::all(), &ann).expect("it is good");
        let left = Some(StoredSession::Snapshot(Vec::new()));
        let none = after.restore(session.id(), claims, (&Scope::all(), &ann), left, full, Instant::now());
        assert!(matches!(none, Some(Err(OpenError::Full(0)))));
        assert!(restore(&after, session.id(), &Scope::all(), Some("ann")).is_some(), "there was no room, now there is");
    }

    #[test]
    fn who_hears_of_a_level_is_counted_and_not_searched_for() {
        let (sessions, now) = (gateway(1), Instant::now());
        let [one, two] = [(); 2].map(|()| open(&sessions, None, ROOMY, now).expect("room"));
        sessions.set_level(&one, Level::Info);
        sessions.set_level(&two, Level::Info);
        sessions.set_level(&two, Level::Error);
        let heard = |level| sessions.hearing(level);
        assert_eq!((heard(Level::Debug), heard(Level::Warning), heard(Level::Emergency)), (0, 1, 2));
        assert_eq!((sessions.hearing_keys().len(), sessions.keys().len()), (2, 2));
        sessions.close(two.id());
        sessions.set_level(&two, Level::Debug);
        assert_eq!((heard(Level::Emergency), sessions.hearing_keys()), (1, vec![one.key()]));
    }

    #[test]
    fn a_session_is_known_by_its_key_until_it_ends_and_before_it_returns() {
        let left = SessionKey([7; 16]);
        let sessions = gateway(2);
        sessions.restorable.await_these(&[left]);
        sessions.restorable.are_all_known();
        let now = Instant::now();
        let session = open(&sessions, None, Limits { all: 9, per_token: 9 }, now).expect("room");
        assert!(
            sessions.by_key(session.key()).is_some() && sessions.concerns(session.key()) && sessions.concerns(left)
        );
        sessions.close(session.id());
        assert!(!sessions.concerns(session.key()) && !sessions.concerns(SessionKey([8; 16])));
    }

    #[test]
    fn a_gateway_does_not_restore_its_own_sessions_once_they_ended() {
        let sessions = gateway(1);
        let session = open(&sessions, None, ROOMY, Instant::now()).expect("room");
        sessions.close(session.id());
        assert!(restore(&sessions, session.id(), &Scope::all(), None).is_none());
    }
}
