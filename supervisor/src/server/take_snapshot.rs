//! How a server's task takes its snapshot, from all that it owns.

use std::time::Instant;

use mcproxy_config::ServerConfig;
use mcproxy_ipc::{Instances, Reach, Route, ServerDescription};

use super::{
    history::History,
    known_catalogue::KnownCatalogue,
    snapshot::{ChangeState, Snapshot, StartProgress},
    worker::Worker,
    workers::Workers,
};
use crate::lifecycle::{Change, DesiredState, Lifecycle, MachineState, StopReason};

/// The view at this moment.
pub(super) fn take_snapshot(
    config: &ServerConfig,
    lifecycle: &Lifecycle,
    since: Instant,
    workers: &Workers,
    known_catalogue: &KnownCatalogue,
    history: &History,
) -> Snapshot {
    let generation = lifecycle.generation();
    let worker = workers.get(generation);
    let start = |worker: Option<&Worker>| StartProgress {
        spawned: worker.map(|worker| worker.spawned),
        limit: config.start_timeout,
        installing: worker.and_then(|worker| worker.installing),
        last_line: worker.and_then(|worker| worker.last_line.clone()),
    };
    let state = lifecycle.state();
    let ready = matches!(state, MachineState::Ready { .. } | MachineState::Resting { .. });
    let at_rest = matches!(state, MachineState::Idle | MachineState::Stopping { why: StopReason::Rest, .. });
    let route = Route {
        server: config.name.clone(),
        state: state.public(),
        generation,
        settled: lifecycle.settled(),
        last_error: history.last_error.clone().filter(|_| !ready),
        timeouts: config.timeouts,
        tools: config.tools.clone(),
        catalogue: known_catalogue.key.filter(|_| known_catalogue.file.is_some()),
        need: lifecycle.need(),
        returns: lifecycle.returns(),
        listed: lifecycle.listed(),
        per_session: matches!(config.instances, Instances::PerSession(_)),
        concurrent_calls: config.limits.concurrent_calls,
        rates: config.rates.clone(),
        approvals: config.approvals.clone(),
        result_bytes: config.result_bytes,
    };
    Snapshot {
        stale: known_catalogue.known && route.listed && !ready,
        route,
        last_generation: lifecycle.last_generation(),
        wanted: lifecycle.wanted() == DesiredState::Up,
        since,
        restarts: lifecycle.restarts(),
        retry_at: match state {
            MachineState::Backoff { until, .. } => Some(*until),
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Queued
            | MachineState::Starting { .. }
            | MachineState::Ready { .. }
            | MachineState::Resting { .. }
            | MachineState::Stopping { .. }
            | MachineState::Blocked
            | MachineState::Failed => None,
        },
        description: if at_rest {
            known_catalogue.description.clone()
        } else {
            worker.and_then(|worker| worker.description.clone()).filter(|_| ready)
        }
        .map(|about| ServerDescription { counts: known_catalogue.shown.unwrap_or(about.counts), ..about }),
        list_failures: worker.and_then(|worker| worker.list_failures.clone()).filter(|_| ready),
        start: matches!(state, MachineState::Queued | MachineState::Starting { .. }).then(|| start(worker)),
        change: match lifecycle.change() {
            Change::None => None,
            Change::Starting(next) => Some(ChangeState::Starting(start(next.and_then(|next| workers.get(next))))),
            Change::Failed(reason) => Some(ChangeState::Failed(history.change_error.clone().unwrap_or(reason))),
        },
        transport: config.reach.as_ref().map(Reach::transport).unwrap_or_default(),
        worker_pid: worker.map(Worker::pid),
        server_pid: worker.and_then(Worker::server_pid),
        instances: worker.and_then(Worker::instance_count),
        last_error: history.last_error.clone(),
        degraded: worker.map(|worker| worker.degraded.clone()).unwrap_or_default(),
        events: history.events.iter().cloned().collect(),
    }
}
