//! Passes servers' log lines on to the sessions that asked for lines of their level.

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{Level, method, one_line, write_notification};

use super::broadcast;
use crate::gateway::{
    base::budget::Purpose,
    sessions::notice::Notice,
    state::{Gateway, broadcasts::Broadcast},
};

/// Passes a server's log line on to every session that asked for lines of its level, but for the one that gets it with its
/// call. Nothing says for sure which call it belongs to, so it goes to the stream that belongs to none.
pub(crate) fn log_message(gateway: &Gateway, server: &ServerName, params: &Bytes, except: Option<SessionKey>) {
    let level = Level::of_message(params);
    if gateway.sessions.hearing(level) > 0 {
        let message = log_notification(params);
        broadcast::say(gateway, server, Broadcast::Log { level, message, except });
    }
}

/// Passes a log line of a session's own instance on to that session.
pub(crate) fn log_to_one(gateway: &Gateway, server: &ServerName, session: SessionKey, params: &Bytes) {
    let Some(session) = gateway.sessions.by_key(session) else { return };
    let level = Level::of_message(params);
    if session.hears(level)
        && let Ok(message) = gateway.budget.guard_large(Purpose::Streams, log_notification(params))
    {
        session.notice(Notice { server: server.clone(), message, topic: None, level });
    }
}

/// A `notifications/message` around a server's params.
pub(crate) fn log_notification(params: &[u8]) -> Bytes {
    let mut out = Vec::new();
    write_notification(&mut out, method::LOG_MESSAGE, &one_line(&String::from_utf8_lossy(params)));
    out.into()
}
