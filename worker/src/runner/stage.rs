//! Where a run stands.

use std::time::Instant;

use mcproxy_ipc::EndReason;

use crate::{install::CacheEntry, stop::Ladder};

/// Where a run stands.
pub(super) enum RunStage {
    Running,
    /// The process is ended, and another one of the server takes over.
    Replacing(Ladder),
    /// Given up; the ladder goes on until the leader has ended.
    Ending(EndReason, Ladder),
    /// The leader has ended, of its own accord or not. What is left in the pipes is read until then.
    Exited {
        reason: EndReason,
        until: Instant,
        unasked: bool,
    },
    /// It ended because it was asked what it speaks: it is started once more.
    RestartAfterProbe,
    /// Its last words call this entry of a package runner's cache broken.
    Broken {
        entry: CacheEntry,
        reason: EndReason,
    },
    Over(EndReason),
}
