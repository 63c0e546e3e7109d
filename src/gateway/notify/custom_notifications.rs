//! Notifications that no specification names: they travel as they are, from a client to the one server that is meant, and from
//! a server to its clients.

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey, data::GatewayToWorker};
use mcproxy_mcp::{Level, one_line, write_notification};
use slog::debug;

use super::broadcast;
use crate::gateway::{
    base::{budget::Purpose, scope::Scope},
    sessions::notice::Notice,
    state::{Gateway, broadcasts::Broadcast},
    upstream::servers::Destination,
};

/// Passes a client's notification on: to the server that declares the extension it is named after, or to the only one of the
/// endpoint. If several servers could be meant, none is told: it may concern another one. It wakes no server.
pub(crate) fn to_server(gateway: &Gateway, scope: &Scope, client: SessionKey, method: &str, params: &[u8]) {
    let owner = || gateway.servers.view(scope).owner_of_notification(method).cloned();
    let Some(server) = gateway.servers.only(scope).or_else(owner) else {
        return debug!(gateway.log, "notification of a client is for no server of its endpoint"; "method" => method);
    };
    if let Destination::Connected(connection) = gateway.servers.destination(server.as_str()) {
        let session = connection.is_per_session().then_some(client);
        connection.hint(GatewayToWorker::Notify { method: method.to_owned(), session }, params.to_vec());
    }
}

/// Passes a server's notification on to the session that it concerns, or to all sessions that see the server.
pub(crate) fn to_clients(
    gateway: &Gateway,
    server: &ServerName,
    method: &str,
    params: &Bytes,
    only: Option<SessionKey>,
) {
    let message = message(method, params);
    match only {
        Some(key) => {
            if let Some(session) = gateway.sessions.by_key(key).filter(|s| gateway.servers.shows(s.scope(), server))
                && let Ok(message) = gateway.budget.guard_large(Purpose::Streams, message)
            {
                session.notice(Notice { server: server.clone(), message, topic: None, level: Level::Warning });
            }
        }
        None => broadcast::say(gateway, server, Broadcast::Notification { message }),
    }
}

/// The notification as it is sent to a client.
pub(crate) fn message(method: &str, params: &[u8]) -> Bytes {
    let mut out = Vec::new();
    write_notification(&mut out, method, &one_line(&String::from_utf8_lossy(params)));
    out.into()
}
