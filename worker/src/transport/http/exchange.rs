//! One message and its answer: a task of its own.

use std::time::Duration;

use bytes::Bytes;
use mcproxy_http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Url, header};
use mcproxy_mcp::{ErrorCode, RequestId};
use tokio::time::{sleep, timeout};

use super::{
    answer::{self, JsonAnswer},
    body::{self, BrokenBody, EventBody},
    failure::{self, ExchangeFailure, Standing},
    headers::SESSION,
    message::OutgoingMessage,
    wire::{HttpEvent, Wire, is_type},
};
use crate::{lines::ServerLine, transport::LineDirection};

/// How long a server may take to say that it has a message that is not answered.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How many times in a row a stream is taken up again in vain.
const RESUMES: u32 = 5;
/// Before that, where the server names no time.
const RESUME_PAUSE: Duration = Duration::from_secs(1);
/// How soon the end of a stream follows on the answer.
const END_FOLLOWS: Duration = Duration::from_millis(500);
/// Bounds on what a server may name.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// A message on its way, and what is known when it is sent.
pub(super) struct Exchange {
    pub(super) wire: Wire,
    /// Where it goes.
    pub(super) to: Url,
    pub(super) message: OutgoingMessage,
    pub(super) headers: HeaderMap,
    pub(super) standing: Standing,
    /// Of a message that carries headers of a client: those of the entry alone, with the session.
    pub(super) own_headers: Option<HeaderMap>,
    /// Headers to take its stream up again with, where the revision has that.
    pub(super) resume: Option<HeaderMap>,
    /// Its answer comes on another stream (HTTP+SSE).
    pub(super) is_answered_elsewhere: bool,
}

/// Whether the request was answered, so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StreamAnswer {
    Come,
    Outstanding,
}

impl Exchange {
    /// Sends it, and gives the transport what comes back.
    pub(super) async fn run(self) {
        while let Some(wait) = self.once().await {
            sleep(wait).await;
        }
    }

    /// `Some`: once more after that time.
    async fn once(&self) -> Option<Duration> {
        let Self { wire, message, .. } = self;
        self.trace_request().await;
        let body = Some(message.line.clone());
        let request = wire.send(Method::POST, self.to.clone(), self.headers.clone(), body);
        let sent = match self.waits_for_body() {
            true => request.await,
            false => match timeout(ACCEPT_TIMEOUT, request).await {
                Ok(sent) => sent,
                Err(_) => return self.fails(ErrorCode::TIMEOUT, "the server does not take it", "timeout").await,
            },
        };
        match sent {
            Err(sent) => {
                let failure = failure::of_send(&sent, &self.standing, &message.kind);
                wire.trace(LineDirection::FromServer, || sent.text().to_owned()).await;
                if let Some(id) = message.id().filter(|_| sent.ends_unsent()) {
                    wire.tell(HttpEvent::Unsent(id.clone())).await;
                }
                wire.failed(message, failure).await
            }
            Ok(response) => {
                self.trace_response(&response).await;
                match response.status().is_success() {
                    true => self.answered(response).await,
                    false => self.refused(response).await,
                }
            }
        }
    }

    fn waits_for_body(&self) -> bool {
        self.message.id().is_some() && !self.is_answered_elsewhere
    }

    /// The server took the message.
    async fn answered(&self, response: Response) -> Option<Duration> {
        let id = self.message.id().filter(|_| !self.is_answered_elsewhere)?;
        let (headers, status) = (response.headers(), response.status());
        let session = headers.get(SESSION).cloned();
        if is_type(headers, "text/event-stream") {
            return self.read_events(id, response, session).await;
        }
        if status == StatusCode::ACCEPTED || status == StatusCode::NO_CONTENT || !is_type(headers, "application/json") {
            return self.refused(response).await;
        }
        let (read, place) = match body::json(&self.wire, response).await {
            Ok(read) => read,
            Err(broken) => return self.broken(broken).await,
        };
        match answer::of_json(&read, id) {
            JsonAnswer::Messages(lines) => {
                let mut place = place;
                for line in lines {
                    self.pass_on(id, line, &session, place.take()).await;
                }
                None
            }
            JsonAnswer::None if read.trim_ascii().is_empty() => {
                let text = format!("{} answers with an empty body instead of a JSON-RPC response", self.wire.shown);
                self.no_answer(&text).await
            }
            JsonAnswer::None => {
                let text = format!("{} answers with JSON that is no JSON-RPC response", self.wire.shown);
                self.no_answer(&text).await
            }
        }
    }

    async fn read_events(&self, id: &RequestId, response: Response, session: Option<HeaderValue>) -> Option<Duration> {
        let mut events = EventBody::new(self.wire.clone(), response);
        let mut attempts = 0;
        loop {
            let (answered, broken) = self.follow(id, &mut events, &session).await;
            if answered == StreamAnswer::Come {
                // A connection that is read to the end of its answer can carry the next one.
                let _ = timeout(END_FOLLOWS, events.drain()).await;
                return None;
            }
            if events.has_begun {
                attempts = 0;
            }
            let point = events.last_id().map(|last| (last.to_owned(), events.retry()));
            let (Some((last, retry)), Some(headers)) = (point, &self.resume) else {
                return self.broken(broken.unwrap_or_else(|| BrokenBody::Lost("its stream ended".to_owned()))).await;
            };
            attempts += 1;
            if attempts > RESUMES {
                return self.broken(BrokenBody::Lost("its stream could not be taken up again".to_owned())).await;
            }
            sleep(retry.unwrap_or(RESUME_PAUSE).clamp(PAUSES.0, PAUSES.1)).await;
            match self.resumed(&last, headers).await {
                Ok(Some(response)) => events = EventBody::new(self.wire.clone(), response).after(&last, retry),
                Ok(None) => {}
                Err(why) => return self.broken(BrokenBody::Lost(why)).await,
            }
        }
    }

    /// Passes on what comes, until the answer has come or the stream is over.
    async fn follow(
        &self,
        id: &RequestId,
        events: &mut EventBody,
        session: &Option<HeaderValue>,
    ) -> (StreamAnswer, Option<BrokenBody>) {
        loop {
            let item = match events.next().await {
                Ok(Some(item)) => item,
                Ok(None) => return (StreamAnswer::Outstanding, None),
                Err(broken) => return (StreamAnswer::Outstanding, Some(broken)),
            };
            let place = events.take_place();
            match body::line_of(item) {
                Some(ServerLine::Text(line)) => {
                    let is_answer = answer::answers(&line, id);
                    self.pass_on(id, line, session, place).await;
                    if is_answer {
                        return (StreamAnswer::Come, None);
                    }
                }
                Some(line @ ServerLine::TooLong { .. }) => {
                    self.wire.tell(HttpEvent::Message { line, tools: false, place }).await;
                }
                None => {}
            }
        }
    }

    /// Takes the stream up again after its event `last`; `None`: not this time.
    async fn resumed(&self, last: &str, headers: &HeaderMap) -> Result<Option<Response>, String> {
        let mut headers = headers.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let last = HeaderValue::from_str(last).map_err(|_| "its last event has no usable id".to_owned())?;
        headers.insert("last-event-id", last);
        match self.wire.send(Method::GET, self.to.clone(), headers, None).await {
            Ok(response) if is_type(response.headers(), "text/event-stream") && response.status().is_success() => {
                Ok(Some(response))
            }
            Ok(response) if response.status().is_server_error() => Ok(None),
            Ok(response) => Err(format!("its stream cannot be taken up again: HTTP {}", response.status())),
            Err(sent) if sent.ends_unsent() => Err(sent.text().to_owned()),
            Err(_) => Ok(None),
        }
    }

    /// One message of the server.
    async fn pass_on(
        &self,
        id: &RequestId,
        line: Bytes,
        session: &Option<HeaderValue>,
        place: Option<tokio::sync::OwnedSemaphorePermit>,
    ) {
        let is_answer = answer::answers(&line, id);
        if is_answer && self.message.kind.is_initialize() {
            // Before the answer: what the session sends next belongs to what was agreed on.
            let version = answer::agreed_version(&line);
            if version.is_some() {
                self.wire.tell(HttpEvent::Opened { session: session.clone(), version }).await;
            }
        }
        self.wire.message(line, is_answer && self.message.kind.lists_tools(), place).await;
    }

    /// An answer that says no, or one that is no answer.
    async fn refused(&self, response: Response) -> Option<Duration> {
        let kind = &self.message.kind;
        let decide = |refusal: &failure::HttpRefusal<'_>| {
            let failure = failure::of_refusal(refusal, &self.standing, kind);
            (failure, failure::may_be_of_session(refusal, &self.standing))
        };
        let ((failure, is_session_in_doubt), body) =
            self.wire.refused(response, self.standing.is_on_behalf, decide).await;
        let body_text = || String::from_utf8_lossy(&body).into_owned();
        self.wire.trace(LineDirection::FromServer, body_text).await;
        if is_session_in_doubt {
            self.wire.failed(&self.message, failure).await;
            self.look_for_session().await;
            return None;
        }
        // A server of MCP says what it does not like.
        let is_of_message = matches!(failure, ExchangeFailure::Fails { .. } | ExchangeFailure::FallBack);
        let is_of_opening =
            kind.is_opening() && matches!(failure, ExchangeFailure::Ends(mcproxy_ipc::EndReason::Unreachable(_)));
        if (is_of_message || is_of_opening)
            && let Some(id) = self.message.id()
            && let Some(line) = answer::error_of(&body, id)
        {
            self.wire.message(line, false, None).await;
            return None;
        }
        self.wire.failed(&self.message, failure).await
    }

    /// Asks with the credentials of the entry alone whether the session is still there; without it the run ends.
    async fn look_for_session(&self) {
        const PING: &str = r#"{"jsonrpc":"2.0","id":"mcproxy-session","method":"ping"}"#;
        let Some(mut headers) = self.own_headers.clone() else { return };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let asked = self.wire.send(Method::POST, self.to.clone(), headers, Some(Bytes::from_static(PING.as_bytes())));
        // No answer says nothing of the session.
        if let Ok(Ok(response)) = timeout(ACCEPT_TIMEOUT, asked).await
            && matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST)
        {
            self.wire.end(mcproxy_ipc::EndReason::SessionLost);
        }
    }

    async fn broken(&self, broken: BrokenBody) -> Option<Duration> {
        match broken {
            BrokenBody::Lost(text) => {
                let lost = mcproxy_http::RequestFault { is_unsent: false, text };
                let failure = failure::of_fault(&lost, &self.standing, &self.message.kind);
                self.wire.failed(&self.message, failure).await
            }
            BrokenBody::TooLong => {
                let text =
                    format!("the server's answer is over the limit (limits.maxLine, {} bytes)", self.wire.line_bytes);
                self.fails(ErrorCode::INTERNAL_ERROR, &text, "over_the_limit").await
            }
        }
    }

    /// What came is no answer.
    async fn no_answer(&self, text: &str) -> Option<Duration> {
        if self.message.kind.is_initialize() {
            self.wire.end(mcproxy_ipc::EndReason::Unreachable(format!("{text}; is it the address of an MCP server?")));
            return None;
        }
        if self.message.kind.is_ping() {
            return self.wire.failed(&self.message, ExchangeFailure::Unanswered).await;
        }
        let code = if self.message.kind.is_probe() { ErrorCode::METHOD_NOT_FOUND } else { ErrorCode::INTERNAL_ERROR };
        self.fails(code, text, "not_an_answer").await
    }

    async fn fails(&self, code: ErrorCode, text: &str, reason: &'static str) -> Option<Duration> {
        let failure = ExchangeFailure::Fails { code, text: text.to_owned(), reason };
        self.wire.failed(&self.message, failure).await
    }

    async fn trace_request(&self) {
        let trace = || {
            let names = ["mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name"];
            let shown = |name: &&str| {
                let value = self.headers.get(*name)?.to_str().ok()?;
                Some(format!("  {name}: {value}"))
            };
            let others = self.headers.iter().filter(|(_, value)| value.is_sensitive());
            let others = others.map(|(name, _)| format!("  {name}: ***"));
            let all: String = names.iter().filter_map(shown).chain(others).collect();
            format!("POST {}{all}", self.to.path())
        };
        self.wire.trace(LineDirection::ToServer, trace).await;
        let line = || String::from_utf8_lossy(&self.message.line).into_owned();
        self.wire.trace(LineDirection::ToServer, line).await;
    }

    async fn trace_response(&self, response: &Response) {
        self.wire.trace(LineDirection::FromServer, || shown_response(response)).await;
    }
}

/// The head of an answer, for people.
pub(super) fn shown_response(response: &Response) -> String {
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let names = ["content-type", "mcp-session-id", "retry-after", "location", "www-authenticate"];
    let headers: String =
        names.iter().filter_map(|name| text(name).map(|value| format!("  {name}: {value}"))).collect();
    format!("{:?} {}{headers}", response.version(), response.status())
}
