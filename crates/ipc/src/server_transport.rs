//! By which of MCP's transports a server is reached.

use serde::{Deserialize, Serialize};

/// How a server is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerTransport {
    /// A command, or nothing yet.
    #[default]
    Stdio,
    /// Streamable HTTP, or what its URL answers to.
    Http,
    /// HTTP+SSE.
    Sse,
}

impl ServerTransport {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}
