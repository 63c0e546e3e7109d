//! How often something may be done, and how often at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A bound on requests of one client, or on calls of one server or tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// One for each such time; `None`: as often as may be.
    pub interval: Option<Duration>,
    /// So many may come at once after a while without any.
    pub burst: u32,
    /// So many may be under way at once; `None`: any.
    pub concurrent: Option<u32>,
}

/// The rates of a server's calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRates {
    /// Of all of them.
    pub all: Option<RateLimit>,
    /// Of tools that fit a pattern, by the server's own names; each pattern for itself.
    pub tools: Vec<(String, RateLimit)>,
}

impl ServerRates {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.tools.is_empty()
    }
}
