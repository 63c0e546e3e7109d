//! The catalogues of instances, where they are not the same for all: by what they were told of their clients, and by session. Equal
//! catalogues are held once. Pure.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use mcproxy_ipc::SessionKey;
use sha2::{Digest, Sha256};

use super::client_profile::ClientProfile;

/// Kinds of instances whose first offer is remembered; clients of one program are of one kind.
const FACES: usize = 32;
/// Bytes of these offers, each counted as often as it is remembered.
const FACES_BYTES: usize = 32 << 20;
/// Sessions that are told of offers of their own; a session beyond is shown what all are.
const SESSIONS: usize = 4096;

/// All that is remembered of them.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// The catalogues of instances that no session had called yet, the latest at the end.
    faces: VecDeque<(ClientProfile, Bytes)>,
    /// The digest of what the gateway was told that a session is offered, where that is not what all are. Catalogues
    /// themselves would outlive the instances that offered them.
    told: HashMap<SessionKey, [u8; 32]>,
}

impl Offers {
    /// The same bytes, in memory that is held already if there is any.
    pub(super) fn shared<'a>(&'a self, catalogue: Bytes, others: impl Iterator<Item = &'a Bytes>) -> Bytes {
        let known = self.faces.iter().map(|(_, known)| known);
        others.chain(known).find(|known| **known == catalogue).cloned().unwrap_or(catalogue)
    }

    /// An instance like this that no session has called offers that.
    pub(super) fn note(&mut self, client_profile: &ClientProfile, catalogue: Bytes) {
        self.faces.retain(|(known, _)| known != client_profile);
        self.faces.push_back((client_profile.clone(), catalogue));
        let mut bytes: usize = self.faces.iter().map(|(_, catalogue)| catalogue.len()).sum();
        while self.faces.len() > FACES || (bytes > FACES_BYTES && self.faces.len() > 1) {
            bytes -= self.faces.pop_front().map_or(0, |(_, catalogue)| catalogue.len());
        }
    }

    /// The catalogue of an instance like this before any session has called it.
    pub(super) fn of(&self, client_profile: &ClientProfile) -> Option<&Bytes> {
        self.faces.iter().find(|(known, _)| known == client_profile).map(|(_, catalogue)| catalogue)
    }

    /// The message to the gateway about a session that is offered `own`, where all others are offered `common`: nothing,
    /// the catalogue, or (empty) that it is the same as theirs.
    pub(super) fn tell(&mut self, session: SessionKey, own: &Bytes, common: Option<&Bytes>) -> Option<Bytes> {
        if common == Some(own) {
            return self.told.remove(&session).map(|_| Bytes::new());
        }
        let digest = Sha256::digest(own).into();
        let before = self.told.get(&session);
        if before == Some(&digest) || (before.is_none() && self.told.len() >= SESSIONS) {
            return None;
        }
        self.told.insert(session, digest);
        Some(own.clone())
    }

    /// The session is over.
    pub(super) fn release(&mut self, session: SessionKey) {
        self.told.remove(&session);
    }

    /// The gateway is gone, and what it was told with it.
    pub(super) fn forget_told(&mut self) {
        self.told.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use mcproxy_ipc::ClientDeclaration;

    use super::*;

    fn session(n: u128) -> SessionKey {
        SessionKey(n.to_be_bytes())
    }

    fn client_profile(n: usize) -> ClientProfile {
        ClientProfile::Legacy(Rc::new(ClientDeclaration { capabilities: n.to_string(), info: None }))
    }

    #[test]
    fn a_session_is_told_what_differs_once_and_that_it_does_not_any_more() {
        let (mut offers, common) = (Offers::default(), Bytes::from("common"));
        let (own, other) = (Bytes::from("own"), Bytes::from("other"));
        assert_eq!(offers.tell(session(1), &common, Some(&common)), None);
        assert_eq!(offers.tell(session(1), &own, Some(&common)), Some(own.clone()));
        assert_eq!(offers.tell(session(1), &own, Some(&common)), None);
        assert_eq!(offers.tell(session(1), &other, Some(&common)), Some(other.clone()));
        assert_eq!(offers.tell(session(1), &other, Some(&other)), Some(Bytes::new()), "all are offered the same now");
        assert_eq!(offers.tell(session(1), &other, Some(&common)), Some(other.clone()));
        offers.forget_told();
        assert_eq!(offers.tell(session(1), &other, Some(&common)), Some(other));
    }

    #[test]
    fn kinds_and_sessions_are_bounded_and_the_last_kinds_stay() {
        let mut offers = Offers::default();
        (0..2 * FACES).for_each(|n| offers.note(&client_profile(n), Bytes::from(n.to_string())));
        assert!(offers.of(&client_profile(FACES - 1)).is_none() && offers.of(&client_profile(FACES)).is_some());
        let large = || Bytes::from(vec![b'x'; FACES_BYTES / 2 + 1]);
        offers.note(&client_profile(1000), large());
        offers.note(&client_profile(1001), large());
        assert_eq!(offers.faces.len(), 1);
        for n in 0..2 * SESSIONS as u128 {
            offers.tell(session(n), &Bytes::from("own"), None);
        }
        assert_eq!(offers.told.len(), SESSIONS);
    }

    #[test]
    fn what_a_session_was_told_is_not_held_for_it() {
        let (mut offers, own) = (Offers::default(), Bytes::from("own".to_owned()));
        assert!(offers.tell(session(1), &own, None).is_some());
        assert!(own.is_unique());
        assert_eq!(offers.tell(session(1), &own, None), None, "it is known all the same");
    }

    #[test]
    fn equal_catalogues_are_held_once() {
        let mut offers = Offers::default();
        let first = Bytes::from("catalogue".to_owned());
        offers.note(&client_profile(1), first.clone());
        let again = offers.shared(Bytes::from("catalogue".to_owned()), std::iter::empty());
        assert_eq!(again.as_ptr(), first.as_ptr());
    }
}
