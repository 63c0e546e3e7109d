//! One configured server: a task that owns its lifecycle, its worker and what is remembered of it. Others hold a handle.

mod actor;
mod catalogue_keeper;
mod error_line;
mod history;
mod known_catalogue;
mod slot;
mod snapshot;
mod state_record;
mod take_snapshot;
mod throttle;
mod worker;
mod workers;

use std::time::Duration;

use mcproxy_config::{RestartPolicy, ServerConfig};
use mcproxy_confine::Hardening;
use mcproxy_ipc::{CatalogueCounts, DataEnd, Generation, LogLine, ServerName, WorkerSpec};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use self::{
    actor::spawn,
    snapshot::{ChangeState, Snapshot},
};

use crate::{backoff::BackoffPolicy, context::Context, degradations, lifecycle::LifecyclePlan};

/// A generation that was replaced ends when its last call has; however long that may take, not later than this.
const DRAIN_LIMIT: Duration = Duration::from_secs(600);

/// Requests of others to a server's task.
#[derive(Debug)]
pub(crate) enum ServerCommand {
    /// Another configuration; `renew` when a running worker does not fit it. Answered when the snapshot says what follows.
    Configure { config: Box<ServerConfig>, renew: bool, reply: oneshot::Sender<()> },
    /// Start anew, now. Answered with whether that makes sense.
    Restart(oneshot::Sender<bool>),
    /// A client calls it; of use for a server that is started by its calls.
    Wake,
    /// So much of its offer clients see.
    Shown(CatalogueCounts),
    /// The gateway wants a connection to the worker of this generation; here is the worker's end. Dropped if there is none.
    Serve { generation: Generation, end: DataEnd },
    /// The last log lines.
    Logs { lines: usize, reply: oneshot::Sender<Vec<LogLine>> },
    /// What a worker of it would be told at present, and which account it is to run as; or why there can be none.
    DescribeWorker(oneshot::Sender<Result<(WorkerSpec, Option<String>), String>>),
    /// Stop the server, then end the task.
    Leave,
    /// Kill the server, then end the task.
    Kill,
}

/// The past of a server's name before its task.
#[derive(Debug, Default)]
pub(crate) struct Predecessor {
    /// The last number that a generation was given.
    pub(crate) last: Generation,
    /// A task that is being left and has to be gone first, so that there are never two copies of a server.
    pub(crate) task: Option<ServerHandle>,
}

/// How others reach a server's task.
#[derive(Debug, Clone)]
pub(crate) struct ServerHandle {
    /// Its name.
    pub(crate) name: ServerName,
    /// Where commands go; bounded, because nothing here is worth more than a short queue.
    pub(crate) commands: mpsc::Sender<ServerCommand>,
    /// How it stands.
    pub(crate) snapshot: watch::Receiver<Snapshot>,
}

impl ServerHandle {
    /// The last log lines; empty when the task has no time for us.
    pub(crate) async fn logs(&self, lines: usize) -> Vec<LogLine> {
        const LIMIT: Duration = Duration::from_secs(2);
        let ask = async {
            let (reply, answer) = oneshot::channel();
            self.commands.send(ServerCommand::Logs { lines, reply }).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(LIMIT, ask).await.ok().flatten().unwrap_or_default()
    }
}

/// The part of a server's configuration that the lifecycle machine needs.
pub(crate) fn plan(config: &ServerConfig, context: &Context) -> LifecyclePlan {
    let is_strict = context.hardening == Hardening::Strict;
    let unbounded = context.unbounded(config).filter(|_| is_strict);
    let RestartPolicy { initial_delay, max_delay, healthy_after, max_attempts } = config.restart;
    LifecyclePlan {
        blocked: config.blocked().map(ToString::to_string).or_else(|| unbounded.as_ref().map(degradations::blocked)),
        start_timeout: config.start_timeout,
        on_change: config.on_change,
        drain: config.timeouts.total.min(DRAIN_LIMIT),
        start: config.start,
        backoff: BackoffPolicy { initial: initial_delay, max: max_delay, healthy_after, budget: max_attempts },
    }
}
