//! How calls start and end a server.

use std::time::Instant;

use mcproxy_config::Start;
use mcproxy_ipc::Need;

use super::{Action, DesiredState, Lifecycle, MachineState, StopReason};
use crate::{lifecycle::REST_LIMIT, start_queue::StartRank};

impl Lifecycle {
    /// Whether calls can start or end it, for the gateway.
    pub(crate) fn need(&self) -> Need {
        match (&self.state, self.plan.start, self.wanted) {
            (_, Start::Eager, _) => Need::Always,
            (MachineState::Resting { .. }, Start::Lazy { .. }, _) => Need::Resting,
            (
                MachineState::Idle | MachineState::Stopping { why: StopReason::Rest | StopReason::Renew, .. },
                Start::Lazy { .. },
                DesiredState::Up,
            ) => Need::Asleep,
            (
                MachineState::Stopped
                | MachineState::Idle
                | MachineState::Queued
                | MachineState::Starting { .. }
                | MachineState::Ready { .. }
                | MachineState::Stopping { .. }
                | MachineState::Backoff { .. }
                | MachineState::Blocked
                | MachineState::Failed,
                Start::Lazy { .. },
                _,
            ) => Need::OnCall,
        }
    }

    /// Whether what it offered last is to be listed while it is not ready. Who lists the tools of a server that failed invites
    /// calls that will fail, unless it returns at once; only of a lazy one a call is the way to find out whether it still does.
    pub(crate) fn listed(&self) -> bool {
        let hopeful = match self.plan.start {
            Start::Eager => !self.failed || self.returns(),
            Start::Lazy { .. } => true,
        };
        match (&self.state, self.wanted) {
            (_, DesiredState::Down) => false,
            (
                MachineState::Idle
                | MachineState::Queued
                | MachineState::Starting { .. }
                | MachineState::Ready { .. }
                | MachineState::Resting { .. }
                | MachineState::Stopping { .. }
                | MachineState::Backoff { .. },
                DesiredState::Up,
            ) => hopeful,
            (MachineState::Stopped | MachineState::Blocked | MachineState::Failed, DesiredState::Up) => false,
        }
    }

    /// Of servers that are started by calls only: a caller cannot cut a delay short or start what is not wanted.
    pub(super) fn wake(&mut self, out: &mut Vec<Action>) {
        match &self.state {
            MachineState::Idle => {
                self.rank = StartRank::Wanted;
                self.start("called", out);
            }
            MachineState::Resting { .. } | MachineState::Stopping { why: StopReason::Rest, .. } => self.woken = true,
            MachineState::Stopped
            | MachineState::Queued
            | MachineState::Starting { .. }
            | MachineState::Ready { .. }
            | MachineState::Stopping {
                why: StopReason::Unwanted | StopReason::Renew | StopReason::Fault { .. }, ..
            }
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => {}
        }
    }

    pub(super) fn nothing_to_do(&mut self, now: Instant) {
        if self.change_is_tried() {
            return; // the one that serves has to stay until it is known what comes of that
        }
        match (&self.state, self.plan.start) {
            (MachineState::Ready { since } | MachineState::Resting { since, .. }, Start::Lazy { .. }) => {
                // Both are "ready" to the others.
                self.state = MachineState::Resting { since: *since, until: now + REST_LIMIT };
            }
            (
                MachineState::Stopped
                | MachineState::Idle
                | MachineState::Queued
                | MachineState::Starting { .. }
                | MachineState::Ready { .. }
                | MachineState::Resting { .. }
                | MachineState::Stopping { .. }
                | MachineState::Backoff { .. }
                | MachineState::Blocked
                | MachineState::Failed,
                _,
            ) => {}
        }
    }

    pub(super) fn work(&mut self) {
        if let MachineState::Resting { since, .. } = self.state {
            self.woken = false;
            self.state = MachineState::Ready { since };
        }
    }

    /// From a state without a process: until a call needs it.
    pub(super) fn rest(&mut self, reason: &str, out: &mut Vec<Action>) {
        (self.woken, self.returning) = (false, false);
        match self.plan.blocked {
            Some(_) => self.start(reason, out),
            None => {
                self.fresh = !self.failed;
                self.enter(MachineState::Idle, reason, out);
            }
        }
    }
}
