//! An MCP endpoint over HTTP: requests, responses and their errors.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use mcproxy_http::{
    Client, ClientError, ClientSettings, ProxyRule, RequestBuilder, Response, SseItem, SseParser, StatusCode,
    TlsSettings, Url, fault,
    header::{ACCEPT, CONTENT_TYPE},
    http_client,
};

use super::exit::Exit;

/// The default when nothing says otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:12009/mcp";
/// Longest message that is accepted: what one data frame of the gateway may hold.
const MAX_MESSAGE: usize = mcproxy_ipc::frame::MAX_PAYLOAD;
/// Of the body of an error or of a page for monitors, so much is read.
const MAX_ERROR_BODY: usize = 16 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const SESSION_HEADER: &str = "Mcp-Session-Id";
const VERSION_HEADER: &str = "MCP-Protocol-Version";

/// Why an exchange with an MCP endpoint failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("{url:?} is not an http:// or https:// URL")]
    Url { url: String },
    #[error("{url:?} cannot be reached from here")]
    Client {
        url: String,
        #[source]
        source: ClientError,
    },
    #[error("cannot connect to {url}: {why}; is the gateway running? (`mcproxy status`)")]
    Connect { url: String, why: String },
    #[error("the request to {url} failed: {why}")]
    Send { url: String, why: String },
    #[error("{}", unauthorized(*.with_token))]
    Unauthorized { body: String, with_token: bool },
    #[error(
        "{url} does not take Streamable HTTP (HTTP {status}); it seems to be of HTTP+SSE, try the path /mcp instead of /sse"
    )]
    OldTransport { url: String, status: StatusCode },
    #[error("HTTP {status}{}", describe(.body))]
    Status { status: StatusCode, body: String },
    #[error("the endpoint answered with content type {0:?} instead of JSON or an event stream")]
    ContentType(String),
    #[error("the answer broke off")]
    Broken,
    #[error("an answer is longer than {MAX_MESSAGE} bytes")]
    TooLong,
    #[error("the answer ended without a response to the request")]
    NoAnswer,
}

fn unauthorized(with_token: bool) -> &'static str {
    if with_token {
        "the token was not accepted; see --token and MCPROXY_TOKEN"
    } else {
        "the endpoint needs a token; give one with --token or MCPROXY_TOKEN"
    }
}

fn describe(body: &str) -> String {
    let object = mcproxy_mcp::RawObject::from_text(body).ok();
    let error = object.as_ref().and_then(|o| mcproxy_mcp::RawObject::from_raw(o.get("error")?).ok());
    match error.and_then(|e| e.get_string("message").map(|m| m.into_owned())) {
        Some(message) => format!(": {}", super::human::one_line(&message)),
        // A page for a browser is of no help here.
        None if body.trim().is_empty() || body.trim_start().starts_with('<') => String::new(),
        None => format!(": {}", super::table::cut(&super::human::one_line(body), Some(200))),
    }
}

impl EndpointError {
    /// The exit code for it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Url { .. } | Self::Client { .. } => Exit::Usage,
            Self::Connect { .. } | Self::Send { .. } | Self::Broken => Exit::Unavailable,
            Self::Unauthorized { .. } => Exit::Permission,
            Self::Status { status, .. } if *status == StatusCode::FORBIDDEN => Exit::Permission,
            Self::Status { status, .. } if status.is_server_error() => Exit::Unavailable,
            Self::Status { .. } | Self::OldTransport { .. } | Self::ContentType(_) | Self::TooLong | Self::NoAnswer => {
                Exit::Protocol
            }
        }
    }

    /// The body of an HTTP error.
    pub(crate) fn body(&self) -> Option<&str> {
        match self {
            Self::Status { body, .. } | Self::Unauthorized { body, .. } => Some(body),
            _ => None,
        }
    }

    /// The status of an HTTP error.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Unauthorized { .. } => Some(StatusCode::UNAUTHORIZED),
            Self::OldTransport { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// The identity of a session on every request after `initialize` (MCP 2025-11-25, transports).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SessionHeaders {
    pub(crate) id: Option<String>,
    pub(crate) version: Option<String>,
}

/// One URL that speaks Streamable HTTP.
#[derive(Clone)]
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    token: Option<String>,
}

/// The outcome of a POST.
pub(crate) enum HttpReply {
    /// A notification or response was taken in.
    Accepted,
    /// Messages; for a request the last of them is its answer.
    Messages(Box<MessageStream>),
}

impl Endpoint {
    /// `url` may lack the path, which then is `/mcp`.
    pub(crate) fn new(url: &str, token: Option<String>) -> Result<Self, EndpointError> {
        let wrong = || EndpointError::Url { url: url.to_owned() };
        let mut parsed = Url::parse(url).map_err(|_| wrong())?;
        if !matches!(parsed.scheme(), "http" | "https") || !url.contains("://") {
            return Err(wrong());
        }
        if parsed.path() == "/" {
            parsed.set_path("/mcp");
        }
        // A proxy that the environment names leads out of this machine.
        let is_local =
            parsed.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]" | "0.0.0.0"));
        let settings = ClientSettings {
            url: parsed.clone(),
            tls: TlsSettings::default(),
            proxy: if is_local { ProxyRule::Direct } else { ProxyRule::System },
            connect_timeout: CONNECT_TIMEOUT,
            addresses: None,
        };
        let client = http_client(&settings).map_err(|source| EndpointError::Client { url: url.to_owned(), source })?;
        Ok(Self { client, url: parsed, token })
    }

    /// The URL itself.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The endpoint itself; where its URL is one of HTTP+SSE, which takes no POST, the one of Streamable HTTP beside it. Asks only a URL
    /// that is called like that.
    pub(crate) async fn or_streamable(mut self) -> Self {
        let place = self.url.path().trim_end_matches('/').strip_suffix("/sse").map(str::to_owned);
        let Some(place) = place else { return self };
        let no_session = SessionHeaders::default();
        let ping = self.post(&no_session, r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#);
        let answer = tokio::time::timeout(CONNECT_TIMEOUT, ping).await;
        if matches!(answer, Ok(Err(EndpointError::OldTransport { .. }))) {
            self.url.set_path(&format!("{place}/mcp"));
        }
        self
    }

    /// Its URL without the path.
    pub(crate) fn base(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// A page for monitors of the same gateway, such as `/healthz`; so much of it as an error may have.
    pub(crate) async fn page(&self, path: &str) -> Result<String, EndpointError> {
        let request = self.client.get(format!("{}{path}", self.base()));
        let mut response = self.check(self.with_headers(request, &SessionHeaders::default()).send().await).await?;
        Ok(beginning(&mut response).await)
    }

    /// An event stream of the same gateway, with a header more.
    pub(crate) async fn stream_of(&self, path: &str, header: (&str, &str)) -> Result<Response, EndpointError> {
        let request = self.client.get(format!("{}{path}", self.base())).header(ACCEPT, "text/event-stream");
        let request = request.header(header.0, header.1);
        self.check(self.with_headers(request, &SessionHeaders::default()).send().await).await
    }

    /// Sends one message. The status of the answer decides what follows; no retry is made here.
    pub(crate) async fn post(&self, key: &SessionHeaders, body: impl Into<Bytes>) -> Result<HttpReply, EndpointError> {
        self.send(self.with_headers(self.client.post(self.url.clone()), key), body.into()).await
    }

    /// The same for a message that stands for itself, with headers of its own.
    pub(crate) async fn post_with(
        &self,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<HttpReply, EndpointError> {
        let mut request = self.with_headers(self.client.post(self.url.clone()), &SessionHeaders::default());
        for (name, value) in headers {
            request = request.header(name.as_str(), value.as_str());
        }
        self.send(request, body.into()).await
    }

    async fn send(&self, request: RequestBuilder, body: Bytes) -> Result<HttpReply, EndpointError> {
        let request =
            request.header(ACCEPT, "application/json, text/event-stream").header(CONTENT_TYPE, "application/json");
        let response = self.check(request.body(body).send().await).await?;
        if response.status() == StatusCode::ACCEPTED || response.status() == StatusCode::NO_CONTENT {
            return Ok(HttpReply::Accepted);
        }
        Ok(HttpReply::Messages(Box::new(MessageStream::new(response)?)))
    }

    /// Opens a stream of what the server says by itself, or continues one after the event `after`.
    pub(crate) async fn listen(
        &self,
        key: &SessionHeaders,
        after: Option<&str>,
    ) -> Result<MessageStream, EndpointError> {
        let mut request = self.with_headers(self.client.get(self.url.clone()), key).header(ACCEPT, "text/event-stream");
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        MessageStream::new(self.check(request.send().await).await?)
    }

    /// Ends the session.
    pub(crate) async fn delete(&self, key: &SessionHeaders) -> Result<(), EndpointError> {
        self.check(self.with_headers(self.client.delete(self.url.clone()), key).send().await).await.map(drop)
    }

    fn with_headers(&self, mut request: RequestBuilder, key: &SessionHeaders) -> RequestBuilder {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(id) = &key.id {
            request = request.header(SESSION_HEADER, id.as_str());
        }
        if let Some(version) = &key.version {
            request = request.header(VERSION_HEADER, version.as_str());
        }
        request
    }

    async fn check(&self, sent: Result<Response, mcproxy_http::Error>) -> Result<Response, EndpointError> {
        let url = || self.url.to_string();
        let mut response = match sent.map_err(|error| fault(&error)) {
            Ok(response) => response,
            Err(fault) if fault.is_unsent => return Err(EndpointError::Connect { url: url(), why: fault.text }),
            Err(fault) => return Err(EndpointError::Send { url: url(), why: fault.text }),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = beginning(&mut response).await;
        Err(match status {
            StatusCode::UNAUTHORIZED => EndpointError::Unauthorized { body, with_token: self.token.is_some() },
            // An endpoint of our own, or another that serves both, has its old transport there.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
                if self.url.path().trim_end_matches('/').ends_with("/sse") =>
            {
                EndpointError::OldTransport { url: url(), status }
            }
            status => EndpointError::Status { status, body },
        })
    }
}

/// The first bytes of a body, as far as they come in time.
async fn beginning(response: &mut Response) -> String {
    let mut body = Vec::new();
    let deadline = tokio::time::Instant::now() + CONNECT_TIMEOUT;
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(deadline, response.chunk()).await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ERROR_BODY {
            body.truncate(MAX_ERROR_BODY);
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// The messages of one HTTP answer, be it a JSON body or an event stream.
pub(crate) struct MessageStream {
    response: Response,
    session: Option<String>,
    body: MessageBody,
    ready: VecDeque<String>,
}

enum MessageBody {
    Json(Vec<u8>),
    Events(Box<SseParser>),
    Over,
}

impl MessageStream {
    fn new(response: Response) -> Result<Self, EndpointError> {
        let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
        let kind = header("content-type").unwrap_or_default();
        let body = match kind.split(';').next().unwrap_or_default().trim() {
            t if t.eq_ignore_ascii_case("application/json") => MessageBody::Json(Vec::new()),
            t if t.eq_ignore_ascii_case("text/event-stream") => {
                MessageBody::Events(Box::new(SseParser::new(MAX_MESSAGE, 0)))
            }
            other => return Err(EndpointError::ContentType(other.to_owned())),
        };
        let session = header(SESSION_HEADER).map(str::to_owned);
        Ok(Self { session, body, response, ready: VecDeque::new() })
    }

    /// The session that this answer opened.
    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The id to resume after, and how long to wait before that; `None` when the stream cannot be resumed.
    pub(crate) fn resume_point(&self) -> Option<(&str, Option<Duration>)> {
        match &self.body {
            MessageBody::Events(parser) => Some((parser.last_id()?, parser.retry())),
            MessageBody::Json(_) | MessageBody::Over => None,
        }
    }

    /// The next message; `None` at the end of the answer.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, EndpointError> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            let chunk = match self.response.chunk().await {
                Ok(chunk) => chunk,
                // An event stream may end anywhere: what counts is whether the answer has come.
                Err(_) if matches!(self.body, MessageBody::Events(_)) => None,
                Err(_) => return Err(EndpointError::Broken),
            };
            match (&mut self.body, chunk) {
                (MessageBody::Json(body), Some(chunk)) => {
                    if body.len() + chunk.len() > MAX_MESSAGE {
                        return Err(EndpointError::TooLong);
                    }
                    body.extend_from_slice(&chunk);
                }
                (MessageBody::Json(body), None) => {
                    let text = String::from_utf8(std::mem::take(body)).map_err(|_| EndpointError::Broken)?;
                    self.body = MessageBody::Over;
                    return Ok((!text.trim().is_empty()).then_some(text));
                }
                (MessageBody::Events(parser), Some(chunk)) => {
                    let mut items = Vec::new();
                    parser.push(&chunk, &mut items);
                    for item in items {
                        self.ready.extend(message(item)?);
                    }
                }
                (MessageBody::Events(_) | MessageBody::Over, None) => return Ok(None),
                (MessageBody::Over, Some(_)) => {}
            }
        }
    }
}

/// The message of an event; `None`: it is named otherwise than `message`.
fn message(item: SseItem) -> Result<Option<String>, EndpointError> {
    match item {
        SseItem::TooLong { .. } => Err(EndpointError::TooLong),
        SseItem::Event(event) => Ok(event.name.is_none().then(|| String::from_utf8_lossy(&event.data).into_owned())),
    }
}
