//! The processes below this worker. It is the child subreaper of its server's tree: whatever double-forks, starts a session
//! of its own and clears its environment ends up as the worker's child when its parents are gone, and nowhere else.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use mcproxy_ipc::{Swept, environment::INSTANCE, processes, sweep};
use rustix::process::{getpid, set_child_subreaper};
use tokio::signal::unix::{SignalKind, signal};

use crate::cgroup::ServerCgroup;

/// The leading processes of servers, which their runners wait for. All others below this process were adopted, or will be when
/// their parents end. Shared with the task that collects zombies; never locked across an await.
#[derive(Debug, Clone)]
pub(crate) struct Tree(Arc<Mutex<BTreeSet<u32>>>);

impl Tree {
    /// Makes this process the one that adopts, and begins to collect what it adopted and what has ended.
    pub(crate) fn become_subreaper() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let tree = Self(Arc::default());
        let mut ended = signal(SignalKind::child())?;
        let reaper = tree.clone();
        // It lives as long as the process and has nothing to finish.
        drop(tokio::spawn(async move {
            while ended.recv().await.is_some() {
                reaper.reap();
            }
        }));
        Ok(tree)
    }

    /// A server was started; its runner waits for its leading process.
    pub(crate) fn insert(&self, leader: u32) {
        self.lock().insert(leader);
    }

    /// It was waited for, or nobody will.
    pub(crate) fn remove(&self, leader: u32) {
        self.lock().remove(&leader);
    }

    /// Kills what a server left behind that was started with this mark: everything below this process, except servers that
    /// still run and what is below those. While there are such others, an orphan without the mark may be theirs, and is left
    /// until they have ended as well; when there are none, whatever is in their cgroup goes, too.
    pub(crate) async fn sweep(&self, mark: &str, cgroup: Option<&ServerCgroup>) -> Swept {
        if let Some(cgroup) = cgroup
            && self.lock().is_empty()
        {
            cgroup.kill(); // what it does not reach is found below
        }
        let us = std::process::id();
        sweep(|| {
            self.reap();
            let servers = self.lock().clone();
            let spared = |pid: u32| {
                let is_orphan = || processes::one(pid).is_some_and(|process| process.parent == us);
                servers.contains(&pid)
                    || !servers.is_empty()
                        && is_orphan()
                        && processes::environment(pid, INSTANCE).as_deref() != Some(mark)
            };
            processes::below(us, spared)
        })
        .await
    }

    fn reap(&self) {
        processes::reap(|pid| self.lock().contains(&pid));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        // A panic ends the process, so the lock is never poisoned.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
