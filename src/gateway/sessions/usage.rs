//! What a session is used for, as the web page shows it.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
    time::Instant,
};

use crate::gateway::base::client_info::Client;

/// What a session is used for.
#[derive(Debug)]
pub(crate) struct SessionUsage {
    /// When it was opened, or taken over from an earlier gateway.
    pub(crate) since: Instant,
    calls: Cell<u64>,
    label: OnceCell<Rc<str>>,
}

impl SessionUsage {
    /// Of a session that is opened now.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, calls: Cell::new(0), label: OnceCell::new() }
    }

    /// How many calls it made.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// One more call, by this client; its name and version, if it stated them.
    pub(crate) fn called_by(&self, client: &Client) -> Option<Rc<str>> {
        self.calls.set(self.calls.get() + 1);
        self.label_of(client)
    }

    /// The name and version of its client, if it stated them.
    pub(crate) fn label_of(&self, client: &Client) -> Option<Rc<str>> {
        (!client.name.is_empty()).then(|| self.label.get_or_init(|| client.label()).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_and_carry_the_name_of_their_client() {
        let usage = SessionUsage::new(Instant::now());
        assert_eq!(usage.called_by(&Client::default()), None);
        let client = Client { name: "x".into(), version: "1".into(), ..Client::default() };
        assert_eq!(usage.called_by(&client).as_deref(), Some("x/1"));
        assert_eq!(usage.calls(), 2);
    }
}
