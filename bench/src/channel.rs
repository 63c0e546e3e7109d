//! A way to ask a server something: every transport, behind one enum.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::{
    connection::{ConnectionError, Url},
    legacy::Legacy,
    plain::Plain,
    stdio::Stdio,
    streamable::Streamable,
};

/// Where and how to connect.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// MCP over Streamable HTTP.
    Streamable(Url),
    /// The same of 2026-07-28: no session, and these header lines with every request.
    Stateless(Url, String),
    /// MCP over HTTP+SSE of 2024-11-05.
    Legacy(Url),
    /// HTTP without MCP.
    Plain(Url),
    /// A server's own stdin and stdout, shared by all clients.
    Stdio(Stdio),
}

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("status {0}: {1}")]
    Status(u16, String),
    #[error("{0}")]
    Protocol(String),
    #[error("the server ended")]
    Ended,
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

/// An answer and when it was complete.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) at: Instant,
    pub(crate) message: BytesMut,
}

impl Answered {
    pub(crate) fn now(message: BytesMut) -> Self {
        Self { at: Instant::now(), message }
    }
}

/// One client's way to the server: its own session, on its own connection.
#[derive(Debug)]
pub(crate) enum Channel {
    Streamable(Streamable),
    Stateless(Streamable),
    Legacy(Legacy),
    Plain(Plain),
    Stdio(Stdio),
}

impl Target {
    /// Connects and says hello.
    pub(crate) async fn open(&self) -> Result<Channel, AskError> {
        Ok(match self {
            Self::Streamable(url) => Channel::Streamable(Streamable::open(url).await?),
            Self::Stateless(url, headers) => Channel::Stateless(Streamable::connect(url, headers.clone()).await?),
            Self::Legacy(url) => Channel::Legacy(Legacy::open(url).await?),
            Self::Plain(url) => Channel::Plain(Plain::open(url).await?),
            Self::Stdio(server) => Channel::Stdio(server.clone()),
        })
    }
}

impl Channel {
    /// Sends a request and waits for the answer to its id.
    pub(crate) async fn ask(&mut self, id: u64, request: &str) -> Result<Answered, AskError> {
        match self {
            Self::Streamable(session) | Self::Stateless(session) => session.ask(id, request.as_bytes()).await,
            Self::Legacy(session) => session.ask(id, request.as_bytes()).await,
            Self::Plain(connection) => connection.ask(request.as_bytes()).await,
            Self::Stdio(server) => server.ask(id, request).await,
        }
    }

    /// Ends the session as a polite client does.
    pub(crate) async fn close(self) -> Result<(), AskError> {
        match self {
            Self::Streamable(session) => session.delete().await,
            Self::Stateless(_) | Self::Legacy(_) | Self::Plain(_) | Self::Stdio(_) => Ok(()),
        }
    }
}
