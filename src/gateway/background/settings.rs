//! Follows the settings that the supervisor hands over, and the clock as far as tokens expire.

use std::{
    rc::Rc,
    time::{Duration, SystemTime},
};

use slog::info;
use tokio::time::sleep;

use crate::gateway::{
    base::{auth::Auth, principal::Principal, scope::Scope},
    dialect::session::lifetime,
    state::Gateway,
};

/// How often the clock is looked at while tokens have an end: it may be set, and a machine that slept counts no time.
const CLOCK: Duration = Duration::from_secs(30);

/// How often the supervisor is told which tokens were used.
const USES: Duration = Duration::from_secs(5);

/// Puts new settings in force.
pub(super) async fn follow(gateway: Rc<Gateway>) {
    let mut settings = gateway.supervisor.settings.clone();
    loop {
        let expiry = gateway.auth().next_expiry().into_iter().chain(gateway.access_tokens.next_end()).min();
        let changed = tokio::select! {
            changed = settings.changed() => changed,
            () = until(expiry) => {
                let (before, now) = (gateway.auth(), SystemTime::now());
                gateway.renew_auth(now);
                apply_auth(&gateway, &before);
                // Sessions go on without the token that opened them, requests do not.
                if gateway.access_tokens.sweep(now) {
                    gateway.auth_changed.notify_one();
                }
                continue;
            }
            () = gateway.access_tokens.next_changed.notified() => continue,
        };
        if changed.is_err() {
            return;
        }
        let new = Rc::new(settings.borrow_and_update().clone());
        gateway.servers.set_endpoints(&new);
        gateway.replay_budget.set_bound(new.replay_total);
        gateway.budget.set_total(new.total_buffered);
        let before = gateway.auth();
        gateway.set_settings(new);
        info!(gateway.log, "settings changed");
        apply_auth(&gateway, &before);
    }
}

/// Tells the supervisor which tokens were used.
pub(super) async fn tell_uses(gateway: Rc<Gateway>) {
    loop {
        sleep(USES).await;
        let used = gateway.token_uses.take();
        if !used.is_empty() {
            // What is not told now is told with the next use.
            gateway.supervisor.tokens_used(used);
        }
    }
}

/// Waits until a moment, but no longer than the clock may be trusted; for ever without one.
async fn until(moment: Option<SystemTime>) {
    match moment {
        None => std::future::pending().await,
        Some(moment) => sleep(moment.duration_since(SystemTime::now()).unwrap_or_default().min(CLOCK)).await,
    }
}

fn apply_auth(gateway: &Rc<Gateway>, before: &Auth) {
    if gateway.auth() != *before {
        end_revoked(gateway, before);
    }
}

/// Ends the sessions of principals whose tokens are revoked or may use less, with their calls and streams, and the calls that are
/// parked for those principals. Their other requests end with their connections.
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
    gateway.held_calls.give_up(is_revoked);
    info!(gateway.log, "tokens changed"; "sessions_ended" => ended.len(), "calls_given_up" => given_up);
    gateway.auth_changed.notify_one();
}
