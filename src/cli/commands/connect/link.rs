//! The session at the endpoint.

use crate::cli::endpoint::SessionHeaders;

/// The session at the other end, as far as there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct SessionLink {
    /// Its identity.
    pub(super) key: SessionHeaders,
    /// The client's `initialize`, to be repeated when the session is lost.
    pub(super) initialize: Option<Vec<u8>>,
    /// Grows with every new session.
    pub(super) generation: u64,
    /// The client has said `initialized`: the server may speak by itself.
    pub(super) ready: bool,
}

impl SessionLink {
    /// Whether a 404 means that the other side has forgotten the session (MCP 2025-11-25, transports, session management).
    pub(super) fn can_be_lost(&self) -> bool {
        self.key.id.is_some() && self.initialize.is_some()
    }
}
