//! Messages for a client that belong to no request of it.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{Level, write_notification};

use crate::gateway::builtin;

/// A message for a client that belongs to no request and may be dropped where it is too much, because one server says it, or is the
/// occasion of it.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// The server that sent it.
    pub(crate) server: ServerName,
    /// The whole message; the same bytes for all who hear it.
    pub(crate) message: Bytes,
    /// Its topic, where once is as good as twice: one that waits to be read makes another with the same topic superfluous.
    pub(crate) topic: Option<u64>,
    /// How severe its loss would be.
    pub(crate) level: Level,
}

impl Notice {
    /// One of ours without params: that a list has changed.
    pub(crate) fn of_ourselves(method: &'static str) -> Self {
        let mut message = Vec::new();
        write_notification(&mut message, method, "");
        Self { server: builtin::name(), message: message.into(), topic: Some(topic(method)), level: Level::Warning }
    }
}

/// The topic of a message, for [`Notice::topic`].
pub(crate) fn topic(of: impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    of.hash(&mut hash);
    hash.finish()
}
