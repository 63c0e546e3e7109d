//! How many instances of a session ended by a fault, and how long its next one has to wait for that.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use mcproxy_ipc::SessionKey;

/// The first fault costs nothing, the second this delay; doubled for each further one.
const DELAY: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_secs(60);
/// After so long without a fault the delay starts anew.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Sessions whose faults are remembered; beyond it the one whose fault is longest ago is forgotten.
const SESSIONS: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Record {
    count: u32,
    last: Instant,
}

/// The faults of all sessions.
#[derive(Debug, Default)]
pub(super) struct Faults(HashMap<SessionKey, Record>);

impl Faults {
    /// One more.
    pub(super) fn note(&mut self, session: SessionKey, now: Instant) {
        if self.0.len() >= SESSIONS && !self.0.contains_key(&session) {
            let eldest = self.0.iter().min_by_key(|(_, record)| record.last).map(|(session, _)| *session);
            eldest.and_then(|eldest| self.0.remove(&eldest));
        }
        let record = self.0.entry(session).or_insert(Record { count: 0, last: now });
        (record.count, record.last) = (record.count.saturating_add(1), now);
    }

    /// Not before that the session may have another instance; `None`: whenever it likes.
    pub(super) fn until(&self, session: &SessionKey) -> Option<Instant> {
        let record = self.0.get(session)?;
        let doublings = record.count.checked_sub(2)?;
        Some(record.last + DELAY.saturating_mul(1 << doublings.min(16)).min(DELAY_MAX))
    }

    /// The session is over.
    pub(super) fn forget(&mut self, session: &SessionKey) {
        self.0.remove(session);
    }

    /// Time has passed.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, record| now.saturating_duration_since(record.last) < FORGOTTEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_after_the_first_costs_twice_as_long() {
        let (mut faults, start, session) = (Faults::default(), Instant::now(), SessionKey([1; 16]));
        let mut waits = Vec::new();
        for _ in 0..9 {
            faults.note(session, start);
            waits.push(faults.until(&session).map(|at| (at - start).as_secs()));
        }
        let expected = [None, Some(1), Some(2), Some(4), Some(8), Some(16), Some(32), Some(60), Some(60)];
        assert_eq!(waits, expected);
        faults.forget_old(start + FORGOTTEN);
        assert_eq!(faults.until(&session), None);
    }

    #[test]
    fn a_bounded_number_of_sessions_is_remembered() {
        let (mut faults, start) = (Faults::default(), Instant::now());
        for n in 0..2 * SESSIONS as u64 {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&n.to_be_bytes());
            faults.note(SessionKey(key), start + Duration::from_millis(n));
        }
        assert_eq!(faults.0.len(), SESSIONS);
    }
}
