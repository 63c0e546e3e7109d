//! What the tasks of an HTTP transport share: the client, and the ways back to the transport.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use mcproxy_http::{Client, HeaderMap, HeaderValue, Method, RequestFault, Response, StatusCode, Url, fault, header};
use mcproxy_ipc::{EndReason, ServerName};
use mcproxy_mcp::{ErrorCode, ErrorObject, RequestId, write_error_response};
use mcproxy_oauth::AuthChallenge;
use slog::{Logger, warn};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{
    failure::{ExchangeFailure, HttpRefusal, Standing},
    message::OutgoingMessage,
    retry_after::retry_after,
};
use crate::{
    lines::ServerLine,
    login::{CredentialFailure, Credentials},
    transport::LineDirection,
};

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
    client: Client,
    pub(super) url: Url,
    /// The login there, if there may be one.
    pub(super) credentials: Option<Credentials>,
    /// The address, for people: without what may be secret.
    pub(super) shown: String,
    /// The proxy that the entry names, in the same way.
    proxy: Option<String>,
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
        (client, url, credentials, proxy): (Client, Url, Option<Credentials>, Option<String>),
        server: ServerName,
        line_bytes: usize,
        is_traced: bool,
        log: Logger,
    ) -> (Self, WireEnds) {
        let (events, event_queue) = mpsc::channel(EVENT_QUEUE);
        let (ends, end_queue) = mpsc::channel(1);
        let large = Arc::new(Semaphore::new(LARGE_AT_ONCE));
        let shown = shown(&url);
        let wire =
            Self { client, url, credentials, shown, proxy, server, line_bytes, is_traced, events, ends, large, log };
        (wire, WireEnds { events: event_queue, ends: end_queue })
    }

    /// The same with new ways back: what old tasks say goes nowhere.
    pub(super) fn reopened(&self) -> (Self, WireEnds) {
        let target = (self.client.clone(), self.url.clone(), self.credentials.clone(), self.proxy.clone());
        Self::new(target, self.server.clone(), self.line_bytes, self.is_traced, self.log.clone())
    }

    /// Sends a request. One that the server refuses because of its token (401), it has not taken: it is sent once more with another
    /// one, if there is a login that gives one.
    pub(super) async fn send(
        &self,
        method: Method,
        to: Url,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, SendFailure> {
        let mut was_refused = false;
        loop {
            // One that brings credentials of its own, those of a client say, needs none of a login.
            let login = self.credentials.as_ref().filter(|_| !headers.contains_key(header::AUTHORIZATION));
            let shown = match login {
                Some(credentials) => credentials.header().await.map_err(SendFailure::Login)?,
                None => None,
            };
            let mut headers = headers.clone();
            if let Some(shown) = &shown {
                headers.insert(header::AUTHORIZATION, shown.clone());
            }
            let request = self.client.request(method.clone(), to.clone()).headers(headers);
            let request = body.iter().fold(request, |request, body| request.body(body.clone()));
            let response = request.send().await.map_err(|error| SendFailure::Request(fault(&error)))?;
            let Some(credentials) = login.filter(|_| !was_refused) else { return Ok(response) };
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            let challenge = challenge(response.headers()).unwrap_or_default();
            match credentials.refused(shown.as_ref(), &challenge).await {
                Ok(true) => was_refused = true,
                Ok(false) => return Ok(response),
                Err(failure) => return Err(SendFailure::Login(failure)),
            }
        }
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

    /// Reads an answer that says no, and says what it comes to. `is_on_behalf`: too many requests are those of one client.
    pub(super) async fn refused<T>(
        &self,
        response: Response,
        is_on_behalf: bool,
        decide: impl FnOnce(&HttpRefusal<'_>) -> T,
    ) -> (T, Bytes) {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = beginning(response).await;
        let body = self.credentials.iter().fold(body, |body, credentials| credentials.masked(body));
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let retry_after = retry_after_of(&headers);
        if let Some(wait) =
            retry_after.filter(|_| is_busy(status) && !(is_on_behalf && status == StatusCode::TOO_MANY_REQUESTS))
        {
            self.tell(HttpEvent::Pause(wait)).await;
        }
        let challenge = challenge(&headers);
        let refusal = HttpRefusal {
            status,
            content_type: content_type(&headers),
            body: &body,
            retry_after,
            location: text(header::LOCATION),
            challenge: challenge.as_ref(),
        };
        (decide(&refusal), body)
    }

    /// What is known, for what an answer comes to.
    pub(super) fn standing(&self, has_credentials: bool, has_session: bool, may_fall_back: bool) -> Standing {
        let is_machine = self.credentials.as_ref().is_some_and(Credentials::is_machine);
        let login = self.credentials.as_ref().filter(|_| !is_machine).map(|_| self.server.clone());
        let has_credentials = has_credentials || is_machine;
        Standing {
            url: self.shown.clone(),
            proxy: self.proxy.clone(),
            has_credentials,
            login,
            has_session,
            may_fall_back,
            is_on_behalf: false,
        }
    }
}

/// Why a request was not answered.
#[derive(Debug)]
pub(super) enum SendFailure {
    /// It was sent, or not, and there is no answer.
    Request(RequestFault),
    /// There is no token that it could show.
    Login(CredentialFailure),
}

impl SendFailure {
    /// Whether the server was not asked anything, and cannot be.
    pub(super) fn ends_unsent(&self) -> bool {
        match self {
            Self::Request(fault) => fault.is_unsent,
            Self::Login(failure) => matches!(failure, CredentialFailure::NeedsLogin(_)),
        }
    }

    /// What happened.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Request(fault) => &fault.text,
            Self::Login(CredentialFailure::NeedsLogin(why) | CredentialFailure::Unavailable(why)) => why,
        }
    }
}

/// What the server says of the token that it wants.
fn challenge(headers: &HeaderMap) -> Option<AuthChallenge> {
    let all = headers.get_all(header::WWW_AUTHENTICATE).iter();
    all.filter_map(|value| AuthChallenge::parse(value.to_str().ok()?)).next()
}

/// How long the server asks to be left alone.
pub(super) fn retry_after_of(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    Some(retry_after(text(header::RETRY_AFTER)?, text(header::DATE), SystemTime::now()))
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
