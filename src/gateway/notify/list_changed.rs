//! Tells clients which of their lists have changed, and the supervisor how much of each server's offer clients see.

use std::{
    collections::HashMap,
    future::pending,
    rc::Rc,
    time::{Duration, Instant},
};

use mcproxy_ipc::{CatalogueCounts, ServerName, SessionKey};
use tokio::time::sleep_until;

use crate::gateway::{
    base::{
        scope::Scope,
        slices::{CHECK, DELIVERY, Yielder},
    },
    catalogue::{Changes, ListKind},
    state::{Gateway, list_changes::ListChange},
};

/// Changes within this time are announced once.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// A server announced that a list has changed. Those who listen hear that even if it looks as before: it is the server's
/// word.
pub(crate) fn list_changed(gateway: &Gateway, server: &ServerName, kind: ListKind, only: Option<SessionKey>) {
    gateway.list_changes.add(ListChange { server: server.clone(), only, kind });
    gateway.servers.nudge();
}

/// The changes that were announced to a client of this endpoint.
fn announced_to(gateway: &Gateway, all: &[ListChange], scope: &Scope, key: SessionKey) -> Changes {
    let concerns = |a: &&ListChange| a.only.is_none_or(|only| only == key) && gateway.servers.shows(scope, &a.server);
    all.iter().filter(concerns).fold(Changes::default(), |changes, a| changes.with(a.kind))
}

/// Watches all changes and tells every session and listener which of its lists differ from what they were, or are said to.
pub(crate) async fn run(gateway: Rc<Gateway>) {
    let mut changes = gateway.servers.watch();
    let mut told = HashMap::new();
    loop {
        let held_back = gateway.list_changes.due(Instant::now());
        let time = async {
            match held_back {
                Some(due) => sleep_until(due.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = time => {}
        }
        tokio::time::sleep(DEBOUNCE).await;
        changes.mark_unchanged();
        let announced = gateway.list_changes.take(Instant::now());
        tell_supervisor(&gateway, &mut told);
        tell_clients(&gateway, &announced).await;
    }
}

/// Tells all clients that it concerns, a few at a time.
async fn tell_clients(gateway: &Gateway, announced: &[ListChange]) {
    let mut slices = Yielder::default();
    for key in gateway.sessions.keys() {
        let Some(session) = gateway.sessions.by_key(key) else { continue };
        let now = gateway.servers.view_of(session.scope(), key).outline();
        // Before `initialize` there is nothing that could have changed for a client.
        let told = session.replace_lists(now).is_some_and(|before| {
            let said = announced_to(gateway, announced, session.scope(), key);
            session.announce(now.changes_since(before).or(said))
        });
        drop(session);
        slices.did(if told { DELIVERY } else { CHECK }).await;
    }
    for listener in gateway.listeners.all() {
        let told = if gateway.servers.has(listener.scope()) {
            let said = announced_to(gateway, announced, listener.scope(), listener.key());
            listener.look_at(gateway.servers.view(listener.scope()).outline(), said)
        } else {
            listener.finish(); // its endpoint is not configured any more
            true
        };
        slices.did(if told { DELIVERY } else { CHECK }).await;
    }
}

/// Tells the supervisor how much of each server's offer clients see, where that differs from what it was told.
fn tell_supervisor(gateway: &Gateway, told: &mut HashMap<ServerName, CatalogueCounts>) {
    let shown = gateway.servers.shown();
    told.retain(|server, _| shown.iter().any(|(name, _)| name == server));
    for (server, counts) in shown {
        if told.get(&server) != Some(&counts) && gateway.supervisor.shown(&server, counts) {
            told.insert(server, counts);
        }
    }
}

/// A session's own instance offers something else than before.
pub(crate) fn own_lists(gateway: &Gateway, session: SessionKey) {
    match gateway.sessions.by_key(session).filter(|session| session.is_meeting()) {
        // It is about to see them.
        Some(session) => {
            session.replace_lists(gateway.servers.view_of(session.scope(), session.key()).outline());
        }
        None => gateway.servers.nudge(),
    }
}
