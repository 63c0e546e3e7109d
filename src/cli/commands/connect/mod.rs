//! `mcproxy connect`: a stdio MCP server (lines of JSON-RPC) whose other half is a Streamable HTTP endpoint.
//!
//! - [`lines`] reads stdin and [`output`] writes stdout, each on a thread of its own, because both may block;
//! - [`relay`] carries messages over and keeps the session alive when the other side forgets it;
//! - [`handshake`] carries the client's `initialize`, and finds out whether there are sessions at the other end;
//! - [`stream`] listens to what the server says by itself;
//! - [`stateless`] carries requests of 2026-07-28, which have no session;
//! - [`emulation`] stands between a client that begins with `initialize` and a server that speaks 2026-07-28 and nothing
//!   else: it makes such requests of the client's ([`asking`] what the server needs of it) and tells it of changes
//!   ([`changes`]).
//!
//! The client's own requests say which era it speaks: it begins with `initialize`, or claims 2026-07-28 in each of them.
//! Notifications and responses are sent one after the other, so that their order holds; requests run side by side.

mod changes;
mod emulation;
mod failure;
mod handshake;
mod lines;
mod link;
mod open_questions;
mod output;
mod relay;
mod stateless;
mod stream;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, io, rc::Rc, time::Duration};

use mcproxy_mcp::{ErrorCode, Message, RawObject, RequestId, error_object, method, parse, write_error_response};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use self::{
    emulation::Emulation,
    lines::ClientLine,
    output::LineWriter,
    relay::Relay,
    stateless::{Stateless, is_stateless},
};
use crate::cli::{console::Console, endpoint::Endpoint, error::CliError, exit::Exit};

/// Requests at once; a client that has more open gets errors rather than a stuck pipe.
const MAX_IN_FLIGHT: usize = 256;
/// How long requests in flight may still take when stdin has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a notification to be taken in.
const TELL_TIMEOUT: Duration = Duration::from_secs(60);

/// Passes everything on until stdin ends, a signal comes or stdout has no reader any more.
pub(crate) async fn run(endpoint: Endpoint, console: &mut Console) -> Result<Exit, CliError> {
    let input = std::mem::replace(&mut console.input, Box::new(io::empty()));
    let out = std::mem::replace(&mut console.out, Box::new(io::sink()));
    let err = std::mem::replace(&mut console.err, Box::new(io::sink()));
    let mut lines = lines::read(input);
    let (output, writer) = output::write(out);
    let relay = Rc::new(Relay::new(endpoint, output.clone(), err));
    let mut terminated = signal(SignalKind::terminate())?;
    let mut relayed = RelayedRequests {
        relay: relay.clone(),
        stateless: Rc::default(),
        output: output.clone(),
        requests: JoinSet::new(),
        open: HashMap::new(),
        emulation: None,
    };
    let listening = actix_web::rt::spawn(stream::follow(relay.clone()));
    let drain = loop {
        tokio::select! {
            line = lines.recv() => match line {
                // Taking it may wait for the gateway or for the client: neither may keep us from ending.
                Some(line) => tokio::select! {
                    () = relayed.take(line) => {}
                    () = output.closed() => break false,
                    _ = terminated.recv() => break false,
                    _ = tokio::signal::ctrl_c() => break false,
                },
                None => break true,
            },
            Some(done) = relayed.requests.join_next(), if !relayed.requests.is_empty() => relayed.forget(done),
            () = output.closed() => break false,
            _ = terminated.recv() => break false,
            _ = tokio::signal::ctrl_c() => break false,
        }
    };
    if drain {
        relayed.stop_listening();
        let rest = async { while relayed.requests.join_next().await.is_some() {} };
        tokio::select! {
            _ = timeout(DRAIN_TIMEOUT, rest) => {}
            () = output.closed() => {}
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    relayed.requests.shutdown().await;
    listening.abort();
    relay.close().await;
    drop((relayed, relay, output));
    // The stream's task holds the last sender until it has seen that it is over.
    let _ = listening.await;
    writer.finish().await;
    Ok(Exit::Ok)
}

/// Requests of the client that are not answered yet.
struct RelayedRequests {
    relay: Rc<Relay>,
    stateless: Rc<Stateless>,
    output: LineWriter,
    requests: JoinSet<Option<RequestId>>,
    open: HashMap<RequestId, OpenRequest>,
    /// Stands for the session where the other side has none.
    emulation: Option<Emulated>,
}

/// An emulated session, and the task that listens for it.
struct Emulated {
    session: Rc<Emulation>,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Emulated {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// A request that is not answered yet.
struct OpenRequest {
    task: AbortHandle,
    mode: RequestMode,
}

/// How a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestMode {
    /// Within the session.
    Session,
    /// For itself: closing its connection gives it up.
    Alone,
    /// The same, and it is answered only in the end.
    Listens,
    /// Translated: the other side has no session.
    Emulated,
}

impl RelayedRequests {
    async fn take(&mut self, line: ClientLine) {
        let text = match line {
            ClientLine::Text(text) => text,
            ClientLine::TooLong => {
                let error = error_object(ErrorCode::INVALID_REQUEST, "a line is longer than 16 MiB");
                return self.refuse(None, error.get()).await;
            }
        };
        let trimmed = text.trim_ascii();
        if trimmed.is_empty() {
            return;
        }
        if trimmed.starts_with(b"[") {
            let relay = self.relay.clone();
            self.requests.spawn_local(async move {
                relay.batch(text).await;
                None
            });
            return;
        }
        match parse(&text) {
            Ok(Message::Request { id, method, .. }) if method == method::INITIALIZE => {
                let emulation = handshake::initialize(&self.relay, &id, text.clone()).await.map(Rc::new);
                self.emulation = emulation.map(|session| Emulated {
                    listening: actix_web::rt::spawn(changes::follow(self.relay.clone(), session.clone())),
                    session,
                });
            }
            Ok(Message::Request { id, method, params }) => {
                let mode = match is_stateless(&method, params) {
                    true if method == method::LISTEN => RequestMode::Listens,
                    true => RequestMode::Alone,
                    false if self.emulation.is_some() => RequestMode::Emulated,
                    false => RequestMode::Session,
                };
                self.begin(id, mode, text.clone()).await;
            }
            Ok(Message::Notification { method, params }) => {
                let cancelled = (method == method::CANCELLED).then(|| cancelled_id(params?)).flatten();
                let open = cancelled.and_then(|id| self.open.remove(&id));
                // Without a session the server is not told: closing the connection says it.
                if self.emulation.is_none()
                    && open.as_ref().is_none_or(|open| open.mode == RequestMode::Session)
                    && !is_stateless(&method, params)
                {
                    self.tell(text.clone()).await;
                }
                if method == method::INITIALIZED {
                    match &self.emulation {
                        Some(emulated) => emulated.session.client_is_ready(),
                        None => self.relay.client_is_ready(),
                    }
                }
                // The answer is of no use any more, and there need not be one.
                if let Some(open) = open {
                    open.task.abort();
                }
            }
            Ok(Message::Response { id, outcome }) => match &self.emulation {
                Some(emulated) => emulated.session.open_questions.answered(&id, outcome),
                None => self.tell(text.clone()).await,
            },
            Err(e) => self.refuse(e.id(), error_object(e.code(), &e).get()).await,
        }
    }

    async fn begin(&mut self, id: RequestId, mode: RequestMode, text: Vec<u8>) {
        if self.requests.len() >= MAX_IN_FLIGHT {
            let error = error_object(ErrorCode::INTERNAL_ERROR, format!("more than {MAX_IN_FLIGHT} requests at once"));
            return self.refuse(Some(&id), error.get()).await;
        }
        let (relay, stateless) = (self.relay.clone(), self.stateless.clone());
        let emulation = self.emulation.as_ref().map(|emulated| emulated.session.clone());
        let own = id.clone();
        let task = self.requests.spawn_local(async move {
            match (mode, emulation) {
                (RequestMode::Alone | RequestMode::Listens, _) => stateless.request(&relay, &own, &text).await,
                (RequestMode::Emulated, Some(emulation)) => emulation.request(&relay, &own, &text).await,
                (RequestMode::Session | RequestMode::Emulated, _) => relay.request(&own, text).await,
            }
            Some(own)
        });
        self.open.insert(id, OpenRequest { task, mode });
    }

    /// All subscriptions are over.
    fn stop_listening(&mut self) {
        for open in self.open.values().filter(|open| open.mode == RequestMode::Listens) {
            open.task.abort();
        }
        if let Some(emulated) = &self.emulation {
            emulated.listening.abort();
        }
    }

    async fn tell(&self, text: Vec<u8>) {
        if timeout(TELL_TIMEOUT, self.relay.tell(text)).await.is_err() {
            self.relay.remark("a notification was not taken in in time");
        }
    }

    fn forget(&mut self, done: Result<Option<RequestId>, tokio::task::JoinError>) {
        if let Ok(Some(id)) = done {
            self.open.remove(&id);
        }
    }

    async fn refuse(&self, id: Option<&RequestId>, error: &str) {
        let mut message = Vec::new();
        write_error_response(&mut message, id, error);
        self.output.line(&String::from_utf8_lossy(&message)).await;
    }
}

fn cancelled_id(params: &mcproxy_mcp::RawValue) -> Option<RequestId> {
    RequestId::from_raw(RawObject::from_raw(params).ok()?.get("requestId")?).ok()
}
