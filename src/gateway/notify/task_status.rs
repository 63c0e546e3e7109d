//! Tells those who listen to a task, and the session that made it, how it stands.

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::RawObject;
use slog::warn;

use super::broadcast::{self, task};
use crate::gateway::{
    base::web_pages,
    state::{Gateway, broadcasts::Broadcast},
};

/// A task stands otherwise: tells those who listen to it, or those of them whose instance said so, and the session that made
/// it, under the id that they know.
pub(crate) fn changed(gateway: &Gateway, server: &ServerName, params: &Bytes, only: Option<SessionKey>) {
    let Ok(text) = std::str::from_utf8(params) else { return };
    let Some(id) = RawObject::from_text(text).ok().and_then(|object| object.get_string("taskId")) else { return };
    if let Some(page) = web_pages::of_input_requests(params) {
        return warn!(gateway.log, "what a server says of a task is not passed on"; "server" => %server, "reason" => %page);
    }
    match only {
        Some(_) => task(gateway, server, &id, params, only),
        None => broadcast::say(gateway, server, Broadcast::Task { id: id.into_owned(), params: params.clone() }),
    }
}
