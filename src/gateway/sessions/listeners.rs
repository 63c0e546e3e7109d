//! All clients of 2026-07-28 that listen.

use std::{cell::RefCell, rc::Rc};

use super::listener::Listener;

/// All listeners.
#[derive(Default)]
pub(crate) struct Listeners(RefCell<Vec<Rc<Listener>>>);

impl Listeners {
    /// A copy of the list, so that it is not borrowed while messages are sent.
    pub(crate) fn all(&self) -> Vec<Rc<Listener>> {
        self.0.borrow().clone()
    }

    /// Ends all of them in order.
    pub(crate) fn finish(&self) {
        self.all().iter().for_each(|listener| listener.finish());
    }

    /// Adds a listener.
    pub(crate) fn add(&self, listener: Rc<Listener>) {
        self.0.borrow_mut().push(listener);
    }

    /// Removes a listener.
    pub(crate) fn remove(&self, listener: &Rc<Listener>) {
        self.0.borrow_mut().retain(|other| !Rc::ptr_eq(other, listener));
    }
}
