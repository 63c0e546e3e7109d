use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::{FrameError, Generation, ServerName, socket::Connection};

/// Longest wait for the other side's half of the hello.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// The first frame on every connection: who is calling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What the caller is.
    pub role: Role,
    /// The caller's version of MCProxy, for messages to people.
    pub version: String,
}

/// What a caller is; what it may say afterwards follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// A worker, to its supervisor.
    Worker {
        /// Its server.
        server: ServerName,
        /// Its incarnation.
        generation: Generation,
    },
    /// The gateway, to its supervisor.
    Gateway,
    /// A person's `mcproxy`, to the supervisor.
    Operator,
    /// The gateway, to a worker's data socket.
    Caller,
    /// The gateway, to its supervisor, for a listening socket ([`Connection::fetch_listener`]).
    Acceptor,
}

/// The answer to a [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Go on.
    Accepted,
    /// The connection is closed after this, for the stated reason.
    Refused(String),
}

/// Why a hello failed.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The other side said no.
    #[error("refused: {0}")]
    Refused(String),
    /// The other side went away.
    #[error("the connection was closed during the hello")]
    Closed,
    /// The other side stays silent.
    #[error("no hello within {} s", HELLO_TIMEOUT.as_secs())]
    Timeout,
    /// Not our protocol, another version, or the socket failed.
    #[error("the hello failed")]
    Frame(#[from] FrameError),
}

/// Says who we are and waits for the verdict. The caller's half of the hello.
pub async fn introduce(connection: &mut Connection, role: Role) -> Result<(), HelloError> {
    say(connection, role).await?;
    let answer = timeout(HELLO_TIMEOUT, connection.verdict()).await.map_err(|_| HelloError::Timeout)??;
    match answer.ok_or(HelloError::Closed)? {
        Verdict::Accepted => Ok(()),
        Verdict::Refused(reason) => Err(HelloError::Refused(reason)),
    }
}

pub(crate) async fn say(connection: &mut Connection, role: Role) -> Result<(), FrameError> {
    let hello = Hello { role, version: env!("CARGO_PKG_VERSION").to_owned() };
    connection.sender().send(&hello).await
}

/// Waits for the other side's hello. The verdict is the listener's to send ([`Connection::answer`]).
pub async fn receive_hello(connection: &mut Connection) -> Result<Hello, HelloError> {
    let hello = timeout(HELLO_TIMEOUT, connection.hello()).await.map_err(|_| HelloError::Timeout)??;
    hello.ok_or(HelloError::Closed)
}
