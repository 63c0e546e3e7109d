//! The resources that one session is subscribed to.

use std::{cell::RefCell, collections::HashMap};

use mcproxy_ipc::ServerName;

use crate::gateway::base::budget::{Budget, Held, Purpose};

/// Most resources one session may subscribe to.
pub(crate) const MAX_SUBSCRIPTIONS: usize = 1024;
/// The longest URI of one, in bytes: no listed resource has a longer one.
const MAX_URI: usize = 8 * 1024;
/// The cost of a subscription besides its URI, in bytes.
const SUBSCRIPTION: usize = 128;

/// The subscriptions of one session, with their part of the budget.
#[derive(Default)]
pub(crate) struct ResourceSubscriptions(RefCell<HashMap<(ServerName, String), Held>>);

impl ResourceSubscriptions {
    /// Remembers a subscription; `false` at the limit, or where all of them take too much.
    pub(crate) fn add(&self, budget: &Budget, server: ServerName, uri: String) -> bool {
        let mut subscriptions = self.0.borrow_mut();
        if subscriptions.len() >= MAX_SUBSCRIPTIONS || uri.len() > MAX_URI {
            return false;
        }
        let room = budget.take(Purpose::Subscriptions, SUBSCRIPTION + uri.len());
        room.is_ok_and(|room| {
            subscriptions.insert((server, uri), room);
            true
        })
    }

    /// Forgets a subscription; whether there was one.
    pub(crate) fn remove(&self, server: &ServerName, uri: &str) -> bool {
        self.0.borrow_mut().remove(&(server.clone(), uri.to_owned())).is_some()
    }

    /// Whether the session is subscribed to this resource.
    pub(crate) fn has(&self, server: &ServerName, uri: &str) -> bool {
        self.0.borrow().contains_key(&(server.clone(), uri.to_owned()))
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<(ServerName, String)> {
        self.0.borrow().keys().cloned().collect()
    }
}
