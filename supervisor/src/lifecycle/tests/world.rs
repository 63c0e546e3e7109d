//! The machine with a shell that only keeps count, and what must hold after every step.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mcproxy_config::Start;
use mcproxy_ipc::{Generation, Need, ServerState};

use crate::{
    backoff::{BackoffPolicy, JITTER, Jitter},
    lifecycle::{machine::MAX_RETIRING, *},
};

pub(super) const POLICY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
    healthy_after: Duration::from_secs(600),
    budget: None,
};

pub(super) const GRACE: Duration = Duration::from_secs(100);

pub(super) fn plan() -> LifecyclePlan {
    let start_timeout = Duration::from_secs(60);
    let (on_change, start) = (OnChange::Swap, Start::Eager);
    LifecyclePlan { blocked: None, start_timeout, backoff: POLICY, on_change, drain: GRACE, start }
}

/// Of a server that cannot exist twice.
pub(super) fn alone() -> LifecyclePlan {
    LifecyclePlan { on_change: OnChange::Restart, ..plan() }
}

pub(super) fn lazy() -> LifecyclePlan {
    LifecyclePlan { start: Start::Lazy { idle_timeout: Some(Duration::from_secs(300)) }, ..plan() }
}

/// A machine, a clock and the processes that it believes in.
pub(super) struct World {
    pub(super) machine: Lifecycle,
    pub(super) now: Instant,
    pub(super) live: BTreeSet<Generation>,
    /// The last that was spawned.
    pub(super) last: Generation,
    pub(super) killed: BTreeSet<Generation>,
    pub(super) plan: LifecyclePlan,
    /// A client has called since the machine came to rest.
    pub(super) called: bool,
}

impl World {
    pub(super) fn new(plan: LifecyclePlan) -> Self {
        let machine = Lifecycle::new(plan.clone(), Generation::default(), Jitter::seeded(1));
        let (live, killed) = (BTreeSet::new(), BTreeSet::new());
        Self { machine, now: Instant::now(), live, last: Generation::default(), killed, plan, called: false }
    }

    /// Feeds one event, plays the shell, and checks what must hold after every step.
    pub(super) fn feed(&mut self, event: MachineEvent) -> Vec<Action> {
        if let MachineEvent::Exited(g) | MachineEvent::NotSpawned(g, _) = &event {
            self.live.remove(g);
        }
        if let MachineEvent::Planned { plan, .. } = &event {
            self.plan = plan.clone();
        }
        let ready = matches!(self.machine.state(), MachineState::Ready { .. });
        let (before, restart) = (self.generation(), matches!(event, MachineEvent::Restart));
        let says_ready = matches!(event, MachineEvent::BecameReady(_));
        let rested = *self.machine.state() == MachineState::Idle;
        self.called |= event == MachineEvent::Wake;
        let actions = self.machine.step(event, self.now);
        for action in &actions {
            match action {
                Action::Spawn(generation) => {
                    assert!(*generation > self.last, "a number is given twice");
                    if !ready || self.plan.on_change == OnChange::Restart {
                        let old = self.live.iter().filter(|g| **g == self.generation()).count();
                        assert_eq!(old, 0, "a second current worker");
                    }
                    if self.plan.on_change == OnChange::Restart {
                        assert!(self.live.is_empty(), "it exists twice");
                    }
                    assert_eq!(self.machine.wanted(), DesiredState::Up, "an unwanted worker");
                    assert_eq!(self.plan.blocked, None, "a blocked worker");
                    self.last = *generation;
                    self.live.insert(*generation);
                }
                Action::Kill(g) => {
                    assert!(self.live.contains(g), "there is none to kill");
                    self.killed.insert(*g);
                }
                Action::Stop(g) | Action::Drain(g, _) => assert!(self.live.contains(g), "there is none to stop"),
                Action::RequestSlot(_) | Action::Moved { .. } | Action::ChangeFailed { .. } => {}
            }
        }
        if *self.machine.state() == MachineState::Idle {
            self.called = false;
        } else if rested && self.machine.wanted() == DesiredState::Up && self.machine.need() != Need::Always {
            let blocked = *self.machine.state() == MachineState::Blocked;
            assert!(self.called || restart || blocked, "started without a reason: {:?}", self.machine.state());
        }
        // The current one, its successor, and those on their way out.
        assert!(self.live.len() <= 2 + MAX_RETIRING, "too many: {:?}", self.live);
        if ready && self.generation() != before {
            assert!(
                says_ready || !matches!(self.machine.state(), MachineState::Ready { .. }),
                "routed to what is not ready"
            );
        }
        assert!(self.generation() >= before && !(restart && ready && self.machine.change() != Change::None));
        let alive = matches!(
            self.machine.state(),
            MachineState::Starting { .. }
                | MachineState::Ready { .. }
                | MachineState::Resting { .. }
                | MachineState::Stopping { .. }
        );
        // One that failed while its successor waited for its turn is on its way out, and the successor has no number yet.
        let here = self.live.contains(&self.generation()) && (alive || self.machine.is_alone());
        assert_eq!(alive, here, "state and process disagree: {:?}", self.machine.state());
        let others = self.live.len() - usize::from(alive);
        if others > 0 || (alive && !matches!(self.machine.state(), MachineState::Ready { .. })) {
            assert!(self.machine.deadline().is_some(), "a wait without end: {:?}", self.machine.state());
        }
        let successor = match self.machine.change() {
            Change::Starting(next) => {
                assert!(matches!(self.machine.state(), MachineState::Ready { .. }), "a successor of nothing");
                usize::from(next.is_some())
            }
            Change::None | Change::Failed(_) => 0,
        };
        assert_eq!(self.machine.is_alone(), others == successor);
        if let MachineState::Backoff { until, .. } = self.machine.state() {
            assert!(*until - self.now <= POLICY.max.mul_f64(1.0 + JITTER));
        }
        if self.machine.wanted() == DesiredState::Down {
            let state = self.machine.state();
            assert!(matches!(state, MachineState::Stopped | MachineState::Stopping { .. }), "unwanted and {state:?}");
        }
        actions
    }

    pub(super) fn is_starting(&self, generation: Generation) -> bool {
        let current = matches!(self.machine.state(), MachineState::Starting { .. }) && self.generation() == generation;
        current || self.machine.change() == Change::Starting(Some(generation))
    }

    /// A change of the configuration that needs another worker.
    pub(super) fn change(&mut self, plan: LifecyclePlan) -> Vec<Action> {
        self.feed(MachineEvent::Planned { plan, renew: true })
    }

    pub(super) fn generation(&self) -> Generation {
        self.machine.generation()
    }

    pub(super) fn start(&mut self) {
        self.feed(MachineEvent::Want(DesiredState::Up));
        self.feed(MachineEvent::SlotGranted);
    }

    pub(super) fn ready(&mut self) {
        self.start();
        let generation = self.generation();
        self.feed(MachineEvent::BecameReady(generation));
    }

    pub(super) fn state(&self) -> ServerState {
        self.machine.state().public()
    }
}
