//! Subscriptions to resources: many sessions and listeners may hold one, the server sees the first and the last.

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{RawObject, json_string, method, one_line, write_notification};

use super::{
    fleet::Destination,
    rewrite,
    session::Session,
    state::Gateway,
    stateless::{Listener, others_hold},
};

/// Whether anybody holds this subscription at the same process of the server.
pub(crate) fn is_held(gateway: &Gateway, server: &ServerName, uri: &str) -> bool {
    !gateway.fleet.is_per_session(server)
        && (gateway.sessions.all().iter().any(|s| s.is_subscribed(server, uri))
            || gateway.listeners.all().iter().any(|listener| listener.is_subscribed(server, uri)))
}

/// Whether anybody holds a subscription at this server.
pub(crate) fn has_any(gateway: &Gateway, server: &ServerName) -> bool {
    held(gateway).any(|(of, _)| of == *server)
}

/// Every subscription that anybody holds.
fn held(gateway: &Gateway) -> impl Iterator<Item = (ServerName, String)> {
    let of_sessions = gateway.sessions.all().into_iter().flat_map(|session| session.subscriptions());
    of_sessions.chain(gateway.listeners.all().into_iter().flat_map(|listener| listener.subscriptions()))
}

/// Tells a server to begin or to stop; the answer goes to nobody.
fn spawn_tell(gateway: &Gateway, server: &ServerName, method: &'static str, uri: String) {
    spawn_tell_one(gateway, server, method, uri, None);
}

/// The same, of the instance of one session where there is one for each.
fn spawn_tell_one(gateway: &Gateway, server: &ServerName, method: &'static str, uri: String, of: Option<SessionKey>) {
    if let Destination::Link(link) = gateway.fleet.destination(server.as_str()) {
        let params = format!("{{\"uri\":{}}}", json_string(&uri).get());
        tokio::task::spawn_local(link.tell(method, params, of));
    }
}

/// A session is over: servers stop what nobody else wants.
pub(crate) fn release(gateway: &Gateway, session: &Session) {
    for (server, uri) in session.subscriptions() {
        session.unsubscribe(&server, &uri);
        // An instance of its own ends with the session.
        if !gateway.fleet.is_per_session(&server) && !is_held(gateway, &server, &uri) {
            spawn_tell(gateway, &server, method::RESOURCES_UNSUBSCRIBE, uri);
        }
    }
}

/// A listener left: servers stop what nobody else wants. Its instances are those of its principal, and stay.
pub(crate) fn release_listener(gateway: &Gateway, listener: &Listener) {
    for (server, uri) in listener.subscriptions() {
        if gateway.fleet.is_per_session(&server) {
            if !others_hold(gateway, listener, &server, &uri) {
                spawn_tell_one(gateway, &server, method::RESOURCES_UNSUBSCRIBE, uri, Some(listener.key()));
            }
        } else if !is_held(gateway, &server, &uri) {
            spawn_tell(gateway, &server, method::RESOURCES_UNSUBSCRIBE, uri);
        }
    }
}

/// A session of an earlier gateway goes on: servers are told once more, since nobody knows whether they still remember.
pub(crate) fn resume(gateway: &Gateway, session: &Session, subscriptions: Vec<(ServerName, String)>) {
    for (server, uri) in subscriptions {
        let held = is_held(gateway, &server, &uri);
        let own = gateway.fleet.is_per_session(&server);
        if session.subscribe(server.clone(), uri.clone()) && !held && !own {
            spawn_tell(gateway, &server, method::RESOURCES_SUBSCRIBE, uri);
        }
    }
}

/// A new incarnation of a server knows of no subscription yet. Instances of sessions are told by their worker.
pub(crate) fn renew(gateway: &Gateway, server: &ServerName) {
    if gateway.fleet.is_per_session(server) {
        return;
    }
    let mut uris: Vec<String> = held(gateway).filter(|(name, _)| name == server).map(|(_, uri)| uri).collect();
    uris.sort_unstable();
    uris.dedup();
    for uri in uris {
        spawn_tell(gateway, server, method::RESOURCES_SUBSCRIBE, uri);
    }
}

/// A resource changed: tells those who subscribed to it, or those of them whose instance said so, under the URI that they
/// know.
pub(crate) fn updated(gateway: &Gateway, server: &ServerName, params: &Bytes, only: Option<SessionKey>) {
    let Ok(text) = std::str::from_utf8(params) else { return };
    let Some(uri) = RawObject::from_text(text).ok().and_then(|object| object.get_string("uri")) else { return };
    for listener in gateway.listeners.all() {
        if only.is_none_or(|key| key == listener.key()) && listener.is_subscribed(server, &uri) {
            listener.updated(server, text);
        }
    }
    let sessions = match only {
        Some(key) => gateway.sessions.by_key(key).into_iter().collect(),
        None => gateway.sessions.all(),
    };
    for session in sessions {
        if session.is_subscribed(server, &uri) {
            let (naming, version) = (session.scope().naming(), session.version());
            let params = rewrite::updated_params(naming, server.as_str(), text, version);
            let mut message = Vec::new();
            write_notification(&mut message, method::RESOURCE_UPDATED, &one_line(&params));
            session.push(message.into());
        }
    }
}
