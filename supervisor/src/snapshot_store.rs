//! The snapshots of sessions that one gateway leaves to the next. The supervisor keeps the bytes and never looks into them; a gateway
//! asks for a snapshot when its session comes back (`docs/decisions/0121`).

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    time::{Duration, Instant},
};

use mcproxy_ipc::{MAX_SNAPSHOT, SessionKey, StoredSession};

/// Most bytes of all snapshots, with what each costs besides its bytes. Beyond it the store drops the bytes of the oldest snapshots
/// first (their sessions go on without them), and after all of those the sessions.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The cost of a snapshot besides its bytes: its places in two trees.
const COST: usize = 160;
/// How long the keys of ended sessions are kept: after that the next gateway would need a snapshot to restore one.
const ENDED_FOR: Duration = Duration::from_secs(60);
/// Most of those keys.
const MAX_ENDED: usize = 4096;
/// Most session keys in one message to a gateway: 64 KiB.
pub(crate) const NAMES: usize = 4096;

/// The snapshot of one session.
#[derive(Debug)]
struct StoredSnapshot {
    snapshot: Vec<u8>,
    /// Grows with each snapshot of all sessions.
    number: u64,
}

/// The snapshots of all live sessions, and the keys of those that ended a moment ago.
#[derive(Debug, Default)]
pub(crate) struct SnapshotStore {
    kept: BTreeMap<SessionKey, StoredSnapshot>,
    /// Sessions with a snapshot, and those whose snapshot is empty, by their numbers.
    noted: BTreeMap<u64, SessionKey>,
    bare: BTreeMap<u64, SessionKey>,
    last: u64,
    bytes: usize,
    left_out: u64,
    ended: VecDeque<(Instant, SessionKey)>,
    /// The same, to be found.
    ended_at: HashMap<SessionKey, Instant>,
}

impl SnapshotStore {
    /// Stores a snapshot in place of an earlier one. Beyond the bound older ones are dropped. `false`: something was dropped.
    pub(crate) fn store(&mut self, key: SessionKey, mut snapshot: Vec<u8>) -> bool {
        self.drop_kept(&key);
        let before = self.left_out;
        if snapshot.len() > MAX_SNAPSHOT {
            snapshot = Vec::new();
            self.left_out += 1;
        }
        self.make_room(COST + snapshot.len());
        self.bytes += COST + snapshot.len();
        self.last += 1;
        let of_its_kind = if snapshot.is_empty() { &mut self.bare } else { &mut self.noted };
        of_its_kind.insert(self.last, key);
        self.kept.insert(key, StoredSnapshot { snapshot, number: self.last });
        self.left_out == before
    }

    /// These sessions are over.
    pub(crate) fn forget(&mut self, keys: Vec<SessionKey>, now: Instant) {
        self.tidy(now);
        for key in keys {
            self.drop_kept(&key);
            if self.ended.len() >= MAX_ENDED {
                self.drop_eldest_end();
            }
            self.ended.push_back((now, key));
            self.ended_at.insert(key, now);
        }
    }

    /// The store's record of one session.
    pub(crate) fn of(&self, key: &SessionKey, now: Instant) -> StoredSession {
        match (self.kept.get(key), self.ended_at.get(key)) {
            (Some(kept), _) => StoredSession::Snapshot(kept.snapshot.clone()),
            (None, Some(at)) if now.saturating_duration_since(*at) <= ENDED_FOR => StoredSession::Ended,
            (None, _) => StoredSession::Unknown,
        }
    }

    /// The next of all sessions that live, in the order of their keys, and whether there are more.
    pub(crate) fn names(&self, after: Option<SessionKey>) -> (Vec<SessionKey>, bool) {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.kept.range((begin, Bound::Unbounded)).map(|(key, _)| *key);
        let names = rest.by_ref().take(NAMES).collect();
        (names, rest.next().is_some())
    }

    /// All sessions that live, in the order in which their snapshots were stored.
    pub(crate) fn oldest_first(&self) -> Vec<(SessionKey, &[u8])> {
        let mut all: Vec<_> = self.kept.iter().collect();
        all.sort_unstable_by_key(|(_, kept)| kept.number);
        all.into_iter().map(|(key, kept)| (*key, &*kept.snapshot)).collect()
    }

    /// The sessions that ended a moment ago.
    pub(crate) fn ended(&self, now: Instant) -> Vec<SessionKey> {
        let lately = self.ended.iter().filter(|(at, _)| now.saturating_duration_since(*at) <= ENDED_FOR);
        lately.map(|(_, key)| *key).collect()
    }

    /// How many sessions live.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many snapshots and sessions were dropped for want of room.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn make_room(&mut self, size: usize) {
        while self.bytes + size > MAX_BYTES {
            if let Some((number, key)) = self.noted.pop_first() {
                self.bare.insert(number, key);
                let snapshot = self.kept.get_mut(&key).map(|kept| std::mem::take(&mut kept.snapshot));
                self.bytes -= snapshot.map_or(0, |snapshot| snapshot.len());
            } else if let Some((_, key)) = self.bare.pop_first() {
                self.kept.remove(&key);
                self.bytes -= COST;
            } else {
                return;
            }
            self.left_out += 1;
        }
    }

    fn drop_kept(&mut self, key: &SessionKey) {
        if let Some(old) = self.kept.remove(key) {
            self.bytes -= COST + old.snapshot.len();
            self.noted.remove(&old.number);
            self.bare.remove(&old.number);
        }
    }

    fn tidy(&mut self, now: Instant) {
        while self.ended.front().is_some_and(|(since, _)| now.saturating_duration_since(*since) > ENDED_FOR) {
            self.drop_eldest_end();
        }
    }

    fn drop_eldest_end(&mut self) {
        if let Some((since, key)) = self.ended.pop_front()
            && self.ended_at.get(&key) == Some(&since)
        {
            self.ended_at.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u32) -> SessionKey {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        SessionKey(bytes)
    }

    fn all(snapshots: &SnapshotStore) -> Vec<SessionKey> {
        let (mut all, mut after, mut more) = (Vec::new(), None, true);
        while more {
            let (part, is_more) = snapshots.names(after);
            assert!(part.len() <= NAMES);
            after = part.last().copied().or(after);
            all.extend(part);
            more = is_more;
        }
        all
    }

    #[test]
    fn an_ended_session_is_named_for_a_minute_and_its_note_is_gone() {
        let mut snapshots = SnapshotStore::default();
        let now = Instant::now();
        assert!(snapshots.store(key(1), b"old".to_vec()) && snapshots.store(key(1), b"new".to_vec()));
        assert!(snapshots.store(key(2), Vec::new()));
        assert_eq!(snapshots.of(&key(1), now), StoredSession::Snapshot(b"new".to_vec()));
        snapshots.forget(vec![key(1)], now);
        assert_eq!(snapshots.of(&key(1), now), StoredSession::Ended);
        assert_eq!(snapshots.of(&key(1), now + ENDED_FOR + Duration::from_secs(1)), StoredSession::Unknown);
        assert_eq!((snapshots.of(&key(2), now), all(&snapshots)), (StoredSession::Snapshot(Vec::new()), vec![key(2)]));
    }

    #[test]
    fn at_the_bound_the_oldest_notes_go_and_after_all_of_them_the_oldest_sessions() {
        let (mut snapshots, now) = (SnapshotStore::default(), Instant::now());
        let fit = u32::try_from(MAX_BYTES / (COST + MAX_SNAPSHOT)).expect("few");
        for number in 0..fit {
            assert!(snapshots.store(key(number), vec![7; MAX_SNAPSHOT]));
        }
        assert!(snapshots.store(key(1), vec![8; MAX_SNAPSHOT]), "in place of an earlier one");
        assert!(!snapshots.store(key(fit), vec![9; MAX_SNAPSHOT]) && snapshots.left_out() > 0);
        assert_eq!(snapshots.of(&key(0), now), StoredSession::Snapshot(Vec::new()), "it goes on without its snapshot");
        assert_eq!(snapshots.of(&key(1), now), StoredSession::Snapshot(vec![8; MAX_SNAPSHOT]), "it was used later");
        assert_eq!(
            snapshots.of(&key(fit), now),
            StoredSession::Snapshot(vec![9; MAX_SNAPSHOT]),
            "the newest is kept whole"
        );
        let many = u32::try_from(MAX_BYTES / COST).expect("few") + 100;
        (0..many).for_each(|number| {
            snapshots.store(key(1_000_000 + number), Vec::new());
        });
        assert!(snapshots.bytes <= MAX_BYTES);
        assert_eq!(snapshots.of(&key(0), now), StoredSession::Unknown);
        assert_eq!(all(&snapshots).len(), MAX_BYTES / COST);
    }

    #[test]
    fn a_note_that_is_too_long_is_none() {
        let (mut snapshots, now) = (SnapshotStore::default(), Instant::now());
        assert!(!snapshots.store(key(1), vec![0; MAX_SNAPSHOT + 1]));
        assert_eq!(snapshots.of(&key(1), now), StoredSession::Snapshot(Vec::new()));
    }

    proptest! {
        #[test]
        fn what_is_counted_is_what_is_there(
            steps in prop::collection::vec((any::<bool>(), 0u32..40, 0usize..20_000), 0..200)
        ) {
            let (mut snapshots, now) = (SnapshotStore::default(), Instant::now());
            let mut model = BTreeMap::new();
            for (end, number, size) in steps {
                if end {
                    snapshots.forget(vec![key(number)], now);
                    model.remove(&key(number));
                } else {
                    snapshots.store(key(number), vec![1; size]);
                    model.insert(key(number), if size <= MAX_SNAPSHOT { size } else { 0 });
                }
            }
            let bytes: usize = model.values().map(|size| COST + size).sum();
            prop_assert_eq!(snapshots.bytes, bytes);
            prop_assert_eq!(snapshots.noted.len() + snapshots.bare.len(), model.len());
            prop_assert_eq!(all(&snapshots), model.keys().copied().collect::<Vec<_>>());
            for (key, size) in model {
                prop_assert_eq!(snapshots.of(&key, now), StoredSession::Snapshot(vec![1; size]));
            }
        }
    }
}
