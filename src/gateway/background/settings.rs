//! Follows the settings that the supervisor hands over.

use std::rc::Rc;

use mcproxy_ipc::control::TokenHash;
use slog::info;

use crate::gateway::{base::access, dialect::session::lifetime, state::Gateway};

/// Puts new settings in force.
pub(super) async fn follow(gateway: Rc<Gateway>) {
    let mut settings = gateway.supervisor.settings.clone();
    while settings.changed().await.is_ok() {
        let new = Rc::new(settings.borrow_and_update().clone());
        gateway.servers.set_groups(&new.groups);
        gateway.replay_budget.set_bound(new.replay_total);
        gateway.budget.set_total(new.total_buffered);
        let before = gateway.set_settings(new.clone());
        info!(gateway.log, "settings changed");
        if before.tokens != new.tokens {
            end_revoked(&gateway, before.tokens.as_deref(), new.tokens.as_deref());
        }
    }
}

/// Ends the sessions of clients whose tokens were removed, with their calls and streams, and the calls that are parked for those
/// clients. Their other requests end with their connections.
fn end_revoked(gateway: &Rc<Gateway>, before: Option<&[TokenHash]>, now: Option<&[TokenHash]>) {
    let is_revoked = |principal: Option<&str>| access::is_revoked(principal, before, now);
    let ended: Vec<_> = gateway.sessions.all().into_iter().filter(|session| is_revoked(session.principal())).collect();
    for session in &ended {
        gateway.sessions.close(session.id());
        lifetime::release(gateway, session);
    }
    let given_up = gateway.request_states.give_up(is_revoked);
    info!(gateway.log, "tokens changed"; "sessions_ended" => ended.len(), "calls_given_up" => given_up);
    gateway.tokens_changed.notify_one();
}
