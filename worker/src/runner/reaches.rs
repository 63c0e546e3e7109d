//! What a program of this crate can reach servers by. A function that is named in one program only is linked into that one only:
//! the worker of a command has no HTTP client and no TLS in it (`docs/decisions/0179`).

use std::pin::Pin;

use mcproxy_confine::Hardening;
use mcproxy_ipc::{Ended, WorkerSpec};

use super::ports::Ports;
use crate::{install::InstallLock, timer::Timer};

/// Runs a server that is reached over the network.
pub(crate) type RemoteRun = fn(WorkerSpec, Ports, RunStart) -> Pin<Box<dyn Future<Output = Ended>>>;

/// Logs in or out at such a server, and serves no calls.
pub(crate) type LoginRun = fn(Hardening) -> Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// What a program can reach servers by, besides commands that it starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaches {
    pub(crate) network: Option<RemoteRun>,
    pub(crate) login: Option<LoginRun>,
}

/// With what a run begins.
pub(crate) struct RunStart {
    pub(super) lock: Option<InstallLock>,
    pub(super) timer: Timer,
}
