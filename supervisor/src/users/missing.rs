//! Why nobody has a user of its own, in words.

use mcproxy_confine::{Degradation, Protection};

/// Why nobody has a user of its own.
pub(super) struct Missing {
    reason: String,
    pub(super) help: String,
}

impl Missing {
    /// Of a reason and what helps.
    pub(super) fn new(reason: String, help: &str) -> Self {
        Self { reason, help: help.to_owned() }
    }

    /// This process may not change users.
    pub(super) fn privileges(us: u32) -> Self {
        let reason = format!("MCProxy runs as user {us} and may not start processes as other users");
        let help = "start MCProxy as root, or with CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL and CAP_CHOWN \
                    (`AmbientCapabilities=` of systemd); or say that it is meant so: `isolation: { \"uids\": \"off\" }`";
        Self::new(reason, help)
    }

    /// As it is reported.
    pub(super) fn into_degradation(self) -> Degradation {
        Degradation { protection: Protection::Users, reason: self.reason, help: self.help }
    }
}
