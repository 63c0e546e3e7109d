//! Follows the settings that the supervisor hands over.

use std::rc::Rc;

use slog::info;

use crate::gateway::{
    base::{auth::Auth, principal::Principal, scope::Scope},
    dialect::session::lifetime,
    state::Gateway,
};

/// Puts new settings in force.
pub(super) async fn follow(gateway: Rc<Gateway>) {
    let mut settings = gateway.supervisor.settings.clone();
    while settings.changed().await.is_ok() {
        let new = Rc::new(settings.borrow_and_update().clone());
        gateway.servers.set_endpoints(&new.groups, &new.pinned);
        gateway.replay_budget.set_bound(new.replay_total);
        gateway.budget.set_total(new.total_buffered);
        let before = gateway.auth();
        gateway.set_settings(new);
        info!(gateway.log, "settings changed");
        if gateway.auth() != before {
            end_revoked(&gateway, &before);
        }
    }
}

/// Ends the sessions of revoked principals, with their calls and streams, and the calls that are parked for those principals. Their
/// other requests end with their connections.
fn end_revoked(gateway: &Rc<Gateway>, before: &Auth) {
    let auth = gateway.auth();
    let is_revoked = |scope: &Scope, principal: &Principal| auth.is_revoked(principal, scope, before);
    let mut ended = gateway.sessions.all();
    ended.retain(|session| is_revoked(session.scope(), session.principal()));
    for session in &ended {
        gateway.sessions.close(session.id());
        lifetime::release(gateway, session);
    }
    let given_up = gateway.request_states.give_up(is_revoked);
    info!(gateway.log, "tokens changed"; "sessions_ended" => ended.len(), "calls_given_up" => given_up);
    gateway.auth_changed.notify_one();
}
