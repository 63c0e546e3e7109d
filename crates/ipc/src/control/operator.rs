//! Control messages between supervisor and `mcproxy`.

use serde::{Deserialize, Serialize};

use crate::{LogLine, ServerName, StatusReport};

/// A request of a person's `mcproxy` to the supervisor; one per connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperatorToSupervisor {
    /// The status of everything; answered by `Status`.
    Status,
    /// Start this server anew, without waiting out a backoff; answered by `Done` or `Failed`.
    Restart(ServerName),
    /// Read the configuration again; answered by `Done` or `Failed`.
    Reload,
    /// The last log lines of a server (or of all), answered by `Line`s and `End`; with `follow`, lines until the caller leaves.
    Logs {
        /// Which server; `None`: everything.
        server: Option<ServerName>,
        /// At most so many old lines.
        lines: usize,
        /// Go on with new ones.
        follow: bool,
    },
    /// Drain and stop everything; answered by `Done` before the stop begins.
    Stop,
}

/// An answer of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SupervisorToOperator {
    /// To `Status`.
    Status(Box<StatusReport>),
    /// It was done; a sentence for people.
    Done(String),
    /// It was not done; a sentence for people that says why and names the nearest known name.
    Failed(String),
    /// One log line.
    Line(LogLine),
    /// No more lines.
    End,
}
