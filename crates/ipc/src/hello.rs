//! The first frame of a connection, and the answer to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::{FrameError, socket::Connection};

/// Longest wait for the other side's half of the hello.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// The first frame on every connection. What the caller is, and what it may say afterwards, follows from where it calls: at the
/// supervisor's socket people do, on an inherited connection the process that was started with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The caller's version of MCProxy, for messages to people.
    pub version: String,
}

impl Hello {
    /// Of this build.
    pub(crate) fn ours() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned() }
    }
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
pub async fn introduce(connection: &mut Connection) -> Result<(), HelloError> {
    connection.say(&Hello::ours()).await?;
    let answer = timeout(HELLO_TIMEOUT, connection.verdict()).await.map_err(|_| HelloError::Timeout)??;
    match answer.ok_or(HelloError::Closed)? {
        Verdict::Accepted => Ok(()),
        Verdict::Refused(reason) => Err(HelloError::Refused(reason)),
    }
}

/// Waits for the other side's hello, as long as it takes. The verdict is the listener's to send ([`Connection::answer`]).
pub async fn receive_hello(connection: &mut Connection) -> Result<Hello, HelloError> {
    connection.hello().await?.ok_or(HelloError::Closed)
}
