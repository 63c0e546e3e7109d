//! The index of subscriptions by server and subject (resource or task), so that a notification costs its subscribers only.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
};

use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::Subject;

use super::listener::Listener;

/// A subscriber to a subject.
#[derive(Clone)]
pub(crate) enum Subscriber {
    /// A session, to a resource.
    Session(SessionKey),
    /// A listener of 2026-07-28.
    Listener(Weak<Listener>),
}

impl Subscriber {
    /// A listener.
    pub(crate) fn listener(listener: &Rc<Listener>) -> Self {
        Self::Listener(Rc::downgrade(listener))
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(one), Self::Session(other)) => one == other,
            (Self::Listener(one), Self::Listener(other)) => one.ptr_eq(other),
            _ => false,
        }
    }
}

type Subjects = HashMap<Subject, Vec<Subscriber>>;

/// All subscribers, by server and subject.
#[derive(Default)]
pub(crate) struct Subscribers(RefCell<HashMap<ServerName, Subjects>>);

impl Subscribers {
    /// Adds a subscriber.
    pub(crate) fn add(&self, server: &ServerName, subject: &Subject, subscriber: Subscriber) {
        let mut all = self.0.borrow_mut();
        let subjects = all.entry(server.clone()).or_default();
        let subscribers = subjects.entry(subject.clone()).or_default();
        if !subscribers.iter().any(|other| other.is(&subscriber)) {
            subscribers.push(subscriber);
        }
    }

    /// Removes a subscriber.
    pub(crate) fn remove(&self, server: &ServerName, subject: &Subject, subscriber: &Subscriber) {
        let mut all = self.0.borrow_mut();
        let Some(subjects) = all.get_mut(server) else { return };
        if let Some(subscribers) = subjects.get_mut(subject) {
            subscribers.retain(|other| !other.is(subscriber));
            if subscribers.is_empty() {
                subjects.remove(subject);
            }
        }
        if subjects.is_empty() {
            all.remove(server);
        }
    }

    /// The subscribers of this subject.
    pub(crate) fn of(&self, server: &ServerName, subject: &Subject) -> Vec<Subscriber> {
        let all = self.0.borrow();
        all.get(server).and_then(|subjects| subjects.get(subject)).cloned().unwrap_or_default()
    }

    /// The number of subscribers of a resource.
    pub(crate) fn count(&self, server: &ServerName, uri: &str) -> usize {
        let all = self.0.borrow();
        let Some(subjects) = all.get(server) else { return 0 };
        subjects.get(&Subject::Resource(uri.to_owned())).map_or(0, Vec::len)
    }

    /// Whether this subject has a subscriber.
    pub(crate) fn are_there(&self, server: &ServerName, subject: &Subject) -> bool {
        self.0.borrow().get(server).is_some_and(|subjects| subjects.contains_key(subject))
    }

    /// Whether any subject of this server has a subscriber.
    pub(crate) fn has_any(&self, server: &ServerName) -> bool {
        self.0.borrow().contains_key(server)
    }

    /// The subjects of a server that have subscribers.
    pub(crate) fn subjects(&self, server: &ServerName) -> Vec<Subject> {
        let all = self.0.borrow();
        all.get(server).map(|subjects| subjects.keys().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_found_until_it_stops_and_nothing_is_kept_after_that() {
        let (subscribers, server) = (Subscribers::default(), ServerName::try_from("a").expect("a name"));
        let subject = |uri: &str| Subject::Resource(uri.to_owned());
        let session = |n: u8| Subscriber::Session(SessionKey([n; 16]));
        for n in [1, 2, 2] {
            subscribers.add(&server, &subject("x"), session(n));
        }
        subscribers.add(&server, &subject("y"), session(1));
        assert_eq!((subscribers.count(&server, "x"), subscribers.count(&server, "z")), (2, 0));
        assert_eq!((subscribers.of(&server, &subject("y")).len(), subscribers.subjects(&server).len()), (1, 2));
        subscribers.remove(&server, &subject("x"), &session(1));
        assert!(subscribers.are_there(&server, &subject("x")) && subscribers.has_any(&server));
        subscribers.remove(&server, &subject("x"), &session(2));
        subscribers.remove(&server, &subject("y"), &session(1));
        assert!(!subscribers.has_any(&server) && subscribers.0.borrow().is_empty());
    }
}
