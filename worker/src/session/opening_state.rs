//! What is known of a server before it is ready.

use std::time::{Duration, Instant};

use mcproxy_ipc::{EraRule, ServerDescription};

use super::{probe::Probe, question::ProbeStep};

/// The opening of the conversation.
pub(super) struct Opening {
    pub(super) probe: Probe,
    /// What the server said to the probe, until that counts.
    pub(super) discovery: Option<Box<str>>,
    /// What the server said of itself, until it is ready.
    pub(super) description: Option<ServerDescription>,
    start_timeout: Duration,
}

impl Opening {
    /// Begins, and says what is to be done first.
    pub(super) fn begin(rule: EraRule, start_timeout: Duration, now: Instant) -> (Self, ProbeStep) {
        let (probe, first) = Probe::begin(rule, now);
        (Self { probe, discovery: None, description: None, start_timeout }, first)
    }

    /// When a start that begins now has failed.
    pub(super) fn until(&self, now: Instant) -> Instant {
        now + self.start_timeout
    }

    /// Nothing counts that the last process of the server said.
    pub(super) fn forget(&mut self) {
        (self.discovery, self.description) = (None, None);
    }
}
