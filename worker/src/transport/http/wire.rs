//! What the tasks of an HTTP transport share: the client, and the ways back to the transport.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mcproxy_http::{Client, HeaderMap, HeaderValue, Response, StatusCode, Url, header};
use mcproxy_ipc::{EndReason, ServerName};
use mcproxy_mcp::{ErrorCode, ErrorObject, RequestId, write_error_response};
use slog::{Logger, warn};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{
    failure::{ExchangeFailure, HttpRefusal, Standing},
    message::OutgoingMessage,
};
use crate::{lines::ServerLine, transport::LineDirection};

/// Messages of the server that wait for the session. While it does not take them, their tasks do not read.
pub(super) const EVENT_QUEUE: usize = 16;
/// Bodies and events that are larger than [`LARGE`] and read at once; others wait before they go on reading.
const LARGE_AT_ONCE: usize = 4;
/// A message of which more has arrived is a large one.
pub(super) const LARGE: usize = 256 * 1024;
/// A large message of which nothing more comes for so long is given up, because others wait for its place.
pub(super) const LARGE_STALL: Duration = Duration::from_secs(30);
/// Of an answer that says no, so much is read.
const REFUSAL_BODY: usize = 16 * 1024;
/// And for so long.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// What a task tells the transport.
#[derive(Debug)]
pub(super) enum HttpEvent {
    /// The server sent a message. `tools`: it lists tools.
    Message { line: ServerLine, tools: bool, place: Option<OwnedSemaphorePermit> },
    /// A legacy server answered `initialize`.
    Opened { session: Option<HeaderValue>, version: Option<String> },
    /// This request was not sent, and the end of the run follows.
    Unsent(RequestId),
    /// A server of HTTP+SSE said where messages go.
    Endpoint(Url),
    /// `initialize` was refused as a server of HTTP+SSE would.
    FallBack(OutgoingMessage),
    /// The server wants to be left alone for so long.
    Pause(Duration),
    /// For the trace.
    Trace(LineDirection, String),
}

/// The client, and the ways back to the transport.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) client: Client,
    pub(super) url: Url,
    /// The address, for people: without what may be secret.
    pub(super) shown: String,
    pub(super) server: ServerName,
    pub(super) line_bytes: usize,
    pub(super) is_traced: bool,
    events: mpsc::Sender<HttpEvent>,
    ends: mpsc::Sender<EndReason>,
    large: Arc<Semaphore>,
    pub(super) log: Logger,
}

/// The transport's ends.
pub(super) struct WireEnds {
    pub(super) events: mpsc::Receiver<HttpEvent>,
    pub(super) ends: mpsc::Receiver<EndReason>,
}

impl Wire {
    /// What the tasks share from the beginning, and the ends that hear of it.
    pub(super) fn new(
        (client, url): (Client, Url),
        server: ServerName,
        line_bytes: usize,
        is_traced: bool,
        log: Logger,
    ) -> (Self, WireEnds) {
        let (events, event_queue) = mpsc::channel(EVENT_QUEUE);
        let (ends, end_queue) = mpsc::channel(1);
        let large = Arc::new(Semaphore::new(LARGE_AT_ONCE));
        let shown = shown(&url);
        let wire = Self { client, url, shown, server, line_bytes, is_traced, events, ends, large, log };
        (wire, WireEnds { events: event_queue, ends: end_queue })
    }

    /// The same with new ways back: what old tasks say goes nowhere.
    pub(super) fn reopened(&self) -> (Self, WireEnds) {
        let target = (self.client.clone(), self.url.clone());
        Self::new(target, self.server.clone(), self.line_bytes, self.is_traced, self.log.clone())
    }

    /// Tells the transport. Waits while the session takes no messages.
    pub(super) async fn tell(&self, event: HttpEvent) {
        // A transport that is gone has nothing more to learn.
        let _ = self.events.send(event).await;
    }

    /// The run ends. The first reason counts.
    pub(super) fn end(&self, reason: EndReason) {
        let _ = self.ends.try_send(reason);
    }

    /// A place for a large message.
    pub(super) async fn large_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.large).acquire_owned().await.ok()
    }

    /// Shows the exchange to a person.
    pub(super) async fn trace(&self, direction: LineDirection, text: impl FnOnce() -> String) {
        if self.is_traced {
            self.tell(HttpEvent::Trace(direction, text())).await;
        }
    }

    /// Gives a request an error for its answer.
    pub(super) async fn answer_error(&self, id: &RequestId, code: ErrorCode, text: &str, reason: &str) {
        let error = ErrorObject::about_server(code, text, self.server.as_str(), reason);
        let mut line = Vec::new();
        write_error_response(&mut line, Some(id), error.to_raw().get());
        self.message(line.into(), false, None).await;
    }

    /// The server sent this message.
    pub(super) async fn message(&self, line: Bytes, tools: bool, place: Option<OwnedSemaphorePermit>) {
        self.tell(HttpEvent::Message { line: ServerLine::Text(line), tools, place }).await;
    }

    /// Does what a failure of this message comes to; of those that are sent again, after which time.
    pub(super) async fn failed(&self, message: &OutgoingMessage, failure: ExchangeFailure) -> Option<Duration> {
        match (failure, message.id()) {
            (ExchangeFailure::Ends(reason), _) => self.end(reason),
            (ExchangeFailure::Fails { code, text, reason }, Some(id)) => {
                self.answer_error(id, code, &text, reason).await
            }
            (ExchangeFailure::Fails { text, .. }, None) => {
                warn!(self.log, "a message did not reach the server"; "because" => text);
            }
            (ExchangeFailure::Unanswered, _) => {}
            (ExchangeFailure::Later(wait), _) => return Some(wait),
            (ExchangeFailure::FallBack, _) => self.tell(HttpEvent::FallBack(message.clone())).await,
        }
        None
    }

    /// Reads an answer that says no, and says what it comes to.
    pub(super) async fn refused<T>(
        &self,
        response: Response,
        decide: impl FnOnce(&HttpRefusal<'_>) -> T,
    ) -> (T, Bytes) {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = beginning(response).await;
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let retry_after = text(header::RETRY_AFTER).map(super::failure::retry_after);
        if let Some(wait) = retry_after.filter(|_| is_busy(status)) {
            self.tell(HttpEvent::Pause(wait)).await;
        }
        let refusal = HttpRefusal {
            status,
            content_type: content_type(&headers),
            body: &body,
            retry_after,
            location: text(header::LOCATION),
            authenticate: text(header::WWW_AUTHENTICATE),
        };
        (decide(&refusal), body)
    }

    /// What is known, for what an answer comes to.
    pub(super) fn standing(&self, has_credentials: bool, has_session: bool, may_fall_back: bool) -> Standing {
        Standing { url: self.shown.clone(), has_credentials, has_session, may_fall_back }
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// The beginning of a body, as far as it comes soon.
async fn beginning(mut response: Response) -> Bytes {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = REFUSAL_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == REFUSAL_BODY {
                return;
            }
        }
    };
    // What has come by then will do.
    let _ = timeout(REFUSAL_TIMEOUT, read).await;
    body.into()
}

/// The content type of a message, without its parameters; empty: none.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether it is of this type, whatever its parameters.
pub(super) fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    content_type(headers).split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}

/// A URL without user, query and fragment.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}
