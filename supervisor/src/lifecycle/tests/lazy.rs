//! A server that is there only while it is called.

use mcproxy_ipc::{Need, ServerState};

use super::world::{World, lazy, plan};
use crate::lifecycle::*;

fn resting() -> World {
    let mut world = World::new(lazy());
    world.feed(MachineEvent::Want(DesiredState::Up));
    world.feed(MachineEvent::Wake);
    world.feed(MachineEvent::SlotGranted);
    let generation = world.generation();
    world.feed(MachineEvent::BecameReady(generation));
    world.feed(MachineEvent::NothingToDo(generation));
    assert_eq!((world.state(), world.machine.need()), (ServerState::Ready, Need::Resting));
    world
}

#[test]
fn a_lazy_server_is_started_by_its_first_call_and_rests_when_it_is_left() {
    let mut world = World::new(lazy());
    world.feed(MachineEvent::Want(DesiredState::Up));
    assert_eq!((world.state(), world.live.len(), world.machine.need()), (ServerState::Idle, 0, Need::Asleep));
    let mut world = resting();
    let generation = world.generation();
    world.feed(MachineEvent::Ended(generation, EndReason::Stopped));
    assert_eq!((world.state(), world.machine.need()), (ServerState::Stopping, Need::Asleep));
    world.feed(MachineEvent::Exited(generation));
    assert_eq!((world.state(), world.machine.restarts()), (ServerState::Idle, 0));
}

#[test]
fn a_call_that_comes_while_a_server_goes_to_rest_starts_it_again_at_once() {
    for early in [true, false] {
        let mut world = resting();
        let generation = world.generation();
        if early {
            world.feed(MachineEvent::Wake);
        }
        world.feed(MachineEvent::Ended(generation, EndReason::Stopped));
        if !early {
            world.feed(MachineEvent::Wake);
        }
        let actions = world.feed(MachineEvent::Exited(generation));
        assert!(actions.contains(&Action::RequestSlot(StartRank::Wanted)), "{actions:?}");
        world.feed(MachineEvent::SlotGranted);
        assert_eq!(world.machine.restarts(), 0, "a rest is no failure");
    }
}

#[test]
fn a_server_that_nobody_lets_go_of_or_that_got_work_goes_on() {
    let mut world = resting();
    let generation = world.generation();
    world.feed(MachineEvent::Work(generation));
    assert_eq!(world.machine.need(), Need::OnCall);
    world.feed(MachineEvent::NothingToDo(generation));
    world.now = world.machine.deadline().expect("a moment");
    assert_eq!(world.feed(MachineEvent::Tick), []);
    assert_eq!((world.state(), world.machine.need()), (ServerState::Ready, Need::OnCall));
}

#[test]
fn a_lazy_server_that_fails_is_woken_again_only_after_the_delay_and_stays_listed() {
    let mut world = World::new(lazy());
    world.feed(MachineEvent::Want(DesiredState::Up));
    world.feed(MachineEvent::Wake);
    world.feed(MachineEvent::SlotGranted);
    let generation = world.generation();
    world.feed(MachineEvent::Ended(generation, EndReason::StartTimeout));
    world.feed(MachineEvent::Exited(generation));
    assert_eq!((world.state(), world.machine.need()), (ServerState::Backoff, Need::OnCall));
    assert_eq!(world.feed(MachineEvent::Wake), []);
    assert!(world.machine.listed());
    world.now = world.machine.deadline().expect("a delay");
    world.feed(MachineEvent::Tick);
    assert_eq!(world.state(), ServerState::Idle);
    world.feed(MachineEvent::Wake);
    world.feed(MachineEvent::SlotGranted);
    assert_eq!((world.state(), world.machine.restarts()), (ServerState::Starting, 1));
}

#[test]
fn a_lazy_server_that_crashes_for_the_first_time_may_be_woken_at_once() {
    let mut world = resting();
    let generation = world.generation();
    world.feed(MachineEvent::Work(generation));
    world.feed(MachineEvent::Ended(generation, EndReason::StdoutClosed));
    assert!(world.machine.returns(), "a call that comes now waits");
    world.feed(MachineEvent::Exited(generation));
    assert_eq!((world.state(), world.machine.need()), (ServerState::Idle, Need::Asleep));
    world.feed(MachineEvent::Wake);
    world.feed(MachineEvent::SlotGranted);
    assert_eq!((world.state(), world.machine.restarts()), (ServerState::Starting, 1));
}

#[test]
fn an_eager_server_is_not_woken_and_is_hidden_from_its_failure_until_it_is_ready() {
    let mut world = World::new(plan());
    world.ready();
    assert!(world.machine.listed());
    let generation = world.generation();
    world.feed(MachineEvent::NothingToDo(generation));
    assert_eq!(world.machine.need(), Need::Always);
    world.feed(MachineEvent::Exited(generation));
    world.feed(MachineEvent::SlotGranted);
    world.feed(MachineEvent::Exited(world.generation()));
    assert_eq!(world.feed(MachineEvent::Wake), []);
    assert!(!world.machine.listed());
    world.feed(MachineEvent::Restart);
    world.feed(MachineEvent::SlotGranted);
    assert!(!world.machine.listed());
    let generation = world.generation();
    world.feed(MachineEvent::BecameReady(generation));
    assert!(world.machine.listed());
}
