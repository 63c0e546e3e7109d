//! One configured server: a task that owns its lifecycle, its worker and what is remembered of it. Others hold a handle.

mod actor;
mod history;
mod worker;

use std::time::{Duration, Instant};

use mcproxy_config::{Launch, RestartPolicy, ServerConfig};
use mcproxy_ipc::{
    Connection, Generation, LifecycleEvent, LogLine, Route, ServerDescription, ServerName, ServerStatus,
};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use actor::spawn;

use crate::{backoff::BackoffPolicy, lifecycle::Plan};

/// What others ask of a server's task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Another configuration; `renew` when a running worker does not fit it.
    Configure { config: Box<ServerConfig>, renew: bool },
    /// Start anew, now. Answered with whether that makes sense.
    Restart(oneshot::Sender<bool>),
    /// Somebody says that it is our worker.
    Attach { connection: Box<Connection>, generation: Generation },
    /// The last log lines.
    Logs { lines: usize, reply: oneshot::Sender<Vec<LogLine>> },
    /// Stop the server, then end the task.
    Leave,
    /// Kill the server, then end the task.
    Kill,
}

/// How others see a server.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// What the gateway is told.
    pub(crate) route: Route,
    pub(crate) wanted: bool,
    pub(crate) since: Instant,
    pub(crate) restarts: u64,
    pub(crate) retry_at: Option<Instant>,
    pub(crate) description: Option<ServerDescription>,
    pub(crate) worker_pid: Option<u32>,
    pub(crate) server_pid: Option<u32>,
    pub(crate) last_error: Option<String>,
    pub(crate) events: Vec<LifecycleEvent>,
}

/// How others reach a server's task.
#[derive(Debug, Clone)]
pub(crate) struct ServerHandle {
    /// Its name.
    pub(crate) name: ServerName,
    /// Where commands go; bounded, because nothing here is worth more than a short queue.
    pub(crate) commands: mpsc::Sender<Command>,
    /// How it stands.
    pub(crate) snapshot: watch::Receiver<Snapshot>,
}

impl Snapshot {
    /// The status that people see.
    pub(crate) fn status(&self, now: Instant, rss_bytes: u64) -> ServerStatus {
        ServerStatus {
            name: self.route.server.clone(),
            wanted: self.wanted,
            state: self.route.state,
            generation: self.route.generation,
            since: now.saturating_duration_since(self.since),
            restarts: self.restarts,
            retry_in: self.retry_at.map(|at| at.saturating_duration_since(now)),
            description: self.description.clone(),
            worker_pid: self.worker_pid,
            server_pid: self.server_pid,
            rss_bytes,
            last_error: self.last_error.clone(),
            events: self.events.clone(),
        }
    }
}

impl ServerHandle {
    /// The last log lines; empty when the task has no time for us.
    pub(crate) async fn logs(&self, lines: usize) -> Vec<LogLine> {
        const LIMIT: Duration = Duration::from_secs(2);
        let ask = async {
            let (reply, answer) = oneshot::channel();
            self.commands.send(Command::Logs { lines, reply }).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(LIMIT, ask).await.ok().flatten().unwrap_or_default()
    }
}

/// What the lifecycle machine needs of a server's configuration.
pub(crate) fn plan(config: &ServerConfig) -> Plan {
    let RestartPolicy { initial_delay, max_delay, healthy_after, max_attempts } = config.restart;
    Plan {
        blocked: match &config.launch {
            Launch::Ready(_) => None,
            Launch::Blocked(blocked) => Some(blocked.to_string()),
        },
        start_timeout: config.start_timeout,
        backoff: BackoffPolicy { initial: initial_delay, max: max_delay, healthy_after, budget: max_attempts },
    }
}
