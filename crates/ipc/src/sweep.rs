//! How a whole process tree is ended, even one that keeps forking.
//!
//! Killing as one goes makes room for those that fork meanwhile. So all are stopped first, look by look, until a look finds
//! none new: a stopped process forks no more and still occupies its place under every bound on their number. Then all die.

use std::{collections::BTreeSet, time::Duration};

use rustix::process::{Signal, kill_process};

use crate::processes::{Process, to_pid};

/// From a kill to the next look.
const PAUSE: Duration = Duration::from_millis(5);
/// So many scans may find new processes before the known ones are killed nevertheless.
const CHASES: u32 = 200;
/// So many times all are killed, at most: one in an uninterruptible wait is left behind after about a second.
const KILLS: u32 = 200;

/// The outcome for a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many processes were killed.
    pub killed: usize,
    /// How many of them had not gone at the end.
    pub left: usize,
}

/// Ends whatever `find` finds, until it finds nothing (alive) any more. `find` looks anew each time.
pub async fn sweep(mut find: impl FnMut() -> Vec<Process>) -> Swept {
    let mut sweep = Sweep::default();
    loop {
        let alive: BTreeSet<u32> = find().iter().filter(|process| !process.zombie).map(|process| process.pid).collect();
        let left = alive.len();
        match sweep.step(alive) {
            SweepStep::Stop(pids) => {
                send(&pids, Signal::STOP);
                tokio::task::yield_now().await;
            }
            SweepStep::Kill(pids) => {
                send(&pids, Signal::KILL);
                tokio::time::sleep(PAUSE).await;
            }
            SweepStep::Done => return Swept { killed: sweep.killed.len(), left },
        }
    }
}

fn send(pids: &BTreeSet<u32>, signal: Signal) {
    for pid in pids.iter().filter_map(|pid| to_pid(*pid)) {
        // It may have ended by itself, or belong to another user.
        let _ = kill_process(pid, signal);
    }
}

/// The step after a look.
#[derive(Debug, PartialEq, Eq)]
enum SweepStep {
    /// Stop these, and look again at once.
    Stop(BTreeSet<u32>),
    /// Kill these, and look again.
    Kill(BTreeSet<u32>),
    /// No process is left, or nothing helps.
    Done,
}

/// The processes that have to go.
#[derive(Debug, Default)]
struct Sweep {
    stopped: BTreeSet<u32>,
    killed: BTreeSet<u32>,
    /// How many scans stopped a new process.
    chases: u32,
    /// How many times all were killed.
    kills: u32,
}

impl Sweep {
    fn step(&mut self, alive: BTreeSet<u32>) -> SweepStep {
        let new: BTreeSet<u32> = alive.difference(&self.stopped).copied().collect();
        if alive.is_empty() || self.kills >= KILLS {
            SweepStep::Done
        } else if !new.is_empty() && self.chases < CHASES {
            self.chases += 1;
            self.stopped.extend(&new);
            SweepStep::Stop(new)
        } else {
            self.kills += 1;
            self.killed.extend(&alive);
            SweepStep::Kill(alive)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Processes of which each that runs forks between two looks, as long as there is room.
    struct Bomb {
        running: BTreeSet<u32>,
        stopped: BTreeSet<u32>,
        next: u32,
        bound: usize,
    }

    impl Bomb {
        fn fork(&mut self, each: usize) {
            for _ in 0..self.running.len() * each {
                if self.running.len() + self.stopped.len() < self.bound {
                    self.running.insert(self.next);
                    self.next += 1;
                }
            }
        }

        /// Carries a step out; false when it was the last.
        fn take(&mut self, step: SweepStep) -> bool {
            match step {
                SweepStep::Stop(pids) => {
                    self.running.retain(|pid| !pids.contains(pid));
                    self.stopped.extend(pids);
                    true
                }
                SweepStep::Kill(pids) => {
                    self.running.retain(|pid| !pids.contains(pid));
                    self.stopped.retain(|pid| !pids.contains(pid));
                    true
                }
                SweepStep::Done => false,
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_forks_under_a_bound_is_gone_within_a_few_looks(start in 1u32..50, each in 0usize..20, bound in 50usize..180) {
            let mut bomb = Bomb { running: (1..=start).collect(), stopped: BTreeSet::new(), next: 1000, bound };
            let mut sweep = Sweep::default();
            let mut looks = 0;
            loop {
                let alive = bomb.running.union(&bomb.stopped).copied().collect();
                // It forks after the look as well: some are never seen by it.
                bomb.fork(each);
                looks += 1;
                if !bomb.take(sweep.step(alive)) {
                    break;
                }
                prop_assert!(looks < CHASES, "{} are left", bomb.running.len() + bomb.stopped.len());
            }
            prop_assert!(bomb.running.is_empty() && bomb.stopped.is_empty());
        }
    }

    #[test]
    fn one_that_cannot_be_killed_does_not_hold_up_the_rest_for_ever() {
        let mut sweep = Sweep::default();
        let stuck = || BTreeSet::from([7]);
        assert_eq!(sweep.step(stuck()), SweepStep::Stop(stuck()));
        for _ in 0..KILLS {
            assert_eq!(sweep.step(stuck()), SweepStep::Kill(stuck()));
        }
        assert_eq!(sweep.step(stuck()), SweepStep::Done);
        assert_eq!(sweep.killed.len(), 1);
    }
}
