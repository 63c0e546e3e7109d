//! What is fuzzed: every reader of foreign bytes, with what must hold for it whatever the bytes are.
//!
//! A target is a function of bytes that panics when a promise is broken. `fuzz/run` feeds them by coverage (libFuzzer, in
//! `fuzz/engine`, a workspace of its own); `fuzz/tests/corpus.rs` replays the committed corpus with every test run.
//!
//! The programs keep their modules to themselves, so those that are fuzzed are compiled here a second time from their
//! files (`docs/decisions/0050-fuzzing.md`).

mod catalogue;
mod config;
mod embeddings;
mod envelope;
mod frames;
mod framing;
mod i_json;
mod jwt;
mod mirrored;
mod names;
mod output;
mod rewrite;
mod seal;
mod sse;

#[expect(dead_code, unused_imports, reason = "the gateway uses all of it; a target uses a part")]
mod gateway;
mod worker;

/// A target: it panics when the bytes break a promise.
pub type Target = fn(&[u8]);

/// All targets by name; the corpus of each lies in `fuzz/corpus/{name}`.
pub const TARGETS: [(&str, Target); 14] = [
    ("catalogue", catalogue::target),
    ("config", config::target),
    ("embeddings", embeddings::target),
    ("envelope", envelope::target),
    ("frames", frames::target),
    ("framing", framing::target),
    ("i_json", i_json::target),
    ("jwt", jwt::target),
    ("lines", output::target),
    ("mirrored", mirrored::target),
    ("names", names::target),
    ("rewrite", rewrite::target),
    ("seal", seal::target),
    ("sse", sse::target),
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// The first byte decides how the others are taken.
fn split_choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(choice, rest)| (*choice, rest))
}
