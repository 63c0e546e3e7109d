//! Servers that are not there yet.

use std::{rc::Rc, time::Duration};

use mcproxy_ipc::{ServerName, ServerState};
use mcproxy_mcp::{ErrorCode, ErrorObject, RawValue, json_string};
use tokio::time::{MissedTickBehavior, interval, timeout_at};

use crate::gateway::{exchange::Exchange, fleet::Destination, link::Link};

/// How often a client that asked for progress hears that we are alive.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The link to a server; waits for one that is starting, for as long as a call may take without a sign of life.
pub(crate) async fn wait_for(
    exchange: &Exchange,
    server: &ServerName,
    token: Option<&RawValue>,
) -> Result<Rc<Link>, ErrorObject> {
    let fleet = &exchange.gateway.fleet;
    if let Destination::Link(link) = fleet.destination(server.as_str()) {
        return Ok(link);
    }
    let _waiting = exchange.gateway.metrics.waiting(server.as_str());
    let begun = tokio::time::Instant::now();
    let wait = fleet.timeouts(server.as_str()).map_or(Duration::ZERO, |timeouts| timeouts.idle);
    let mut changes = fleet.watch();
    let mut tick = interval(KEEP_ALIVE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        match fleet.destination(server.as_str()) {
            Destination::Link(link) => return Ok(link),
            Destination::Starting => {}
            Destination::Asleep => exchange.gateway.wake(server),
            Destination::Down { state, why } => return Err(unavailable(server, state.as_str(), Some((state, why)))),
            Destination::Unknown => return Err(unavailable(server, "unknown", None)),
        }
        tokio::select! {
            changed = timeout_at(begun + wait, changes.changed()) => {
                if changed.is_err() {
                    return Err(unavailable(server, "starting", Some((ServerState::Starting, None))));
                }
            }
            _ = tick.tick() => {
                fleet.forget_wake(server);
                if let Some(token) = token {
                    let message = json_string(&format!("server `{server}` is starting"));
                    exchange.sign_of_life(token, message.get());
                }
            },
        }
    }
}

/// 31002: the call was not sent.
pub(super) fn unavailable(
    server: &ServerName,
    reason: &str,
    known: Option<(ServerState, Option<String>)>,
) -> ErrorObject {
    let message = match known {
        Some((ServerState::Starting, _)) => format!("server `{server}` is still starting; try again in a moment"),
        Some((state, Some(why))) => format!("server `{server}` is not available ({state}): {why}"),
        Some((state, None)) => format!("server `{server}` is not available ({state})"),
        None => format!("server `{server}` is not available"),
    };
    ErrorObject::about_server(ErrorCode::SERVER_UNAVAILABLE, message, server.as_str(), reason)
}
