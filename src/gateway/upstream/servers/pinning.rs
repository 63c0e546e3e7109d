//! Pins of all servers: taken in, and how far what they offer differs.

use bytes::Bytes;
use mcproxy_ipc::ServerName;

use super::Servers;
use crate::gateway::catalogue::ToolDifferences;

impl Servers {
    /// Takes in the pins of a server; `None`: there are none.
    pub(crate) fn set_pins(&self, server: &ServerName, payload: Option<Bytes>) {
        if let Some(s) = self.servers.borrow_mut().get_mut(server) {
            let rules = s.route.tools.clone();
            s.pins.set(server, &rules, payload);
            s.compare();
        }
        self.bump();
    }

    /// All servers: each may have pins.
    pub(crate) fn with_pins(&self) -> Vec<ServerName> {
        self.names(|_| true)
    }

    /// Differences that nobody was told of, and whether the tools are held for them.
    pub(crate) fn take_differences(&self) -> Vec<(ServerName, ToolDifferences, bool)> {
        let mut servers = self.servers.borrow_mut();
        let taken = servers.iter_mut().filter_map(|(name, server)| {
            let (differences, held) = server.pins.take_differences()?;
            Some((name.clone(), differences, held))
        });
        taken.collect()
    }

    /// How many tools of each server are not as they were pinned.
    pub(crate) fn unapproved(&self) -> Vec<(ServerName, usize)> {
        self.servers.borrow().iter().map(|(name, server)| (name.clone(), server.pins.unapproved())).collect()
    }
}
