//! The client dialect of 2026-07-28: no `initialize` and no sessions. Every request says in its `_meta` which version it
//! is made in, who makes it and what its client can be asked for, and repeats some of itself in HTTP headers.
//!
//! The header that names the version decides which dialect a message is of, so that no other dialect reads it; a body that does not say
//! the same is refused (docs/decisions/0060).

pub(crate) mod cache_hints;
pub(crate) mod listen;
pub(crate) mod method_names;
pub(crate) mod methods;
pub(crate) mod response;
pub(crate) mod validate;
