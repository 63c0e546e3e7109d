//! The client dialect of 2026-07-28: no `initialize` and no sessions. Every request says in its `_meta` which version it
//! is made in, who makes it and what its client can be asked for, and repeats some of itself in HTTP headers.
//!
//! The body decides which dialect a request is of; headers are only checked against it.

pub(crate) mod cache_hints;
pub(crate) mod listen;
pub(crate) mod method_names;
pub(crate) mod methods;
pub(crate) mod response;
pub(crate) mod validate;
