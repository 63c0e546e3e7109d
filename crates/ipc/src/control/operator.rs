//! Control messages between supervisor and `mcproxy`.

use serde::{Deserialize, Serialize};

use super::{LoginTask, TokenStatus};
use crate::{ApprovalDecision, ApprovalRule, HeldCall, LogLine, ServerName, StatusReport};

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
    /// The calls that wait for approval; answered by `HeldCalls`.
    HeldCalls,
    /// Decide on one of them; answered by `Done` or `Failed`.
    Decide {
        /// Which one.
        id: String,
        /// What.
        decision: ApprovalDecision,
    },
    /// The answers that are kept; answered by `ApprovalRules`.
    ApprovalRules,
    /// Forget this one of them, or all; answered by `Done` or `Failed`.
    ForgetApproval(Option<String>),
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
    /// To `HeldCalls`, oldest first.
    HeldCalls(Vec<HeldCall>),
    /// To `ApprovalRules`, oldest first.
    ApprovalRules(Vec<ApprovalRule>),
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
