//! The machine itself.

mod end;
mod lazy;
mod start;
mod swap;

use std::time::Instant;

use mcproxy_config::{OnChange, Start};
use mcproxy_ipc::{EndReason, Generation};

use super::{Action, DesiredState, KILL_AGAIN, LifecyclePlan, MachineEvent, MachineState, StopReason};
use crate::{
    backoff::{Backoff, Jitter},
    start_queue::StartRank,
};
#[cfg(test)]
pub(super) use swap::MAX_RETIRING;
use swap::Swap;

/// One server's state and what decides its next.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    wanted: DesiredState,
    state: MachineState,
    generation: Generation,
    /// The last number that a generation was given.
    last: Generation,
    /// Generations besides the current one.
    swap: Swap,
    plan: LifecyclePlan,
    backoff: Backoff,
    settled: bool,
    /// Its last start, or what came after it, was a failure.
    failed: bool,
    /// That was the first failure of a server that had been ready: it is started again at once.
    returning: bool,
    /// A client called it while it was on its way to rest.
    woken: bool,
    /// The next start is the first since it was at rest, which is no restart.
    fresh: bool,
    restarts: u64,
    /// Its place in the queue for its next start.
    rank: StartRank,
}

impl Lifecycle {
    /// Stopped and not wanted. `last` is the last generation that there was.
    pub(crate) fn new(plan: LifecyclePlan, last: Generation, jitter: Jitter) -> Self {
        Self {
            wanted: DesiredState::Down,
            state: MachineState::Stopped,
            generation: last,
            last,
            swap: Swap::default(),
            plan,
            backoff: Backoff::new(jitter),
            settled: false,
            failed: false,
            returning: false,
            woken: false,
            fresh: true,
            restarts: 0,
            rank: StartRank::Wanted,
        }
    }

    /// Goes on with the numbers of a machine before this one. Before the first event, and never backwards.
    pub(crate) fn follow(&mut self, last: Generation) {
        self.last = self.last.max(last);
        self.generation = self.last;
    }

    /// Whether it should be running.
    pub(crate) fn wanted(&self) -> DesiredState {
        self.wanted
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> &MachineState {
        &self.state
    }

    /// The current (or last) generation; 0 before the first.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// The last number that a generation was given.
    pub(crate) fn last_generation(&self) -> Generation {
        self.last
    }

    /// Whether its first start has succeeded or failed, or will not happen.
    pub(crate) fn settled(&self) -> bool {
        self.settled
    }

    /// Restarts so far, not counting starts of a server at rest.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Whether it is being started again without a delay: calls wait for it, and what it offered stays listed.
    pub(crate) fn returns(&self) -> bool {
        let is_on_its_way = match &self.state {
            MachineState::Stopping { why: StopReason::Renew, .. } => true,
            MachineState::Stopping { why: StopReason::Fault { .. }, .. }
            | MachineState::Queued
            | MachineState::Starting { .. } => self.returning,
            MachineState::Stopping { why: StopReason::Unwanted | StopReason::Rest, .. }
            | MachineState::Stopped
            | MachineState::Idle
            | MachineState::Ready { .. }
            | MachineState::Resting { .. }
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => false,
        };
        is_on_its_way && self.wanted == DesiredState::Up && self.plan.blocked.is_none()
    }

    /// Whether it occupies a start slot, or waits for one.
    pub(crate) fn needs_slot(&self) -> bool {
        matches!(self.state, MachineState::Queued | MachineState::Starting { .. }) || self.swap.needs_slot()
    }

    /// The generation that is being started.
    pub(crate) fn starting(&self) -> Option<Generation> {
        match self.state {
            MachineState::Starting { .. } => Some(self.generation),
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Queued
            | MachineState::Ready { .. }
            | MachineState::Resting { .. }
            | MachineState::Stopping { .. }
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => self.swap.starting(),
        }
    }

    /// When a [`MachineEvent::Tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.own_deadline().into_iter().chain(self.swap.deadline()).min()
    }

    /// That of the current generation alone.
    fn own_deadline(&self) -> Option<Instant> {
        match self.state {
            MachineState::Starting { deadline, .. } => Some(deadline),
            MachineState::Stopping { kill_at, .. } => Some(kill_at),
            MachineState::Backoff { until, .. } | MachineState::Resting { until, .. } => Some(until),
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Queued
            | MachineState::Ready { .. }
            | MachineState::Blocked
            | MachineState::Failed => None,
        }
    }

    /// The actions that follow from one event.
    pub(crate) fn step(&mut self, event: MachineEvent, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let out = &mut actions;
        if !self.swap_event(&event, now, out) {
            self.own_event(event, now, out);
        }
        self.settle_swap(now, out);
        actions
    }

    fn own_event(&mut self, event: MachineEvent, now: Instant, out: &mut Vec<Action>) {
        match event {
            MachineEvent::Want(wanted) => self.want(wanted, now, out),
            MachineEvent::Planned { plan, renew } => self.planned(plan, renew, now, out),
            MachineEvent::Restart => self.restart(now, out),
            MachineEvent::Wake => self.wake(out),
            MachineEvent::SlotGranted => self.slot_granted(now, out),
            MachineEvent::CannotLaunch(reason) => self.cannot_launch(&reason, now, out),
            MachineEvent::Kill => self.kill(now, out),
            MachineEvent::Tick => self.tick(now, out),
            // An event of an earlier worker.
            MachineEvent::NotSpawned(of, _)
            | MachineEvent::StartedAgain(of)
            | MachineEvent::Installing(of)
            | MachineEvent::BecameReady(of)
            | MachineEvent::NothingToDo(of)
            | MachineEvent::Work(of)
            | MachineEvent::Ended(of, _)
            | MachineEvent::Exited(of)
                if of != self.generation => {}
            MachineEvent::NotSpawned(_, reason) => self.gone(Some(EndReason::Worker(reason)), now, out),
            MachineEvent::StartedAgain(_) => self.started_again(now),
            MachineEvent::Installing(_) => self.installing(now),
            MachineEvent::BecameReady(_) => self.became_ready(now, out),
            MachineEvent::NothingToDo(_) => self.nothing_to_do(now),
            MachineEvent::Work(_) => self.work(),
            MachineEvent::Ended(_, reason) => self.ended(reason, now, out),
            MachineEvent::Exited(_) => self.gone(None, now, out),
        }
    }

    fn want(&mut self, wanted: DesiredState, now: Instant, out: &mut Vec<Action>) {
        self.wanted = wanted;
        match (&self.state, wanted) {
            (MachineState::Stopped, DesiredState::Up) => match self.plan.start {
                Start::Eager => self.start("wanted", out),
                Start::Lazy { .. } => self.rest("wanted; started by its first call", out),
            },
            // It was lazy when it came to rest.
            (MachineState::Idle, DesiredState::Up) if self.plan.start == Start::Eager => self.start("wanted", out),
            (
                MachineState::Idle
                | MachineState::Queued
                | MachineState::Backoff { .. }
                | MachineState::Blocked
                | MachineState::Failed,
                DesiredState::Down,
            ) => {
                self.enter(MachineState::Stopped, "not wanted", out);
            }
            (
                MachineState::Starting { .. } | MachineState::Ready { .. } | MachineState::Resting { .. },
                DesiredState::Down,
            ) => {
                self.stop(StopReason::Unwanted, "not wanted", now, out);
            }
            (
                MachineState::Idle
                | MachineState::Queued
                | MachineState::Starting { .. }
                | MachineState::Ready { .. }
                | MachineState::Resting { .. }
                | MachineState::Backoff { .. }
                | MachineState::Blocked
                | MachineState::Failed
                | MachineState::Stopping { .. },
                DesiredState::Up,
            )
            | (MachineState::Stopping { .. }, DesiredState::Down) => {}
            (MachineState::Stopped, DesiredState::Down) => self.settled = true,
        }
    }

    fn planned(&mut self, plan: LifecyclePlan, renew: bool, now: Instant, out: &mut Vec<Action>) {
        self.plan = plan;
        // A server that must not exist twice is not tried beside itself any longer.
        let tried_in_vain = self.plan.on_change == OnChange::Restart && self.change_is_tried();
        if !renew && !tried_in_vain {
            return;
        }
        self.backoff.reset();
        self.rank = StartRank::Wanted;
        self.failed = false;
        // The route says again that it is ready; a gateway that has left it comes back, or finds it ended.
        self.work();
        if self.try_beside(now, out) {
            return;
        }
        match &self.state {
            MachineState::Starting { .. } | MachineState::Ready { .. } | MachineState::Resting { .. } => {
                self.stop(StopReason::Renew, "its configuration changed", now, out);
            }
            MachineState::Stopping { kill_at, why: StopReason::Fault { .. } } => {
                self.state = MachineState::Stopping { kill_at: *kill_at, why: StopReason::Renew };
            }
            // It may be blocked now.
            MachineState::Idle => self.rest("its configuration changed", out),
            MachineState::Queued | MachineState::Backoff { .. } | MachineState::Blocked | MachineState::Failed => {
                self.start("its configuration changed", out);
            }
            MachineState::Stopped
            | MachineState::Stopping { why: StopReason::Unwanted | StopReason::Renew | StopReason::Rest, .. } => {}
        }
    }

    fn restart(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.wanted == DesiredState::Down {
            return;
        }
        self.backoff.reset();
        self.rank = StartRank::Wanted;
        self.forget_attempt();
        match &self.state {
            MachineState::Starting { .. } | MachineState::Ready { .. } | MachineState::Resting { .. } => {
                self.stop(StopReason::Renew, "restarted by hand", now, out);
            }
            MachineState::Stopping { kill_at, .. } => {
                self.state = MachineState::Stopping { kill_at: *kill_at, why: StopReason::Renew };
            }
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Backoff { .. }
            | MachineState::Blocked
            | MachineState::Failed => {
                self.start("restarted by hand", out);
            }
            // It goes before those that were not asked for.
            MachineState::Queued => out.push(Action::RequestSlot(self.rank)),
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.swap_tick(now, out);
        if self.own_deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match &self.state {
            MachineState::Starting { .. } => self.ended(EndReason::StartTimeout, now, out),
            MachineState::Stopping { why, .. } => {
                self.state = MachineState::Stopping { kill_at: now + KILL_AGAIN, why: why.clone() };
                out.push(Action::Kill(self.generation));
            }
            MachineState::Backoff { .. } => match self.plan.start {
                Start::Eager => self.start("the delay is over", out),
                Start::Lazy { .. } => self.rest("the delay is over; started by its next call", out),
            },
            // The gateway did not let go of it.
            MachineState::Resting { .. } => self.work(),
            MachineState::Stopped
            | MachineState::Idle
            | MachineState::Queued
            | MachineState::Ready { .. }
            | MachineState::Blocked
            | MachineState::Failed => {}
        }
    }

    fn enter(&mut self, state: MachineState, reason: &str, out: &mut Vec<Action>) {
        let from = self.state.public();
        let to = state.public();
        self.state = state;
        out.push(Action::Moved { from, to, reason: reason.to_owned() });
    }
}
