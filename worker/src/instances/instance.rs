//! One instance, as the pool sees it.

use std::time::{Duration, Instant};

use mcproxy_ipc::SessionKey;

use super::client_profile::ClientProfile;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstancePhase {
    Starting,
    Ready,
    Ending,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) phase: InstancePhase,
    pub(super) client_profile: ClientProfile,
    /// Sessions that it was no use for, because they want another face.
    pub(super) missed: u32,
    pub(super) owner: Option<SessionKey>,
    /// It was started because this session wanted to know what it offers.
    pub(super) shown_to: Option<SessionKey>,
    /// Calls in flight.
    pub(super) calls: usize,
    pub(super) last_used: Instant,
}

impl Instance {
    pub(super) fn new(client_profile: ClientProfile, now: Instant) -> Self {
        Self {
            phase: InstancePhase::Starting,
            client_profile,
            missed: 0,
            owner: None,
            shown_to: None,
            calls: 0,
            last_used: now,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.phase != InstancePhase::Ending
    }

    /// Whether it waits for a session.
    pub(super) fn is_spare(&self) -> bool {
        self.is_live() && self.owner.is_none()
    }

    /// When it ends because its session has not used it.
    pub(super) fn idle_at(&self, idle: Option<Duration>) -> Option<Instant> {
        let is_somebodys = self.owner.is_some() || self.shown_to.is_some();
        let unused = self.phase == InstancePhase::Ready && is_somebodys && self.calls == 0;
        idle.filter(|_| unused).map(|idle| self.last_used + idle)
    }
}
