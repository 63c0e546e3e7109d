//! One configured server: a task that owns its lifecycle, its worker and what is remembered of it. Others hold a handle.

mod actor;
mod crew;
mod history;
mod offer;
mod worker;

use std::time::{Duration, Instant};

use mcproxy_config::{Launch, RestartPolicy, ServerConfig};
use mcproxy_ipc::{
    ChangeStatus, Connection, Generation, InstanceCount, LifecycleEvent, LogLine, Route, ServerDescription, ServerName,
    ServerStatus, StartStatus,
};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use actor::spawn;

use crate::{backoff::BackoffPolicy, lifecycle::Plan};

/// An incarnation that was replaced ends when its last call has; however long that may take, not later than this.
const DRAIN_LIMIT: Duration = Duration::from_secs(600);

/// What others ask of a server's task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Another configuration; `renew` when a running worker does not fit it. Answered when the snapshot says what follows.
    Configure { config: Box<ServerConfig>, renew: bool, reply: oneshot::Sender<()> },
    /// Start anew, now. Answered with whether that makes sense.
    Restart(oneshot::Sender<bool>),
    /// Somebody calls it; of use for a server that is started by its calls.
    Wake,
    /// Somebody says that it is our worker.
    Attach { connection: Box<Connection>, generation: Generation },
    /// The last log lines.
    Logs { lines: usize, reply: oneshot::Sender<Vec<LogLine>> },
    /// Stop the server, then end the task.
    Leave,
    /// Kill the server, then end the task.
    Kill,
}

/// What there was of a server's name before its task.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// The last number that an incarnation was given.
    pub(crate) last: Generation,
    /// A task that is being left and has to be gone first, so that there are never two copies of a server.
    pub(crate) task: Option<ServerHandle>,
}

/// How others see a server.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// What the gateway is told.
    pub(crate) route: Route,
    /// The last number that an incarnation was given. It may not have come to be the current one.
    pub(crate) last_generation: Generation,
    pub(crate) wanted: bool,
    pub(crate) since: Instant,
    pub(crate) restarts: u64,
    pub(crate) retry_at: Option<Instant>,
    /// What is listed of it was not confirmed by the server yet, or not again.
    pub(crate) stale: bool,
    pub(crate) description: Option<ServerDescription>,
    /// How its start goes, while it is starting.
    pub(crate) start: Option<Start>,
    /// What has become of a changed configuration, while that is not in force.
    pub(crate) change: Option<Pending>,
    pub(crate) worker_pid: Option<u32>,
    pub(crate) server_pid: Option<u32>,
    pub(crate) instances: Option<InstanceCount>,
    pub(crate) last_error: Option<String>,
    pub(crate) events: Vec<LifecycleEvent>,
}

/// A start that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// When its worker was spawned; `None`: it waits for others that are starting.
    pub(crate) spawned: Option<Instant>,
    /// How long it may take.
    pub(crate) limit: Duration,
    /// The server's last line on stderr.
    pub(crate) last_line: Option<String>,
}

/// A changed configuration that is not in force.
#[derive(Debug, Clone)]
pub(crate) enum Pending {
    /// It is being tried beside the old one.
    Starting(Start),
    /// It does not work, and why.
    Failed(String),
}

impl Start {
    fn status(&self, now: Instant) -> StartStatus {
        StartStatus {
            elapsed: self.spawned.map(|spawned| now.saturating_duration_since(spawned)),
            limit: self.limit,
            last_line: self.last_line.clone(),
        }
    }
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
            stale: self.stale,
            description: self.description.clone(),
            start: self.start.as_ref().map(|start| start.status(now)),
            change: self.change.as_ref().map(|change| match change {
                Pending::Starting(start) => ChangeStatus::Starting(start.status(now)),
                Pending::Failed(error) => ChangeStatus::Failed(error.clone()),
            }),
            worker_pid: self.worker_pid,
            server_pid: self.server_pid,
            instances: self.instances,
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
        on_change: config.on_change,
        drain: config.timeouts.total.min(DRAIN_LIMIT),
        start: config.start,
        backoff: BackoffPolicy { initial: initial_delay, max: max_delay, healthy_after, budget: max_attempts },
    }
}
