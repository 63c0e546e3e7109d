//! What sessions are told without having asked: lists that changed, and log lines of servers.

use std::{collections::HashMap, rc::Rc, time::Duration};

use bytes::Bytes;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{method, one_line, write_notification};

use super::{catalogue::View, level::Level, scope::Scope, state::Gateway};

/// Changes within this time are announced once.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Watches all changes and tells every session which of its lists differ from what they were.
pub(crate) async fn run(gateway: Rc<Gateway>) {
    let mut changes = gateway.fleet.watch();
    let mut announced: HashMap<Scope, Rc<View>> = HashMap::new();
    while changes.changed().await.is_ok() {
        tokio::time::sleep(DEBOUNCE).await;
        changes.mark_unchanged();
        let sessions = gateway.sessions.all();
        let mut current: HashMap<Scope, Rc<View>> = HashMap::new();
        for session in sessions {
            let scope = session.scope();
            let view = current.entry(scope.clone()).or_insert_with(|| gateway.fleet.view(scope));
            // A scope without an earlier announcement has had no session before this change: compare with nothing
            // shown, so that a session opened during the change hears of it rather than not.
            match announced.get(scope) {
                Some(before) => session.announce(view.changes_since(before)),
                None => session.announce(view.changes_since(&View::build(scope.naming(), &[]))),
            }
        }
        announced = current;
    }
}

/// Passes a server's log line on to every session that asked for lines of its level. Nothing says which call it
/// belongs to, so it goes to the stream that belongs to none.
pub(crate) fn log_message(gateway: &Gateway, server: &ServerName, params: &Bytes) {
    let level = Level::of_message(params);
    let mut message: Option<Bytes> = None;
    for session in gateway.sessions.all() {
        if session.level().is_some_and(|wanted| level >= wanted) && gateway.fleet.shows(session.scope(), server) {
            let message = message.get_or_insert_with(|| log_notification(params));
            session.push(message.clone());
        }
    }
}

/// A `notifications/message` around a server's params.
pub(crate) fn log_notification(params: &[u8]) -> Bytes {
    let mut out = Vec::new();
    write_notification(&mut out, method::LOG_MESSAGE, &one_line(&String::from_utf8_lossy(params)));
    out.into()
}
