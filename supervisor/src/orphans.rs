//! What others leave behind. We are the child subreaper, and so is every worker: whatever a living worker's server started
//! ends up below that worker, and only what a *dead* worker left ends up as our child. So each child of ours that we did
//! not start ourselves has to go, however well it hid: no mark, group or session needs to tell whose it was.
//!
//! Only processes below us are ever touched, and none that live below a worker of ours: a wrong or reused process id can
//! never lead to a process of another program. The exception is the start, when an earlier supervisor may have been killed.

use std::{
    collections::{HashMap, HashSet},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use mcproxy_ipc::{
    REMOTE_WORKER, Swept, WORKER,
    environment::INSTANCE,
    processes::{self, Process},
    sweep,
};

use crate::children::Children;

/// Below these, servers are looked after. The kernel cuts names at 15 bytes.
const KEEPERS: [&str; 3] = ["mcproxy-supervi", WORKER, REMOTE_WORKER];
/// Those that a supervisor starts.
const STARTED: [&str; 3] = [WORKER, REMOTE_WORKER, "mcproxy-gateway"];

/// Collects the zombies that were adopted. Never those that a task of ours waits for.
pub(crate) fn reap(children: &Children) {
    processes::reap(|pid| children.contains(pid));
}

/// Kills what dead workers left behind.
pub(crate) async fn sweep_adopted(children: &Children) -> Swept {
    sweep(|| {
        children.reserve.with_reserve(|| {
            reap(children);
            processes::below(std::process::id(), |pid| children.contains(pid))
        })
    })
    .await
}

/// Kills what an earlier supervisor left behind when it was killed itself: its workers and gateway, which know `socket`
/// (we hold the lock, so whoever else uses it is a leftover), all that is below them, and processes of this user that
/// carry the mark of an incarnation and have nobody above them any more who looks after them.
pub(crate) async fn sweep_leftovers(socket: &Path) -> Swept {
    sweep(|| {
        let started = |pid: u32| {
            STARTED.contains(&processes::name(pid).as_str())
                && processes::arguments(pid).iter().any(|argument| argument == socket.as_os_str().as_bytes())
        };
        let marked = |pid: u32| processes::environment(pid, INSTANCE).is_some();
        let keeps = |pid: u32| KEEPERS.contains(&processes::name(pid).as_str());
        leftovers(&processes::all(), started, marked, keeps)
    })
    .await
}

fn leftovers(
    table: &[Process],
    started: impl Fn(u32) -> bool,
    marked: impl Fn(u32) -> bool,
    keeps: impl Fn(u32) -> bool,
) -> Vec<Process> {
    let parents: HashMap<u32, u32> = table.iter().map(|process| (process.pid, process.parent)).collect();
    let ours: HashSet<u32> = table.iter().map(|process| process.pid).filter(|pid| started(*pid)).collect();
    let is_leftover = |process: &&Process| {
        let mut above = ancestors(process.pid, &parents);
        above.any(|pid| ours.contains(&pid)) || marked(process.pid) && !ancestors(process.pid, &parents).any(&keeps)
    };
    table.iter().filter(|process| !process.zombie).filter(is_leftover).copied().collect()
}

/// The process itself and those above it.
fn ancestors(pid: u32, parents: &HashMap<u32, u32>) -> impl Iterator<Item = u32> {
    // A table is no snapshot: reused ids could make a ring.
    std::iter::successors(Some(pid), |pid| parents.get(pid).copied().filter(|parent| *parent > 1)).take(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_what_an_earlier_run_started_and_what_nobody_looks_after() {
        let process = |pid, parent| Process { pid, parent, group: pid, zombie: false };
        let table = [
            process(1, 0),
            process(10, 1),  // a worker of the earlier run, left alone
            process(11, 10), // its server
            process(12, 11), // a daemon that says nothing about itself
            process(20, 1),  // a marked process that nobody looks after
            process(30, 1),  // another supervisor
            process(31, 30), // its worker
            process(32, 31), // its server, marked
            process(33, 30), // an orphan of it, marked, about to be swept there
            process(99, 1),  // a stranger
        ];
        let marked = |pid| [11, 20, 32, 33].contains(&pid);
        let keeps = |pid| [10, 30, 31].contains(&pid);
        let mut found: Vec<u32> = leftovers(&table, |pid| pid == 10, marked, keeps).iter().map(|p| p.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 20]);
    }
}
