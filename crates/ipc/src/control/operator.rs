//! Control messages between supervisor and `mcproxy`.

use serde::{Deserialize, Serialize};

use super::{LoginTask, TokenStatus};
use crate::{LogLine, ServerName, StatusReport};

/// A request of a person's `mcproxy` to the supervisor; one per connection, besides what belongs to a login.
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
    /// Approve what this server offers: pin its tools as they are; answered by `Done` or `Failed`.
    Approve(ServerName),
    /// The tokens of clients; answered by `Tokens`.
    Tokens,
    /// Drain and stop everything; answered by `Done` before the stop begins.
    Stop,
    /// Log in or out at this server; answered by `Page` if a person has to do something, then by `Done` or `Failed`.
    Login {
        /// Which server.
        server: ServerName,
        /// What is to be done.
        task: LoginTask,
    },
    /// After `Page`: the query of the callback that came. Again, if it was another login's.
    Callback(String),
}

/// An answer of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SupervisorToOperator {
    /// To `Status`.
    Status(Box<StatusReport>),
    /// To `Tokens`, in the order of the file.
    Tokens(Vec<TokenStatus>),
    /// It was done; a sentence for people.
    Done(String),
    /// It was not done; a sentence for people that says why and names the nearest known name.
    Failed(String),
    /// One log line.
    Line(LogLine),
    /// No more lines.
    End,
    /// To `Login`: the page to be opened.
    Page(String),
    /// To `Callback`: it was another login's, or none: why. The right one is still waited for.
    NotOurs(String),
}
