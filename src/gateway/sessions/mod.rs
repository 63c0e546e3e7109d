//! Clients that are more than one request: sessions with their streams and their requests both ways, listeners of 2026-07-28, who listens
//! to what, and what the next gateway goes on with.

pub(crate) mod approved_tools;
pub(crate) mod client_requests;
pub(crate) mod dropped;
pub(crate) mod event_id;
pub(crate) mod listen_filter;
pub(crate) mod listener;
pub(crate) mod listeners;
pub(crate) mod log_listeners;
pub(crate) mod mailbox;
pub(crate) mod notice;
pub(crate) mod pending_requests;
mod raised_scopes;
pub(crate) mod reader;
pub(crate) mod registry;
pub(crate) mod replay_budget;
pub(crate) mod replay_buffer;
pub(crate) mod resource_subscriptions;
pub(crate) mod restore;
pub(crate) mod session;
pub(crate) mod session_id;
pub(crate) mod shares;
pub(crate) mod snapshot;
pub(crate) mod stream;
pub(crate) mod streams;
pub(crate) mod subscribers;
pub(crate) mod tasks;
pub(crate) mod usage;
