//! The embeddings of tools, by the digests of the texts that they are of: a tool that is as it was needs no new one.

use std::{collections::HashMap, sync::Arc};

use mcproxy_ipc::MAX_EMBED_TEXT;
use mcproxy_search::{Document, Vector};
use sha2::{Digest, Sha256};

/// What a vector costs besides its numbers, in bytes.
const OVERHEAD: usize = 128;

/// The SHA-256 of a text.
pub(crate) type TextDigest = [u8; 32];

/// Vectors of texts, all of one dimension. A copy is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct ToolVectors(HashMap<TextDigest, Arc<Vector>>);

impl ToolVectors {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers each has.
    pub(crate) fn dimension(&self) -> Option<usize> {
        self.0.values().next().map(|vector| vector.dimension())
    }

    /// What it takes to hold so many more, in bytes.
    pub(crate) fn bytes(vectors: usize, dimension: usize) -> usize {
        vectors.saturating_mul(dimension + OVERHEAD)
    }

    /// What they take.
    pub(crate) fn held(&self) -> usize {
        Self::bytes(self.0.len(), self.dimension().unwrap_or_default())
    }

    /// The vector of a text.
    pub(super) fn get(&self, digest: &TextDigest) -> Option<&Vector> {
        self.0.get(digest).map(Arc::as_ref)
    }

    /// Takes in the vector of a text.
    pub(crate) fn insert(&mut self, digest: TextDigest, vector: Vector) {
        self.0.insert(digest, Arc::new(vector));
    }

    /// Forgets those of texts that are gone.
    pub(crate) fn retain(&mut self, is_live: impl Fn(&TextDigest) -> bool) {
        self.0.retain(|digest, _| is_live(digest));
    }
}

/// What of a tool is embedded.
pub(super) fn text(server: &str, name: &str, entry: &str) -> String {
    Document::of_tool(name, entry).to_text(server, MAX_EMBED_TEXT)
}

/// Of what is embedded.
pub(super) fn digest(text: &str) -> TextDigest {
    Sha256::digest(text).into()
}
