//! What the gateway asks of the supervisor for its web page: acts, which the supervisor checks and may refuse, and what only it
//! knows of the configuration file (docs/decisions/0184).

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{ApprovalDecision, LogLine, ServerName};

/// Something that a person does on the web page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Start this server anew, without waiting out a backoff.
    Restart(ServerName),
    /// Want this server up until the configuration is read again.
    Enable(ServerName),
    /// The opposite.
    Disable(ServerName),
    /// Approve the tools of this server as they are now: what was held is offered.
    Approve(ServerName),
    /// Read the configuration again.
    Reload,
    /// End a session of a client. The gateway does it; the supervisor says whether it may.
    EndSession {
        /// Which one, as the page shows it.
        session: String,
    },
    /// Decide on a call that waits for approval. The gateway does it; the same.
    Decide {
        /// Which one.
        held: String,
        /// What.
        decision: ApprovalDecision,
    },
    /// Capture what is said in calls, for so many seconds; the same.
    Capture {
        /// At most so long; 0 ends it.
        seconds: u64,
    },
}

impl Act {
    /// The word for it in the log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Restart(_) => "restart",
            Self::Enable(_) => "enable",
            Self::Disable(_) => "disable",
            Self::Approve(_) => "approve",
            Self::Reload => "reload",
            Self::EndSession { .. } => "end session",
            Self::Decide { decision: ApprovalDecision::Refuse, .. } => "refuse call",
            Self::Decide { .. } => "allow call",
            Self::Capture { .. } => "capture",
        }
    }

    /// The server that it is about, if it is about one.
    pub fn server(&self) -> Option<&ServerName> {
        match self {
            Self::Restart(server) | Self::Enable(server) | Self::Disable(server) | Self::Approve(server) => {
                Some(server)
            }
            Self::Reload | Self::EndSession { .. } | Self::Decide { .. } | Self::Capture { .. } => None,
        }
    }
}

/// Who acts, as far as the gateway knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActingCaller {
    /// The name of the token that the request shows; `None`: there is no authentication.
    pub principal: Option<String>,
    /// Where its connection comes from.
    pub peer: Option<SocketAddr>,
}

/// How an act ended; each with a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActOutcome {
    /// It was done.
    Done(String),
    /// It could not be done.
    Failed(String),
    /// This caller may not do it.
    Refused(String),
}

/// The configuration file as the web page shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownConfig {
    /// Its text, with secrets masked; `None`: it cannot be read.
    pub text: Option<String>,
    /// What is wrong in it, or not understood.
    pub problems: Vec<ShownProblem>,
    /// What reading it now would change.
    pub pending: Vec<ReloadChange>,
}

/// A mistake or a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownProblem {
    /// Line, counted from 1; 0: of the whole file.
    pub line: usize,
    /// Column, the same.
    pub column: usize,
    /// Whether it has to be mended.
    pub is_error: bool,
    /// The mistake, and what to write instead.
    pub message: String,
}

/// Something that reading the file again would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadChange {
    /// The server; `None`: a setting, by its name in `change`.
    pub server: Option<ServerName>,
    /// `added`, `removed`, `changed`, or which settings.
    pub change: String,
}

/// A line of a log, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedLine {
    /// The server; `None`: the gateway.
    pub server: Option<ServerName>,
    /// The line.
    pub line: LogLine,
}
