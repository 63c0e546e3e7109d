//! Pieces that the other layers share: the control connection, the budget, counters, queues and clocks, and small values.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod budget;
pub(crate) mod client_declaration;
pub(crate) mod client_info;
pub(crate) mod endpoint_scope;
pub(crate) mod error_reason;
pub(crate) mod json_digest;
pub(crate) mod metrics;
pub(crate) mod offload;
pub(crate) mod pieces;
pub(crate) mod principal;
pub(crate) mod queue;
pub(crate) mod rates;
pub(crate) mod redact;
pub(crate) mod refusals;
pub(crate) mod reply;
pub(crate) mod response_timer;
pub(crate) mod scope;
pub(crate) mod slices;
pub(crate) mod status_cache;
pub(crate) mod supervisor;
pub(crate) mod throttle;
pub(crate) mod token_uses;
pub(crate) mod web_pages;
