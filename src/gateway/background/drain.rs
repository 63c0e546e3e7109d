//! Ends streams and calls in order when the supervisor wants the gateway to go.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use crate::gateway::state::Gateway;

/// How often a drain checks which sessions have all their answers.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// For so long at the beginning of a drain everything goes on, and each answer says that its connection ends with it: a client that
/// is about to ask learns it from an answer, and not from a connection that is closed under its request (docs/decisions/0170).
pub(crate) const FAREWELL: Duration = Duration::from_millis(250);

/// Streams without an end would hold up a graceful stop; clients open them again at the next gateway.
pub(super) async fn follow(gateway: Rc<Gateway>) {
    let mut drain = gateway.supervisor.drain.clone();
    let Ok(grace) = drain.wait_for(Option::is_some).await.map(|grace| grace.unwrap_or_default()) else { return };
    let end = Instant::now() + grace;
    // Who lost their streams now would open them again at once.
    tokio::time::sleep(FAREWELL.min(grace)).await;
    let mut check = tokio::time::interval(CHECK_INTERVAL);
    // Until the process ends.
    loop {
        check.tick().await;
        if Instant::now() >= end {
            gateway.servers.abandon_calls();
            gateway.sessions.all().iter().for_each(|session| session.client_requests.drop_all());
        }
        // A call of a 2024-11-05 client is answered on its session's stream.
        for session in gateway.sessions.all().iter().filter(|session| session.pending_requests.is_empty()) {
            session.close_stream();
        }
        gateway.listeners.finish();
    }
}
