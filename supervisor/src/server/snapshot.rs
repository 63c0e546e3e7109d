//! How others see a server: what its task says of itself whenever anything about it has changed.

use std::time::{Duration, Instant};

use mcproxy_confine::Degradation;
use mcproxy_ipc::{
    ChangeStatus, Generation, InstanceCount, LifecycleEvent, ListFailure, Route, ServerDescription, ServerStatus,
    ServerTransport, StartStatus,
};

/// How others see a server.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The route that the gateway is told.
    pub(crate) route: Route,
    /// The last number that a generation was given. It may not have come to be the current one.
    pub(crate) last_generation: Generation,
    pub(crate) wanted: bool,
    pub(crate) since: Instant,
    pub(crate) restarts: u64,
    pub(crate) retry_at: Option<Instant>,
    /// The server has not confirmed its catalogue yet, or not again.
    pub(crate) stale: bool,
    pub(crate) description: Option<ServerDescription>,
    /// The lists that it does not give, and since when that is known.
    pub(crate) list_failures: Option<(Instant, Vec<ListFailure>)>,
    /// How its start goes, while it is starting.
    pub(crate) start: Option<StartProgress>,
    /// The state of a changed configuration, while that is not in force.
    pub(crate) change: Option<ChangeState>,
    pub(crate) transport: ServerTransport,
    pub(crate) worker_pid: Option<u32>,
    pub(crate) server_pid: Option<u32>,
    pub(crate) instances: Option<InstanceCount>,
    pub(crate) last_error: Option<String>,
    /// Protections that this server lacks.
    pub(crate) degraded: Vec<Degradation>,
    pub(crate) events: Vec<LifecycleEvent>,
}

/// A slow line lets a package runner write now and then.
const STILL_INSTALLING: Duration = Duration::from_secs(10);

/// A start that is under way.
#[derive(Debug, Clone)]
pub(crate) struct StartProgress {
    /// When its worker was spawned; `None`: it waits for others that are starting.
    pub(crate) spawned: Option<Instant>,
    /// How long it may take.
    pub(crate) limit: Duration,
    /// When a package runner was last seen to install it.
    pub(crate) installing: Option<Instant>,
    /// The server's last line on stderr.
    pub(crate) last_line: Option<String>,
}

/// A changed configuration that is not in force.
#[derive(Debug, Clone)]
pub(crate) enum ChangeState {
    /// It is being tried beside the old one.
    Starting(StartProgress),
    /// It does not work, and why.
    Failed(String),
}

impl StartProgress {
    fn status(&self, now: Instant) -> StartStatus {
        StartStatus {
            elapsed: self.spawned.map(|spawned| now.saturating_duration_since(spawned)),
            limit: self.limit,
            installing: self.installing.is_some_and(|at| now.saturating_duration_since(at) < STILL_INSTALLING),
            last_line: self.last_line.clone(),
        }
    }
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
            list_failures: self.list_failures(now),
            start: self.start.as_ref().map(|start| start.status(now)),
            change: self.change.as_ref().map(|change| match change {
                ChangeState::Starting(start) => ChangeStatus::Starting(start.status(now)),
                ChangeState::Failed(error) => ChangeStatus::Failed(error.clone()),
            }),
            transport: self.transport,
            worker_pid: self.worker_pid,
            server_pid: self.server_pid,
            instances: self.instances,
            rss_bytes,
            last_error: self.last_error.clone(),
            degraded: self.degraded.clone(),
            events: self.events.clone(),
        }
    }

    fn list_failures(&self, now: Instant) -> Vec<ListFailure> {
        let (since, failures) = self.list_failures.as_ref().map_or((now, &[][..]), |(since, all)| (*since, all));
        let passed = now.saturating_duration_since(since);
        let left = |failure: &ListFailure| ListFailure {
            retry_in: failure.retry_in.saturating_sub(passed),
            ..failure.clone()
        };
        failures.iter().map(left).collect()
    }
}
