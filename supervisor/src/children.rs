//! The processes that we started ourselves. Everything else below us is an orphan that was adopted (child subreaper).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::fd_reserve::FdReserve;

/// Our own children. Shared, and not a task's own, because it must be exact at the moment of a sweep: a worker that
/// was spawned a moment ago must not be taken for an orphan. Never locked across an await.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children {
    known: Arc<Mutex<BTreeSet<u32>>>,
    /// For looking at those that are not ours.
    pub(crate) reserve: FdReserve,
}

impl Children {
    /// A process was spawned: a worker or the gateway.
    pub(crate) fn insert(&self, pid: u32) {
        self.lock().insert(pid);
    }

    /// It ended and was waited for.
    pub(crate) fn remove(&self, pid: u32) {
        self.lock().remove(&pid);
    }

    /// Whether we started this process.
    pub(crate) fn contains(&self, pid: u32) -> bool {
        self.lock().contains(&pid)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        // A panic ends the process, so the lock is never poisoned.
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
