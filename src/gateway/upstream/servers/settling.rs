//! Waiting until it is known what servers offer.

use std::time::Duration;

use tokio::time::Instant;

use super::Servers;
use crate::gateway::base::scope::Scope;

/// Longest that a client waits for what servers offered last to be looked up; a disk that is slower has to be waited for by
/// lists only.
const LOOK_UP: Duration = Duration::from_millis(500);

impl Servers {
    /// Waits until it is known of every server that the endpoint shows what it offers, or that it cannot be known: for a
    /// server that never ran, until its first start has succeeded or failed.
    pub(crate) async fn settled(&self, scope: &Scope, wait: Duration) {
        let deadline = Instant::now() + wait;
        let mut changes = self.watch();
        while self.is_settling(scope) {
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Waits until what the servers of an endpoint offered last has been looked up, which takes no longer than a disk does.
    /// A client that begins in that moment would be told at once that all its lists have changed.
    pub(crate) async fn looked_up(&self, scope: &Scope) {
        let deadline = Instant::now() + LOOK_UP;
        let mut changes = self.watch();
        while self.servers.borrow().iter().any(|(name, s)| s.reading.is_some() && self.shows(scope, name)) {
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return;
            }
        }
    }

    fn is_settling(&self, scope: &Scope) -> bool {
        self.servers.borrow().iter().filter(|(name, _)| self.shows(scope, name)).any(|(_, s)| s.is_settling())
    }
}
