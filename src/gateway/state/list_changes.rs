//! Changes of lists that servers announced, until clients are told.

use std::{
    cell::RefCell,
    collections::HashMap,
    time::{Duration, Instant},
};

use mcproxy_ipc::{ServerName, SessionKey};

use crate::gateway::{base::throttle::Throttle, catalogue::ListKind};

/// Announced changes that clients were not told yet: at most one entry for each server, session and kind of list. A server that
/// announces again and again is heard ever less often.
#[derive(Default)]
pub(crate) struct ListChanges(RefCell<PendingChanges>);

#[derive(Default)]
struct PendingChanges {
    all: Vec<ListChange>,
    paces: HashMap<ServerName, Throttle>,
}

/// A server announced that one of its lists has changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListChange {
    /// Which server.
    pub(crate) server: ServerName,
    /// For this session only.
    pub(crate) only: Option<SessionKey>,
    /// Which list.
    pub(crate) kind: ListKind,
}

impl ListChanges {
    /// One more.
    pub(crate) fn add(&self, announcement: ListChange) {
        let all = &mut self.0.borrow_mut().all;
        if !all.contains(&announcement) {
            all.push(announcement);
        }
    }

    /// Those whose time has come.
    pub(crate) fn take(&self, now: Instant) -> Vec<ListChange> {
        let PendingChanges { all, paces } = &mut *self.0.borrow_mut();
        paces.retain(|_, pace| !pace.is_at_rest(now));
        let is_due = |a: &mut ListChange| paces.get(&a.server).is_none_or(|pace| pace.due(now) <= now);
        let due: Vec<_> = all.extract_if(.., is_due).collect();
        let mut servers: Vec<&ServerName> = due.iter().map(|a| &a.server).collect();
        servers.sort_unstable();
        servers.dedup();
        for server in servers {
            // It comes with each change, so it counts as held back where it follows the one before closely.
            let pace = paces.entry(server.clone()).or_default();
            pace.was(now, Duration::ZERO, !pace.is_fresh());
        }
        due
    }

    /// When the time of the next has come.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let PendingChanges { all, paces } = &*self.0.borrow();
        all.iter().map(|a| paces.get(&a.server).map_or(now, |pace| pace.due(now))).min()
    }
}
