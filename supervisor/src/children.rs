//! The processes that we started ourselves. Everything else below us is an orphan that was adopted (child subreaper).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use mcproxy_ipc::{Generation, ServerName};

/// One incarnation of one server, as the worker writes it into the environment of its server (`MCPROXY_INSTANCE`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance(String);

impl Instance {
    /// Of this incarnation.
    pub(crate) fn new(server: &ServerName, generation: Generation) -> Self {
        Self(format!("{server}.{generation}"))
    }

    /// The text in the environment.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who our own children are. Shared, and not a task's own, because it must be exact at the moment of a sweep: a worker that
/// was spawned a moment ago must not be taken for an orphan. Never locked across an await.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children(Arc<Mutex<BTreeMap<u32, Option<Instance>>>>);

impl Children {
    /// A process was spawned: a worker for `instance`, or the gateway.
    pub(crate) fn insert(&self, pid: u32, instance: Option<Instance>) {
        self.lock().insert(pid, instance);
    }

    /// It ended and was waited for.
    pub(crate) fn remove(&self, pid: u32) {
        self.lock().remove(&pid);
    }

    /// Whether we started this process.
    pub(crate) fn contains(&self, pid: u32) -> bool {
        self.lock().contains_key(&pid)
    }

    /// Whether a worker for this instance is alive.
    pub(crate) fn is_live(&self, instance: &str) -> bool {
        self.lock().values().flatten().any(|live| live.as_str() == instance)
    }

    /// Whether any worker is alive.
    pub(crate) fn any_worker(&self) -> bool {
        self.lock().values().any(Option::is_some)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Option<Instance>>> {
        // A panic ends the process, so the lock is never poisoned.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
