//! Callers of the web page whom the supervisor was asked about a moment ago: a look at all processes is not made for each request.

use std::{
    cell::RefCell,
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mcproxy_ipc::control::{ActingCaller, Answer, Question};

use super::supervisor::SupervisorHandle;

/// Callers that are remembered; the one that was asked about first is forgotten first.
const MAX_PEERS: usize = 64;
/// For so long. The port of a connection that has ended may be another process's soon.
const REMEMBERED: Duration = Duration::from_secs(5);

/// What the supervisor said of callers.
#[derive(Debug, Default)]
pub(crate) struct VerifiedPeers(RefCell<VecDeque<VerifiedPeer>>);

#[derive(Debug, Clone, Copy)]
struct VerifiedPeer {
    peer: SocketAddr,
    at: Instant,
    may: bool,
}

impl VerifiedPeers {
    /// Whether the supervisor lets this caller see what operators see.
    pub(crate) async fn may_administer(&self, by: ActingCaller, supervisor: &SupervisorHandle) -> bool {
        let Some(peer) = by.peer else { return false };
        if let Some(known) = self.known(peer, Instant::now()) {
            return known;
        }
        match supervisor.ask(Question::MayAdminister(by)).await {
            Some(Answer::MayAdminister(why_not)) => {
                self.remember(peer, why_not.is_none(), Instant::now());
                why_not.is_none()
            }
            _ => false,
        }
    }

    fn known(&self, peer: SocketAddr, now: Instant) -> Option<bool> {
        let known = self.0.borrow();
        let fresh = known.iter().rev().find(|known| known.peer == peer)?;
        (now.saturating_duration_since(fresh.at) < REMEMBERED).then_some(fresh.may)
    }

    fn remember(&self, peer: SocketAddr, may: bool, at: Instant) {
        let mut known = self.0.borrow_mut();
        known.retain(|known| known.peer != peer);
        if known.len() >= MAX_PEERS {
            known.pop_front();
        }
        known.push_back(VerifiedPeer { peer, at, may });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_of_a_caller_counts_for_a_moment_and_of_a_bounded_number() {
        let (peers, now) = (VerifiedPeers::default(), Instant::now());
        let peer = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        peers.remember(peer(1), true, now);
        assert_eq!((peers.known(peer(1), now), peers.known(peer(2), now)), (Some(true), None));
        peers.remember(peer(1), false, now);
        assert_eq!(peers.known(peer(1), now), Some(false));
        assert_eq!(peers.known(peer(1), now + REMEMBERED), None);
        (0..1000).for_each(|port| peers.remember(peer(port), true, now));
        assert_eq!(peers.0.borrow().len(), MAX_PEERS);
    }
}
