//! What is left of a server that had a user of its own, found by that user: its processes can leave their group, their session and
//! their parents, and clear their environment, but not become somebody else.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    path::Path,
    process::Stdio,
    time::Duration,
};

use mcproxy_confine::Identity;
use mcproxy_ipc::{
    SealedOrder,
    processes::{self, Process},
};
use tokio::{process::Command, time::timeout};

use crate::children::Children;

/// As the kernel cuts the name of our program.
const SUPERVISOR: &str = "mcproxy-supervi";
/// How long the one that kills may take: a second, unless the machine is very busy.
const LIMIT: Duration = Duration::from_secs(5);

/// All processes at this moment, by the users in a range.
#[derive(Debug, Default)]
pub(super) struct ProcessUsers {
    by_user: BTreeMap<u32, Vec<u32>>,
    parents: HashMap<u32, u32>,
}

impl ProcessUsers {
    /// Of the users that `concerns` says.
    pub(super) fn read(concerns: impl Fn(u32) -> bool) -> Self {
        Self::of(&processes::all(), |pid| processes::user(pid).filter(|uid| concerns(*uid)))
    }

    fn of(table: &[Process], user: impl Fn(u32) -> Option<u32>) -> Self {
        let parents = table.iter().map(|process| (process.pid, process.parent)).collect();
        let mut by_user = BTreeMap::<u32, Vec<u32>>::new();
        for process in table.iter().filter(|process| !process.zombie) {
            if let Some(uid) = user(process.pid) {
                by_user.entry(uid).or_default().push(process.pid);
            }
        }
        Self { by_user, parents }
    }

    /// The users that have processes.
    pub(super) fn users(&self) -> BTreeSet<u32> {
        self.by_user.keys().copied().collect()
    }

    /// How many this one has.
    pub(super) fn count(&self, uid: u32) -> usize {
        self.by_user.get(&uid).map_or(0, Vec::len)
    }

    /// The first process above those of `uid`, or among them, that `is_keeper` names: they are looked after.
    pub(super) fn keeper(&self, uid: u32, is_keeper: impl Fn(u32) -> bool) -> Option<u32> {
        let mut all = self.by_user.get(&uid)?.iter().flat_map(|pid| self.ancestors(*pid));
        all.find(|pid| is_keeper(*pid))
    }

    /// The process itself and those above it.
    fn ancestors(&self, pid: u32) -> impl Iterator<Item = u32> {
        // A table is no snapshot: reused ids could make a ring.
        std::iter::successors(Some(pid), |pid| self.parents.get(pid).copied().filter(|parent| *parent > 0)).take(1000)
    }
}

/// Another supervisor than this one. Its own user tells it from a server that only calls itself so.
pub(super) fn is_other_supervisor(pid: u32, is_servers: impl Fn(u32) -> bool) -> bool {
    pid != std::process::id()
        && processes::name(pid) == SUPERVISOR
        && processes::user(pid).is_some_and(|uid| !is_servers(uid))
}

/// Has all processes of a user killed, by a process that becomes this user. To be called on the main thread.
pub(super) async fn kill_all_of(identity: &Identity, worker: &Path, children: &Children) -> io::Result<()> {
    let sweeper = SealedOrder::create(identity)?.hand_on(|order| {
        let mut command = Command::new(worker);
        command.arg("--sweep").arg(order).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true).spawn()
    })?;
    // Nobody else may wait for it, or take it for an orphan.
    let pid = sweeper.id().unwrap_or_default();
    children.insert(pid);
    let output = timeout(LIMIT, sweeper.wait_with_output()).await;
    children.remove(pid);
    let output = output.map_err(|_| io::Error::other("it takes too long"))??;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{} ({})", said.trim(), output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_somebody_looks_after_are_told_from_those_that_nobody_does() {
        let process = |pid, parent, zombie| Process { pid, parent, group: pid, zombie };
        let table = [
            process(1, 0, false),
            process(10, 1, false),  // a supervisor
            process(11, 10, false), // its worker, of 60001
            process(12, 11, false), // and the server
            process(20, 1, false),  // a daemon of 60002 that nobody looks after
            process(21, 1, true),   // one that has ended
        ];
        let users = HashMap::from([(1, 0), (10, 0), (11, 60_001), (12, 60_001), (20, 60_002), (21, 60_003)]);
        let found = ProcessUsers::of(&table, |pid| users.get(&pid).copied().filter(|uid| *uid >= 60_000));
        assert_eq!(found.users(), [60_001, 60_002].into());
        assert_eq!((found.count(60_001), found.count(60_002), found.count(60_003)), (2, 1, 0));
        assert_eq!(found.keeper(60_001, |pid| pid == 10), Some(10));
        assert_eq!(found.keeper(60_002, |pid| pid == 10), None);
    }
}
