//! How other tasks reach the gateway's task, and what they see of the gateway's process.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use mcproxy_config::AuditConfig;
use mcproxy_ipc::{
    LogLine, ServerName,
    control::{GatewaySettings, TokenStatus},
};
use tokio::sync::oneshot;

use crate::listen::BindError;

/// Requests of others to the gateway's task.
#[derive(Debug)]
pub(crate) enum GatewayCommand {
    /// Clients are to be accepted at another address; connected clients stay. Answered with where that is.
    Listen { address: SocketAddr, reply: oneshot::Sender<Result<SocketAddr, BindError>> },
    /// The last log lines of the gateway's process, and of those before it.
    Logs { lines: usize, reply: oneshot::Sender<Vec<LogLine>> },
    /// Other settings are in force.
    Configure { settings: Box<GatewaySettings>, audit: Option<AuditConfig> },
    /// What a server offers was approved.
    Approved(ServerName),
    /// Stop accepting, finish within this time, end.
    Drain { grace: Duration },
    /// End at once.
    Kill,
}

/// How others see the gateway's process.
#[derive(Debug, Clone, Default)]
pub(crate) struct GatewaySnapshot {
    /// Its process and since when it runs.
    pub(crate) running: Option<(u32, Instant)>,
    /// How many times it was started again.
    pub(crate) restarts: u64,
    /// When it, or one before it, last said that it serves.
    pub(crate) answered: Option<Instant>,
    /// Snapshots of sessions that there was no room for.
    pub(crate) notes_dropped: u64,
    /// The tokens of clients.
    pub(crate) tokens: Vec<TokenStatus>,
}
