//! Whether what is said in calls is being captured.

use std::time::Instant;

use serde::Serialize;

use crate::gateway::base::calls::CallLog;

/// Until when what is said is captured, and who wanted that.
#[derive(Debug, Serialize)]
pub(super) struct CaptureState {
    until: Option<u64>,
    by: Option<String>,
}

impl CaptureState {
    /// At this moment.
    pub(super) fn of(log: &CallLog, now: Instant) -> Self {
        let window = log.capture();
        let state = window.state(now);
        Self { until: state.map(|(until, _)| log.wall_clock(until)), by: state.map(|(_, by)| by.to_owned()) }
    }
}
