//! Finds the tools that fit a request, by their words: BM25F over the fields of a tool, words brought to their stems, words of like
//! meaning taken for each other (docs/decisions/0183).
//!
//! Where there are embeddings of the tools and of the request, [`nearest`] ranks by them, and [`fuse`] makes one list of both
//! (docs/decisions/0143).
//!
//! A [`Segment`] is made once of each catalogue; a search goes over any number of them, so that no endpoint needs an index of its own.

mod context;
mod document;
mod embeddings_answer;
mod fusion;
mod lenient;
mod ranking;
mod segment;
mod synonyms;
mod tokens;
mod vector;
mod vocabulary;
mod words;

pub use context::{too_much, why_too_much};
pub use document::{Document, Parameter};
pub use embeddings_answer::{EmbeddingsError, read_embeddings};
pub use fusion::fuse;
pub use ranking::{Hit, search};
pub use segment::Segment;
pub use tokens::estimate_tokens;
pub use vector::{MAX_DIMENSION, Vector, nearest};
