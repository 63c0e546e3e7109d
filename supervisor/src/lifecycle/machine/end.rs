//! How a server's worker ends: by itself, or because it is asked to, and what follows.

use std::time::{Duration, Instant};

use mcproxy_config::Start;
use mcproxy_ipc::EndReason;

use super::{Action, Lifecycle, MachineState};
use crate::{
    lifecycle::{DesiredState, EXIT_LIMIT, KILL_AGAIN, STOP_LIMIT, StopReason},
    start_queue::StartRank,
};

impl Lifecycle {
    pub(super) fn ended(&mut self, reason: EndReason, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            // Let go of by the gateway it ends by itself, as does one whose end an operator asked for.
            MachineState::Resting { .. } | MachineState::Ready { .. }
                if reason == EndReason::Stopped && self.plan.start != Start::Eager =>
            {
                out.push(Action::Stop(self.generation));
                let state = MachineState::Stopping { kill_at: now + EXIT_LIMIT, why: StopReason::Rest };
                self.enter(state, "no client has called it for idleTimeout", out);
            }
            MachineState::Starting { .. } | MachineState::Ready { .. } | MachineState::Resting { .. } => {
                self.failed = true;
                // One that does not answer cannot be asked to go.
                let limit = match reason {
                    EndReason::Unresponsive => Duration::ZERO,
                    _ => EXIT_LIMIT,
                };
                let text = reason.to_string();
                let healthy_for = self.healthy_for(now);
                self.returning = self.backoff.spares(&self.plan.backoff, healthy_for);
                let why = StopReason::Fault { reason, healthy_for };
                let of = self.generation;
                out.push(if limit.is_zero() { Action::Kill(of) } else { Action::Stop(of) });
                self.enter(MachineState::Stopping { kill_at: now + limit.max(KILL_AGAIN), why }, &text, out);
            }
            MachineState::Stopping { .. }
            | MachineState::Stopped
            | MachineState::Idle
            | MachineState::Queued
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => {}
        }
    }

    /// The worker's process is gone, or never was.
    pub(super) fn gone(&mut self, reason: Option<EndReason>, now: Instant, out: &mut Vec<Action>) {
        let why = match &self.state {
            MachineState::Starting { .. } | MachineState::Ready { .. } | MachineState::Resting { .. } => {
                let silent = || EndReason::Worker("it ended without a word".to_owned());
                StopReason::Fault { reason: reason.unwrap_or_else(silent), healthy_for: self.healthy_for(now) }
            }
            MachineState::Stopping { why, .. } => why.clone(),
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Queued
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => {
                return;
            }
        };
        match (self.wanted, why) {
            (DesiredState::Down, _) => self.enter(MachineState::Stopped, "ended", out),
            (DesiredState::Up, StopReason::Rest) if self.woken || self.plan.start == Start::Eager => {
                self.fresh = true;
                self.start("called", out);
            }
            (DesiredState::Up, StopReason::Rest) => self.rest("ended; started by its next call", out),
            (DesiredState::Up, StopReason::Renew | StopReason::Unwanted) => self.start("ended; wanted again", out),
            (DesiredState::Up, StopReason::Fault { reason, healthy_for }) => self.fail(&reason, healthy_for, now, out),
        }
    }

    pub(super) fn fail(
        &mut self,
        reason: &EndReason,
        healthy_for: Option<Duration>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let policy = self.plan.backoff;
        let delay = match reason {
            // It heals when a person installs the program or renews the credentials, not by trying every second.
            EndReason::CommandNotFound { .. } | EndReason::NeedsLogin(_) => self.backoff.after_lasting_failure(&policy),
            EndReason::Stopped
            | EndReason::Spawn(_)
            | EndReason::Exited { .. }
            | EndReason::StdoutClosed
            | EndReason::StartTimeout
            | EndReason::Handshake(_)
            | EndReason::Unreachable(_)
            | EndReason::SessionLost
            | EndReason::Unresponsive
            | EndReason::Limit(_)
            | EndReason::Worker(_) => self.backoff.after_failure(&policy, healthy_for),
        };
        self.settled = true;
        self.failed = true;
        self.rank = if healthy_for.is_none() { StartRank::Retry } else { StartRank::Recovery };
        self.returning = delay == Some(Duration::ZERO);
        match delay {
            Some(Duration::ZERO) => match self.plan.start {
                Start::Eager => self.start(&reason.to_string(), out),
                Start::Lazy { .. } => self.rest(&reason.to_string(), out),
            },
            Some(delay) => {
                let needs_login = matches!(reason, EndReason::NeedsLogin(_));
                self.enter(MachineState::Backoff { until: now + delay, needs_login }, &reason.to_string(), out);
            }
            None => self.enter(MachineState::Failed, &format!("{reason}; no restarts left"), out),
        }
    }

    pub(super) fn kill(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.want(DesiredState::Down, now, out);
        self.kill_others(now, out);
        match &self.state {
            MachineState::Stopping { why, .. } => {
                self.state = MachineState::Stopping { kill_at: now + KILL_AGAIN, why: why.clone() };
                out.push(Action::Kill(self.generation));
            }
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Queued
            | MachineState::Starting { .. }
            | MachineState::Ready { .. }
            | MachineState::Resting { .. }
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => {}
        }
    }

    /// From a state with a process.
    pub(super) fn stop(&mut self, why: StopReason, reason: &str, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Stop(self.generation));
        self.enter(MachineState::Stopping { kill_at: now + STOP_LIMIT, why }, reason, out);
    }

    /// For how long it has been ready, if it is.
    fn healthy_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            MachineState::Ready { since } | MachineState::Resting { since, .. } => {
                Some(now.saturating_duration_since(since))
            }
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Queued
            | MachineState::Starting { .. }
            | MachineState::Stopping { .. }
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => None,
        }
    }
}
