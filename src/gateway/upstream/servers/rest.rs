//! Servers at rest: which ones are, how the gateway leaves their workers, and how it has them started again.

use mcproxy_ipc::{Need, ServerName};

use super::{Destination, Servers, server::Server};
use crate::gateway::base::supervisor::SupervisorHandle;

impl Servers {
    /// Servers whose worker has nothing to do, as we see it, too: no call for it is under way.
    pub(crate) fn resting(&self) -> Vec<ServerName> {
        let idle = |s: &Server| s.serving.as_ref().is_some_and(|serving| serving.connection.load().calls == 0);
        self.names(|s| s.route.need == Need::Resting && idle(s))
    }

    /// Leaves the worker of a server, which ends it if no other process needs it.
    pub(crate) fn leave(&self, server: &ServerName) {
        if let Some(s) = self.servers.borrow_mut().get_mut(server) {
            self.retire(s);
        }
        self.bump();
    }

    /// Whether a server's worker may be left, or was.
    pub(crate) fn rests(&self, server: &ServerName) -> bool {
        self.servers.borrow().get(server).is_some_and(|s| s.route.need == Need::Resting)
    }

    /// Servers at rest whose catalogue is not known.
    pub(crate) fn unknown(&self) -> Vec<ServerName> {
        self.names(Server::is_unknown)
    }

    /// Servers that a call would start.
    pub(crate) fn asleep(&self) -> Vec<ServerName> {
        self.names(|s| matches!(s.destination(), Destination::Asleep))
    }

    /// Lets the supervisor be asked again, which may not have heard.
    pub(crate) fn forget_wake(&self, server: &ServerName) {
        if let Some(s) = self.servers.borrow_mut().get_mut(server) {
            s.woken = false;
        }
    }

    /// Asks the supervisor to start a server that is at rest; once for each rest.
    pub(crate) fn wake(&self, server: &ServerName, supervisor: &SupervisorHandle) {
        if let Some(s) = self.servers.borrow_mut().get_mut(server).filter(|s| !s.woken) {
            s.woken = supervisor.wake(server);
        }
    }
}
