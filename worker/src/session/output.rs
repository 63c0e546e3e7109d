//! The output of a session.

use std::collections::VecDeque;

use bytes::Bytes;
use mcproxy_ipc::{
    CatalogueCounts, EndReason, ListFailure, Secret, ServerDescription,
    data::{ServerEra, WorkerToGateway},
};

/// Messages and events that a session wants passed on.
#[derive(Debug, Default)]
pub(crate) struct SessionOutput {
    /// Messages for the server, each ended by a line break and without any other: the transport sends them.
    pub(crate) server: Vec<u8>,
    /// Headers that clients send along with requests among them, by the requests' numbers.
    pub(crate) headers: Vec<(u64, Vec<(String, Secret)>)>,
    /// Messages for the gateway.
    pub(crate) gateway: VecDeque<(WorkerToGateway, Bytes)>,
    /// Events for the shell.
    pub(crate) events: Vec<SessionEvent>,
}

/// An event that the session reports to its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SessionEvent {
    /// Handshake done, catalogue complete.
    Ready(ServerDescription),
    /// The catalogue changed.
    Counts(CatalogueCounts),
    /// The lists that the server does not give.
    ListFailures(Vec<ListFailure>),
    /// There has been no call for a while.
    NothingToDo,
    /// A call came after that.
    Work,
    /// The gateway left a server that had nothing to do.
    Left,
    /// The server cannot go on like this.
    Broken(EndReason),
    /// This process is to be ended, and [`Session::begin_again`](super::Session::begin_again) goes on with another.
    StartAgain,
    /// An answer says that a permission was lacking.
    PermissionLacking(String),
    /// The era it speaks is known, too late for this run.
    EraLearned(ServerEra),
}
