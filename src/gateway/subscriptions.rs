//! Subscriptions to resources and tasks: many sessions and listeners may hold one, the server sees the first and the last.

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{RawObject, Subject, method, one_line, write_notification};

use super::{
    fleet::Destination,
    rewrite,
    session::Session,
    state::Gateway,
    stateless::{Listener, others_hold},
};

/// Whether anybody holds this subscription at the same process of the server.
pub(crate) fn is_held(gateway: &Gateway, server: &ServerName, subject: &Subject) -> bool {
    let by_session = |session: &Session| match subject {
        Subject::Resource(uri) => session.is_subscribed(server, uri),
        // It hears of the tasks that it made.
        Subject::Task(_) => false,
    };
    !gateway.fleet.is_per_session(server)
        && (gateway.sessions.all().iter().any(|session| by_session(session))
            || gateway.listeners.all().iter().any(|listener| listener.is_subscribed(server, subject)))
}

/// Whether anybody holds a subscription at this server.
pub(crate) fn has_any(gateway: &Gateway, server: &ServerName) -> bool {
    held(gateway).any(|(of, _)| of == *server)
}

/// Every subscription that anybody holds.
fn held(gateway: &Gateway) -> impl Iterator<Item = (ServerName, Subject)> {
    let of_sessions = gateway.sessions.all().into_iter().flat_map(|session| session.subscriptions());
    let of_sessions = of_sessions.map(|(server, uri)| (server, Subject::Resource(uri)));
    of_sessions.chain(gateway.listeners.all().into_iter().flat_map(|listener| listener.subscriptions()))
}

/// Tells a server to begin or to stop; the answer goes to nobody.
fn spawn_tell(gateway: &Gateway, server: &ServerName, method: &'static str, subject: &Subject) {
    spawn_tell_one(gateway, server, method, subject, None);
}

/// The same, of the instance of one session where there is one for each.
fn spawn_tell_one(
    gateway: &Gateway,
    server: &ServerName,
    method: &'static str,
    subject: &Subject,
    of: Option<SessionKey>,
) {
    if let Destination::Link(link) = gateway.fleet.destination(server.as_str()) {
        tokio::task::spawn_local(link.tell(method, subject.params(), of));
    }
}

/// A session is over: servers stop what nobody else wants.
pub(crate) fn release(gateway: &Gateway, session: &Session) {
    for (server, uri) in session.subscriptions() {
        session.unsubscribe(&server, &uri);
        let subject = Subject::Resource(uri);
        // An instance of its own ends with the session.
        if !gateway.fleet.is_per_session(&server) && !is_held(gateway, &server, &subject) {
            spawn_tell(gateway, &server, method::RESOURCES_UNSUBSCRIBE, &subject);
        }
    }
}

/// A listener left: servers stop what nobody else wants. Its instances are those of its principal, and stay.
pub(crate) fn release_listener(gateway: &Gateway, listener: &Listener) {
    for (server, subject) in listener.subscriptions() {
        if gateway.fleet.is_per_session(&server) {
            if !others_hold(gateway, listener, &server, &subject) {
                spawn_tell_one(gateway, &server, method::RESOURCES_UNSUBSCRIBE, &subject, Some(listener.key()));
            }
        } else if !is_held(gateway, &server, &subject) {
            spawn_tell(gateway, &server, method::RESOURCES_UNSUBSCRIBE, &subject);
        }
    }
}

/// A session of an earlier gateway goes on: servers are told once more, since nobody knows whether they still remember.
pub(crate) fn resume(gateway: &Gateway, session: &Session, subscriptions: Vec<(ServerName, String)>) {
    for (server, uri) in subscriptions {
        let subject = Subject::Resource(uri.clone());
        let held = is_held(gateway, &server, &subject);
        let own = gateway.fleet.is_per_session(&server);
        if session.subscribe(&gateway.budget, server.clone(), uri) && !held && !own {
            spawn_tell(gateway, &server, method::RESOURCES_SUBSCRIBE, &subject);
        }
    }
}

/// A new incarnation of a server knows of no subscription yet. Instances of sessions are told by their worker.
pub(crate) fn renew(gateway: &Gateway, server: &ServerName) {
    if gateway.fleet.is_per_session(server) {
        return;
    }
    let mut subjects: Vec<_> = held(gateway).filter(|(name, _)| name == server).map(|(_, subject)| subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    for subject in subjects {
        spawn_tell(gateway, server, method::RESOURCES_SUBSCRIBE, &subject);
    }
}

/// A resource changed: tells those who subscribed to it, or those of them whose instance said so, under the URI that they
/// know.
pub(crate) fn updated(gateway: &Gateway, server: &ServerName, params: &Bytes, only: Option<SessionKey>) {
    let Ok(text) = std::str::from_utf8(params) else { return };
    let Some(uri) = RawObject::from_text(text).ok().and_then(|object| object.get_string("uri")) else { return };
    let subject = Subject::Resource(uri.clone().into_owned());
    for listener in gateway.listeners.all() {
        if only.is_none_or(|key| key == listener.key()) && listener.is_subscribed(server, &subject) {
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
