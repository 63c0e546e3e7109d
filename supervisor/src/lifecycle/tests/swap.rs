//! A changed server: the new beside the old.

use std::time::Duration;

use mcproxy_ipc::{EndReason, Generation, ServerState};

use super::world::{GRACE, World, alone, plan};
use crate::lifecycle::*;

#[test]
fn a_changed_server_is_replaced_only_by_one_that_is_ready() {
    let mut world = World::new(plan());
    world.ready();
    let (old, new) = (Generation(1), Generation(2));
    assert_eq!(world.change(plan()), [Action::RequestSlot(StartRank::Wanted)]);
    assert_eq!(world.feed(MachineEvent::SlotGranted), [Action::Spawn(new)]);
    assert_eq!((world.state(), world.generation()), (ServerState::Ready, old));
    let actions = world.feed(MachineEvent::BecameReady(new));
    assert!(actions.contains(&Action::Drain(old, GRACE)), "{actions:?}");
    assert_eq!((world.state(), world.generation(), world.machine.change()), (ServerState::Ready, new, Change::None));
    world.feed(MachineEvent::Ended(old, EndReason::Stopped));
    world.feed(MachineEvent::Exited(old));
    assert_eq!((world.state(), world.machine.restarts()), (ServerState::Ready, 0));
}

#[test]
fn a_change_that_does_not_work_leaves_the_old_one_in_force_and_is_not_tried_again_by_itself() {
    let mut world = World::new(plan());
    world.ready();
    world.change(plan());
    world.feed(MachineEvent::SlotGranted);
    world.now += Duration::from_secs(70);
    let actions = world.feed(MachineEvent::Tick);
    assert!(matches!(&actions[..], [Action::Stop(Generation(2)), Action::ChangeFailed { .. }]), "{actions:?}");
    world.feed(MachineEvent::Exited(Generation(2)));
    assert_eq!((world.state(), world.generation()), (ServerState::Ready, Generation(1)));
    assert_eq!(world.machine.deadline(), None);
    assert!(matches!(world.machine.change(), Change::Failed(_)));
    // The next change is.
    assert_eq!(world.change(plan()), [Action::RequestSlot(StartRank::Wanted)]);
}

#[test]
fn a_successor_becomes_the_current_one_when_the_old_one_fails_meanwhile() {
    let mut world = World::new(plan());
    world.ready();
    world.change(plan());
    world.feed(MachineEvent::SlotGranted);
    world.feed(MachineEvent::Ended(Generation(1), EndReason::StdoutClosed));
    assert_eq!((world.state(), world.generation()), (ServerState::Starting, Generation(2)));
    world.feed(MachineEvent::Exited(Generation(1)));
    world.feed(MachineEvent::BecameReady(Generation(2)));
    assert_eq!((world.state(), world.machine.is_alone()), (ServerState::Ready, true));
}

#[test]
fn a_server_that_cannot_exist_twice_ends_before_its_successor_begins() {
    let mut world = World::new(alone());
    world.ready();
    let actions = world.change(alone());
    assert!(actions.contains(&Action::Stop(Generation(1))), "{actions:?}");
    assert_eq!(world.feed(MachineEvent::SlotGranted), []);
    let actions = world.feed(MachineEvent::Exited(Generation(1)));
    assert!(actions.contains(&Action::RequestSlot(StartRank::Wanted)), "{actions:?}");
}

#[test]
fn an_old_incarnation_that_does_not_go_is_killed() {
    let mut world = World::new(plan());
    world.ready();
    world.change(plan());
    world.feed(MachineEvent::SlotGranted);
    world.feed(MachineEvent::BecameReady(Generation(2)));
    world.now += GRACE + STOP_LIMIT;
    assert_eq!(world.feed(MachineEvent::Tick), [Action::Kill(Generation(1))]);
}

#[test]
fn whoever_changes_faster_than_old_ones_go_waits_for_them() {
    let mut world = World::new(plan());
    world.ready();
    for new in 2..=3 {
        world.change(plan());
        world.feed(MachineEvent::SlotGranted);
        world.feed(MachineEvent::BecameReady(Generation(new)));
    }
    assert_eq!(world.change(plan()), [Action::Stop(Generation(1))], "two are on their way out");
    assert_eq!(world.feed(MachineEvent::Exited(Generation(1))), [Action::RequestSlot(StartRank::Wanted)]);
}
