//! The promises of the pool of instances.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
    time::{Duration, Instant},
};

use mcproxy_ipc::{ClientDeclaration, EraRule, InstanceRules, SessionKey, data::ServerEra};
use proptest::prelude::*;

use super::{
    client_profile::{ClientProfile, Eras},
    pool::{InstanceEnd, Number, Placement, Pool, PoolAction},
};

const IDLE: Duration = Duration::from_secs(100);

fn session(n: u8) -> SessionKey {
    SessionKey([n; 16])
}

/// What the client of a session can do: one thing, or from the 100th on another.
fn declared(n: u8) -> ClientDeclaration {
    ClientDeclaration { capabilities: (n >= 100).to_string(), info: None }
}

fn client_profile(n: u8) -> ClientProfile {
    ClientProfile::Legacy(Rc::new(declared(n)))
}

/// A pool, what was done on its behalf, and the time.
struct World {
    pool: Pool,
    rules: InstanceRules,
    now: Instant,
    /// The processes that there are; whether each was told to end.
    processes: BTreeMap<Number, bool>,
    owners: HashMap<Number, SessionKey>,
    told: HashMap<Number, ClientProfile>,
}

impl World {
    fn new(max: usize, prewarm: usize) -> Self {
        Self::of(EraRule::Only(ServerEra::Legacy), max, prewarm)
    }

    fn of(rule: EraRule, max: usize, prewarm: usize) -> Self {
        let rules = InstanceRules { max, prewarm, idle: Some(IDLE) };
        let now = Instant::now();
        let eras = Eras::new(rule, declared(0));
        let (pool, first, common) = Pool::new(rules, eras, now);
        let (processes, told) = (BTreeMap::from([(first, false)]), HashMap::from([(first, common)]));
        Self { pool, rules, now, processes, owners: HashMap::new(), told }
    }

    /// The same, with the first instance ready.
    fn ready(max: usize, prewarm: usize) -> Self {
        let mut world = Self::new(max, prewarm);
        world.pool.ready(1, world.now);
        world
    }

    fn perform(&mut self, actions: Vec<PoolAction>) {
        for action in actions {
            match action {
                PoolAction::Start(number, client_profile) => {
                    assert_eq!(self.processes.insert(number, false), None, "started twice");
                    self.told.insert(number, client_profile);
                }
                PoolAction::Stop(number) => {
                    let before = self.processes.insert(number, true);
                    assert_eq!(before, Some(false), "told to end twice, or not there: {number}");
                }
                PoolAction::Bound(number, session) => {
                    assert_eq!(self.processes.get(&number), Some(&false), "a session gets one that is there");
                    let wanted = self.pool.eras().fitting(&client_profile(session.0[0]));
                    assert_eq!(self.pool.client_profile(number), Some(&wanted), "what its client can do");
                    let before = self.owners.insert(number, session);
                    assert_eq!(before, None, "an instance had another session before");
                }
            }
        }
        assert!(self.processes.len() <= self.rules.max, "more processes than allowed: {:?}", self.processes);
    }

    fn place(&mut self, n: u8) -> Placement {
        let mut actions = Vec::new();
        let place = self.pool.place(session(n), &client_profile(n), self.now, &mut actions);
        self.perform(actions);
        if let Placement::At(number) = place {
            assert_eq!(self.owners.get(&number), Some(&session(n)), "the instance of another session");
            assert_eq!(self.processes.get(&number), Some(&false), "one that ends");
        }
        place
    }

    fn settle(&mut self) {
        let mut actions = Vec::new();
        self.pool.settle(self.now, &mut actions);
        self.perform(actions);
    }

    fn release(&mut self, n: u8) {
        let mut actions = Vec::new();
        self.pool.release(session(n), &mut actions);
        self.perform(actions);
    }

    fn end(&mut self, number: Number) -> InstanceEnd {
        let end = self.pool.ended(number, self.now);
        assert!(self.processes.remove(&number).is_some());
        end
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    fn all_ready(&mut self) {
        for number in self.processes.keys() {
            self.pool.ready(*number, self.now);
        }
    }
}

#[test]
fn the_first_instance_is_the_first_sessions_and_the_next_gets_another() {
    let mut world = World::ready(4, 0);
    assert_eq!(world.place(1), Placement::At(1));
    assert_eq!(world.place(2), Placement::Wait);
    world.pool.ready(2, world.now);
    assert_eq!((world.place(2), world.place(1)), (Placement::At(2), Placement::At(1)));
}

#[test]
fn at_the_limit_a_session_is_refused_until_another_is_over() {
    let mut world = World::ready(2, 0);
    assert_eq!((world.place(1), world.place(2), world.place(3)), (Placement::At(1), Placement::Wait, Placement::Full));
    world.release(1);
    // Its process is still there, and counts.
    assert_eq!(world.place(3), Placement::Wait);
    assert_eq!(world.processes.len(), 2);
    world.end(1);
    world.settle();
    world.all_ready();
    assert_eq!(world.place(3), Placement::At(3));
}

#[test]
fn an_unused_instance_ends_and_one_with_a_call_does_not() {
    let mut world = World::ready(4, 0);
    assert_eq!((world.place(1), world.place(2)), (Placement::At(1), Placement::Wait));
    world.pool.ready(2, world.now);
    world.pool.begun(2);
    assert_eq!(world.pool.deadline(), Some(world.now + IDLE));
    world.pass(IDLE);
    assert_eq!(world.processes, BTreeMap::from([(1, true), (2, false)]));
    world.pool.over(2, world.now);
    world.pass(IDLE - Duration::from_millis(1));
    assert_eq!(world.processes.get(&2), Some(&false));
    world.pass(Duration::from_millis(1));
    assert_eq!(world.processes.get(&2), Some(&true));
    // Beyond its time it makes room, and its session gets a fresh one.
    assert_eq!(world.place(1), Placement::Wait);
}

#[test]
fn as_many_spare_instances_as_configured_are_kept() {
    let mut world = World::new(4, 2);
    world.settle();
    assert_eq!(world.processes.len(), 2);
    world.all_ready();
    assert_eq!(world.place(1), Placement::At(1));
    assert_eq!(world.processes.len(), 3, "another one takes its place");
    assert_eq!(world.place(2), Placement::At(2));
    world.all_ready();
    assert_eq!((world.place(3), world.place(4), world.place(5)), (Placement::At(3), Placement::At(4), Placement::Full));
    world.pass(IDLE);
    assert!(world.processes.values().all(|ends| *ends), "{:?}", world.processes);
    (1..=4).for_each(|number| {
        world.end(number);
    });
    world.settle();
    assert_eq!(world.processes.len(), 2);
    world.all_ready();
    world.pass(2 * IDLE);
    assert_eq!(world.processes.len(), 2, "spare ones stay");
}

#[test]
fn a_spare_instance_that_was_told_something_else_is_nobodys() {
    let mut world = World::ready(4, 0);
    assert_eq!(world.place(100), Placement::Wait);
    assert_eq!((world.owners.get(&1), world.owners.get(&2)), (None, Some(&session(100))));
    assert_eq!(world.processes, BTreeMap::from([(1, true), (2, false)]), "what was surplus ends");
    world.all_ready();
    assert_eq!(world.place(100), Placement::At(2));
}

#[test]
fn spare_instances_are_such_as_the_last_sessions_could_use() {
    let mut world = World::new(8, 1);
    world.all_ready();
    assert_eq!(world.place(100), Placement::Wait);
    assert_eq!(world.processes, BTreeMap::from([(1, false), (2, false)]), "the next one may be like the first");
    assert_eq!(world.place(101), Placement::Wait);
    assert_eq!(world.processes, BTreeMap::from([(1, true), (2, false), (3, false), (4, false)]));
    world.all_ready();
    assert_eq!(world.place(102), Placement::At(4));
}

#[test]
fn at_the_limit_a_spare_instance_makes_room_for_one_that_can_be_used() {
    let mut world = World::new(2, 1);
    world.all_ready();
    assert_eq!(world.place(0), Placement::At(1));
    world.all_ready();
    assert_eq!(world.place(100), Placement::Wait);
    assert_eq!(world.processes, BTreeMap::from([(1, false), (2, true)]));
    assert_eq!(world.pool.deadline(), Some(world.now + IDLE), "the end of the other is waited for");
    world.end(2);
    world.settle();
    world.all_ready();
    assert_eq!(world.place(100), Placement::At(3));
}

#[test]
fn an_instance_that_is_told_with_each_call_is_anybodys() {
    let mut world = World::of(EraRule::Only(ServerEra::Modern), 4, 0);
    world.all_ready();
    assert_eq!(world.place(100), Placement::At(1));
}

#[test]
fn a_server_of_both_eras_has_an_instance_of_its_clients_era_for_each_session() {
    let mut world = World::of(EraRule::Auto { known: None }, 4, 0);
    world.pool.learn(1, ServerEra::Modern);
    world.all_ready();
    // The first session's client begins with `initialize`.
    assert_eq!(world.place(1), Placement::Wait);
    assert_eq!(world.processes, BTreeMap::from([(1, true), (2, false)]), "the spare one is of no use to it");
    assert_eq!(world.told.get(&2), Some(&client_profile(1)));
    world.pool.learn(2, ServerEra::Legacy);
    world.all_ready();
    assert_eq!(world.place(1), Placement::At(2));
    let mut actions = Vec::new();
    assert_eq!(world.pool.place(session(50), &ClientProfile::Modern, world.now, &mut actions), Placement::Wait);
    assert!(actions.contains(&PoolAction::Start(3, ClientProfile::Modern)), "{actions:?}");
}

#[test]
fn a_session_of_a_server_that_ends_at_initialize_gets_an_instance_of_the_other_era() {
    let mut world = World::of(EraRule::Auto { known: None }, 4, 1);
    world.pool.learn(1, ServerEra::Modern);
    world.all_ready();
    assert_eq!(world.place(1), Placement::Wait);
    assert_eq!(world.end(2), InstanceEnd::Fault { was_ready: true, owner: None }, "no session is refused for that");
    world.settle();
    assert_eq!(world.owners.get(&1), Some(&session(1)), "the spare one is of use now");
}

#[test]
fn an_instance_that_a_session_was_shown_is_its_own_at_its_first_call_and_goes_with_it() {
    let mut world = World::ready(4, 0);
    let show = |world: &mut World, n: u8| {
        let mut actions = Vec::new();
        assert!(world.pool.show(session(n), &client_profile(n), world.now, &mut actions));
        world.perform(actions);
    };
    show(&mut world, 100);
    assert_eq!(world.processes.len(), 2);
    show(&mut world, 101);
    assert_eq!(world.processes.len(), 2, "it shows the same");
    world.all_ready();
    assert_eq!(world.place(101), Placement::At(2));
    show(&mut world, 102);
    world.release(102);
    assert_eq!(world.processes.get(&3), Some(&true), "no session called it");
}

#[test]
fn a_session_whose_instances_crash_waits_longer_and_longer_and_nobody_else_does() {
    let mut world = World::ready(4, 0);
    assert_eq!(world.place(1), Placement::At(1));
    assert_eq!(world.end(1), InstanceEnd::Fault { was_ready: true, owner: Some(session(1)) });
    assert_eq!(world.place(1), Placement::Wait);
    world.all_ready();
    assert_eq!(world.place(1), Placement::At(2), "the first time at once");
    world.end(2);
    assert_eq!(world.place(1), Placement::Wait);
    assert!(world.processes.is_empty());
    assert_eq!(world.pool.deadline(), Some(world.now + Duration::from_secs(1)));
    assert_eq!(world.place(2), Placement::Wait);
    assert_eq!(world.owners.get(&3), Some(&session(2)));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.owners.get(&4), Some(&session(1)));
}

#[test]
fn starts_that_fail_are_spaced_and_at_last_hopeless() {
    let mut world = World::ready(4, 0);
    assert_eq!(world.place(1), Placement::At(1));
    world.release(1);
    assert_eq!(world.end(1), InstanceEnd::Wanted);
    for failed in 1..=3u32 {
        assert!(!world.pool.is_hopeless());
        assert_eq!(world.place(2), Placement::Wait);
        world.pass(Duration::from_secs(60));
        let number = 1 + failed;
        assert_eq!(world.end(number), InstanceEnd::Fault { was_ready: false, owner: Some(session(2)) });
        assert_eq!(world.place(2), Placement::Wait);
        assert!(world.processes.is_empty(), "not at once");
    }
    assert!(world.pool.is_hopeless());
}

#[derive(Debug, Clone)]
enum StopStep {
    Placement(u8),
    Begun(u8),
    Over(u8),
    Release(u8),
    Ready(usize),
    GiveUp(usize),
    InstanceEnd(usize),
    Pass(u64),
}

fn who() -> impl Strategy<Value = u8> {
    prop_oneof![0..6u8, 100..106u8]
}

fn step() -> impl Strategy<Value = StopStep> {
    prop_oneof![
        4 => who().prop_map(StopStep::Placement),
        2 => who().prop_map(StopStep::Begun),
        2 => who().prop_map(StopStep::Over),
        1 => who().prop_map(StopStep::Release),
        4 => (0..6usize).prop_map(StopStep::Ready),
        1 => (0..6usize).prop_map(StopStep::GiveUp),
        2 => (0..6usize).prop_map(StopStep::InstanceEnd),
        2 => (0..200u64).prop_map(StopStep::Pass),
    ]
}

proptest! {
    /// What `World` asserts after each step: never too many processes, none told to end twice, no session ever on an
    /// instance that was another's. And no session is forgotten.
    #[test]
    fn whatever_happens_nobody_gets_anothers_instance_and_everybody_gets_one_at_last(
        max in 1..4usize,
        prewarm in 0..3usize,
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new(max, prewarm.min(max));
        for step in steps {
            let nth = |world: &World, n: usize| world.processes.keys().nth(n).copied();
            match step {
                StopStep::Placement(n) => { world.place(n); }
                StopStep::Begun(n) => if let Some(number) = world.pool.instance_of(session(n)) { world.pool.begun(number) },
                StopStep::Over(n) => if let Some(number) = world.pool.instance_of(session(n)) { world.pool.over(number, world.now) },
                StopStep::Release(n) => world.release(n),
                StopStep::Ready(n) => if let Some(number) = nth(&world, n) { world.pool.ready(number, world.now) },
                StopStep::GiveUp(n) => if let Some(number) = nth(&world, n) {
                    world.pool.given_up(number, world.now);
                    world.processes.insert(number, true);
                },
                StopStep::InstanceEnd(n) => if let Some(number) = nth(&world, n) { world.end(number); },
                StopStep::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
            }
            world.settle();
            prop_assert!(world.pool.deadline().is_none_or(|at| at > world.now), "it would never sleep");
        }
        // Everybody leaves, what ends has ended, and time passes: then a new session is served.
        (0..6).chain(100..106).for_each(|n| world.release(n));
        let ending: Vec<Number> = world.processes.iter().filter(|(_, ends)| **ends).map(|(number, _)| *number).collect();
        ending.into_iter().for_each(|number| { world.end(number); });
        world.pass(Duration::from_secs(61));
        world.all_ready();
        for _ in 0..2 {
            if world.place(9) == Placement::Wait {
                let ending: Vec<Number> = world.processes.iter().filter(|(_, ends)| **ends).map(|(number, _)| *number).collect();
                ending.into_iter().for_each(|number| { world.end(number); });
                world.settle();
                world.all_ready();
            }
        }
        prop_assert!(matches!(world.place(9), Placement::At(_)));
        // And when nothing is left to wait for, there is no deadline but that of its idleness.
        prop_assert_eq!(world.pool.deadline(), Some(world.now + IDLE));
    }
}
