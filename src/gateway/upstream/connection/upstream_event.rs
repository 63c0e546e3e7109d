//! Messages of a worker that belong to no single call.

use bytes::Bytes;
use mcproxy_ipc::SessionKey;
use mcproxy_mcp::ListKind;

/// A message of the worker that belongs to no single call.
#[derive(Debug)]
pub(crate) enum UpstreamEvent {
    /// The offer changed.
    Catalogue(Bytes),
    /// The server announced that a list has changed; for one session only when the server has an instance for each.
    ListChanged(ListKind, Option<SessionKey>),
    /// A notification that no specification names, with its params; the same.
    Notification(String, Bytes, Option<SessionKey>),
    /// The catalogue of the instance of one session; empty when it is the shared one.
    OwnCatalogue(Bytes, SessionKey),
    /// A log line that belongs to no call; for one session only when the server has an instance for each.
    Log(Bytes, Option<SessionKey>),
    /// A log line of a server that does not say which call it belongs to, while there was only one, of this session: that call hears
    /// it apart.
    LikelyLog(Bytes, Option<SessionKey>),
    /// A subscribed resource changed; the same.
    Updated(Bytes, Option<SessionKey>),
    /// The status of a task changed; the same.
    TaskChanged(Bytes, Option<SessionKey>),
    /// A page that a user was asked to visit has served its purpose; the same.
    PageDone(Bytes, Option<SessionKey>),
}
