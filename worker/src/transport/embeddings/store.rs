//! The vectors that are known, by the digests of their texts, and the file in which they are kept.
//!
//! The file: a word that says what it is, the digest of URL and model, the dimension, then for each vector the digest of its text and
//! its numbers, those used longest ago first; last the digest of all that. One that is damaged or of another model is as none.

use std::{
    collections::HashMap,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use mcproxy_ipc::kept_file;
use mcproxy_search::{MAX_DIMENSION, Vector};
use sha2::{Digest, Sha256};

/// Most vectors.
const MAX_VECTORS: usize = 20_000;
/// Most bytes of all of them.
const MAX_BYTES: usize = 64 << 20;
const MAGIC: &[u8] = b"mcproxy embeddings 1\n";
/// Of a digest.
const DIGEST: usize = 32;
const HEAD: usize = MAGIC.len() + DIGEST + 4;

/// The SHA-256 of a text.
pub(super) type KeptDigest = [u8; DIGEST];

/// Of a text.
pub(super) fn digest(text: &str) -> KeptDigest {
    Sha256::digest(text).into()
}

/// The vectors of one model.
#[derive(Debug, Default)]
pub(super) struct VectorStore {
    /// The digest of URL and model.
    model: KeptDigest,
    dimension: usize,
    vectors: HashMap<KeptDigest, KeptVector>,
    /// Grows with each use.
    clock: u64,
    /// Something is new since it was read or written.
    changed: bool,
}

#[derive(Debug)]
struct KeptVector {
    vector: Arc<Vector>,
    used: u64,
}

/// What goes into the file.
pub(super) struct VectorFile {
    model: KeptDigest,
    dimension: usize,
    /// Those used longest ago first.
    vectors: Vec<(KeptDigest, Arc<Vector>)>,
}

impl VectorStore {
    /// Nothing, of this model.
    pub(super) fn new(url: &str, model: &str) -> Self {
        Self { model: digest(&format!("{url}\n{model}")), ..Self::default() }
    }

    /// The same without its vectors, for vectors of this dimension.
    pub(super) fn emptied(&self, dimension: usize) -> Self {
        Self { model: self.model, dimension, ..Self::default() }
    }

    /// How many numbers each vector has.
    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    /// Whether the file lacks something.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// The vector of a text.
    pub(super) fn get(&mut self, digest: &KeptDigest) -> Option<Arc<Vector>> {
        self.clock += 1;
        let kept = self.vectors.get_mut(digest)?;
        kept.used = self.clock;
        Some(kept.vector.clone())
    }

    /// Keeps a vector; of too many the tenth goes that was used longest ago.
    pub(super) fn insert(&mut self, digest: KeptDigest, vector: Arc<Vector>) {
        debug_assert_eq!(vector.dimension(), self.dimension);
        if self.vectors.len() >= most(self.dimension) && !self.vectors.contains_key(&digest) {
            let mut uses: Vec<u64> = self.vectors.values().map(|kept| kept.used).collect();
            uses.sort_unstable();
            let until = uses[uses.len() / 10];
            self.vectors.retain(|_, kept| kept.used > until);
        }
        self.clock += 1;
        self.vectors.insert(digest, KeptVector { vector, used: self.clock });
        self.changed = true;
    }

    /// What the file is to hold from now on.
    pub(super) fn snapshot(&mut self) -> VectorFile {
        self.changed = false;
        let mut all: Vec<_> = self.vectors.iter().collect();
        all.sort_unstable_by_key(|(_, kept)| kept.used);
        let vectors = all.into_iter().map(|(digest, kept)| (*digest, kept.vector.clone())).collect();
        VectorFile { model: self.model, dimension: self.dimension, vectors }
    }

    /// The same with what the file holds, if that is of the same model.
    pub(super) fn read(mut self, path: &Path) -> Self {
        let mut bytes = Vec::new();
        let most = u64::try_from(HEAD + MAX_BYTES + DIGEST).unwrap_or(u64::MAX);
        let read = kept_file::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
        if read.is_ok() {
            for (digest, vector) in decode(&bytes, &self.model, self.dimension).unwrap_or_default() {
                self.insert(digest, Arc::new(vector));
            }
            self.changed = false;
        }
        self
    }
}

impl VectorFile {
    /// Puts it in place at once.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        kept_file::replace(path, &self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + self.vectors.len() * (DIGEST + self.dimension) + DIGEST);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.model);
        out.extend_from_slice(&u32::try_from(self.dimension).unwrap_or(u32::MAX).to_le_bytes());
        for (digest, vector) in &self.vectors {
            out.extend_from_slice(digest);
            out.extend_from_slice(&vector.to_bytes());
        }
        let digest = Sha256::digest(&out);
        out.extend_from_slice(&digest);
        out
    }
}

/// How many vectors of this dimension are kept.
fn most(dimension: usize) -> usize {
    MAX_VECTORS.min(MAX_BYTES / (DIGEST + dimension))
}

/// `None`: damaged, or of another model.
fn decode(bytes: &[u8], model: &KeptDigest, dimension: usize) -> Option<Vec<(KeptDigest, Vector)>> {
    let (content, sum) = bytes.split_last_chunk::<DIGEST>()?;
    if Sha256::digest(content)[..] != sum[..] || dimension == 0 || dimension > MAX_DIMENSION {
        return None;
    }
    let rest = content.strip_prefix(MAGIC)?.strip_prefix(model)?;
    let rest = rest.strip_prefix(&u32::try_from(dimension).ok()?.to_le_bytes())?;
    let records = rest.chunks_exact(DIGEST + dimension);
    if !records.remainder().is_empty() || records.len() > most(dimension) {
        return None;
    }
    records
        .map(|record| {
            let (digest, numbers) = record.split_first_chunk::<DIGEST>()?;
            Some((*digest, Vector::from_bytes(numbers)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vector(numbers: &[f32]) -> Arc<Vector> {
        Arc::new(Vector::from_numbers(numbers).expect("a direction"))
    }

    fn store() -> VectorStore {
        VectorStore::new("http://x/v1/embeddings", "m").emptied(2)
    }

    #[test]
    fn what_is_kept_is_there_again_and_only_for_the_same_model() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("vectors");
        let mut first = store();
        assert!(!first.is_changed());
        first.insert(digest("a"), vector(&[1.0, 0.5]));
        first.insert(digest("b"), vector(&[0.0, 1.0]));
        assert!(first.is_changed());
        first.snapshot().write(&path).expect("written");
        assert!(!first.is_changed());
        let mut again = store().read(&path);
        assert_eq!(again.get(&digest("a")), Some(vector(&[1.0, 0.5])));
        assert!(again.get(&digest("c")).is_none() && !again.is_changed());
        for mut other in [VectorStore::new("http://x/v1/embeddings", "other").emptied(2), store().emptied(3)] {
            other = other.read(&path);
            assert!(other.get(&digest("a")).is_none());
        }
        let mut bytes = std::fs::read(&path).expect("there");
        bytes[HEAD + 40] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        assert!(store().read(&path).get(&digest("b")).is_none(), "a damaged file is as none");
        assert!(store().read(&dir.path().join("nothing")).get(&digest("b")).is_none());
    }

    #[test]
    fn of_too_many_those_go_that_were_used_longest_ago() {
        let mut store = store();
        let one = vector(&[1.0, 0.0]);
        for n in 0..MAX_VECTORS {
            store.insert(digest(&n.to_string()), one.clone());
        }
        assert!(store.get(&digest("0")).is_some());
        store.insert(digest("one more"), one);
        assert!(store.vectors.len() <= MAX_VECTORS);
        assert!(store.get(&digest("0")).is_some() && store.get(&digest("1")).is_none());
        assert!(store.get(&digest("one more")).is_some());
        assert!(most(MAX_DIMENSION) < MAX_VECTORS);
    }

    proptest! {
        #[test]
        fn whatever_lies_in_its_place_is_read_or_left(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
            let _ = decode(&bytes, &[0; DIGEST], 2);
            let mut store = store();
            store.insert(digest("a"), vector(&[1.0, 0.5]));
            let whole = store.snapshot().encode();
            let cut = cut.min(whole.len());
            prop_assert_eq!(decode(&whole[..cut], &store.model, 2).is_some(), cut == whole.len());
        }
    }
}
