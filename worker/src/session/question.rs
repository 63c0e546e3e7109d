//! The two questions that find out what a server speaks, and their answers.

use mcproxy_ipc::data::ServerEra;

/// The answer of a server to one of the two questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProbeAnswer {
    /// To `server/discover`: these versions are spoken.
    Discovered(Vec<String>),
    /// To `server/discover`: an error.
    DiscoverRefused(ProbeRefusal),
    /// To `initialize`: a result.
    Greeted,
    /// To `initialize`: an error.
    GreetingRefused(ProbeRefusal),
}

/// An error, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProbeRefusal {
    /// Its code.
    pub(super) code: i64,
    /// The versions that -32022 lists in `data.supported`; empty where it lists none.
    pub(super) supported: Vec<String>,
    /// The error as text, for people.
    pub(super) text: String,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProbeStep {
    /// Nothing; an answer or the time will tell.
    Wait,
    /// Ask `server/discover`.
    Discover,
    /// Ask `initialize`.
    Initialize,
    /// The server speaks this.
    Speaks(ServerEra),
    /// This process is of no use any more: end it and go on with another (`Probe::begin_again`).
    StartAgain,
    /// It cannot be spoken to.
    Failed(String),
}
