//! The tasks of 2025-11-25 that sessions made: which ones a session knows, and which sessions know one.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
};

use mcproxy_ipc::SessionKey;

/// Most tasks that a session is remembered to have made; the eldest are forgotten first.
pub(crate) const MAX_TASKS: usize = 256;
/// The tasks that a session made, by the ids that its client knows, the eldest first.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    made: RefCell<VecDeque<Box<str>>>,
    /// Its client was told that there are tasks. That holds while their server is down, too.
    offered: Cell<bool>,
}

impl Tasks {
    /// Takes note of what a client is told among the capabilities.
    pub(crate) fn set_offered(&self, offered: bool) {
        self.offered.set(offered);
    }

    /// One more, and the one that is forgotten for it.
    pub(crate) fn add(&self, id: &str) -> Option<Box<str>> {
        let mut all = self.made.borrow_mut();
        let forgotten = if all.len() == MAX_TASKS { all.pop_front() } else { None };
        all.push_back(id.into());
        forgotten
    }

    /// Whether its client was told that there are tasks.
    pub(crate) fn were_offered(&self) -> bool {
        self.offered.get()
    }

    /// Whether it is one of them.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.made.borrow().iter().any(|known| **known == *id)
    }

    /// The ids of all of them.
    pub(crate) fn all(&self) -> Vec<Box<str>> {
        self.made.borrow().iter().cloned().collect()
    }

    /// Its server does not know it any more.
    pub(crate) fn forget(&self, id: &str) {
        self.made.borrow_mut().retain(|known| **known != *id);
    }
}

/// Which sessions made a task, by the id that they know it by.
#[derive(Default)]
pub(crate) struct TaskOwners(RefCell<HashMap<Box<str>, Vec<SessionKey>>>);

impl TaskOwners {
    /// A session created a task.
    pub(crate) fn add(&self, id: &str, session: SessionKey) {
        let mut all = self.0.borrow_mut();
        let owners = all.entry(id.into()).or_default();
        if !owners.contains(&session) {
            owners.push(session);
        }
    }

    /// A session does not know it any more.
    pub(crate) fn remove(&self, id: &str, session: SessionKey) {
        let mut all = self.0.borrow_mut();
        let Some(owners) = all.get_mut(id) else { return };
        owners.retain(|owner| *owner != session);
        if owners.is_empty() {
            all.remove(id);
        }
    }

    /// How many tasks there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Those of one task.
    pub(crate) fn of(&self, id: &str) -> Vec<SessionKey> {
        self.0.borrow().get(id).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_remembers_its_latest_tasks() {
        let tasks = Tasks::default();
        for n in 0..=MAX_TASKS {
            assert_eq!(tasks.add(&n.to_string()).is_some(), n == MAX_TASKS);
        }
        assert!(!tasks.has("0") && tasks.has("1") && tasks.has("256"));
        tasks.forget("1");
        assert_eq!((tasks.has("1"), tasks.all().len()), (false, MAX_TASKS - 1));
    }
}
