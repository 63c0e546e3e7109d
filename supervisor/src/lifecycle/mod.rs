//! The life of one server as a pure machine: no clock, no randomness from outside, no process.
//!
//! | state    | a process? | leaves it by |
//! |----------|------------|--------------|
//! | Stopped  | no         | being wanted |
//! | Idle     | no         | being woken, manual restart, another configuration |
//! | Queued   | no         | a free start slot, nothing to start |
//! | Starting | yes        | ready, ended, deadline |
//! | Ready    | yes        | ended, no longer wanted, restart, nothing to do (lazy) |
//! | Resting  | yes        | work after all, ended, no longer wanted, restart, `until` |
//! | Stopping | yes        | the process is gone; `kill_at` |
//! | Backoff  | no         | `until`, manual restart |
//! | Blocked  | no         | another configuration |
//! | Failed   | no         | manual restart, another configuration |
//!
//! While a server is Ready, a changed configuration may be tried by a *successor* beside it; earlier generations that are on
//! their way out are *retiring* (`machine/swap.rs`). The state is that of the current generation.
//!
//! A *lazy* server that is wanted is Idle until a client calls it, and again when none has for a while (`docs/decisions/0036`).
//! Resting is the moment in between: its worker has nothing to do, the gateway may let go of it, and if that happens it
//! ends. To the others a resting server is ready.
//!
//! The first failure of a server that was ready costs no delay: it *returns*, its calls wait, and its lists stay
//! (`docs/decisions/0120`).
//!
//! Whether a server is *wanted* is separate from where it stands. The shell (`server/actor.rs`) turns actions into system calls
//! and their results into events; it decides nothing.

mod machine;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use mcproxy_config::{OnChange, Start};
use mcproxy_ipc::{EndReason, Generation, INSTALL_LIMIT, ServerState};

use crate::{backoff::BackoffPolicy, start_queue::StartRank};

pub(crate) use machine::Lifecycle;

/// How long a worker gets for its own stop ladder (stdin, 2 s, SIGTERM, 3 s, SIGKILL) before it is killed.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(7);
/// How long a worker that said its last word may take to exit.
pub(crate) const EXIT_LIMIT: Duration = Duration::from_secs(2);
/// A kill is repeated at this distance until the process is gone.
pub(crate) const KILL_AGAIN: Duration = Duration::from_secs(1);
/// Time that a worker gets beyond `startTimeout` to report that the server missed it.
pub(crate) const START_MARGIN: Duration = Duration::from_secs(3);

/// How long the gateway may take to let go of a worker that has nothing to do. Then it is as before; the worker will say so
/// again.
pub(crate) const REST_LIMIT: Duration = Duration::from_secs(30);

/// Whether a server should be running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DesiredState {
    /// Yes.
    Up,
    /// No.
    Down,
}

/// Where a server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MachineState {
    /// Not wanted, not running.
    Stopped,
    /// Wanted and not running, because no client has called it (lazily started servers only).
    Idle,
    /// Waits for one of the few start slots; no process yet.
    Queued,
    /// A worker was spawned and is not ready.
    Starting {
        deadline: Instant,
        /// No installation moves the deadline beyond that.
        latest: Instant,
    },
    /// Answers calls.
    Ready { since: Instant },
    /// Has nothing to do. The gateway may let go of it, and then it ends by itself; until then it answers calls.
    Resting { since: Instant, until: Instant },
    /// The worker was told to end, or ends by itself.
    Stopping { kill_at: Instant, why: StopReason },
    /// Will be started again.
    Backoff {
        until: Instant,
        /// Only a login will help.
        needs_login: bool,
    },
    /// Cannot be started as configured.
    Blocked,
    /// The restart budget is spent.
    Failed,
}

/// Why a worker is being ended, which decides what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The server is not wanted.
    Unwanted,
    /// No call needs it at present: no delay, and no start before one does.
    Rest,
    /// An operator, or the configuration, wants it started anew: no delay.
    Renew,
    /// It failed: a delay, unless it is spared. How long it had been ready, if it was.
    Fault { reason: EndReason, healthy_for: Option<Duration> },
}

/// From when on a start has failed, and how far installing can move that.
pub(crate) fn start_limits(start_timeout: Duration, now: Instant) -> (Instant, Instant) {
    (now + start_timeout + START_MARGIN, now + start_timeout.max(INSTALL_LIMIT) + START_MARGIN)
}

/// Until when a start may go on that installs, and by this may go on longer, but never beyond `latest`.
pub(crate) fn extended(deadline: Instant, latest: Instant, start_timeout: Duration, now: Instant) -> Instant {
    deadline.max(start_limits(start_timeout, now).0).min(latest)
}

/// The part of the configuration that the machine needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LifecyclePlan {
    /// `None` when it can be started, else why not.
    pub(crate) blocked: Option<String>,
    /// From spawn to ready.
    pub(crate) start_timeout: Duration,
    /// How another configuration is put in force.
    pub(crate) on_change: OnChange,
    /// How long the calls of a generation that was replaced may go on.
    pub(crate) drain: Duration,
    /// The policy after a failure.
    pub(crate) backoff: BackoffPolicy,
    /// When it is started.
    pub(crate) start: Start,
}

/// The state of a changed configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is in force, as far as the state says.
    None,
    /// It is being tried beside the old one, by this generation once there is a place for its start.
    Starting(Option<Generation>),
    /// It does not work; the old one is in force.
    Failed(String),
}

/// An event outside of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MachineEvent {
    /// The server should (not) run.
    Want(DesiredState),
    /// Another configuration. With `renew` a running worker does not fit it any more.
    Planned { plan: LifecyclePlan, renew: bool },
    /// A person wants it started anew, now.
    Restart,
    /// A client calls a server that is not running because none had.
    Wake,
    /// The worker has had nothing to do for a while.
    NothingToDo(Generation),
    /// It has work after all.
    Work(Generation),
    /// A start slot is ours.
    SlotGranted,
    /// The program to start is not there, or is no program.
    CannotLaunch(EndReason),
    /// The worker could not be spawned.
    NotSpawned(Generation, String),
    /// The worker replaced its server's process by another one, which has the whole time of a start.
    StartedAgain(Generation),
    /// A package runner installs the worker's server, or waits until another has.
    Installing(Generation),
    /// The worker's server answers calls.
    BecameReady(Generation),
    /// The worker reported the end of its server, or broke the protocol, or stopped answering.
    Ended(Generation, EndReason),
    /// The worker's process is gone and what it left behind is swept.
    Exited(Generation),
    /// Everything has to go at once.
    Kill,
    /// Time has passed.
    Tick,
}

/// An action of the shell around the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// See whether the program can be started at all, and ask for a start slot. (It is given back when nothing is queued or
    /// starting, or before that when the heavy part of the start is over.)
    RequestSlot(StartRank),
    /// Spawn a worker for this generation.
    Spawn(Generation),
    /// Tell a worker to end.
    Stop(Generation),
    /// Tell a worker to end as soon as the gateway has let go of it, and after this time at the latest.
    Drain(Generation, Duration),
    /// SIGKILL a worker.
    Kill(Generation),
    /// The changed configuration was tried and does not work; the old generation goes on.
    ChangeFailed { generation: Generation, reason: String },
    /// The state changed.
    Moved { from: ServerState, to: ServerState, reason: String },
}

impl MachineState {
    /// The word for it that others see.
    pub(crate) fn public(&self) -> ServerState {
        match self {
            Self::Stopped => ServerState::Stopped,
            Self::Idle => ServerState::Idle,
            Self::Queued | Self::Starting { .. } => ServerState::Starting,
            Self::Ready { .. } | Self::Resting { .. } => ServerState::Ready,
            Self::Stopping { .. } => ServerState::Stopping,
            Self::Backoff { needs_login: true, .. } => ServerState::NeedsLogin,
            Self::Backoff { needs_login: false, .. } => ServerState::Backoff,
            Self::Blocked => ServerState::Blocked,
            Self::Failed => ServerState::Failed,
        }
    }
}
