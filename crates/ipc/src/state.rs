//! States of a server, and the route to it that the gateway is told.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CallTimeouts, CatalogueKey, Generation, ServerApprovals, ServerName, ServerRates, ToolRules};

/// Where a server stands, as others see it. The supervisor's lifecycle machine holds the full state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// Not wanted, not running.
    Stopped,
    /// Wanted and not running: it is started by its first call.
    Idle,
    /// A worker was spawned and is not ready.
    Starting,
    /// Answers calls.
    Ready,
    /// Being stopped.
    Stopping,
    /// Will be started again after a delay.
    Backoff,
    /// The same, and only a login will help.
    #[serde(rename = "needs-login")]
    NeedsLogin,
    /// Cannot be started as configured (a variable is missing, say).
    Blocked,
    /// The restart budget is spent.
    Failed,
}

impl ServerState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 9] = [
        Self::Stopped,
        Self::Idle,
        Self::Starting,
        Self::Ready,
        Self::Stopping,
        Self::Backoff,
        Self::NeedsLogin,
        Self::Blocked,
        Self::Failed,
    ];

    /// The word for it in status, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::NeedsLogin => "needs-login",
            Self::Blocked => "blocked",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether calls start a server, or its lack of calls ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Need {
    /// Nothing: it runs whenever it can (`start: eager`).
    Always,
    /// It is started when it is called (`start: lazy`); at present a `Wake` would change nothing.
    OnCall,
    /// The same, and it is not running, or about to end: a `Wake` starts it.
    Asleep,
    /// The same, and its worker has nothing to do. A gateway without calls for it leaves it, which ends it; a `Wake` after
    /// that starts it again.
    Resting,
}

/// The state of one server, as the gateway is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The server.
    pub server: ServerName,
    /// Where it stands.
    pub state: ServerState,
    /// The generation that this is about.
    pub generation: Generation,
    /// False until its first start has succeeded or failed: lists wait for it (`listWait`).
    pub settled: bool,
    /// Why it is not ready, for the error a client gets.
    pub last_error: Option<String>,
    /// How long a call may take.
    pub timeouts: CallTimeouts,
    /// Which tools are shown, and how.
    pub tools: ToolRules,
    /// Whether calls have to do with its start and end.
    pub need: Need,
    /// Under which key the supervisor keeps what it offered last, if it keeps that.
    pub catalogue: Option<CatalogueKey>,
    /// Whether what it offered last is listed while it is not ready.
    pub listed: bool,
    /// It is not ready, and is being started again without a delay: calls wait for it.
    pub returns: bool,
    /// Whether each session has an instance of its own.
    pub per_session: bool,
    /// Most calls that its worker takes at once; of instances, each.
    pub concurrent_calls: usize,
    /// How often it may be called.
    pub rates: ServerRates,
    /// Which of its calls need the agreement of a person.
    pub approvals: ServerApprovals,
    /// The largest result of a tool that clients are shown whole, in bytes; `None`: any.
    pub result_bytes: Option<usize>,
}

impl Route {
    /// Whether a worker is there to be connected to.
    pub fn is_ready(&self) -> bool {
        self.state == ServerState::Ready
    }
}

/// Why a worker ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// It was told to stop.
    Stopped,
    /// The program is not installed.
    CommandNotFound {
        /// The program that was looked for.
        program: String,
    },
    /// The process could not be started.
    Spawn(String),
    /// The server's process ended by itself.
    Exited {
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// The server closed its stdout but lives on; for us that is the end.
    StdoutClosed,
    /// No complete start within the start timeout.
    StartTimeout,
    /// The server refused or broke the handshake.
    Handshake(String),
    /// The server cannot be reached over the network, or does not speak MCP there: what happened, and what to do.
    Unreachable(String),
    /// The server does not let MCProxy in without other credentials: what it said, and what to do.
    NeedsLogin(String),
    /// The server does not know the session any more that it had with MCProxy.
    SessionLost,
    /// The server did not answer its health pings.
    Unresponsive,
    /// The server broke a bound (garbage lines, say).
    Limit(String),
    /// The worker itself failed.
    Worker(String),
}

impl EndReason {
    /// The same with the words of the server, and about its start, changed.
    #[must_use]
    pub fn map_text(self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::CommandNotFound { program } => Self::CommandNotFound { program: change(&program) },
            Self::Spawn(why) => Self::Spawn(change(&why)),
            Self::Handshake(why) => Self::Handshake(change(&why)),
            Self::Unreachable(why) => Self::Unreachable(change(&why)),
            Self::NeedsLogin(why) => Self::NeedsLogin(change(&why)),
            Self::Limit(which) => Self::Limit(change(&which)),
            Self::Worker(why) => Self::Worker(change(&why)),
            Self::Stopped
            | Self::Exited { .. }
            | Self::StdoutClosed
            | Self::StartTimeout
            | Self::SessionLost
            | Self::Unresponsive => self,
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::CommandNotFound { program } => {
                write!(f, "command not found: {program}")?;
                match install_hint(program) {
                    Some(hint) => write!(f, " ({hint})"),
                    None => Ok(()),
                }
            }
            Self::Spawn(why) => write!(f, "cannot start the server: {why}"),
            Self::Exited { signal: Some(signal), .. } => write!(f, "the server was ended by signal {signal}"),
            Self::Exited { code: Some(code), .. } => write!(f, "the server exited with code {code}"),
            Self::Exited { .. } => f.write_str("the server exited"),
            Self::StdoutClosed => f.write_str("the server closed its stdout"),
            Self::StartTimeout => f.write_str("the server did not become ready within startTimeout"),
            Self::Handshake(why) => write!(f, "the server did not complete initialize: {why}"),
            Self::Unreachable(why) => f.write_str(why),
            Self::NeedsLogin(why) => write!(f, "needs login: {why}"),
            Self::SessionLost => f.write_str("the server does not know its session with MCProxy any more"),
            Self::Unresponsive => f.write_str("the server stopped answering pings"),
            Self::Limit(which) => write!(f, "the server broke a limit: {which}"),
            Self::Worker(why) => write!(f, "the worker failed: {why}"),
        }
    }
}

fn install_hint(program: &str) -> Option<&'static str> {
    match program {
        "npx" | "npm" | "node" => Some("install Node.js, https://nodejs.org or your distribution's `nodejs` and `npm`"),
        "uvx" | "uv" => Some("install uv: `pipx install uv` or https://docs.astral.sh/uv"),
        "python" | "python3" | "pip" => Some("install Python 3"),
        "docker" | "podman" => Some("install a container engine"),
        _ => None,
    }
}

/// A worker's last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// The last the server wrote to stderr, at most 32 KiB.
    pub stderr_tail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_states_are_in_the_list_and_in_their_order() {
        for (at, state) in ServerState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, at, "{state}");
        }
        assert_eq!(ServerState::Failed as usize + 1, ServerState::ALL.len());
    }
}
