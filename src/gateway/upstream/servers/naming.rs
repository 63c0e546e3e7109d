//! Servers whose tools speak of tools of other servers.

use mcproxy_ipc::{ServerName, SuspicionRule};

use super::Servers;

impl Servers {
    /// The tools of a server whose texts name tools of other servers, each with that name; none where that is not looked for.
    pub(crate) fn naming_others(&self, server: &ServerName) -> Vec<(Box<str>, String)> {
        let servers = self.servers.borrow();
        let is_other = |name: &str| name != server.as_str() && servers.contains_key(name);
        let looked_at = servers.get(server).filter(|of| of.route.tools.suspicious != SuspicionRule::Ignore);
        looked_at.and_then(|of| Some(of.listed()?.naming_others(is_other))).unwrap_or_default()
    }
}
