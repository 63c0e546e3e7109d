//! How the gateway asks the worker that embeds texts: a call of a method of our own, on the data connection of that worker.

use serde::{Deserialize, Serialize};

/// The method. No client can call it: the gateway keeps that worker apart from the servers that clients reach.
pub const EMBED_METHOD: &str = "mcproxy/embed";
/// The file of the worker's directory in which embeddings are kept.
pub const EMBEDDINGS_FILE: &str = "vectors";
/// Most texts of one call: what small servers of models take at once.
pub const MAX_EMBED_TEXTS: usize = 32;
/// Longest text, in bytes: some hundred tokens, which is what many a model reads.
pub const MAX_EMBED_TEXT: usize = 2048;

/// The params of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedParams {
    /// The texts; at least one.
    pub texts: Vec<String>,
    /// Whether they are to be kept for the next time: texts of tools are, what is searched for is not.
    pub keep: bool,
}

/// Its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedResult {
    /// For each text its vector, a byte for each number, in base64.
    pub vectors: Vec<String>,
}
