use std::time::{Duration, Instant};

use mcproxy_ipc::{EndReason, Generation, ServerState};
use proptest::prelude::*;

use super::*;
use crate::backoff::{JITTER, Jitter};

const POLICY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
    healthy_after: Duration::from_secs(600),
    budget: None,
};

fn plan() -> Plan {
    Plan { blocked: None, start_timeout: Duration::from_secs(60), backoff: POLICY }
}

/// A machine, a clock and the processes that it believes in.
struct World {
    machine: Lifecycle,
    now: Instant,
    live: Option<Generation>,
    kills: usize,
}

impl World {
    fn new(plan: Plan) -> Self {
        let machine = Lifecycle::new(plan, Generation::default(), Jitter::seeded(1));
        Self { machine, now: Instant::now(), live: None, kills: 0 }
    }

    /// Feeds one event, plays the shell, and checks what must hold after every step.
    fn feed(&mut self, event: Event) -> Vec<Action> {
        if let Event::Exited(g) | Event::NotSpawned(g, _) = &event
            && self.live == Some(*g)
        {
            self.live = None;
        }
        let actions = self.machine.step(event, self.now);
        for action in &actions {
            match action {
                Action::Spawn(generation) => {
                    assert_eq!(self.live, None, "a second worker");
                    assert_eq!(self.machine.wanted(), Wanted::Up, "an unwanted worker");
                    self.live = Some(*generation);
                }
                Action::Kill => self.kills += 1,
                Action::Stop => assert!(self.live.is_some(), "nothing to stop"),
                Action::RequestSlot | Action::Moved { .. } => {}
            }
        }
        let alive =
            matches!(self.machine.state(), State::Starting { .. } | State::Ready { .. } | State::Stopping { .. });
        assert_eq!(alive, self.live.is_some(), "state and process disagree: {:?}", self.machine.state());
        if alive && !matches!(self.machine.state(), State::Ready { .. }) {
            assert!(self.machine.deadline().is_some(), "a wait without end: {:?}", self.machine.state());
        }
        if let State::Backoff { until } = self.machine.state() {
            assert!(*until - self.now <= POLICY.max.mul_f64(1.0 + JITTER));
        }
        if self.machine.wanted() == Wanted::Down {
            let state = self.machine.state();
            assert!(matches!(state, State::Stopped | State::Stopping { .. }), "unwanted and {state:?}");
        }
        actions
    }

    fn generation(&self) -> Generation {
        self.machine.generation()
    }

    fn start(&mut self) {
        self.feed(Event::Want(Wanted::Up));
        self.feed(Event::SlotGranted);
    }

    fn ready(&mut self) {
        self.start();
        let generation = self.generation();
        self.feed(Event::BecameReady(generation));
    }

    fn state(&self) -> ServerState {
        self.machine.state().public()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Want(bool),
    Replan { blocked: bool, renew: bool },
    Restart,
    Slot,
    NotSpawned,
    Ready { old: bool },
    Ended { old: bool, missing: bool },
    Exited { old: bool },
    Kill,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => any::<bool>().prop_map(Step::Want),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(blocked, renew)| Step::Replan { blocked, renew }),
        1 => Just(Step::Restart),
        3 => Just(Step::Slot),
        1 => Just(Step::NotSpawned),
        3 => any::<bool>().prop_map(|old| Step::Ready { old }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(old, missing)| Step::Ended { old, missing }),
        3 => any::<bool>().prop_map(|old| Step::Exited { old }),
        1 => Just(Step::Kill),
        2 => (0u64..100).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn whatever_happens_the_promises_of_the_design_hold(steps in steps()) {
        let mut world = World::new(plan());
        for step in steps {
            let current = world.generation();
            let of = |old: bool| if old { Generation(current.0.saturating_sub(1)) } else { current };
            let event = match step {
                Step::Want(up) => Event::Want(if up { Wanted::Up } else { Wanted::Down }),
                Step::Replan { blocked, renew } => {
                    let plan = Plan { blocked: blocked.then(|| "X is not set".to_owned()), ..plan() };
                    Event::Planned { plan, renew: renew || blocked }
                }
                Step::Restart => Event::Restart,
                Step::Slot => Event::SlotGranted,
                // The shell says these only of a worker that it has.
                Step::NotSpawned if !matches!(world.machine.state(), State::Starting { .. }) => continue,
                Step::NotSpawned => Event::NotSpawned(current, "no more processes".to_owned()),
                Step::Ready { old } => Event::BecameReady(of(old)),
                Step::Ended { old, missing } => {
                    let reason = if missing {
                        EndReason::CommandNotFound { program: "npx".to_owned() }
                    } else {
                        EndReason::Unresponsive
                    };
                    Event::Ended(of(old), reason)
                }
                Step::Exited { old } => Event::Exited(of(old)),
                Step::Kill => Event::Kill,
                Step::Pass(seconds) => {
                    world.now += Duration::from_secs(seconds);
                    Event::Tick
                }
            };
            world.feed(event);
            prop_assert_eq!(world.state() == ServerState::Ready, matches!(world.machine.state(), State::Ready { .. }));
        }
        // From anywhere: not wanted leads to Stopped once the process is gone, and time alone gets it killed.
        world.feed(Event::Want(Wanted::Down));
        if world.live.is_some() {
            let kills = world.kills;
            world.now += STOP_LIMIT;
            world.feed(Event::Tick);
            prop_assert!(world.kills > kills);
            let generation = world.generation();
            world.feed(Event::Exited(generation));
        }
        prop_assert_eq!(world.state(), ServerState::Stopped);
    }
}

#[test]
fn a_server_nobody_wants_is_never_spawned() {
    let mut world = World::new(plan());
    world.feed(Event::Restart);
    world.feed(Event::SlotGranted);
    assert_eq!((world.state(), world.live), (ServerState::Stopped, None));
}

#[test]
fn a_failure_waits_and_a_restart_by_hand_skips_the_wait() {
    let mut world = World::new(plan());
    world.ready();
    let generation = world.generation();
    world.feed(Event::Exited(generation));
    assert_eq!(world.state(), ServerState::Backoff);
    let actions = world.feed(Event::Restart);
    assert!(actions.contains(&Action::RequestSlot));
    world.feed(Event::SlotGranted);
    assert_eq!(world.generation(), generation.next());
}

#[test]
fn a_missing_command_is_tried_again_after_the_long_delay() {
    let mut world = World::new(plan());
    world.start();
    let generation = world.generation();
    world.feed(Event::Ended(generation, EndReason::CommandNotFound { program: "npx".to_owned() }));
    world.feed(Event::Exited(generation));
    let State::Backoff { until } = *world.machine.state() else { panic!("{:?}", world.machine.state()) };
    assert!(until - world.now >= Duration::from_secs(54));
    assert!(world.machine.settled());
}

#[test]
fn news_of_an_earlier_worker_change_nothing() {
    let mut world = World::new(plan());
    world.ready();
    let first = world.generation();
    world.feed(Event::Exited(first));
    world.feed(Event::Restart);
    world.feed(Event::SlotGranted);
    assert_eq!(world.feed(Event::BecameReady(first)), []);
    assert_eq!(world.feed(Event::Exited(first)), []);
    assert_eq!(world.state(), ServerState::Starting);
}

#[test]
fn a_worker_that_misses_its_start_is_stopped_then_killed() {
    let mut world = World::new(plan());
    world.start();
    world.now = world.machine.deadline().expect("starting has one");
    let actions = world.feed(Event::Tick);
    assert!(actions.contains(&Action::Stop), "{actions:?}");
    world.now = world.machine.deadline().expect("stopping has one");
    assert_eq!(world.feed(Event::Tick), [Action::Kill]);
}

#[test]
fn a_blocked_server_starts_when_its_configuration_allows_it() {
    let blocked = Plan { blocked: Some("environment variable X is not set".to_owned()), ..plan() };
    let mut world = World::new(blocked);
    world.feed(Event::Want(Wanted::Up));
    assert_eq!((world.state(), world.machine.settled()), (ServerState::Blocked, true));
    world.feed(Event::Planned { plan: plan(), renew: true });
    assert_eq!(world.state(), ServerState::Starting);
}

#[test]
fn a_spent_budget_ends_in_failed() {
    let mut world = World::new(Plan { backoff: BackoffPolicy { budget: Some(1), ..POLICY }, ..plan() });
    for _ in 0..2 {
        world.feed(Event::Want(Wanted::Up));
        world.now += Duration::from_secs(120);
        world.feed(Event::Tick);
        world.feed(Event::SlotGranted);
        let generation = world.generation();
        world.feed(Event::Exited(generation));
    }
    assert_eq!(world.state(), ServerState::Failed);
}
