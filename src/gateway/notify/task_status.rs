//! Sends the status of a task to its listeners and to the session that created it.

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::RawObject;
use slog::warn;

use super::broadcast::{self, task};
use crate::gateway::{
    base::web_pages,
    state::{Gateway, broadcasts::Broadcast},
};

/// The status of a task changed: tells its listeners (or only those whose instance reported it) and the session that created it,
/// each under the id that it knows.
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
