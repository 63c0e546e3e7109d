//! Subscriptions to resources and tasks: many sessions and listeners may hold one, the server sees the first and the last.

use std::rc::Rc;

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{RawObject, Subject, method};

use super::broadcast;
use crate::gateway::{
    sessions::{listener::Listener, session::Session, subscribers::Subscriber},
    state::{Gateway, broadcasts::Broadcast},
    upstream::servers::Destination,
};

/// Whether a client holds this subscription at the same process of the server.
pub(crate) fn is_held(gateway: &Gateway, server: &ServerName, subject: &Subject) -> bool {
    !gateway.servers.is_per_session(server) && gateway.subscribers.are_there(server, subject)
}

/// Whether a client holds a subscription at this server.
pub(crate) fn has_any(gateway: &Gateway, server: &ServerName) -> bool {
    gateway.subscribers.has_any(server)
}

/// A session subscribes to a resource; `false`: it has too many.
pub(crate) fn add(gateway: &Gateway, session: &Session, server: &ServerName, uri: &str) -> bool {
    let added = session.subscriptions.add(&gateway.budget, server.clone(), uri.to_owned());
    if added {
        let subject = Subject::Resource(uri.to_owned());
        gateway.subscribers.add(server, &subject, Subscriber::Session(session.key()));
    }
    added
}

/// Removes a subscription of a session; `false`: it had none.
pub(crate) fn remove(gateway: &Gateway, session: &Session, server: &ServerName, uri: &str) -> bool {
    let subject = Subject::Resource(uri.to_owned());
    gateway.subscribers.remove(server, &subject, &Subscriber::Session(session.key()));
    session.subscriptions.remove(server, uri)
}

/// Starts a server at rest for its first listener.
pub(crate) fn wake_for_listeners(gateway: &Gateway, server: &ServerName) {
    if matches!(gateway.servers.destination(server.as_str()), Destination::Asleep) {
        gateway.servers.wake(server, &gateway.supervisor);
    }
}

/// Subscribes or unsubscribes at a server; the answer is ignored.
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
    if let Destination::Connected(connection) = gateway.servers.destination(server.as_str()) {
        tokio::task::spawn_local(connection.tell(method, subject.params(), of));
    }
}

/// A session is over: unsubscribes at servers from what no other client wants.
pub(crate) fn release(gateway: &Gateway, session: &Session) {
    for (server, uri) in session.subscriptions.all() {
        remove(gateway, session, &server, &uri);
        let subject = Subject::Resource(uri);
        // An instance of its own ends with the session.
        if !gateway.servers.is_per_session(&server) && !is_held(gateway, &server, &subject) {
            spawn_tell(gateway, &server, method::RESOURCES_UNSUBSCRIBE, &subject);
        }
    }
}

/// A listener left: unsubscribes at servers from what no other client wants. Its instances belong to its principal, and stay.
pub(crate) fn release_listener(gateway: &Gateway, listener: &Rc<Listener>) {
    for (server, subject) in listener.subscriptions() {
        gateway.subscribers.remove(&server, &subject, &Subscriber::listener(listener));
        if gateway.servers.is_per_session(&server) {
            if !others_hold(gateway, listener, &server, &subject) {
                spawn_tell_one(gateway, &server, method::RESOURCES_UNSUBSCRIBE, &subject, Some(listener.key()));
            }
        } else if !is_held(gateway, &server, &subject) {
            spawn_tell(gateway, &server, method::RESOURCES_UNSUBSCRIBE, &subject);
        }
    }
}

/// A session of an earlier gateway was restored: subscribes again at servers, which may have forgotten.
pub(crate) fn resume(gateway: &Gateway, session: &Session, subscriptions: Vec<(ServerName, String)>) {
    for (server, uri) in subscriptions {
        let subject = Subject::Resource(uri.clone());
        let held = is_held(gateway, &server, &subject);
        let own = gateway.servers.is_per_session(&server);
        if add(gateway, session, &server, &uri) && !held && !own {
            spawn_tell(gateway, &server, method::RESOURCES_SUBSCRIBE, &subject);
        }
    }
}

/// A new generation of a server knows of no subscription yet. Instances of sessions are told by their worker.
pub(crate) fn renew(gateway: &Gateway, server: &ServerName) {
    if gateway.servers.is_per_session(server) {
        return;
    }
    for subject in gateway.subscribers.subjects(server) {
        spawn_tell(gateway, server, method::RESOURCES_SUBSCRIBE, &subject);
    }
}

/// A resource changed: tells those who subscribed to it, or those of them whose instance said so, under the URI that they
/// know.
pub(crate) fn updated(gateway: &Gateway, server: &ServerName, params: &Bytes, only: Option<SessionKey>) {
    let Ok(text) = std::str::from_utf8(params) else { return };
    let Some(uri) = RawObject::from_text(text).ok().and_then(|object| object.get_string("uri")) else { return };
    let Some(key) = only else {
        let said = Broadcast::Updated { uri: uri.into_owned(), params: params.clone() };
        return broadcast::say(gateway, server, said);
    };
    let subject = Subject::Resource(uri.clone().into_owned());
    for subscriber in gateway.subscribers.of(server, &subject) {
        match subscriber {
            Subscriber::Session(of) if of == key => {
                if let Some(session) = gateway.sessions.by_key(key) {
                    broadcast::updated_for(&session, server, &uri, params);
                }
            }
            Subscriber::Session(_) => {}
            Subscriber::Listener(listener) => {
                if let Some(listener) = listener.upgrade().filter(|listener| listener.key() == key) {
                    listener.updated(server, &uri, &broadcast::short(&uri, params));
                }
            }
        }
    }
}

/// Whether another listener of the same principal listens to this.
fn others_hold(gateway: &Gateway, of: &Listener, server: &ServerName, subject: &Subject) -> bool {
    gateway.subscribers.of(server, subject).into_iter().any(|subscriber| match subscriber {
        Subscriber::Listener(other) => {
            other.upgrade().is_some_and(|other| other.key() == of.key() && !std::ptr::eq(&*other, of))
        }
        Subscriber::Session(_) => false,
    })
}
