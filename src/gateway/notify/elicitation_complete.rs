//! Tells the client whose user was asked to visit a page that the page has served its purpose (2025-11-25, elicitation, completion
//! notifications).

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{Level, RawObject, method, one_line, write_notification};

use crate::gateway::{
    base::web_pages::PAGE_ID,
    sessions::{notice::Notice, session::Session},
    state::Gateway,
};

/// A server says that a page has served its purpose. `only`: the session whose instance said so.
pub(crate) fn done(gateway: &Gateway, server: &ServerName, params: &Bytes, only: Option<SessionKey>) {
    let Ok(text) = std::str::from_utf8(params) else { return };
    let Some(id) = RawObject::from_text(text).ok().and_then(|params| params.get_string(PAGE_ID)) else { return };
    let key = gateway.url_elicitations.take(server, &id).filter(|key| only.is_none_or(|only| only == *key));
    if let Some(session) = key.and_then(|key| gateway.sessions.by_key(key)) {
        tell(&session, server, text);
    }
}

fn tell(session: &Session, server: &ServerName, params: &str) {
    let mut message = Vec::new();
    write_notification(&mut message, method::ELICITATION_COMPLETE, &one_line(params));
    session.notice(Notice { server: server.clone(), message: message.into(), topic: None, level: Level::Warning });
}
