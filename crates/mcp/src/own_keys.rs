//! Maps whose keys no stranger chooses.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map whose keys are numbers that we count up, or texts that begin with random characters of ours. The standard
/// library's hasher guards against keys that are chosen to collide, which costs several times the lookup.
pub type OwnKeyMap<K, V> = HashMap<K, V, BuildHasherDefault<OwnKeyHasher>>;

/// Spreads what there is over all bits, and guards against nothing.
#[derive(Debug, Default)]
pub struct OwnKeyHasher(u64);

/// 2^64 divided by the golden ratio, odd (multiplicative hashing, Knuth, The Art of Computer Programming, vol. 3, 6.4).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// How much of a text counts: sealed session ids begin with a few characters that are the same in all.
const TEXT: usize = 24;

impl Hasher for OwnKeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes[..bytes.len().min(TEXT)].chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, _: u8) {} // only the end of a text

    fn write_u64(&mut self, number: u64) {
        // The table takes its place from the low bits and its mark from the high ones; both have to differ.
        let mixed = (self.0.rotate_left(29) ^ number).wrapping_mul(SPREAD);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::Hash};

    use super::*;

    fn hash(key: impl Hash) -> u64 {
        let mut hasher = OwnKeyHasher::default();
        key.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn numbers_in_a_row_differ_in_place_and_mark() {
        let places: HashSet<u64> = (0..1024u64).map(|number| hash(number) & 0x3ff).collect();
        let marks: HashSet<u64> = (0..1024u64).map(|number| hash(number) >> 57).collect();
        assert!(places.len() > 512, "{}", places.len());
        assert_eq!(marks.len(), 128);
    }

    #[test]
    fn texts_differ_by_what_they_begin_with() {
        let text = |number: u32| format!("AQ{number:08x}-the-same-in-all-of-them-for-a-long-while");
        let hashes: HashSet<u64> = (0..1000).map(|number| hash(text(number).as_str())).collect();
        assert_eq!(hashes.len(), 1000);
        let mut map = OwnKeyMap::<Box<str>, u32>::default();
        map.extend((0..1000).map(|number| (text(number).into(), number)));
        assert!((0..1000).all(|number| map.get(text(number).as_str()) == Some(&number)));
    }
}
