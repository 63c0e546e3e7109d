//! Subscriptions to resources: many sessions may hold one, the server sees the first and the last.

use bytes::Bytes;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{RawObject, json_string, method, one_line, write_notification};

use super::{fleet::Destination, rewrite, session::Session, state::Gateway};

/// Whether any session holds this subscription.
pub(crate) fn is_held(gateway: &Gateway, server: &ServerName, uri: &str) -> bool {
    gateway.sessions.all().iter().any(|s| s.is_subscribed(server, uri))
}

/// Whether any session holds a subscription at this server.
pub(crate) fn has_any(gateway: &Gateway, server: &ServerName) -> bool {
    gateway.sessions.all().iter().any(|s| s.subscriptions().iter().any(|(of, _)| of == server))
}

/// Tells a server to begin or to stop; the answer goes to nobody.
fn spawn_tell(gateway: &Gateway, server: &ServerName, method: &'static str, uri: String) {
    if let Destination::Link(link) = gateway.fleet.destination(server.as_str()) {
        let params = format!("{{\"uri\":{}}}", json_string(&uri).get());
        tokio::task::spawn_local(link.tell(method, params));
    }
}

/// A session is over: servers stop what nobody else wants.
pub(crate) fn release(gateway: &Gateway, session: &Session) {
    for (server, uri) in session.subscriptions() {
        session.unsubscribe(&server, &uri);
        if !is_held(gateway, &server, &uri) {
            spawn_tell(gateway, &server, method::RESOURCES_UNSUBSCRIBE, uri);
        }
    }
}

/// A session of an earlier gateway goes on: servers are told once more, since nobody knows whether they still remember.
pub(crate) fn resume(gateway: &Gateway, session: &Session, subscriptions: Vec<(ServerName, String)>) {
    for (server, uri) in subscriptions {
        let held = is_held(gateway, &server, &uri);
        if session.subscribe(server.clone(), uri.clone()) && !held {
            spawn_tell(gateway, &server, method::RESOURCES_SUBSCRIBE, uri);
        }
    }
}

/// A new incarnation of a server knows of no subscription yet.
pub(crate) fn renew(gateway: &Gateway, server: &ServerName) {
    let mut uris: Vec<String> = gateway
        .sessions
        .all()
        .iter()
        .flat_map(|s| s.subscriptions())
        .filter(|(name, _)| name == server)
        .map(|(_, uri)| uri)
        .collect();
    uris.sort_unstable();
    uris.dedup();
    for uri in uris {
        spawn_tell(gateway, server, method::RESOURCES_SUBSCRIBE, uri);
    }
}

/// A resource changed: tells the sessions that subscribed to it, under the URI that they know.
pub(crate) fn updated(gateway: &Gateway, server: &ServerName, params: &Bytes) {
    let Ok(text) = std::str::from_utf8(params) else { return };
    let Some(uri) = RawObject::from_text(text).ok().and_then(|object| object.get_string("uri")) else { return };
    for session in gateway.sessions.all() {
        if session.is_subscribed(server, &uri) {
            let (naming, version) = (session.scope().naming(), session.version());
            let params = rewrite::updated_params(naming, server.as_str(), text, version);
            let mut message = Vec::new();
            write_notification(&mut message, method::RESOURCE_UPDATED, &one_line(&params));
            session.push(message.into());
        }
    }
}
