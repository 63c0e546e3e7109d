//! Transports carry the messages of one server: below the session, which decides, and above the operating system.
//!
//! Messages of JSON-RPC go in both directions, each as one line of text. The session writes them into a buffer, each ended by a line
//! break and without any other; a transport sends them as its own framing wants it. [`Stdio`] writes the buffer as it is. One that
//! sends a message at a time takes it apart at the line breaks.
//!
//! With [`Http`] each message is a request of its own. Behind [`Embeddings`] and [`AuthorityTransport`] there is no server of MCP: they
//! answer the session themselves.
//!
//! To add a transport: implement [`Transport`] in a file of this folder, and start it in `runner::run` for its variant of
//! [`mcproxy_ipc::Reach`].

mod authority;
mod embeddings;
mod http;
mod stdio;
mod trace;

use mcproxy_ipc::{EndReason, Secret, WorkerSpec};

#[cfg(test)]
pub(crate) use self::http::tests::spec as http_spec;
use self::trace::trace_received;
pub(crate) use self::{
    authority::AuthorityTransport,
    embeddings::Embeddings,
    http::Http,
    stdio::Stdio,
    trace::{LineDirection, Trace},
};
use crate::{lines::ServerLine, stop::StopStep};

/// The events that may end a wait for the transport.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interest {
    /// Messages of the server.
    pub(crate) messages: bool,
    /// Room for more messages to the server.
    pub(crate) room: bool,
    /// Diagnostics of the server: its output besides messages.
    pub(crate) diagnostics: bool,
    /// The end of the server.
    pub(crate) end: bool,
}

/// An event of a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportEvent {
    /// Something of a message has arrived; [`Transport::next_message`] may have one.
    Received,
    /// The server will send no more messages.
    ReceiveClosed,
    /// There is room for more messages.
    Writable,
    /// [`Transport::take_diagnostics`] has something, or will never have anything again.
    Diagnostics,
    /// The server has ended; [`Transport::end`] says how.
    Ended,
}

/// The outcome of sending messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The server took some of them.
    pub(crate) moved: bool,
    /// The rest that was not sent.
    pub(crate) rest: SentRest,
}

/// The rest of messages that were to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SentRest {
    /// Nothing.
    None,
    /// Some, because the server takes no more at present.
    Blocked,
    /// Nothing, because the server will never take anything again.
    Closed,
}

/// The way to one server and back. A transport decides nothing: the runner asks it, and waits for it.
pub(crate) trait Transport {
    /// Reaches the server anew, after its end: with another process, or another connection.
    ///
    /// # Errors
    /// It cannot be started.
    fn restart(&mut self, spec: &WorkerSpec) -> Result<(), EndReason>;

    /// The server's leading process, where it runs on this machine.
    fn pid(&self) -> Option<u32>;

    /// The next message that has arrived whole.
    fn next_message(&mut self) -> Option<ServerLine>;

    /// The beginning of a message that will not be completed, because the server sends no more.
    fn last_message(&mut self) -> Option<ServerLine>;

    /// These headers of a client go with the request of this number, which is to be sent; of no use where messages have none.
    fn send_along(&mut self, _request: u64, _headers: Vec<(String, Secret)>) {}

    /// Sends what the server takes of these messages now. What is sent leaves the buffer once all of it is; so nothing but this may
    /// take anything out of it.
    fn send(&mut self, messages: &mut Vec<u8>) -> Sent;

    /// How many bytes of these messages the server has not taken yet.
    fn backlog(&self, messages: &[u8]) -> usize;

    /// Whether the server has taken anything that was ever sent. One that ended before that did not end because of what it was asked.
    fn has_taken_any(&self) -> bool;

    /// Whether the server has taken all of these messages, and nothing waits on the way.
    fn has_taken_all(&self, messages: &[u8]) -> bool;

    /// The requests that the server was never sent, by their numbers: to be asked for when it has ended.
    fn take_unsent(&mut self) -> Vec<u64>;

    /// Waits for the next of these events. Cancel safe.
    async fn event(&mut self, interest: Interest) -> TransportEvent;

    /// The diagnostics that have arrived since the last call.
    fn take_diagnostics(&mut self, take: impl FnOnce(&[u8]));

    /// The same, read now and not waited for; `false`: there is nothing.
    fn read_diagnostics(&mut self, take: impl FnOnce(&[u8])) -> bool;

    /// Whether neither messages nor diagnostics can come any more.
    fn is_closed(&self) -> bool;

    /// Does one step of ending the server, as far as this transport has such a step.
    fn stop(&mut self, step: StopStep);

    /// How the server ended, once it has.
    fn end(&mut self) -> EndReason;

    /// Removes what the server leaves behind: to be awaited when the server has ended, also once the transport is gone.
    fn clean_up(&self, spec: &WorkerSpec) -> impl Future<Output = ()> + use<Self>;
}
