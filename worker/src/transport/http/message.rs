//! One message of the session on its way to the server: what the transport has to know of it.

use bytes::Bytes;
use mcproxy_mcp::{Message, RawObject, RequestId, method, parse};

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct OutgoingMessage {
    /// The message, without its line break.
    pub(super) line: Bytes,
    pub(super) kind: OutgoingKind,
}

/// What kind of message it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OutgoingKind {
    /// It is answered.
    Request { id: RequestId, method: String },
    /// It is not.
    Notification { method: String },
    /// Gives a request up.
    Cancel { request: RequestId },
    /// It answers a request of the server.
    Response,
}

impl OutgoingMessage {
    /// What the session wrote is a message.
    pub(super) fn read(line: Bytes) -> Self {
        let kind = match parse(&line) {
            Ok(Message::Request { id, method, .. }) => OutgoingKind::Request { id, method: method.into_owned() },
            Ok(Message::Notification { method, params }) => {
                let params = params.and_then(|params| RawObject::from_raw(params).ok());
                let cancelled = params.filter(|_| method == method::CANCELLED);
                match cancelled.and_then(|params| RequestId::from_raw(params.get("requestId")?).ok()) {
                    Some(request) => OutgoingKind::Cancel { request },
                    None => OutgoingKind::Notification { method: method.into_owned() },
                }
            }
            Ok(Message::Response { .. }) | Err(_) => OutgoingKind::Response,
        };
        Self { line, kind }
    }

    /// The id, if it is a request.
    pub(super) fn id(&self) -> Option<&RequestId> {
        match &self.kind {
            OutgoingKind::Request { id, .. } => Some(id),
            OutgoingKind::Notification { .. } | OutgoingKind::Cancel { .. } | OutgoingKind::Response => None,
        }
    }

    /// The request that it is, or that it gives up.
    pub(super) fn subject(&self) -> Option<&RequestId> {
        match &self.kind {
            OutgoingKind::Request { id, .. } => Some(id),
            OutgoingKind::Cancel { request } => Some(request),
            OutgoingKind::Notification { .. } | OutgoingKind::Response => None,
        }
    }
}

impl OutgoingKind {
    /// Whether it asks what the server speaks: nothing but that was sent yet. (The id of the other question is a text, and that of
    /// a ping of the same method a number.)
    pub(super) fn is_opening(&self) -> bool {
        self.is_initialize() || self.is_probe()
    }

    /// Whether it is the question of the era of 2026-07-28.
    pub(super) fn is_probe(&self) -> bool {
        matches!(self, Self::Request { id, method } if method == method::DISCOVER && id.as_u64().is_none())
    }

    /// Whether it opens a session.
    pub(super) fn is_initialize(&self) -> bool {
        matches!(self, Self::Request { method, .. } if method == method::INITIALIZE)
    }

    /// Whether it asks if the server lives: an error of something on the way is no answer to that.
    pub(super) fn is_ping(&self) -> bool {
        matches!(self, Self::Request { id, method }
            if method == method::PING || (method == method::DISCOVER && id.as_u64().is_some()))
    }

    /// Whether its answer lists tools.
    pub(super) fn lists_tools(&self) -> bool {
        matches!(self, Self::Request { method, .. } if method == method::TOOLS_LIST)
    }

    /// Whether what follows must not overtake it.
    pub(super) fn goes_first(&self) -> bool {
        matches!(self, Self::Notification { method } if method == method::INITIALIZED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(line: &str) -> OutgoingKind {
        OutgoingMessage::read(line.to_owned().into()).kind
    }

    #[test]
    fn messages_are_told_apart() {
        let initialize = kind(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#);
        assert!(initialize.is_opening() && initialize.is_initialize() && !initialize.is_ping());
        let probe = kind(r#"{"jsonrpc":"2.0","id":"mcproxy-probe-1","method":"server/discover"}"#);
        assert!(probe.is_opening() && probe.is_probe() && !probe.is_ping());
        let ping = kind(r#"{"jsonrpc":"2.0","id":7,"method":"server/discover"}"#);
        assert!(!ping.is_opening() && ping.is_ping());
        assert!(kind(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).goes_first());
        let cancel = kind(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#);
        assert_eq!(cancel, OutgoingKind::Cancel { request: 7.into() });
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":"x","result":{}}"#), OutgoingKind::Response);
    }
}
