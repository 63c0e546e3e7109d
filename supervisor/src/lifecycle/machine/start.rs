//! From the wish to start a server to its first answer.

use std::time::Instant;

use mcproxy_ipc::EndReason;

use super::{Action, Lifecycle, MachineState};
use crate::{
    lifecycle::{extended, start_limits},
    start_queue::StartRank,
};

impl Lifecycle {
    pub(super) fn slot_granted(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            MachineState::Queued => {
                if self.must_wait() {
                    return;
                }
                self.generation = self.issue();
                self.restarts += u64::from(!std::mem::take(&mut self.fresh));
                self.woken = false;
                out.push(Action::Spawn(self.generation));
                // Both are "starting" to the others, so nothing is published.
                let (deadline, latest) = start_limits(self.plan.start_timeout, now);
                self.state = MachineState::Starting { deadline, latest };
            }
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Starting { .. }
            | MachineState::Ready { .. }
            | MachineState::Resting { .. }
            | MachineState::Stopping { .. }
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => {}
        }
    }

    /// There is nothing to start, which is known before it is its turn.
    pub(super) fn cannot_launch(&mut self, reason: &EndReason, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            MachineState::Queued => {
                self.generation = self.issue();
                self.restarts += u64::from(!std::mem::take(&mut self.fresh));
                self.woken = false;
                self.fail(reason, None, now, out);
            }
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Starting { .. }
            | MachineState::Ready { .. }
            | MachineState::Resting { .. }
            | MachineState::Stopping { .. }
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => {}
        }
    }

    /// Another process of the server has the whole time of a start.
    pub(super) fn started_again(&mut self, now: Instant) {
        if let MachineState::Starting { deadline, latest } = &mut self.state {
            (*deadline, *latest) = start_limits(self.plan.start_timeout, now);
        }
    }

    pub(super) fn installing(&mut self, now: Instant) {
        if let MachineState::Starting { deadline, latest } = &mut self.state {
            *deadline = extended(*deadline, *latest, self.plan.start_timeout, now);
        }
    }

    pub(super) fn became_ready(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            MachineState::Starting { .. } => {
                self.settled = true;
                self.forget_attempt();
                (self.failed, self.returning) = (false, false);
                self.rank = StartRank::Wanted;
                self.enter(MachineState::Ready { since: now }, "ready", out);
            }
            // Too late, or said twice.
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Queued
            | MachineState::Ready { .. }
            | MachineState::Resting { .. }
            | MachineState::Stopping { .. }
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => {}
        }
    }

    /// From a state without a process.
    pub(super) fn start(&mut self, reason: &str, out: &mut Vec<Action>) {
        match self.plan.blocked.clone() {
            Some(why) => {
                self.settled = true;
                self.enter(MachineState::Blocked, &why, out);
            }
            None if self.state == MachineState::Queued => {}
            None => {
                self.enter(MachineState::Queued, reason, out);
                out.push(Action::RequestSlot(self.rank));
            }
        }
    }
}
