//! Ends sessions that were idle for too long, here or since an earlier gateway.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use slog::{debug, warn};

use crate::gateway::{base::scope::Scope, dialect::session::lifetime, sessions::session::short, state::Gateway};

/// Longest and shortest interval between two searches for expired sessions.
const SWEEP: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(1));
/// How long the stream of an answered call is kept for a client that lost its connection.
const REPLAY_TIME: Duration = Duration::from_secs(300);

/// Ends sessions, streams and parked calls that have expired.
pub(super) async fn sweep(gateway: Rc<Gateway>) {
    loop {
        tokio::time::sleep((gateway.settings().session_idle / 4).clamp(SWEEP.1, SWEEP.0)).await;
        let (max_idle, now) = (gateway.settings().session_idle, Instant::now());
        for session in gateway.sessions.sweep(max_idle, now) {
            debug!(gateway.log, "session expired"; "session" => short(session.id()));
            lifetime::release(&gateway, &session);
        }
        if let Some(moment) = now.checked_sub(REPLAY_TIME) {
            gateway.sessions.all().iter().for_each(|session| session.tidy_streams(moment));
        }
        gateway.replay_budget.tidy();
        gateway.request_states.tidy(now);
        gateway.held_calls.tidy(now);
        gateway.kept_results.tidy(now);
        let lost = gateway.sessions.restorable.expire(max_idle, now);
        if !lost.is_empty() {
            debug!(gateway.log, "restorable sessions expired"; "count" => lost.len());
            lifetime::forget(&gateway, &lost);
            lifetime::release_instances(&gateway, &Scope::all(), &lost);
        }
    }
}

/// Loads the keys of restorable sessions in the background. A session that returns earlier is looked up at the supervisor; keys
/// that never return are released after `limits.sessionIdle`.
pub(super) async fn learn_restorable(gateway: Rc<Gateway>) {
    let mut after = None;
    loop {
        let Some((keys, more)) = gateway.supervisor.restorable(after).await else {
            return warn!(gateway.log, "cannot load the keys of restorable sessions: the supervisor does not answer");
        };
        gateway.sessions.restorable.await_these(&keys);
        after = keys.last().copied().or(after);
        if !more {
            return gateway.sessions.restorable.are_all_known();
        }
    }
}
