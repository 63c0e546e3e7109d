//! What holds whatever happens, in whichever order.

use std::time::Duration;

use mcproxy_config::Start;
use mcproxy_ipc::{EndReason, Generation, Need, ServerState};
use proptest::prelude::*;

use super::world::{World, lazy, plan};
use crate::lifecycle::*;

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
    Missing,
    NotSpawned,
    StartedAgain { of: u64 },
    Installing { of: u64 },
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
        1 => Just(Step::Missing),
        1 => Just(Step::NotSpawned),
        1 => (0u64..4).prop_map(|of| Step::StartedAgain { of }),
        1 => (0u64..4).prop_map(|of| Step::Installing { of }),
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
                Step::Want(up) => MachineEvent::Want(if up { DesiredState::Up } else { DesiredState::Down }),
                Step::Replan { blocked, renew, alone: once, lazy: lazily } => {
                    let plan = LifecyclePlan { start: if lazily { lazy().start } else { Start::Eager }, ..plan() };
                    let plan = if once { LifecyclePlan { on_change: OnChange::Restart, ..plan } } else { plan };
                    let plan = LifecyclePlan { blocked: blocked.then(|| "X is not set".to_owned()), ..plan };
                    MachineEvent::Planned { plan, renew: renew || blocked }
                }
                Step::Wake => MachineEvent::Wake,
                Step::NothingToDo { of: before } => MachineEvent::NothingToDo(of(before)),
                Step::Work { of: before } => MachineEvent::Work(of(before)),
                Step::Left { of: before } => MachineEvent::Ended(of(before), EndReason::Stopped),
                Step::Restart => MachineEvent::Restart,
                Step::Slot => MachineEvent::SlotGranted,
                Step::Missing => MachineEvent::CannotLaunch(EndReason::CommandNotFound { program: "npx".to_owned() }),
                // The shell says this only of a worker that it has just spawned.
                Step::NotSpawned if !world.is_starting(last) => continue,
                Step::NotSpawned => MachineEvent::NotSpawned(last, "no more processes".to_owned()),
                Step::StartedAgain { of: before } => MachineEvent::StartedAgain(of(before)),
                Step::Installing { of: before } => MachineEvent::Installing(of(before)),
                Step::Ready { of: before } => MachineEvent::BecameReady(of(before)),
                Step::Ended { of: before, missing } => {
                    let reason = if missing {
                        EndReason::CommandNotFound { program: "npx".to_owned() }
                    } else {
                        EndReason::Unresponsive
                    };
                    MachineEvent::Ended(of(before), reason)
                }
                Step::Exited { of: before } => MachineEvent::Exited(of(before)),
                Step::Kill => MachineEvent::Kill,
                Step::Pass(seconds) => {
                    world.now += Duration::from_secs(seconds);
                    MachineEvent::Tick
                }
            };
            world.feed(event.clone());
            prop_assert_eq!(
                world.state() == ServerState::Ready,
                matches!(world.machine.state(), MachineState::Ready { .. } | MachineState::Resting { .. })
            );
            // The shell says this after every change of plan.
            if let MachineEvent::Planned { .. } = event {
                world.feed(MachineEvent::Want(world.machine.wanted()));
            }
            if *world.machine.state() == MachineState::Idle {
                prop_assert_eq!(world.machine.need(), Need::Asleep, "at rest, and no call would wake it");
                prop_assert!(world.machine.listed());
            }
        }
        // From anywhere: not wanted leads to Stopped once the processes are gone, and time alone gets them killed.
        world.feed(MachineEvent::Want(DesiredState::Down));
        world.killed.clear();
        world.now += STOP_LIMIT;
        world.feed(MachineEvent::Tick);
        prop_assert_eq!(&world.killed, &world.live);
        for generation in world.live.clone() {
            world.feed(MachineEvent::Exited(generation));
        }
        prop_assert!(world.machine.is_alone());
        prop_assert_eq!(world.state(), ServerState::Stopped);
    }
}
