//! What calls have to do with a server's life.

use std::time::Instant;

use mcproxy_config::Start;
use mcproxy_ipc::Need;

use super::{Action, Lifecycle, State, StopReason, Wanted};
use crate::{lifecycle::REST_LIMIT, start_queue::StartRank};

impl Lifecycle {
    /// What its life has to do with calls, for the gateway.
    pub(crate) fn need(&self) -> Need {
        match (&self.state, self.plan.start, self.wanted) {
            (_, Start::Eager, _) => Need::Always,
            (State::Resting { .. }, Start::Lazy { .. }, _) => Need::Resting,
            (
                State::Idle | State::Stopping { why: StopReason::Rest | StopReason::Renew, .. },
                Start::Lazy { .. },
                Wanted::Up,
            ) => Need::Asleep,
            (
                State::Stopped
                | State::Idle
                | State::Queued
                | State::Starting { .. }
                | State::Ready { .. }
                | State::Stopping { .. }
                | State::Backoff { .. }
                | State::Blocked
                | State::Failed,
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
            (_, Wanted::Down) => false,
            (
                State::Idle
                | State::Queued
                | State::Starting { .. }
                | State::Ready { .. }
                | State::Resting { .. }
                | State::Stopping { .. }
                | State::Backoff { .. },
                Wanted::Up,
            ) => hopeful,
            (State::Stopped | State::Blocked | State::Failed, Wanted::Up) => false,
        }
    }

    /// Of servers that are started by calls only: a caller cannot cut a delay short or start what is not wanted.
    pub(super) fn wake(&mut self, out: &mut Vec<Action>) {
        match &self.state {
            State::Idle => {
                self.rank = StartRank::Wanted;
                self.start("called", out);
            }
            State::Resting { .. } | State::Stopping { why: StopReason::Rest, .. } => self.woken = true,
            State::Stopped
            | State::Queued
            | State::Starting { .. }
            | State::Ready { .. }
            | State::Stopping { why: StopReason::Unwanted | StopReason::Renew | StopReason::Fault { .. }, .. }
            | State::Backoff { .. }
            | State::Blocked
            | State::Failed => {}
        }
    }

    pub(super) fn nothing_to_do(&mut self, now: Instant) {
        if self.change_is_tried() {
            return; // the one that serves has to stay until it is known what comes of that
        }
        match (&self.state, self.plan.start) {
            (State::Ready { since } | State::Resting { since, .. }, Start::Lazy { .. }) => {
                // Both are "ready" to the others.
                self.state = State::Resting { since: *since, until: now + REST_LIMIT };
            }
            (
                State::Stopped
                | State::Idle
                | State::Queued
                | State::Starting { .. }
                | State::Ready { .. }
                | State::Resting { .. }
                | State::Stopping { .. }
                | State::Backoff { .. }
                | State::Blocked
                | State::Failed,
                _,
            ) => {}
        }
    }

    pub(super) fn work(&mut self) {
        if let State::Resting { since, .. } = self.state {
            self.woken = false;
            self.state = State::Ready { since };
        }
    }

    /// From a state without a process: until somebody needs it.
    pub(super) fn rest(&mut self, reason: &str, out: &mut Vec<Action>) {
        (self.woken, self.returning) = (false, false);
        match self.plan.blocked {
            Some(_) => self.start(reason, out),
            None => {
                self.fresh = !self.failed;
                self.enter(State::Idle, reason, out);
            }
        }
    }
}
