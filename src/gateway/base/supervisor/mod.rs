//! The gateway's side of its control connection: settings and routes come in, questions and log records go out.

mod connection;
mod handle;

use std::{io, os::fd::OwnedFd};

use mcproxy_ipc::{
    ApprovalDecision, CatalogueKey, DataEnd, FrameError, Generation, SealKey, ServerName,
    control::{Act, ActOutcome, ActingCaller},
};
use tokio::sync::oneshot;

pub(crate) use self::{connection::SupervisorConnection, handle::SupervisorHandle};

/// Why the control connection could not be made or ended.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The runtime does not take it.
    #[error("the connection to the supervisor cannot be used")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the control connection failed")]
    Frame(#[from] FrameError),
    /// It did not hand over where we are to listen.
    #[error("the supervisor did not hand over its listening socket")]
    Listener(#[source] io::Error),
    /// It said something else first.
    #[error("the supervisor did not begin with what belongs to the start")]
    Order,
    /// The supervisor ended.
    #[error("the supervisor closed the control connection")]
    Closed,
}

/// Why there is no connection to a worker now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The supervisor has a reason.
    #[error("the supervisor makes no connection to the worker: {0}")]
    Refused(String),
    /// It is busy or gone.
    #[error("the supervisor does not answer")]
    Silent,
}

/// Why what a server offered last cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueFileError {
    /// The supervisor has a reason.
    #[error("the supervisor cannot open it: {0}")]
    Refused(String),
    /// It is busy or gone.
    #[error("the supervisor does not answer")]
    Silent,
}

/// A request for the file in which the supervisor keeps what a server offered last, or when it was pinned.
struct WantedCatalogue {
    server: ServerName,
    /// `None`: its pins.
    key: Option<CatalogueKey>,
    to: oneshot::Sender<Result<Option<OwnedFd>, CatalogueFileError>>,
}

/// Somebody's decision on a call that waits.
#[derive(Debug)]
pub(crate) struct HoldDecision {
    /// Which one.
    pub(crate) id: String,
    /// What.
    pub(crate) decision: ApprovalDecision,
    /// Who, for the audit.
    pub(crate) by: String,
}

/// An act of a person, for whom, and where to say how it ended.
type WantedAct = (Act, ActingCaller, oneshot::Sender<ActOutcome>);

/// A request for a connection to one generation of a server, and where to send it.
struct Wanted {
    server: ServerName,
    generation: Generation,
    to: oneshot::Sender<Result<DataEnd, ConnectError>>,
}

/// The state that one gateway's process passes to the next through the supervisor.
pub(crate) struct RestoreState {
    /// The key of session ids.
    pub(crate) seal: SealKey,
    /// Which gateway this is.
    pub(crate) generation: Generation,
}
