//! The client of a request, as a call sees it, whatever dialect it speaks.

pub(crate) mod header_value;
pub(crate) mod input_required;
pub(crate) mod json_number;
pub(crate) mod missing_capability;
pub(crate) mod param_headers;
pub(crate) mod request_meta;
pub(crate) mod retry;
pub(crate) mod stateless_client;

use std::{rc::Rc, time::Instant};

use mcproxy_ipc::SessionKey;
use mcproxy_mcp::{Level, ProtocolVersion, RequestId};

use self::stateless_client::StatelessClient;
use crate::gateway::{
    base::{principal::key_of, scope::Scope},
    sessions::session::{Session, short},
    upstream::connection::CallHandle,
};

/// Who a request comes from.
pub(crate) enum Downstream {
    /// A client that began with `initialize`.
    Session(Rc<Session>),
    /// A client of 2026-07-28, whose every request stands for itself.
    Stateless(StatelessClient),
}

impl Downstream {
    /// What it sees.
    pub(crate) fn scope(&self) -> &Scope {
        match self {
            Self::Session(session) => session.scope(),
            Self::Stateless(client) => client.scope(),
        }
    }

    /// Who it is, when there is authentication.
    pub(crate) fn principal(&self) -> Option<&str> {
        match self {
            Self::Session(session) => session.principal(),
            Self::Stateless(client) => client.principal(),
        }
    }

    /// What it is spoken to in.
    pub(crate) fn version(&self) -> ProtocolVersion {
        match self {
            Self::Session(session) => session.version(),
            Self::Stateless(_) => ProtocolVersion::V2026_07_28,
        }
    }

    /// Whose instance it calls, of a server that has one for each session.
    pub(crate) fn key(&self) -> SessionKey {
        match self {
            Self::Session(session) => session.key(),
            Self::Stateless(client) => client.key(),
        }
    }

    /// As whom it waits where callers take turns: its token, where there are tokens, else its session. Requests with neither
    /// wait as one: that they come from one address, or from several, says nothing behind a proxy and on one machine.
    pub(crate) fn party(&self) -> SessionKey {
        match self.principal() {
            Some(principal) => key_of(Some(principal)),
            None => self.key(),
        }
    }

    /// How much it wants to hear, once it said so.
    pub(crate) fn level(&self) -> Option<Level> {
        match self {
            Self::Session(session) => session.level(),
            Self::Stateless(client) => client.level(),
        }
    }

    /// Whether it is to be told a log line of this level that belongs to its call.
    pub(crate) fn hears(&self, level: Level) -> bool {
        match self {
            // With no wish stated, a server's default is what the client gets.
            Self::Session(session) => level >= session.level().unwrap_or(Level::Debug),
            // With no wish stated, nothing (2026-07-28, logging).
            Self::Stateless(client) => client.level().is_some_and(|wanted| level >= wanted),
        }
    }

    /// What it can be asked for, as a JSON object.
    pub(crate) fn capabilities(&self) -> String {
        match self {
            Self::Session(session) => session.declaration().capabilities.to_string(),
            Self::Stateless(client) => client.capabilities().to_owned(),
        }
    }

    /// What it calls itself, as a JSON object, if it said so once for all its requests.
    pub(crate) fn info(&self) -> Option<String> {
        self.session().map(|session| session.declaration().info.to_string())
    }

    /// The session, where there is one.
    pub(crate) fn session(&self) -> Option<&Rc<Session>> {
        match self {
            Self::Session(session) => Some(session),
            Self::Stateless(_) => None,
        }
    }

    /// What the log calls it.
    pub(crate) fn in_log(&self) -> &str {
        match self {
            Self::Session(session) => short(session.id()),
            Self::Stateless(_) => "none",
        }
    }

    /// It is alive.
    pub(crate) fn touch(&self, now: Instant) {
        if let Self::Session(session) = self {
            session.touch(now);
        }
    }

    /// Whether it gave this request up before that reached a server.
    pub(crate) fn is_cancelled(&self, id: &RequestId) -> bool {
        match self {
            Self::Session(session) => session.pending_requests.is_cancelled(id),
            // A client gives up by leaving, and then nobody is there to ask.
            Self::Stateless(_) => false,
        }
    }

    /// From now on a cancellation of the request reaches the server.
    pub(crate) fn attach_call(&self, id: &RequestId, handle: CallHandle) {
        match self {
            Self::Session(session) => session.pending_requests.attach(id, handle),
            Self::Stateless(client) => client.attach_call(handle),
        }
    }

    /// The request is answered, or nobody waits for it any more.
    pub(crate) fn end_call(&self, id: &RequestId) {
        match self {
            Self::Session(session) => session.pending_requests.end(id),
            Self::Stateless(client) => client.end_call(),
        }
    }
}
