//! Results of tools that were too large for their clients to be shown whole (`limits.maxResult`), kept for those who read on.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use mcproxy_ipc::SessionKey;

use crate::gateway::base::{
    budget::{Budget, Full, Held, Purpose},
    principal::Principal,
};

/// What their URIs begin with.
const SCHEME: &str = "mcproxy://results/";
/// Random bytes of a name.
const SECRET: usize = 18;
/// Most results that are kept; the oldest is forgotten first.
const MAX_RESULTS: usize = 1024;
/// Most of them, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Most of one session, in bytes.
const SESSION_BYTES: usize = 32 * 1024 * 1024;
/// A result that nobody reads for so long is forgotten.
const IDLE: Duration = Duration::from_secs(3600);

/// Who may read a result: the session, or the principal without one, whose call it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultReader {
    /// Who it is.
    pub(crate) principal: Principal,
    /// The session's key, or that of all requests without one.
    pub(crate) key: SessionKey,
}

/// A result that is kept.
#[derive(Debug)]
pub(crate) struct KeptResult {
    /// What it is.
    pub(crate) mime_type: &'static str,
    /// All of it.
    pub(crate) text: String,
    /// Its part of the budget.
    _room: Held,
}

#[derive(Debug)]
struct StoredResult {
    name: Box<str>,
    reader: ResultReader,
    result: Rc<KeptResult>,
    used: Instant,
}

/// Why a result is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotKept {
    /// It is too large.
    #[error("it is larger than {} MiB", SESSION_BYTES >> 20)]
    TooLarge,
    /// Other results, and all else that clients make the gateway hold, leave no room.
    #[error(transparent)]
    Full(#[from] Full),
    /// The system gives no random bytes for its name.
    #[error("the system has no random bytes")]
    NoName,
}

/// All of them, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct KeptResults(RefCell<VecDeque<StoredResult>>);

impl KeptResults {
    /// Keeps a result and returns its URI. Older ones make room, those of the same session first.
    pub(crate) fn keep(
        &self,
        budget: &Budget,
        reader: ResultReader,
        mime_type: &'static str,
        text: String,
        now: Instant,
    ) -> Result<String, NotKept> {
        let bytes = text.len();
        if bytes > SESSION_BYTES {
            return Err(NotKept::TooLarge);
        }
        let mut secret = [0; SECRET];
        getrandom::fill(&mut secret).map_err(|_| NotKept::NoName)?;
        self.tidy(now);
        let mut all = self.0.borrow_mut();
        while held(&all, |entry| entry.reader == reader) + bytes > SESSION_BYTES {
            let eldest = all.iter().position(|entry| entry.reader == reader);
            eldest.and_then(|at| all.remove(at));
        }
        while all.len() >= MAX_RESULTS || held(&all, |_| true) + bytes > MAX_BYTES {
            all.pop_front();
        }
        let room = loop {
            match budget.take(Purpose::Results, bytes) {
                Ok(room) => break room,
                Err(full) if all.pop_front().is_none() => return Err(full.into()),
                Err(_) => {}
            }
        };
        let name: Box<str> = BASE64_URL_SAFE_NO_PAD.encode(secret).into();
        let uri = format!("{SCHEME}{name}");
        let result = Rc::new(KeptResult { mime_type, text, _room: room });
        all.push_back(StoredResult { name, reader, result, used: now });
        Ok(uri)
    }

    /// The result that a URI without a query names, for those who may read it.
    pub(crate) fn read(&self, uri: &str, reader: &ResultReader, now: Instant) -> Option<Rc<KeptResult>> {
        let name = uri.strip_prefix(SCHEME)?;
        self.tidy(now);
        let mut all = self.0.borrow_mut();
        let entry = all.iter_mut().find(|entry| *entry.name == *name && entry.reader == *reader)?;
        entry.used = now;
        Some(entry.result.clone())
    }

    /// Forgets those of sessions that have ended.
    pub(crate) fn forget(&self, sessions: &[SessionKey]) {
        self.0.borrow_mut().retain(|entry| !sessions.contains(&entry.reader.key));
    }

    /// Forgets those that nobody reads any more.
    pub(crate) fn tidy(&self, now: Instant) {
        self.0.borrow_mut().retain(|entry| now.saturating_duration_since(entry.used) < IDLE);
    }
}

/// Whether a URI is that of a result that was kept, or one that would be.
pub(crate) fn is_result(uri: &str) -> bool {
    uri.starts_with(SCHEME)
}

fn held(all: &VecDeque<StoredResult>, which: impl Fn(&StoredResult) -> bool) -> usize {
    all.iter().filter(|entry| which(entry)).map(|entry| entry.result.text.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(name: &str, key: u8) -> ResultReader {
        ResultReader { principal: Principal::of(Some(name)), key: SessionKey([key; 16]) }
    }

    fn keep(results: &KeptResults, budget: &Budget, of: &ResultReader, bytes: usize, now: Instant) -> String {
        results.keep(budget, of.clone(), "text/plain", "x".repeat(bytes), now).expect("room")
    }

    #[test]
    fn a_result_is_for_whom_it_answered() {
        let (results, budget, now) = (KeptResults::default(), Budget::new(1 << 30), Instant::now());
        let ann = reader("ann", 1);
        let uri = keep(&results, &budget, &ann, 10, now);
        assert!(is_result(&uri));
        assert_eq!(results.read(&uri, &ann, now).map(|result| result.text.len()), Some(10));
        assert!(
            results.read(&uri, &reader("bob", 1), now).is_none()
                && results.read(&uri, &reader("ann", 2), now).is_none()
        );
        assert!(results.read("mcproxy://results/x", &ann, now).is_none() && results.read("x", &ann, now).is_none());
        assert_eq!(budget.held(Purpose::Results), 10);
        results.forget(&[ann.key]);
        assert!(results.read(&uri, &ann, now).is_none());
        assert_eq!(budget.held(Purpose::Results), 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let (results, budget, now) = (KeptResults::default(), Budget::new(1 << 30), Instant::now());
        let (ann, bob) = (reader("ann", 1), reader("bob", 2));
        let of_bob = keep(&results, &budget, &bob, 1 << 20, now);
        let first = keep(&results, &budget, &ann, SESSION_BYTES / 2, now);
        let second = keep(&results, &budget, &ann, SESSION_BYTES / 2, now);
        let third = keep(&results, &budget, &ann, SESSION_BYTES / 2, now);
        let kept = |uri: &str, of| results.read(uri, of, now).is_some();
        assert!(!kept(&first, &ann) && kept(&second, &ann) && kept(&third, &ann) && kept(&of_bob, &bob));
        let large = results.keep(&budget, ann.clone(), "text/plain", "x".repeat(SESSION_BYTES + 1), now);
        assert_eq!(large, Err(NotKept::TooLarge));

        // An eighth of the budget is for them.
        let small = Budget::new(8000);
        let results = KeptResults::default();
        let first = keep(&results, &small, &ann, 600, now);
        let second = keep(&results, &small, &bob, 600, now);
        assert!(results.read(&first, &ann, now).is_none() && results.read(&second, &bob, now).is_some());
        let full = results.keep(&small, ann.clone(), "text/plain", "x".repeat(2000), now);
        assert!(matches!(full, Err(NotKept::Full(_))));
    }

    #[test]
    fn what_nobody_reads_is_forgotten() {
        let (results, budget, now) = (KeptResults::default(), Budget::new(1 << 30), Instant::now());
        let ann = reader("ann", 1);
        let uri = keep(&results, &budget, &ann, 10, now);
        assert!(results.read(&uri, &ann, now + IDLE / 2).is_some());
        assert!(results.read(&uri, &ann, now + IDLE).is_some(), "it was read meanwhile");
        assert!(results.read(&uri, &ann, now + IDLE * 3).is_none());
    }
}
