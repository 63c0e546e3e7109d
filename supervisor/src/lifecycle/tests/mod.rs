//! What the machine of one server's life promises.

mod any_sequence;
mod lazy;
mod swap;
mod world;

use std::{collections::BTreeSet, time::Duration};

use mcproxy_ipc::{EndReason, Generation, ServerState};

use self::world::{POLICY, World, plan};
use super::*;

#[test]
fn a_server_nobody_wants_is_never_spawned() {
    let mut world = World::new(plan());
    world.feed(MachineEvent::Restart);
    world.feed(MachineEvent::SlotGranted);
    assert_eq!((world.state(), world.live), (ServerState::Stopped, BTreeSet::new()));
}

#[test]
fn a_failure_waits_and_a_restart_by_hand_skips_the_wait() {
    let mut world = World::new(plan());
    world.start();
    let generation = world.generation();
    world.feed(MachineEvent::Exited(generation));
    assert_eq!(world.state(), ServerState::Backoff);
    let actions = world.feed(MachineEvent::Restart);
    assert!(actions.contains(&Action::RequestSlot(StartRank::Wanted)));
    world.feed(MachineEvent::SlotGranted);
    assert_eq!(world.generation(), generation.next());
}

#[test]
fn the_first_failure_of_a_server_that_was_ready_costs_no_delay_and_hides_nothing_and_the_second_does() {
    let mut world = World::new(plan());
    world.ready();
    for (reason, listed) in [(EndReason::StdoutClosed, true), (EndReason::Limit("memory".to_owned()), false)] {
        let generation = world.generation();
        world.now += Duration::from_secs(5);
        world.feed(MachineEvent::Ended(generation, reason));
        assert_eq!((world.state(), world.machine.returns()), (ServerState::Stopping, listed));
        assert_eq!(world.machine.listed(), listed);
        let actions = world.feed(MachineEvent::Exited(generation));
        if listed {
            assert!(actions.contains(&Action::RequestSlot(StartRank::Recovery)), "{actions:?}");
            world.feed(MachineEvent::SlotGranted);
            assert!(world.machine.returns() && world.machine.listed());
            world.feed(MachineEvent::BecameReady(world.generation()));
        }
        assert!(!world.machine.returns());
    }
    assert_eq!((world.state(), world.machine.listed()), (ServerState::Backoff, false));
}

#[test]
fn a_server_that_does_not_return_is_hidden_from_the_failure_of_its_second_start() {
    let mut world = World::new(plan());
    world.ready();
    let generation = world.generation();
    world.feed(MachineEvent::Exited(generation));
    world.feed(MachineEvent::SlotGranted);
    assert!(world.machine.returns() && world.machine.listed());
    world.feed(MachineEvent::Exited(world.generation()));
    assert_eq!((world.state(), world.machine.returns(), world.machine.listed()), (ServerState::Backoff, false, false));
}

#[test]
fn calls_wait_for_a_server_that_is_restarted_by_hand_and_not_for_one_that_nobody_wants() {
    for (event, waits) in [(MachineEvent::Restart, true), (MachineEvent::Want(DesiredState::Down), false)] {
        let mut world = World::new(plan());
        world.ready();
        world.feed(event);
        assert_eq!((world.state(), world.machine.returns()), (ServerState::Stopping, waits));
    }
}

#[test]
fn a_missing_command_is_tried_again_after_the_long_delay() {
    let mut world = World::new(plan());
    world.start();
    let generation = world.generation();
    world.feed(MachineEvent::Ended(generation, EndReason::CommandNotFound { program: "npx".to_owned() }));
    world.feed(MachineEvent::Exited(generation));
    let MachineState::Backoff { until, .. } = *world.machine.state() else { panic!("{:?}", world.machine.state()) };
    assert!(until - world.now >= Duration::from_secs(54));
    assert!(world.machine.settled());
}

#[test]
fn a_server_that_needs_a_login_says_so_and_is_asked_again_after_the_long_delay() {
    let mut world = World::new(plan());
    world.ready();
    let generation = world.generation();
    world.feed(MachineEvent::Ended(generation, EndReason::NeedsLogin("no".to_owned())));
    world.feed(MachineEvent::Exited(generation));
    assert_eq!((world.state(), world.machine.listed()), (ServerState::NeedsLogin, false));
    let MachineState::Backoff { until, .. } = *world.machine.state() else { panic!("{:?}", world.machine.state()) };
    assert!(until - world.now >= Duration::from_secs(54));
    world.feed(MachineEvent::Restart);
    assert_eq!(world.state(), ServerState::Starting);
}

#[test]
fn a_command_that_does_not_exist_is_a_failed_start_without_a_process() {
    let mut world = World::new(plan());
    world.feed(MachineEvent::Want(DesiredState::Up));
    let missing = EndReason::CommandNotFound { program: "npxx".to_owned() };
    world.feed(MachineEvent::CannotLaunch(missing.clone()));
    assert_eq!((world.state(), world.live.len(), world.machine.settled()), (ServerState::Backoff, 0, true));
    world.now = world.machine.deadline().expect("a delay");
    world.feed(MachineEvent::Tick);
    world.feed(MachineEvent::SlotGranted);
    let generation = world.generation();
    world.feed(MachineEvent::BecameReady(generation));
    // The one that serves stays when there is nothing to replace it with.
    world.change(plan());
    let actions = world.feed(MachineEvent::CannotLaunch(missing));
    assert!(matches!(&actions[..], [Action::ChangeFailed { .. }]), "{actions:?}");
    assert_eq!((world.state(), world.generation()), (ServerState::Ready, generation));
}

#[test]
fn a_start_ranks_by_what_came_before_it_and_by_who_wants_it() {
    let rank = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::RequestSlot(rank) => Some(*rank),
            _ => None,
        })
    };
    let mut world = World::new(plan());
    assert_eq!(rank(&world.feed(MachineEvent::Want(DesiredState::Up))), Some(StartRank::Wanted));
    world.feed(MachineEvent::SlotGranted);
    for (ready, expected) in [(false, StartRank::Retry), (true, StartRank::Recovery), (false, StartRank::Retry)] {
        let generation = world.generation();
        if ready {
            world.feed(MachineEvent::BecameReady(generation));
            world.now += Duration::from_secs(1);
        }
        world.feed(MachineEvent::Exited(generation));
        world.now = world.machine.deadline().expect("a delay");
        assert_eq!(rank(&world.feed(MachineEvent::Tick)), Some(expected));
        if !ready {
            world.feed(MachineEvent::SlotGranted);
            continue;
        }
        assert_eq!(rank(&world.feed(MachineEvent::Restart)), Some(StartRank::Wanted), "it moves up in the queue");
        world.feed(MachineEvent::SlotGranted);
    }
}

#[test]
fn a_process_that_replaces_another_within_a_start_has_the_whole_time_of_a_start() {
    let mut world = World::new(plan());
    world.start();
    let generation = world.generation();
    world.now += Duration::from_secs(50);
    assert_eq!(world.feed(MachineEvent::StartedAgain(generation)), []);
    world.now += Duration::from_secs(50);
    world.feed(MachineEvent::Tick);
    assert_eq!(world.state(), ServerState::Starting);
    world.now += Duration::from_secs(20);
    world.feed(MachineEvent::Tick);
    assert_ne!(world.state(), ServerState::Starting);
}

#[test]
fn news_of_an_earlier_worker_change_nothing() {
    let mut world = World::new(plan());
    world.ready();
    let first = world.generation();
    world.feed(MachineEvent::Exited(first));
    world.feed(MachineEvent::Restart);
    world.feed(MachineEvent::SlotGranted);
    assert_eq!(world.feed(MachineEvent::BecameReady(first)), []);
    assert_eq!(world.feed(MachineEvent::Exited(first)), []);
    assert_eq!(world.state(), ServerState::Starting);
}

#[test]
fn a_worker_that_misses_its_start_is_stopped_then_killed() {
    let mut world = World::new(plan());
    world.start();
    world.now = world.machine.deadline().expect("starting has one");
    let actions = world.feed(MachineEvent::Tick);
    assert!(actions.contains(&Action::Stop(Generation(1))), "{actions:?}");
    world.now = world.machine.deadline().expect("stopping has one");
    assert_eq!(world.feed(MachineEvent::Tick), [Action::Kill(Generation(1))]);
}

#[test]
fn a_start_that_goes_on_installing_may_take_longer_but_not_for_ever() {
    let mut world = World::new(plan());
    world.start();
    let begun = world.now;
    let mut looks = 0;
    while world.state() == ServerState::Starting {
        world.now += Duration::from_secs(50);
        let generation = world.generation();
        world.feed(MachineEvent::Installing(generation));
        world.feed(MachineEvent::Tick);
        looks += 1;
        assert!(looks < 20, "without end");
    }
    let took = world.now - begun;
    assert!(took >= INSTALL_LIMIT && took <= INSTALL_LIMIT + START_MARGIN + Duration::from_secs(50), "{took:?}");
}

#[test]
fn a_blocked_server_starts_when_its_configuration_allows_it() {
    let blocked = LifecyclePlan { blocked: Some("environment variable X is not set".to_owned()), ..plan() };
    let mut world = World::new(blocked);
    world.feed(MachineEvent::Want(DesiredState::Up));
    assert_eq!((world.state(), world.machine.settled()), (ServerState::Blocked, true));
    world.feed(MachineEvent::Planned { plan: plan(), renew: true });
    assert_eq!(world.state(), ServerState::Starting);
}

#[test]
fn a_spent_budget_ends_in_failed() {
    let mut world = World::new(LifecyclePlan { backoff: BackoffPolicy { budget: Some(1), ..POLICY }, ..plan() });
    for _ in 0..2 {
        world.feed(MachineEvent::Want(DesiredState::Up));
        world.now += Duration::from_secs(120);
        world.feed(MachineEvent::Tick);
        world.feed(MachineEvent::SlotGranted);
        let generation = world.generation();
        world.feed(MachineEvent::Exited(generation));
    }
    assert_eq!(world.state(), ServerState::Failed);
}
