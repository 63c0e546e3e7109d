//! Stores sessions for the next gateway, restores those of an earlier one, and ends sessions.

use std::rc::Rc;

use mcproxy_ipc::SessionKey;
use slog::debug;

use crate::gateway::{
    base::scope::Scope,
    catalogue::Changes,
    notify::subscriptions,
    sessions::{
        session::{Session, short},
        snapshot::SessionSnapshot,
    },
    state::Gateway,
};

/// Stores the session as it is now for the next gateway.
pub(crate) fn remember(gateway: &Gateway, session: &Session) {
    if let Some(snapshot) = session.snapshot()
        && !gateway.supervisor.store_snapshot(session.key(), snapshot.to_bytes())
    {
        debug!(gateway.log, "session snapshot not stored: supervisor queue is full"; "session" => short(session.id()));
    }
}

/// Restores a session of an earlier gateway. What changed meanwhile is not known, so its client is told to reload all lists.
pub(crate) fn resume(gateway: &Gateway, session: &Rc<Session>, snapshot: SessionSnapshot) {
    if let Some(level) = snapshot.level {
        gateway.sessions.set_level(session, level);
    }
    if let Some(declaration) = snapshot.declaration {
        session.set_declaration(declaration);
    }
    subscriptions::resume(gateway, session, snapshot.subscriptions);
    session.begin_lists(gateway.servers.view(session.scope()).outline());
    session.announce(Changes::ALL);
    remember(gateway, session);
}

/// A session goes on with more scopes: its client is told to reload all lists. What it listens by was opened with fewer, so it has to
/// come back for that.
pub(crate) fn raised(gateway: &Gateway, session: &Rc<Session>) {
    session.close_stream();
    session.begin_lists(gateway.servers.view(session.scope()).outline());
    session.announce(Changes::ALL);
}

/// Tells the supervisor that these sessions have ended and must not be restored.
pub(crate) fn forget(gateway: &Gateway, keys: &[SessionKey]) {
    if !gateway.supervisor.forget(keys) {
        debug!(gateway.log, "ended sessions not reported to the supervisor"; "count" => keys.len());
    }
}

/// Ends a session with its calls, subscriptions and instances.
pub(crate) fn release(gateway: &Rc<Gateway>, session: &Rc<Session>) {
    if session.end() {
        forget(gateway, &[session.key()]);
    }
    session.close_streams();
    session.cancel_all("the client's session ended");
    subscriptions::release(gateway, session);
    for id in session.tasks.all() {
        gateway.task_owners.remove(&id, session.key());
    }
    release_instances(gateway, session.scope(), &[session.key()]);
}

/// Their instances at servers that have one for each session are not needed any more, nor are results that were kept for them.
pub(crate) fn release_instances(gateway: &Gateway, scope: &Scope, keys: &[SessionKey]) {
    keys.iter().for_each(|key| gateway.servers.release(*key));
    gateway.kept_results.forget(keys);
    for (_, connection) in
        gateway.servers.connections(scope).iter().filter(|(_, connection)| connection.is_per_session())
    {
        keys.iter().for_each(|key| connection.release(*key));
    }
}
