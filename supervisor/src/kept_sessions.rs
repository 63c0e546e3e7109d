//! The sessions that one run of MCProxy leaves to the next: the key of their ids and their snapshots, as a sealed file of memory
//! that the service manager keeps over a restart (`docs/decisions/0150`).

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    time::Instant,
};

use bytes::{Buf as _, BufMut as _};
use mcproxy_confine::{is_sealed, sealed_file};
use mcproxy_ipc::{Generation, MAX_SNAPSHOT, SealKey, SessionKey};

use crate::snapshot_store::SnapshotStore;

/// What the file begins with, its form included: a step of the number is a form that this build does not read.
const HEAD: &[u8; 16] = b"mcproxy sess 01\n";
/// Longest file that is read, in bytes: what the store may hold (`snapshot_store.rs`), and its ended sessions.
const MAX_FILE: usize = 40 * 1024 * 1024;

/// All that the gateways of a run hand on to each other.
#[derive(Debug)]
pub(crate) struct KeptSessions {
    /// Ids of sessions are sealed with it.
    pub(crate) seal: SealKey,
    /// The last gateway.
    pub(crate) generation: Generation,
    /// Who lives.
    pub(crate) snapshots: SnapshotStore,
}

/// Why the sessions of the run before cannot be continued. Their clients begin new ones.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptSessionsError {
    /// Somebody else could have changed them.
    #[error("they are not sealed")]
    NotSealed,
    /// Another build wrote them.
    #[error("they are of another version of MCProxy")]
    OtherForm,
    /// They are not what any build writes.
    #[error("they are not complete")]
    Broken,
    /// The operating system said no.
    #[error("they cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl KeptSessions {
    /// Nobody's yet, with a new key.
    pub(crate) fn none() -> io::Result<Self> {
        let mut seal = [0; 32];
        getrandom::fill(&mut seal).map_err(io::Error::other)?;
        let (seal, generation) = (SealKey::new(seal), Generation::default());
        Ok(Self { seal, generation, snapshots: SnapshotStore::default() })
    }

    /// As a file for the service manager.
    pub(crate) fn to_file(&self) -> io::Result<OwnedFd> {
        sealed_file("mcproxy-sessions", &self.encode())
    }

    /// From the file that the run before left.
    pub(crate) fn of_file(file: OwnedFd) -> Result<Self, KeptSessionsError> {
        if !is_sealed(&file) {
            return Err(KeptSessionsError::NotSealed);
        }
        let mut bytes = Vec::new();
        // Its place is where the writer left it.
        let mut file = File::from(file);
        io::Seek::rewind(&mut file)?;
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
        Self::decode(&bytes)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_slice(HEAD);
        out.put_slice(self.seal.expose());
        out.put_u64(self.generation.0);
        let ended = self.snapshots.ended(Instant::now());
        out.put_u32(u32::try_from(ended.len()).unwrap_or(u32::MAX));
        ended.iter().for_each(|key| out.put_slice(&key.0));
        for (key, snapshot) in self.snapshots.oldest_first() {
            out.put_slice(&key.0);
            out.put_u32(u32::try_from(snapshot.len()).unwrap_or(u32::MAX));
            out.put_slice(snapshot);
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, KeptSessionsError> {
        use KeptSessionsError::{Broken, OtherForm};
        if bytes.len() > MAX_FILE {
            return Err(Broken);
        }
        let Some(mut rest) = bytes.strip_prefix(HEAD) else { return Err(OtherForm) };
        let seal = SealKey::new(array(&mut rest).ok_or(Broken)?);
        let generation = Generation(rest.try_get_u64().map_err(|_| Broken)?);
        let mut snapshots = SnapshotStore::default();
        let count = rest.try_get_u32().map_err(|_| Broken)?;
        let ended: Option<Vec<SessionKey>> = (0..count).map(|_| array(&mut rest).map(SessionKey)).collect();
        snapshots.forget(ended.ok_or(Broken)?, Instant::now());
        while !rest.is_empty() {
            let key = SessionKey(array(&mut rest).ok_or(Broken)?);
            let length = rest.try_get_u32().map_err(|_| Broken)? as usize;
            let (snapshot, behind) = rest.split_at_checked(length).filter(|_| length <= MAX_SNAPSHOT).ok_or(Broken)?;
            rest = behind;
            snapshots.store(key, snapshot.to_vec());
        }
        Ok(Self { seal, generation, snapshots })
    }
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::StoredSession;
    use proptest::prelude::*;

    use super::*;

    fn kept(sessions: &[(u8, usize)], ended: &[u8]) -> KeptSessions {
        let mut snapshots = SnapshotStore::default();
        for (number, size) in sessions {
            snapshots.store(SessionKey([*number; 16]), vec![*number; *size]);
        }
        snapshots.forget(ended.iter().map(|number| SessionKey([*number; 16])).collect(), Instant::now());
        KeptSessions { seal: SealKey::new([7; 32]), generation: Generation(3), snapshots }
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_only_if_nobody_can_have_changed_it() {
        let file = kept(&[(1, 10), (2, 0)], &[3]).to_file().expect("a file");
        let read = KeptSessions::of_file(file).expect("read");
        assert_eq!((read.seal, read.generation), (SealKey::new([7; 32]), Generation(3)));
        let now = Instant::now();
        let of = |number: u8| read.snapshots.of(&SessionKey([number; 16]), now);
        assert_eq!(of(1), StoredSession::Snapshot(vec![1; 10]));
        assert_eq!(of(2), StoredSession::Snapshot(Vec::new()));
        assert_eq!((of(3), of(4)), (StoredSession::Ended, StoredSession::Unknown));
        let open = tempfile::tempfile().expect("a file").into();
        assert!(matches!(KeptSessions::of_file(open), Err(KeptSessionsError::NotSealed)));
        let strange = sealed_file("x", b"mcproxy sess 02\n").expect("a file");
        assert!(matches!(KeptSessions::of_file(strange), Err(KeptSessionsError::OtherForm)));
    }

    #[test]
    fn what_is_cut_short_or_claims_too_much_is_refused_and_takes_no_room() {
        let whole = kept(&[(1, 10)], &[3]).encode();
        for end in HEAD.len()..whole.len() {
            // The one place at which a session more or less makes no difference.
            let is_between = end == whole.len() - 16 - 4 - 10;
            assert_eq!(KeptSessions::decode(&whole[..end]).is_ok(), is_between, "{end} bytes");
        }
        let mut claims = whole[..HEAD.len() + 32 + 8].to_vec();
        claims.put_u32(u32::MAX);
        assert!(matches!(KeptSessions::decode(&claims), Err(KeptSessionsError::Broken)));
        assert!(matches!(KeptSessions::decode(&vec![0; MAX_FILE + 1]), Err(KeptSessionsError::Broken)));
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_reason_to_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), headed in any::<bool>()) {
            let bytes = if headed { [&HEAD[..], &bytes].concat() } else { bytes };
            if let Ok(read) = KeptSessions::decode(&bytes) {
                prop_assert!(KeptSessions::decode(&read.encode()).is_ok());
            }
        }
    }
}
