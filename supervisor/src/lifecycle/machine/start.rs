//! From the wish to start a server to its first answer.

use std::time::Instant;

use mcproxy_ipc::EndReason;

use super::{Action, Lifecycle, State};
use crate::{
    lifecycle::{extended, start_limits},
    start_queue::StartRank,
};

impl Lifecycle {
    pub(super) fn slot_granted(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Queued => {
                if self.must_wait() {
                    return;
                }
                self.generation = self.issue();
                self.restarts += u64::from(!std::mem::take(&mut self.fresh));
                self.woken = false;
                out.push(Action::Spawn(self.generation));
                // Both are "starting" to the others, so nothing is published.
                let (deadline, latest) = start_limits(self.plan.start_timeout, now);
                self.state = State::Starting { deadline, latest };
            }
            State::Stopped
            | State::Idle
            | State::Starting { .. }
            | State::Ready { .. }
            | State::Resting { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Blocked
            | State::Failed => {}
        }
    }

    /// There is nothing to start, which is known before it is its turn.
    pub(super) fn cannot_launch(&mut self, reason: &EndReason, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Queued => {
                self.generation = self.issue();
                self.restarts += u64::from(!std::mem::take(&mut self.fresh));
                self.woken = false;
                self.fail(reason, None, now, out);
            }
            State::Stopped
            | State::Idle
            | State::Starting { .. }
            | State::Ready { .. }
            | State::Resting { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Blocked
            | State::Failed => {}
        }
    }

    /// Another process of the server has the whole time of a start.
    pub(super) fn started_again(&mut self, now: Instant) {
        if let State::Starting { deadline, latest } = &mut self.state {
            (*deadline, *latest) = start_limits(self.plan.start_timeout, now);
        }
    }

    pub(super) fn installing(&mut self, now: Instant) {
        if let State::Starting { deadline, latest } = &mut self.state {
            *deadline = extended(*deadline, *latest, self.plan.start_timeout, now);
        }
    }

    pub(super) fn became_ready(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Starting { .. } => {
                self.settled = true;
                self.forget_attempt();
                (self.failed, self.returning) = (false, false);
                self.rank = StartRank::Wanted;
                self.enter(State::Ready { since: now }, "ready", out);
            }
            // Too late, or said twice.
            State::Stopped
            | State::Idle
            | State::Queued
            | State::Ready { .. }
            | State::Resting { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Blocked
            | State::Failed => {}
        }
    }

    /// From a state without a process.
    pub(super) fn start(&mut self, reason: &str, out: &mut Vec<Action>) {
        match self.plan.blocked.clone() {
            Some(why) => {
                self.settled = true;
                self.enter(State::Blocked, &why, out);
            }
            None if self.state == State::Queued => {}
            None => {
                self.enter(State::Queued, reason, out);
                out.push(Action::RequestSlot(self.rank));
            }
        }
    }
}
