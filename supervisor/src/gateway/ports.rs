//! How other tasks reach the gateway's task, and what they see of the gateway's process.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mcproxy_config::AuditConfig;
use mcproxy_ipc::{
    ApprovalDecision, ApprovalRule, HeldCall, HoldEnd, LogLine, Remember, ServerName,
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
    /// An operator decides on a call that waits; answered with how that ended, or `None`: no such call waits.
    Decide { id: String, decision: ApprovalDecision, reply: oneshot::Sender<Option<HoldEnd>> },
    /// An operator wants one answer that is kept forgotten, or all; answered with how many that were.
    ForgetApproval { id: Option<String>, reply: oneshot::Sender<usize> },
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
    /// How long answers to calls that wait may count.
    pub(crate) remember: Remember,
    /// Calls that wait for a person.
    pub(crate) held: Arc<[HeldCall]>,
    /// Answers to such calls that are kept.
    pub(crate) rules: Arc<[ApprovalRule]>,
}
