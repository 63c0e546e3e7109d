//! What one gateway leaves to the next, session by session. The supervisor keeps the bytes and never looks into them.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use mcproxy_ipc::{Keepsake, MAX_NOTE, SessionKey};

/// Most bytes of all keepsakes, with what each costs besides its note.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// What a keepsake costs besides its note.
const COST: usize = 40;
/// So long it is remembered that a session ended: beyond that the next gateway would need a note to take it up.
const ENDED_FOR: Duration = Duration::from_secs(60);
/// So many of those at most.
const MAX_ENDED: usize = 4096;
/// One message to a gateway holds about so many bytes of keepsakes.
const PART: usize = 256 * 1024;

/// The keepsakes of all sessions that live, and the names of those that ended a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Keepsakes {
    kept: HashMap<SessionKey, Vec<u8>>,
    bytes: usize,
    ended: VecDeque<(Instant, SessionKey)>,
}

impl Keepsakes {
    /// Keeps a note in place of an earlier one. Beyond the bound the note is left out, or all of it: that session is
    /// poorer, or unknown, after the next end of a gateway. `false`: something was left out.
    pub(crate) fn keep(&mut self, key: SessionKey, note: Vec<u8>) -> bool {
        self.drop_kept(&key);
        let room = MAX_BYTES - self.bytes;
        let (note, whole) =
            if note.len() <= MAX_NOTE && COST + note.len() <= room { (note, true) } else { (Vec::new(), false) };
        if room < COST {
            return false;
        }
        self.bytes += COST + note.len();
        self.kept.insert(key, note);
        whole
    }

    /// These sessions are over.
    pub(crate) fn forget(&mut self, keys: Vec<SessionKey>, now: Instant) {
        self.ended.retain(|(since, _)| now.duration_since(*since) <= ENDED_FOR);
        for key in keys {
            self.drop_kept(&key);
            if self.ended.len() >= MAX_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back((now, key));
        }
    }

    /// All of it, in parts that fit a message each.
    pub(crate) fn parts(&self, now: Instant) -> Vec<Vec<Keepsake>> {
        let kept = self.kept.iter().map(|(key, note)| Keepsake { key: *key, note: Some(note.clone()) });
        let recent = self.ended.iter().filter(|(since, _)| now.duration_since(*since) <= ENDED_FOR);
        let ended = recent.map(|(_, key)| Keepsake { key: *key, note: None });
        let mut parts: Vec<Vec<Keepsake>> = Vec::new();
        let mut room = 0;
        for keepsake in kept.chain(ended) {
            let size = COST + keepsake.note.as_ref().map_or(0, Vec::len);
            if size > room {
                parts.push(Vec::new());
                room = PART;
            }
            room = room.saturating_sub(size);
            if let Some(part) = parts.last_mut() {
                part.push(keepsake);
            }
        }
        parts
    }

    fn drop_kept(&mut self, key: &SessionKey) {
        if let Some(old) = self.kept.remove(key) {
            self.bytes -= COST + old.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u16) -> SessionKey {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        SessionKey(bytes)
    }

    fn all(keepsakes: &Keepsakes, now: Instant) -> HashMap<SessionKey, Option<Vec<u8>>> {
        keepsakes.parts(now).into_iter().flatten().map(|keepsake| (keepsake.key, keepsake.note)).collect()
    }

    #[test]
    fn an_ended_session_is_named_for_a_minute_and_its_note_is_gone() {
        let mut keepsakes = Keepsakes::default();
        let now = Instant::now();
        assert!(keepsakes.keep(key(1), b"old".to_vec()) && keepsakes.keep(key(1), b"new".to_vec()));
        assert!(keepsakes.keep(key(2), Vec::new()));
        assert_eq!(all(&keepsakes, now)[&key(1)], Some(b"new".to_vec()));
        keepsakes.forget(vec![key(1)], now);
        assert_eq!(all(&keepsakes, now)[&key(1)], None);
        assert_eq!(all(&keepsakes, now + ENDED_FOR + Duration::from_secs(1)).keys().collect::<Vec<_>>(), [&key(2)]);
    }

    #[test]
    fn at_the_bound_a_session_is_kept_without_its_note_and_then_not_at_all() {
        let mut keepsakes = Keepsakes::default();
        let fit = MAX_BYTES / (COST + MAX_NOTE);
        for number in 0..fit {
            assert!(keepsakes.keep(key(number as u16), vec![0; MAX_NOTE]));
        }
        let mut number = fit as u16;
        while keepsakes.bytes + COST <= MAX_BYTES {
            assert!(!keepsakes.keep(key(number), vec![0; MAX_NOTE]), "the note has no room");
            number += 1;
        }
        keepsakes.keep(key(number), Vec::new());
        assert!(!all(&keepsakes, Instant::now()).contains_key(&key(number)));
        assert!(keepsakes.bytes <= MAX_BYTES);
    }

    proptest! {
        #[test]
        fn parts_hold_everything_once_and_fit_a_message(
            steps in prop::collection::vec((any::<bool>(), 0u16..40, 0usize..20_000), 0..200)
        ) {
            let (mut keepsakes, now) = (Keepsakes::default(), Instant::now());
            let mut model = HashMap::new();
            for (end, number, size) in steps {
                if end {
                    keepsakes.forget(vec![key(number)], now);
                    model.remove(&key(number));
                } else {
                    keepsakes.keep(key(number), vec![1; size]);
                    model.insert(key(number), if size <= MAX_NOTE { size } else { 0 });
                }
            }
            let bytes: usize = model.values().map(|size| COST + size).sum();
            prop_assert_eq!(keepsakes.bytes, bytes);
            let parts = keepsakes.parts(now);
            for part in &parts {
                let size: usize = part.iter().map(|k| COST + k.note.as_ref().map_or(0, Vec::len)).sum();
                prop_assert!(size <= PART);
            }
            let noted: HashMap<SessionKey, usize> =
                parts.into_iter().flatten().filter_map(|k| Some((k.key, k.note?.len()))).collect();
            prop_assert_eq!(noted, model);
        }
    }
}
