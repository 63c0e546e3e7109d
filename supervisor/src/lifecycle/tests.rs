use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mcproxy_config::Start;
use mcproxy_ipc::{EndReason, Generation, Need, ServerState};
use proptest::prelude::*;

use super::{machine::MAX_RETIRING, *};
use crate::backoff::{JITTER, Jitter};

const POLICY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
    healthy_after: Duration::from_secs(600),
    budget: None,
};

const GRACE: Duration = Duration::from_secs(100);

fn plan() -> Plan {
    let start_timeout = Duration::from_secs(60);
    let (on_change, start) = (OnChange::Swap, Start::Eager);
    Plan { blocked: None, start_timeout, backoff: POLICY, on_change, drain: GRACE, start }
}

/// Of a server that cannot exist twice.
fn alone() -> Plan {
    Plan { on_change: OnChange::Restart, ..plan() }
}

fn lazy() -> Plan {
    Plan { start: Start::Lazy { idle_timeout: Some(Duration::from_secs(300)) }, ..plan() }
}

/// A machine, a clock and the processes that it believes in.
struct World {
    machine: Lifecycle,
    now: Instant,
    live: BTreeSet<Generation>,
    /// The last that was spawned.
    last: Generation,
    killed: BTreeSet<Generation>,
    plan: Plan,
    /// Somebody has called since the machine came to rest.
    called: bool,
}

impl World {
    fn new(plan: Plan) -> Self {
        let machine = Lifecycle::new(plan.clone(), Generation::default(), Jitter::seeded(1));
        let (live, killed) = (BTreeSet::new(), BTreeSet::new());
        Self { machine, now: Instant::now(), live, last: Generation::default(), killed, plan, called: false }
    }

    /// Feeds one event, plays the shell, and checks what must hold after every step.
    fn feed(&mut self, event: Event) -> Vec<Action> {
        if let Event::Exited(g) | Event::NotSpawned(g, _) = &event {
            self.live.remove(g);
        }
        if let Event::Planned { plan, .. } = &event {
            self.plan = plan.clone();
        }
        let ready = matches!(self.machine.state(), State::Ready { .. });
        let (before, restart) = (self.generation(), matches!(event, Event::Restart));
        let says_ready = matches!(event, Event::BecameReady(_));
        let rested = *self.machine.state() == State::Idle;
        self.called |= event == Event::Wake;
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
                    assert_eq!(self.machine.wanted(), Wanted::Up, "an unwanted worker");
                    assert_eq!(self.plan.blocked, None, "a blocked worker");
                    self.last = *generation;
                    self.live.insert(*generation);
                }
                Action::Kill(g) => {
                    assert!(self.live.contains(g), "nobody to kill");
                    self.killed.insert(*g);
                }
                Action::Stop(g) | Action::Drain(g, _) => assert!(self.live.contains(g), "nobody to stop"),
                Action::RequestSlot | Action::Moved { .. } | Action::ChangeFailed { .. } => {}
            }
        }
        if *self.machine.state() == State::Idle {
            self.called = false;
        } else if rested && self.machine.wanted() == Wanted::Up && self.machine.need() != Need::Always {
            let blocked = *self.machine.state() == State::Blocked;
            assert!(self.called || restart || blocked, "started for nobody: {:?}", self.machine.state());
        }
        // The current one, its successor, and those on their way out.
        assert!(self.live.len() <= 2 + MAX_RETIRING, "too many: {:?}", self.live);
        if ready && self.generation() != before {
            assert!(says_ready || !matches!(self.machine.state(), State::Ready { .. }), "routed to what is not ready");
        }
        assert!(self.generation() >= before && !(restart && ready && self.machine.change() != Change::None));
        let alive = matches!(
            self.machine.state(),
            State::Starting { .. } | State::Ready { .. } | State::Resting { .. } | State::Stopping { .. }
        );
        // One that failed while its successor waited for its turn is on its way out, and the successor has no number yet.
        let here = self.live.contains(&self.generation()) && (alive || self.machine.is_alone());
        assert_eq!(alive, here, "state and process disagree: {:?}", self.machine.state());
        let others = self.live.len() - usize::from(alive);
        if others > 0 || (alive && !matches!(self.machine.state(), State::Ready { .. })) {
            assert!(self.machine.deadline().is_some(), "a wait without end: {:?}", self.machine.state());
        }
        let successor = match self.machine.change() {
            Change::Starting(next) => {
                assert!(matches!(self.machine.state(), State::Ready { .. }), "a successor of nothing");
                usize::from(next.is_some())
            }
            Change::None | Change::Failed(_) => 0,
        };
        assert_eq!(self.machine.is_alone(), others == successor);
        if let State::Backoff { until } = self.machine.state() {
            assert!(*until - self.now <= POLICY.max.mul_f64(1.0 + JITTER));
        }
        if self.machine.wanted() == Wanted::Down {
            let state = self.machine.state();
            assert!(matches!(state, State::Stopped | State::Stopping { .. }), "unwanted and {state:?}");
        }
        actions
    }

    fn is_starting(&self, generation: Generation) -> bool {
        let current = matches!(self.machine.state(), State::Starting { .. }) && self.generation() == generation;
        current || self.machine.change() == Change::Starting(Some(generation))
    }

    /// A change of the configuration that needs another worker.
    fn change(&mut self, plan: Plan) -> Vec<Action> {
        self.feed(Event::Planned { plan, renew: true })
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
    Replan { blocked: bool, renew: bool, alone: bool, lazy: bool },
    Restart,
    Wake,
    NothingToDo { of: u64 },
    Work { of: u64 },
    Left { of: u64 },
    Slot,
    NotSpawned,
    Ready { of: u64 },
    Ended { of: u64, missing: bool },
    Exited { of: u64 },
    Kill,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => any::<bool>().prop_map(Step::Want),
        2 => (proptest::bool::weighted(0.2), any::<bool>(), proptest::bool::weighted(0.3), any::<bool>())
            .prop_map(|(blocked, renew, alone, lazy)| Step::Replan { blocked, renew, alone, lazy }),
        2 => Just(Step::Wake),
        2 => (0u64..3).prop_map(|of| Step::NothingToDo { of }),
        1 => (0u64..3).prop_map(|of| Step::Work { of }),
        1 => (0u64..3).prop_map(|of| Step::Left { of }),
        1 => Just(Step::Restart),
        3 => Just(Step::Slot),
        1 => Just(Step::NotSpawned),
        4 => (0u64..4).prop_map(|of| Step::Ready { of }),
        1 => (0u64..4, any::<bool>()).prop_map(|(of, missing)| Step::Ended { of, missing }),
        3 => (0u64..4).prop_map(|of| Step::Exited { of }),
        1 => Just(Step::Kill),
        2 => (0u64..100).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn whatever_happens_the_promises_of_the_design_hold(steps in steps(), lazily: bool) {
        let mut world = World::new(if lazily { lazy() } else { plan() });
        for step in steps {
            // The latest, and those before it.
            let last = world.last;
            let of = |before: u64| Generation(last.0.saturating_sub(before));
            let event = match step {
                Step::Want(up) => Event::Want(if up { Wanted::Up } else { Wanted::Down }),
                Step::Replan { blocked, renew, alone: once, lazy: lazily } => {
                    let plan = Plan { start: if lazily { lazy().start } else { Start::Eager }, ..plan() };
                    let plan = if once { Plan { on_change: OnChange::Restart, ..plan } } else { plan };
                    let plan = Plan { blocked: blocked.then(|| "X is not set".to_owned()), ..plan };
                    Event::Planned { plan, renew: renew || blocked }
                }
                Step::Wake => Event::Wake,
                Step::NothingToDo { of: before } => Event::NothingToDo(of(before)),
                Step::Work { of: before } => Event::Work(of(before)),
                Step::Left { of: before } => Event::Ended(of(before), EndReason::Stopped),
                Step::Restart => Event::Restart,
                Step::Slot => Event::SlotGranted,
                // The shell says this only of a worker that it has just spawned.
                Step::NotSpawned if !world.is_starting(last) => continue,
                Step::NotSpawned => Event::NotSpawned(last, "no more processes".to_owned()),
                Step::Ready { of: before } => Event::BecameReady(of(before)),
                Step::Ended { of: before, missing } => {
                    let reason = if missing {
                        EndReason::CommandNotFound { program: "npx".to_owned() }
                    } else {
                        EndReason::Unresponsive
                    };
                    Event::Ended(of(before), reason)
                }
                Step::Exited { of: before } => Event::Exited(of(before)),
                Step::Kill => Event::Kill,
                Step::Pass(seconds) => {
                    world.now += Duration::from_secs(seconds);
                    Event::Tick
                }
            };
            world.feed(event.clone());
            prop_assert_eq!(
                world.state() == ServerState::Ready,
                matches!(world.machine.state(), State::Ready { .. } | State::Resting { .. })
            );
            // The shell says this after every change of plan.
            if let Event::Planned { .. } = event {
                world.feed(Event::Want(world.machine.wanted()));
            }
            if *world.machine.state() == State::Idle {
                prop_assert_eq!(world.machine.need(), Need::Asleep, "at rest, and no call would wake it");
                prop_assert!(world.machine.listed());
            }
        }
        // From anywhere: not wanted leads to Stopped once the processes are gone, and time alone gets them killed.
        world.feed(Event::Want(Wanted::Down));
        world.killed.clear();
        world.now += STOP_LIMIT;
        world.feed(Event::Tick);
        prop_assert_eq!(&world.killed, &world.live);
        for generation in world.live.clone() {
            world.feed(Event::Exited(generation));
        }
        prop_assert!(world.machine.is_alone());
        prop_assert_eq!(world.state(), ServerState::Stopped);
    }
}

#[test]
fn a_server_nobody_wants_is_never_spawned() {
    let mut world = World::new(plan());
    world.feed(Event::Restart);
    world.feed(Event::SlotGranted);
    assert_eq!((world.state(), world.live), (ServerState::Stopped, BTreeSet::new()));
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
    assert!(actions.contains(&Action::Stop(Generation(1))), "{actions:?}");
    world.now = world.machine.deadline().expect("stopping has one");
    assert_eq!(world.feed(Event::Tick), [Action::Kill(Generation(1))]);
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

#[test]
fn a_changed_server_is_replaced_only_by_one_that_is_ready() {
    let mut world = World::new(plan());
    world.ready();
    let (old, new) = (Generation(1), Generation(2));
    assert_eq!(world.change(plan()), [Action::RequestSlot]);
    assert_eq!(world.feed(Event::SlotGranted), [Action::Spawn(new)]);
    assert_eq!((world.state(), world.generation()), (ServerState::Ready, old));
    let actions = world.feed(Event::BecameReady(new));
    assert!(actions.contains(&Action::Drain(old, GRACE)), "{actions:?}");
    assert_eq!((world.state(), world.generation(), world.machine.change()), (ServerState::Ready, new, Change::None));
    world.feed(Event::Ended(old, EndReason::Stopped));
    world.feed(Event::Exited(old));
    assert_eq!((world.state(), world.machine.restarts()), (ServerState::Ready, 0));
}

#[test]
fn a_change_that_does_not_work_leaves_the_old_one_in_force_and_is_not_tried_again_by_itself() {
    let mut world = World::new(plan());
    world.ready();
    world.change(plan());
    world.feed(Event::SlotGranted);
    world.now += Duration::from_secs(70);
    let actions = world.feed(Event::Tick);
    assert!(matches!(&actions[..], [Action::Stop(Generation(2)), Action::ChangeFailed { .. }]), "{actions:?}");
    world.feed(Event::Exited(Generation(2)));
    assert_eq!((world.state(), world.generation()), (ServerState::Ready, Generation(1)));
    assert_eq!(world.machine.deadline(), None);
    assert!(matches!(world.machine.change(), Change::Failed(_)));
    // The next change is.
    assert_eq!(world.change(plan()), [Action::RequestSlot]);
}

#[test]
fn a_successor_becomes_the_current_one_when_the_old_one_fails_meanwhile() {
    let mut world = World::new(plan());
    world.ready();
    world.change(plan());
    world.feed(Event::SlotGranted);
    world.feed(Event::Ended(Generation(1), EndReason::StdoutClosed));
    assert_eq!((world.state(), world.generation()), (ServerState::Starting, Generation(2)));
    world.feed(Event::Exited(Generation(1)));
    world.feed(Event::BecameReady(Generation(2)));
    assert_eq!((world.state(), world.machine.is_alone()), (ServerState::Ready, true));
}

#[test]
fn a_server_that_cannot_exist_twice_ends_before_its_successor_begins() {
    let mut world = World::new(alone());
    world.ready();
    let actions = world.change(alone());
    assert!(actions.contains(&Action::Stop(Generation(1))), "{actions:?}");
    assert_eq!(world.feed(Event::SlotGranted), []);
    let actions = world.feed(Event::Exited(Generation(1)));
    assert!(actions.contains(&Action::RequestSlot), "{actions:?}");
}

#[test]
fn an_old_incarnation_that_does_not_go_is_killed() {
    let mut world = World::new(plan());
    world.ready();
    world.change(plan());
    world.feed(Event::SlotGranted);
    world.feed(Event::BecameReady(Generation(2)));
    world.now += GRACE + STOP_LIMIT;
    assert_eq!(world.feed(Event::Tick), [Action::Kill(Generation(1))]);
}

#[test]
fn whoever_changes_faster_than_old_ones_go_waits_for_them() {
    let mut world = World::new(plan());
    world.ready();
    for new in 2..=3 {
        world.change(plan());
        world.feed(Event::SlotGranted);
        world.feed(Event::BecameReady(Generation(new)));
    }
    assert_eq!(world.change(plan()), [Action::Stop(Generation(1))], "two are on their way out");
    assert_eq!(world.feed(Event::Exited(Generation(1))), [Action::RequestSlot]);
}

fn resting() -> World {
    let mut world = World::new(lazy());
    world.feed(Event::Want(Wanted::Up));
    world.feed(Event::Wake);
    world.feed(Event::SlotGranted);
    let generation = world.generation();
    world.feed(Event::BecameReady(generation));
    world.feed(Event::NothingToDo(generation));
    assert_eq!((world.state(), world.machine.need()), (ServerState::Ready, Need::Resting));
    world
}

#[test]
fn a_lazy_server_is_started_by_its_first_call_and_rests_when_it_is_left() {
    let mut world = World::new(lazy());
    world.feed(Event::Want(Wanted::Up));
    assert_eq!((world.state(), world.live.len(), world.machine.need()), (ServerState::Idle, 0, Need::Asleep));
    let mut world = resting();
    let generation = world.generation();
    world.feed(Event::Ended(generation, EndReason::Stopped));
    assert_eq!((world.state(), world.machine.need()), (ServerState::Stopping, Need::Asleep));
    world.feed(Event::Exited(generation));
    assert_eq!((world.state(), world.machine.restarts()), (ServerState::Idle, 0));
}

#[test]
fn a_call_that_comes_while_a_server_goes_to_rest_starts_it_again_at_once() {
    for early in [true, false] {
        let mut world = resting();
        let generation = world.generation();
        if early {
            world.feed(Event::Wake);
        }
        world.feed(Event::Ended(generation, EndReason::Stopped));
        if !early {
            world.feed(Event::Wake);
        }
        let actions = world.feed(Event::Exited(generation));
        assert!(actions.contains(&Action::RequestSlot), "{actions:?}");
        world.feed(Event::SlotGranted);
        assert_eq!(world.machine.restarts(), 0, "a rest is no failure");
    }
}

#[test]
fn a_server_that_nobody_lets_go_of_or_that_got_work_goes_on() {
    let mut world = resting();
    let generation = world.generation();
    world.feed(Event::Work(generation));
    assert_eq!(world.machine.need(), Need::OnCall);
    world.feed(Event::NothingToDo(generation));
    world.now = world.machine.deadline().expect("a moment");
    assert_eq!(world.feed(Event::Tick), []);
    assert_eq!((world.state(), world.machine.need()), (ServerState::Ready, Need::OnCall));
}

#[test]
fn a_lazy_server_that_fails_is_woken_again_only_after_the_delay_and_stays_listed() {
    let mut world = World::new(lazy());
    world.feed(Event::Want(Wanted::Up));
    world.feed(Event::Wake);
    world.feed(Event::SlotGranted);
    let generation = world.generation();
    world.feed(Event::Ended(generation, EndReason::StartTimeout));
    world.feed(Event::Exited(generation));
    assert_eq!((world.state(), world.machine.need()), (ServerState::Backoff, Need::OnCall));
    assert_eq!(world.feed(Event::Wake), []);
    assert!(world.machine.listed());
    world.now = world.machine.deadline().expect("a delay");
    world.feed(Event::Tick);
    assert_eq!(world.state(), ServerState::Idle);
    world.feed(Event::Wake);
    world.feed(Event::SlotGranted);
    assert_eq!((world.state(), world.machine.restarts()), (ServerState::Starting, 1));
}

#[test]
fn an_eager_server_is_not_woken_and_is_hidden_from_its_failure_until_it_is_ready() {
    let mut world = World::new(plan());
    world.ready();
    assert!(world.machine.listed());
    let generation = world.generation();
    world.feed(Event::NothingToDo(generation));
    assert_eq!(world.machine.need(), Need::Always);
    world.feed(Event::Exited(generation));
    assert_eq!(world.feed(Event::Wake), []);
    assert!(!world.machine.listed());
    world.feed(Event::Restart);
    world.feed(Event::SlotGranted);
    assert!(!world.machine.listed());
    let generation = world.generation();
    world.feed(Event::BecameReady(generation));
    assert!(world.machine.listed());
}
