//! What a worker leaves behind. We are the child subreaper, so whatever it started ends up as our child, wherever it hid.
//!
//! Only processes below us are ever touched, and none that live below a worker of ours: a wrong or reused process id can
//! never lead to somebody else's process.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use mcproxy_ipc::environment::INSTANCE;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::{
    children::{Children, Instance},
    proc_table::{self, Process},
};

/// Below these, servers are looked after. The kernel cuts names at 15 bytes.
const KEEPERS: [&str; 2] = ["mcproxy-supervi", "mcproxy-worker"];
/// A sweep looks again until nothing is left, at most so often.
const PASSES: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Whatever a process that nobody owns tells about its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It belongs to the worker that ended, or to another that is gone.
    Dead,
    /// It belongs to a worker that lives.
    Live,
    /// It does not say.
    Unknown,
}

/// Collects the zombies that were adopted. Never those that somebody of us waits for.
pub(crate) fn reap(children: &Children) {
    for pid in proc_table::children(std::process::id()) {
        if !children.contains(pid)
            && let Some(pid) = to_pid(pid)
        {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Kills what the worker of `instance` left behind; `groups` are the process groups it is known to have used. Returns how
/// many processes were killed.
pub(crate) async fn sweep(children: &Children, instance: &Instance, groups: &[u32]) -> usize {
    let mut killed = HashSet::new();
    for _ in 0..PASSES {
        reap(children);
        let table = proc_table::all();
        let origin = |process: &Process| origin(process, children, instance, groups);
        let victims = victims(&table, std::process::id(), |pid| children.contains(pid), origin, !children.any_worker());
        if victims.is_empty() {
            break;
        }
        for pid in victims {
            if let Some(raw) = to_pid(pid) {
                let _ = kill_process(raw, Signal::KILL);
                killed.insert(pid);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    killed.len()
}

/// Kills what an earlier supervisor of this user left behind when it was killed itself: processes that carry the mark of an
/// incarnation and have none of ours above them any more. Returns how many.
pub(crate) fn sweep_leftovers() -> usize {
    let table = proc_table::all();
    let parents: HashMap<u32, u32> = table.iter().map(|process| (process.pid, process.parent)).collect();
    let adrift = |process: &&Process| {
        !process.zombie
            && proc_table::environment(process.pid, INSTANCE).is_some()
            && !ancestors(process.pid, &parents).any(|pid| KEEPERS.contains(&proc_table::name(pid).as_str()))
    };
    let leftovers: Vec<Pid> = table.iter().filter(adrift).filter_map(|process| to_pid(process.pid)).collect();
    for pid in &leftovers {
        let _ = kill_process(*pid, Signal::KILL);
    }
    leftovers.len()
}

/// The process itself and those above it.
fn ancestors(pid: u32, parents: &HashMap<u32, u32>) -> impl Iterator<Item = u32> {
    // A table is no snapshot: reused ids could make a ring.
    std::iter::successors(Some(pid), |pid| parents.get(pid).copied().filter(|parent| *parent > 1)).take(1000)
}

fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn origin(process: &Process, children: &Children, instance: &Instance, groups: &[u32]) -> Origin {
    if groups.contains(&process.group) || groups.contains(&process.session) {
        return Origin::Dead;
    }
    match proc_table::environment(process.pid, INSTANCE) {
        Some(mark) if mark == instance.as_str() || !children.is_live(&mark) => Origin::Dead,
        Some(_) => Origin::Live,
        None => Origin::Unknown,
    }
}

/// Those of our adopted descendants that have to go. One of unknown origin goes with its parent, or when nobody is left
/// whom it could belong to (`nobody_lives`).
fn victims(
    table: &[Process],
    us: u32,
    is_ours: impl Fn(u32) -> bool,
    origin: impl Fn(&Process) -> Origin,
    nobody_lives: bool,
) -> Vec<u32> {
    let mut victims = Vec::new();
    // Each with whether its parent goes.
    let mut below: Vec<(u32, bool)> = vec![(us, false)];
    let mut seen = HashSet::from([us]);
    while let Some((parent, parent_goes)) = below.pop() {
        for process in table.iter().filter(|process| process.parent == parent && !is_ours(process.pid)) {
            if !seen.insert(process.pid) {
                continue;
            }
            let goes = match origin(process) {
                Origin::Dead => true,
                Origin::Live => false,
                Origin::Unknown => parent_goes || nobody_lives,
            };
            if goes && !process.zombie {
                victims.push(process.pid);
            }
            below.push((process.pid, goes));
        }
    }
    victims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32) -> Process {
        Process { pid, parent, group: pid, session: pid, zombie: false }
    }

    #[test]
    fn only_orphans_below_us_go_and_never_what_lives_below_a_worker() {
        let table = [
            process(1, 0),
            process(10, 1),  // us
            process(20, 10), // a live worker
            process(21, 20), // its server
            process(30, 10), // a dead worker's server
            process(31, 30), // and its child
            process(40, 10), // a daemon of the live server
            process(50, 10), // says nothing
            process(99, 1),  // a stranger
        ];
        let origin = |process: &Process| match process.pid {
            30 | 99 | 21 => Origin::Dead,
            40 => Origin::Live,
            _ => Origin::Unknown,
        };
        let mut found = victims(&table, 10, |pid| pid == 20, origin, false);
        found.sort_unstable();
        assert_eq!(found, [30, 31]);
        let mut found = victims(&table, 10, |pid| pid == 20, origin, true);
        found.sort_unstable();
        assert_eq!(found, [30, 31, 50]);
    }
}
