//! Generation swap: a changed configuration is tried beside the generation that serves, which is let go only when the new
//! one is ready (`docs/decisions/0020`).

use std::time::{Duration, Instant};

use mcproxy_config::OnChange;
use mcproxy_ipc::{EndReason, Generation};

use super::{Action, DesiredState, Lifecycle, MachineEvent, MachineState, StopReason};
use crate::{
    lifecycle::{Change, EXIT_LIMIT, KILL_AGAIN, STOP_LIMIT, extended, start_limits},
    start_queue::StartRank,
};

/// So many earlier generations may be on their way out. A person who changes a file faster than they go waits for them.
pub(crate) const MAX_RETIRING: usize = 2;

/// The generations besides the current one.
#[derive(Debug, Default)]
pub(super) struct Swap {
    /// The next generation. There is one only while the current one is ready.
    successor: Option<Successor>,
    /// Former generations and failed successors whose processes are not gone yet.
    retiring: Vec<Retiring>,
    /// Why the last attempt came to nothing.
    failure: Option<String>,
    /// A start of the current generation waits until no other is left.
    held: bool,
}

#[derive(Debug)]
enum Successor {
    /// For one of those that retire to be gone.
    Waiting,
    /// For a start slot.
    Queued,
    Starting {
        generation: Generation,
        deadline: Instant,
        latest: Instant,
    },
}

#[derive(Debug)]
struct Retiring {
    generation: Generation,
    /// Goes on answering calls; otherwise it was told to stop.
    draining: bool,
    kill_at: Instant,
}

impl Swap {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let start = match self.successor {
            Some(Successor::Starting { deadline, .. }) => Some(deadline),
            Some(Successor::Waiting | Successor::Queued) | None => None,
        };
        self.retiring.iter().map(|old| old.kill_at).chain(start).min()
    }

    pub(super) fn needs_slot(&self) -> bool {
        matches!(self.successor, Some(Successor::Queued | Successor::Starting { .. }))
    }

    /// The successor that is being started.
    pub(super) fn starting(&self) -> Option<Generation> {
        match self.successor {
            Some(Successor::Starting { generation, .. }) => Some(generation),
            Some(Successor::Waiting | Successor::Queued) | None => None,
        }
    }

    fn starts(&self, generation: Generation) -> bool {
        self.starting() == Some(generation)
    }

    fn has_room(&self) -> bool {
        self.retiring.len() < MAX_RETIRING
    }

    /// Tells those that still drain to stop; all of them, or the oldest.
    fn hurry(&mut self, how_many: usize, now: Instant, out: &mut Vec<Action>) {
        for old in self.retiring.iter_mut().filter(|old| old.draining).take(how_many) {
            old.draining = false;
            old.kill_at = now + STOP_LIMIT;
            out.push(Action::Stop(old.generation));
        }
    }
}

impl Lifecycle {
    /// The state of the last change of the configuration, as far as there is something to tell.
    pub(crate) fn change(&self) -> Change {
        match (&self.swap.successor, &self.swap.failure) {
            (Some(Successor::Starting { generation, .. }), _) => Change::Starting(Some(*generation)),
            (Some(Successor::Waiting | Successor::Queued), _) => Change::Starting(None),
            (None, Some(reason)) => Change::Failed(reason.clone()),
            (None, None) => Change::None,
        }
    }

    /// Whether the worker of this generation is expected to live.
    pub(crate) fn counts_on(&self, generation: Generation) -> bool {
        let current = self.generation == generation
            && matches!(
                self.state,
                MachineState::Starting { .. } | MachineState::Ready { .. } | MachineState::Resting { .. }
            );
        current || self.swap.starts(generation)
    }

    /// Whether another generation may be about to take over.
    pub(super) fn change_is_tried(&self) -> bool {
        self.swap.successor.is_some()
    }

    /// Whether every process is gone but those of the current generation.
    pub(crate) fn is_alone(&self) -> bool {
        self.swap.retiring.is_empty()
    }

    /// Takes what concerns another generation than the current one; false: it does not.
    pub(super) fn swap_event(&mut self, event: &MachineEvent, now: Instant, out: &mut Vec<Action>) -> bool {
        match event {
            MachineEvent::SlotGranted => self.successor_slot(now, out),
            MachineEvent::CannotLaunch(reason) => self.successor_cannot(reason, out),
            MachineEvent::StartedAgain(of) if self.swap.starts(*of) => {
                let (deadline, latest) = start_limits(self.plan.start_timeout, now);
                self.swap.successor = Some(Successor::Starting { generation: *of, deadline, latest });
                true
            }
            MachineEvent::Installing(of) if self.swap.starts(*of) => self.successor_installs(now),
            MachineEvent::BecameReady(of) if self.swap.starts(*of) => self.take_over(*of, now, out),
            MachineEvent::NotSpawned(of, reason) if self.swap.starts(*of) => {
                self.swap_failed(*of, reason.clone(), out);
                true
            }
            MachineEvent::Ended(of, reason) if self.swap.starts(*of) => {
                self.end_successor(*of, reason, now, out);
                true
            }
            MachineEvent::Exited(of) if self.swap.starts(*of) => {
                self.swap_failed(*of, "its worker ended without a word".to_owned(), out);
                true
            }
            MachineEvent::Ended(of, _) => {
                let Some(old) = self.swap.retiring.iter_mut().find(|old| old.generation == *of) else { return false };
                old.draining = false;
                old.kill_at = old.kill_at.min(now + EXIT_LIMIT);
                true
            }
            MachineEvent::Exited(of) => self.retired(*of, out),
            _ => false,
        }
    }

    /// Tries the new configuration beside the old one; false: it has to be a restart.
    pub(super) fn try_beside(&mut self, now: Instant, out: &mut Vec<Action>) -> bool {
        self.swap.failure = None;
        if self.plan.on_change == OnChange::Restart {
            self.swap.hurry(usize::MAX, now, out);
        }
        if !matches!(self.state, MachineState::Ready { .. }) || self.plan.on_change == OnChange::Restart {
            return false;
        }
        if let Some(blocked) = self.plan.blocked.clone() {
            self.drop_successor(now, out);
            self.swap_failed(self.generation, blocked, out);
            return true;
        }
        if let Some(Successor::Waiting | Successor::Queued) = self.swap.successor {
            return true; // it has not been told what to run yet
        }
        self.drop_successor(now, out);
        if self.swap.has_room() {
            self.swap.successor = Some(Successor::Queued);
            out.push(Action::RequestSlot(StartRank::Wanted));
        } else {
            self.swap.successor = Some(Successor::Waiting);
            self.swap.hurry(1, now, out);
        }
        true
    }

    /// Whether a start has to wait, because this server must not exist twice.
    pub(super) fn must_wait(&mut self) -> bool {
        self.swap.held = self.plan.on_change == OnChange::Restart && !self.swap.retiring.is_empty();
        self.swap.held
    }

    /// The number of the next generation.
    pub(super) fn issue(&mut self) -> Generation {
        self.last = self.last.next();
        self.last
    }

    /// Restores what must hold after every event: nothing is tried beside a server that is not ready, and nothing unwanted runs on.
    pub(super) fn settle_swap(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.wanted == DesiredState::Down {
            self.swap.failure = None;
            self.drop_successor(now, out);
            self.swap.hurry(usize::MAX, now, out);
        }
        match (&self.state, self.swap.successor.is_some()) {
            (MachineState::Ready { .. } | MachineState::Resting { .. }, _) | (_, false) => {}
            // A person, or the configuration, wants it otherwise.
            (MachineState::Stopping { why: StopReason::Unwanted | StopReason::Renew, .. }, true) => {
                self.drop_successor(now, out)
            }
            (MachineState::Stopping { kill_at, .. }, true) => {
                let old = Retiring { generation: self.generation, draining: false, kill_at: *kill_at };
                self.swap.retiring.push(old);
                self.promote(out);
            }
            (
                MachineState::Stopped | MachineState::Idle | MachineState::Queued | MachineState::Starting { .. },
                true,
            ) => self.drop_successor(now, out),
            (MachineState::Backoff { .. } | MachineState::Blocked | MachineState::Failed, true) => self.promote(out),
        }
    }

    /// SIGKILL for everything that is not the current generation.
    pub(super) fn kill_others(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.drop_successor(now, out);
        for old in &mut self.swap.retiring {
            old.draining = false;
            old.kill_at = now + KILL_AGAIN;
            out.push(Action::Kill(old.generation));
        }
    }

    /// Time has passed.
    pub(super) fn swap_tick(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let Some(Successor::Starting { generation, deadline, .. }) = self.swap.successor
            && deadline <= now
        {
            self.end_successor(generation, &EndReason::StartTimeout, now, out);
        }
        for old in self.swap.retiring.iter_mut().filter(|old| old.kill_at <= now) {
            old.draining = false;
            old.kill_at = now + KILL_AGAIN;
            out.push(Action::Kill(old.generation));
        }
    }

    /// It is well again without a swap, or an operator begins anew: an earlier attempt does not matter any more.
    pub(super) fn forget_attempt(&mut self) {
        self.swap.failure = None;
    }

    fn successor_slot(&mut self, now: Instant, out: &mut Vec<Action>) -> bool {
        let Some(Successor::Queued) = self.swap.successor else { return false };
        let generation = self.issue();
        let (deadline, latest) = start_limits(self.plan.start_timeout, now);
        self.swap.successor = Some(Successor::Starting { generation, deadline, latest });
        out.push(Action::Spawn(generation));
        true
    }

    fn successor_installs(&mut self, now: Instant) -> bool {
        if let Some(Successor::Starting { deadline, latest, .. }) = &mut self.swap.successor {
            *deadline = extended(*deadline, *latest, self.plan.start_timeout, now);
        }
        true
    }

    fn successor_cannot(&mut self, reason: &EndReason, out: &mut Vec<Action>) -> bool {
        let Some(Successor::Queued) = self.swap.successor else { return false };
        let generation = self.issue();
        self.swap_failed(generation, reason.to_string(), out);
        true
    }

    fn take_over(&mut self, new: Generation, now: Instant, out: &mut Vec<Action>) -> bool {
        let old = std::mem::replace(&mut self.generation, new);
        let grace = self.plan.drain;
        self.swap.successor = None;
        self.swap.retiring.push(Retiring { generation: old, draining: true, kill_at: now + grace + STOP_LIMIT });
        self.enter(MachineState::Ready { since: now }, "its configuration changed; the new generation took over", out);
        out.push(Action::Drain(old, grace));
        true
    }

    fn end_successor(&mut self, of: Generation, reason: &EndReason, now: Instant, out: &mut Vec<Action>) {
        let limit = match reason {
            EndReason::Unresponsive => Duration::ZERO,
            EndReason::StartTimeout => STOP_LIMIT,
            _ => EXIT_LIMIT,
        };
        out.push(if limit.is_zero() { Action::Kill(of) } else { Action::Stop(of) });
        self.swap.retiring.push(Retiring { generation: of, draining: false, kill_at: now + limit.max(KILL_AGAIN) });
        self.swap_failed(of, reason.to_string(), out);
    }

    fn swap_failed(&mut self, of: Generation, reason: String, out: &mut Vec<Action>) {
        self.swap.successor = None;
        self.swap.failure = Some(reason.clone());
        out.push(Action::ChangeFailed { generation: of, reason });
    }

    fn drop_successor(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let Some(Successor::Starting { generation, .. }) = self.swap.successor.take() {
            out.push(Action::Stop(generation));
            let old = Retiring { generation, draining: false, kill_at: now + STOP_LIMIT };
            self.swap.retiring.push(old);
        }
    }

    /// The current generation failed meanwhile: the next one is the current one now.
    fn promote(&mut self, out: &mut Vec<Action>) {
        let reason = "the old generation failed";
        match self.swap.successor.take() {
            Some(Successor::Starting { generation, deadline, latest }) => {
                self.generation = generation;
                self.enter(MachineState::Starting { deadline, latest }, reason, out);
            }
            Some(Successor::Queued) => self.enter(MachineState::Queued, reason, out),
            Some(Successor::Waiting) => {
                self.enter(MachineState::Queued, reason, out);
                out.push(Action::RequestSlot(StartRank::Wanted));
            }
            None => {}
        }
    }

    fn retired(&mut self, of: Generation, out: &mut Vec<Action>) -> bool {
        let before = self.swap.retiring.len();
        self.swap.retiring.retain(|old| old.generation != of);
        if self.swap.retiring.len() == before {
            return false;
        }
        if let Some(Successor::Waiting) = self.swap.successor {
            self.swap.successor = Some(Successor::Queued);
            out.push(Action::RequestSlot(StartRank::Wanted));
        }
        if self.swap.held && self.swap.retiring.is_empty() && self.state == MachineState::Queued {
            self.swap.held = false;
            out.push(Action::RequestSlot(StartRank::Wanted));
        }
        true
    }
}
