//! The client dialect of 2026-07-28: no `initialize` and no sessions. Every request says in its `_meta` which version it
//! is made in, who makes it and what its client can be asked for, and repeats some of itself in HTTP headers.
//!
//! The body decides which dialect a request is of; headers are only checked against it.

mod answer;
mod away;
mod caching;
mod claim;
mod decimal;
mod filter;
mod ladder;
mod listener;
mod listening;
mod method_names;
mod missing;
mod params;
mod response;
mod retry;
mod stated;
mod visitor;

pub(crate) use answer::answer;
pub(crate) use away::{agreed, input_required, pages_wanted};
pub(crate) use claim::{is_claimed, may_hold_claim, take_claim};
pub(crate) use ladder::{Repeating, climb};
pub(crate) use listener::Listener;
pub(crate) use listening::Listening;
pub(crate) use missing::{cannot_open_pages, missing_capability};
pub(crate) use params::ParamHeaders;
pub(crate) use response::response;
pub(crate) use retry::Retry;
pub(crate) use stated::Stated;
pub(crate) use visitor::{Visitor, key_of};
