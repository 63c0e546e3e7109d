//! The HTTP transports: Streamable HTTP of every revision, and HTTP+SSE (2024-11-05).
//!
//! Each message of the session is a POST and a task of its own (`exchange`), whose answer comes back as messages over one bounded
//! queue. A run is one session with the server: when that is lost, or nothing can be sent any more, the run ends, and what follows is
//! the supervisor's to decide, as for a process that exited. So a call that was sent is never sent again. (`docs/decisions/0157`)

mod answer;
mod body;
mod exchange;
mod failure;
mod flights;
mod forwarded;
mod headers;
mod interface;
mod message;
mod outbox;
mod retry_after;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use mcproxy_http::{Method, Url, http_client};
use mcproxy_ipc::{EndReason, HttpDialect, HttpProxy, HttpSpec, WorkerSpec};
use slog::Logger;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use self::{
    exchange::Exchange,
    failure::Standing,
    flights::Flights,
    forwarded::{ForwardedHeaders, put_over},
    headers::ExchangeHeaders,
    message::{OutgoingKind, OutgoingMessage},
    outbox::Outbox,
    stream::ServerStream,
    wire::{HttpEvent, Wire, WireEnds},
};
use super::{LineDirection, Trace, trace_received};
use crate::{client_settings::client_settings, lines::ServerLine, login::Credentials};

/// Bytes that a message may be longer than what it carries, as on a pipe.
const ENVELOPE: usize = 4 * 1024;
/// Messages on their way besides calls: notifications, answers, lists, pings.
const BESIDES_CALLS: usize = 64;
/// A server that wants to be left alone for longer is asked again nevertheless; calls wait meanwhile, within their timeouts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long the end of a session may take.
const DELETE_TIMEOUT: Duration = Duration::from_millis(1500);

/// Where messages go.
#[derive(Debug)]
enum PostTarget {
    /// To the URL, each as a request of its own.
    Url,
    /// HTTP+SSE: to the endpoint that the server names on its stream.
    Endpoint(Option<Url>),
}

/// A server that is reached over HTTP.
pub(crate) struct Http {
    dialect: HttpDialect,
    wire: Wire,
    back: WireEnds,
    target: PostTarget,
    headers: ExchangeHeaders,
    forwarded: ForwardedHeaders,
    outbox: Outbox,
    flights: Flights,
    most: usize,
    /// How much of the messages that are being sent is in the outbox.
    taken: usize,
    has_sent: bool,
    /// Messages that have arrived.
    arrived: VecDeque<ServerLine>,
    /// Requests that were not sent when the run ended.
    unsent: Vec<u64>,
    paused_until: Option<Instant>,
    /// `initialize` was answered, and the stream for what the server says unasked is not open yet.
    wants_stream: bool,
    stopping: bool,
    end: Option<EndReason>,
    trace: Option<Trace>,
    /// Keeps the token fresh that requests show.
    keeper: JoinSet<()>,
}

impl Http {
    /// Makes the client; nothing is sent before the session has a message.
    ///
    /// # Errors
    /// The settings of the entry cannot be used.
    pub(crate) fn start(
        spec: &WorkerSpec,
        http: &HttpSpec,
        trace: Option<Trace>,
        log: Logger,
    ) -> Result<Self, EndReason> {
        let url = Url::parse(http.url.expose())
            .map_err(|error| EndReason::Unreachable(format!("the address in `url` cannot be used: {error}")))?;
        let client = http_client(&client_settings(http, url.clone())).map_err(|error| {
            let mut text = error.to_string();
            if let Some(source) = std::error::Error::source(&error) {
                text = format!("{text}: {source}");
            }
            EndReason::Unreachable(text)
        })?;
        let line_bytes = spec.limits.line_bytes + ENVELOPE;
        let credentials = Credentials::of(http, &url, &spec.server, &log);
        let (wire, back) =
            Wire::new((client, url, credentials, proxy(http)), spec.server.clone(), line_bytes, trace.is_some(), log);
        let mut transport = Self {
            dialect: http.dialect,
            wire,
            back,
            target: PostTarget::Url,
            headers: ExchangeHeaders::new(http),
            forwarded: ForwardedHeaders::new(&http.forward_headers),
            outbox: Outbox::default(),
            flights: Flights::default(),
            most: spec.limits.concurrent_calls.saturating_add(BESIDES_CALLS),
            taken: 0,
            has_sent: false,
            arrived: VecDeque::new(),
            unsent: Vec::new(),
            paused_until: None,
            wants_stream: false,
            stopping: false,
            end: None,
            trace,
            keeper: JoinSet::new(),
        };
        transport.begin();
        Ok(transport)
    }

    fn begin(&mut self) {
        self.keep_login_fresh();
        if self.dialect == HttpDialect::Sse {
            self.open_old_stream(None);
        }
    }

    /// A login that cannot be renewed any more ends the run: no request would be answered.
    fn keep_login_fresh(&mut self) {
        self.keeper.abort_all();
        if let Some(credentials) = &self.wire.credentials {
            let (credentials, wire) = (credentials.clone(), self.wire.clone());
            self.keeper.spawn(async move { wire.end(failure::of_login(credentials.keep_fresh().await)) });
        }
    }

    /// HTTP+SSE: answers come on a stream, which says where messages go.
    fn open_old_stream(&mut self, why: Option<String>) {
        self.target = PostTarget::Endpoint(None);
        let stream = self.stream();
        self.flights.other(false, stream.serve(why));
    }

    fn stream(&self) -> ServerStream {
        let standing = self.wire.standing(self.headers.has_credentials(), self.headers.has_session(), false);
        ServerStream { wire: self.wire.clone(), headers: self.headers.headers(), standing }
    }

    /// A message of the session.
    fn take(&mut self, line: &[u8]) {
        let message = OutgoingMessage::read(Bytes::copy_from_slice(line));
        if let OutgoingKind::Cancel { request } = &message.kind {
            // In 2026-07-28 a closed connection says it, and one that was not sent needs no word.
            let is_said = self.outbox.remove(request);
            if is_said || !self.is_legacy() {
                self.forwarded.forget(request);
                return self.flights.abort(request);
            }
        }
        self.outbox.push(message);
    }

    fn is_legacy(&self) -> bool {
        self.headers.is_legacy() || matches!(self.target, PostTarget::Endpoint(_))
    }

    /// Sends what may be sent now.
    fn dispatch(&mut self) {
        while !self.is_held() {
            let Some(message) = self.outbox.pop() else { return };
            self.has_sent = true;
            let exchange = self.exchange(message);
            let goes_first = exchange.message.kind.goes_first();
            match exchange.message.kind.clone() {
                OutgoingKind::Request { id, .. } => self.flights.request(id, exchange.run()),
                OutgoingKind::Cancel { request } => self.flights.cancel(request, exchange.run()),
                OutgoingKind::Notification { .. } | OutgoingKind::Response => {
                    self.flights.other(goes_first, exchange.run());
                }
            }
        }
    }

    /// Whether nothing may be sent at present.
    fn is_held(&self) -> bool {
        self.stopping
            || self.end.is_some()
            || self.flights.is_held()
            || self.flights.len() >= self.most
            || self.paused_until.is_some()
            || matches!(self.target, PostTarget::Endpoint(None))
    }

    fn exchange(&self, message: OutgoingMessage) -> Exchange {
        let is_old = matches!(self.target, PostTarget::Endpoint(_));
        let may_fall_back = self.dialect == HttpDialect::Auto && !is_old;
        let standing = self.wire.standing(self.headers.has_credentials(), self.headers.has_session(), may_fall_back);
        let to = match &self.target {
            PostTarget::Endpoint(Some(endpoint)) => endpoint.clone(),
            PostTarget::Endpoint(None) | PostTarget::Url => self.wire.url.clone(),
        };
        let mut headers = if is_old { self.headers.headers_of_old() } else { self.headers.headers_of(&message) };
        let mut resume = self.headers.is_legacy().then(|| self.headers.headers());
        let forwarded = message.subject().and_then(|request| self.forwarded.of(request));
        if let Some(forwarded) = forwarded {
            put_over(&mut headers, forwarded);
            resume.iter_mut().for_each(|headers| put_over(headers, forwarded));
        }
        let standing = Standing { is_on_behalf: forwarded.is_some(), ..standing };
        Exchange {
            wire: self.wire.clone(),
            to,
            headers,
            own_headers: forwarded.is_some().then(|| self.headers.headers()),
            standing,
            resume,
            is_answered_elsewhere: is_old,
            message,
        }
    }

    /// What a task told; a message of the server is returned.
    fn heard(&mut self, event: HttpEvent) -> Option<ServerLine> {
        match event {
            HttpEvent::Message { line, tools, place } => {
                drop(place);
                if let (true, ServerLine::Text(text)) = (tools, &line) {
                    self.headers.learn(text);
                }
                trace_received(&mut self.trace, &line);
                return Some(line);
            }
            HttpEvent::Opened { session, version } => {
                if !matches!(self.target, PostTarget::Endpoint(_)) {
                    self.headers.opened(session, version.as_deref());
                    self.wants_stream = true;
                }
            }
            HttpEvent::Endpoint(endpoint) => {
                self.target = PostTarget::Endpoint(Some(endpoint));
                self.dispatch();
            }
            HttpEvent::FallBack(message) => {
                if !matches!(self.target, PostTarget::Endpoint(_)) {
                    self.outbox.push_first(message);
                    self.open_old_stream(Some("it takes no Streamable HTTP either".to_owned()));
                }
            }
            HttpEvent::Unsent(id) => self.unsent.extend(id.as_u64()),
            HttpEvent::Pause(wait) => {
                let until = Instant::now() + wait.min(LONGEST_PAUSE);
                self.paused_until = Some(self.paused_until.map_or(until, |paused| paused.max(until)));
            }
            HttpEvent::Trace(direction, text) => {
                if let Some(trace) = &mut self.trace {
                    trace(direction, text.as_bytes());
                }
            }
        }
        None
    }

    /// A task has ended: others may go.
    fn landed(&mut self, landed: flights::Landed) {
        if let Some(request) = &landed.request {
            self.forwarded.forget(request);
        }
        if landed.was_first && self.wants_stream {
            self.wants_stream = false;
            let stream = self.stream();
            self.flights.other(false, stream.listen());
        }
        self.dispatch();
    }

    /// Ends the session in order, as far as that is soon done.
    fn close(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        self.flights.abort_all();
        self.outbox.clear();
        self.forwarded.clear();
        let (wire, headers) = (self.wire.clone(), self.headers.headers());
        let has_session = self.headers.has_session();
        self.flights.other(false, async move {
            if has_session {
                wire.trace(LineDirection::ToServer, || format!("DELETE {}", wire.url.path())).await;
                let delete = wire.send(Method::DELETE, wire.url.clone(), headers, None);
                // A server that does not end sessions this way forgets them some day.
                let _ = timeout(DELETE_TIMEOUT, delete).await;
            }
            wire.end(EndReason::Stopped);
        });
    }
}

/// The proxy that the entry names, without its password.
fn proxy(http: &HttpSpec) -> Option<String> {
    let HttpProxy::Url(url) = &http.proxy else { return None };
    Url::parse(url.expose()).ok().map(|url| url.origin().ascii_serialization())
}
