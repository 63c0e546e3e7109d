//! The servers as the gateway sees them: where each stands, the connection to its worker, the calls that are under way there, and what
//! it offers.

pub(crate) mod authorities;
pub(crate) mod catalogue_cache;
pub(crate) mod connection;
pub(crate) mod embedder;
pub(crate) mod fair_queue;
pub(crate) mod servers;
pub(crate) mod writer;
