//! Servers that are not there yet, or take no more calls at this moment.

use std::{cell::Cell, future::pending, rc::Rc, time::Duration};

use mcproxy_ipc::{ServerName, ServerState};
use mcproxy_mcp::{ErrorCode, ErrorObject, RawValue, json_string};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout_at};

use super::Forward;
use crate::gateway::{
    base::calls::CallWaits,
    call::request_context::RequestContext,
    upstream::{
        connection::{NoSlot, SlotReservation, WorkerConnection},
        servers::Destination,
    },
};

/// How often a client that asked for progress hears that we are alive.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The connection to a server; waits for one that is starting, for as long as a call may take without a sign of life.
pub(crate) async fn wait_for(
    context: &RequestContext,
    server: &ServerName,
    token: Option<&RawValue>,
) -> Result<Rc<WorkerConnection>, ErrorObject> {
    let servers = &context.gateway.servers;
    if let Destination::Connected(connection) = servers.destination(server.as_str()) {
        return Ok(connection);
    }
    let _waiting = context.gateway.metrics.waiting(server.as_str());
    let begun = tokio::time::Instant::now();
    let _timed = TimedWait { part: &context.waits.start, begun };
    let wait = servers.timeouts(server.as_str()).map_or(Duration::ZERO, |timeouts| timeouts.idle);
    let mut changes = servers.watch();
    let mut tick = keep_alive().await;
    loop {
        match servers.destination(server.as_str()) {
            Destination::Connected(connection) => return Ok(connection),
            Destination::Starting => {}
            Destination::Asleep => servers.wake(server, &context.gateway.supervisor),
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
                servers.forget_wake(server);
                if let Some(token) = token {
                    let message = json_string(&format!("server `{server}` is starting"));
                    context.sign_of_life(token, message.get());
                }
            },
        }
    }
}

/// Adds a wait to those of its request when it is over.
struct TimedWait<'c> {
    part: &'c Cell<Duration>,
    begun: tokio::time::Instant,
}

impl Drop for TimedWait<'_> {
    fn drop(&mut self) {
        CallWaits::add(self.part, self.begun.elapsed());
    }
}

/// Ticks whenever a client is to hear that we are alive; for the first time after one such time.
async fn keep_alive() -> Interval {
    let mut tick = interval(KEEP_ALIVE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    tick
}

/// Why a call is not handed over after it waited for a place.
pub(super) enum NotPlaced {
    /// Calls go elsewhere now.
    Moved,
    /// The client gave it up.
    Cancelled,
    /// 31002, and which limit it was.
    Refused(ErrorObject),
}

impl Forward<'_> {
    /// The call waits until its server takes one more, for as long as a call may take without a sign of life. Callers take
    /// turns, so that one with many calls delays the others by no more than one of them.
    pub(super) async fn wait_for_place(
        &self,
        connection: &Rc<WorkerConnection>,
    ) -> Result<SlotReservation<WorkerConnection>, NotPlaced> {
        let Self { context, server, .. } = self;
        let downstream = &context.downstream;
        let refused = |why: NoSlot| match why {
            NoSlot::Moved => NotPlaced::Moved,
            why => {
                NotPlaced::Refused(self.crowded(connection, &format!("in flight (limits.maxConcurrent), and {why}")))
            }
        };
        let mut line = connection.line_up(downstream.party(), downstream.asked_session()).map_err(refused)?;
        let _waiting = context.gateway.metrics.waiting(server.as_str());
        let _timed = TimedWait { part: &context.waits.queue, begun: tokio::time::Instant::now() };
        let cancelled = context.may_be_cancelled();
        let given_up = async {
            match &cancelled {
                Some(cancelled) => cancelled.notified().await,
                None => pending().await,
            }
        };
        let signs = async {
            let mut tick = keep_alive().await;
            loop {
                tick.tick().await;
                if let Some(token) = self.progress_token.as_deref() {
                    let message =
                        json_string(&format!("server `{server}` has as many calls as it takes; this one waits"));
                    context.sign_of_life(token, message.get());
                }
            }
        };
        let wait = context.gateway.servers.timeouts(server.as_str()).map_or(Duration::ZERO, |timeouts| timeouts.idle);
        tokio::select! {
            biased;
            place = line.place() => place.map_err(refused),
            () = given_up => Err(NotPlaced::Cancelled),
            () = sleep(wait) => {
                let what = "in flight (limits.maxConcurrent) for as long as a call may wait (timeout)";
                Err(NotPlaced::Refused(self.crowded(connection, what)))
            }
            () = signs => unreachable!("it has no end"),
        }
    }

    fn crowded(&self, connection: &WorkerConnection, what: &str) -> ErrorObject {
        let (server, places) = (&self.server, connection.places());
        let message = format!("all calls that server `{server}` takes at once ({places}) are {what}");
        ErrorObject::about_server(ErrorCode::SERVER_UNAVAILABLE, message, server.as_str(), "too_many_calls")
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
