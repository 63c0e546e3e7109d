//! The streams on which a server speaks unasked: the one of Streamable HTTP, where it is offered, and the one of HTTP+SSE, on
//! which all answers come. A task of its own.

use std::time::Duration;

use mcproxy_http::{
    HeaderMap, HeaderValue, Method, ReceivedEvent, RequestFault, Response, SseItem, StatusCode, Url, header,
};
use mcproxy_ipc::EndReason;
use slog::debug;
use tokio::time::{sleep, timeout};

use super::{
    body::{self, BrokenBody, EventBody},
    exchange::shown_response,
    failure::{self, ExchangeFailure, Standing},
    message::OutgoingKind,
    wire::{HttpEvent, SendFailure, Wire, is_type, retry_after_of},
};
use crate::transport::LineDirection;

/// Before a stream that ended is opened again, where the server names no time; doubled while nothing comes.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// How long a server of HTTP+SSE may take to say where messages go.
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(30);
/// And to begin with its stream.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether a status says that the server is busy, or that it is not reached at present, and nothing of what it offers.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// What is likely when a stream is there and nothing comes.
const BUFFERING: &str = "does a reverse proxy before it hold event streams back (nginx: `proxy_buffering off`)?";

/// A stream of the server.
pub(super) struct ServerStream {
    pub(super) wire: Wire,
    pub(super) headers: HeaderMap,
    pub(super) standing: Standing,
}

impl ServerStream {
    async fn open(&self, last: Option<&str>) -> Result<Response, SendFailure> {
        let mut headers = self.headers.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(last) = last.and_then(|last| HeaderValue::from_str(last).ok()) {
            headers.insert("last-event-id", last);
        }
        let wire = &self.wire;
        wire.trace(LineDirection::ToServer, || format!("GET {}", wire.url.path())).await;
        let sent = wire.send(Method::GET, wire.url.clone(), headers, None);
        let late = || RequestFault { is_unsent: false, text: format!("no answer in time; {BUFFERING}") };
        let sent = timeout(BEGIN_TIMEOUT, sent).await.unwrap_or_else(|_| Err(SendFailure::Request(late())));
        if let Ok(response) = &sent {
            wire.trace(LineDirection::FromServer, || shown_response(response)).await;
        }
        sent
    }

    /// The stream of Streamable HTTP: opened, and opened again whenever it ends, unless the server offers none.
    pub(super) async fn listen(self) {
        let (mut last, mut retry): (Option<String>, Option<Duration>) = (None, None);
        let (mut was_open, mut pause, mut busy) = (false, PAUSE, None::<Duration>);
        loop {
            match self.open(last.as_deref()).await {
                Ok(response) if response.status().is_success() && is_type(response.headers(), "text/event-stream") => {
                    was_open = true;
                    let mut events = EventBody::new(self.wire.clone(), response);
                    self.pass_on_all(&mut events).await;
                    if events.has_begun {
                        pause = PAUSE;
                    }
                    last = events.last_id().map(str::to_owned).or(last);
                    retry = events.retry().or(retry);
                }
                Ok(response) => match response.status() {
                    StatusCode::NOT_FOUND if was_open && self.standing.has_session => {
                        return self.wire.end(EndReason::SessionLost);
                    }
                    status if is_passing(status) || status.is_server_error() && was_open => {
                        busy = retry_after_of(response.headers());
                    }
                    status => {
                        debug!(self.wire.log, "the server offers no stream of its own"; "status" => status.as_u16());
                        return;
                    }
                },
                Err(sent) if sent.ends_unsent() => {
                    // It is gone, and calls would find that out one by one.
                    let failure = failure::of_send(&sent, &self.standing, &OutgoingKind::Response);
                    if let ExchangeFailure::Ends(reason) = failure {
                        self.wire.end(reason);
                    }
                    return;
                }
                Err(_) => {}
            }
            sleep(busy.take().or(retry).unwrap_or(pause).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn pass_on_all(&self, events: &mut EventBody) -> Option<BrokenBody> {
        loop {
            match events.next().await {
                Ok(Some(item)) => self.pass_on(events, item).await,
                Ok(None) => return None,
                Err(broken) => return Some(broken),
            }
        }
    }

    async fn pass_on(&self, events: &mut EventBody, item: SseItem) {
        let place = events.take_place();
        if let Some(line) = body::line_of(item) {
            self.wire.tell(HttpEvent::Message { line, tools: false, place }).await;
        }
    }

    /// The stream of HTTP+SSE: with its end the server is gone. `why`: how it came that it is asked for.
    pub(super) async fn serve(self, why: Option<String>) {
        let reason = self.serve_until_the_end(why).await;
        self.wire.end(reason);
    }

    async fn serve_until_the_end(&self, why: Option<String>) -> EndReason {
        let shown = &self.wire.shown;
        let also = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let response = match self.open(None).await {
            Ok(response) => response,
            Err(SendFailure::Login(failure)) => return failure::of_login(failure),
            Err(sent) => return EndReason::Unreachable(self.standing.cannot_reach(sent.text()) + &also),
        };
        if !(response.status().is_success() && is_type(response.headers(), "text/event-stream")) {
            let standing = Standing { may_fall_back: false, ..self.standing.clone() };
            let decide = |refusal: &failure::HttpRefusal<'_>| {
                let failure = failure::of_refusal(refusal, &standing, &OutgoingKind::Response);
                match failure {
                    ExchangeFailure::Ends(reason @ EndReason::NeedsLogin(_)) => reason,
                    _ => EndReason::Unreachable(failure::of_status(refusal, &standing)),
                }
            };
            let (reason, _) = self.wire.refused(response, false, decide).await;
            return match reason {
                EndReason::Unreachable(text) => EndReason::Unreachable(format!("{text}{also}")),
                other => other,
            };
        }
        let mut events = EventBody::new(self.wire.clone(), response);
        let endpoint = match timeout(ENDPOINT_TIMEOUT, self.endpoint(&mut events)).await {
            Ok(Ok(endpoint)) => endpoint,
            Ok(Err(text)) => return EndReason::Unreachable(format!("{shown} {text}{also}")),
            Err(_) => {
                let text = format!(
                    "{shown} opened an event stream and named no endpoint within {} s; {BUFFERING}",
                    ENDPOINT_TIMEOUT.as_secs()
                );
                return EndReason::Unreachable(format!("{text}{also}"));
            }
        };
        self.wire.tell(HttpEvent::Endpoint(endpoint)).await;
        let why = match self.pass_on_all(&mut events).await {
            Some(BrokenBody::Lost(why)) => format!(": {why}"),
            Some(BrokenBody::TooLong) | None => String::new(),
        };
        EndReason::Unreachable(format!("{shown} ended its event stream{why}"))
    }

    /// Waits for the event that says where messages go.
    async fn endpoint(&self, events: &mut EventBody) -> Result<Url, String> {
        loop {
            match events.next().await {
                Ok(Some(SseItem::Event(ReceivedEvent { name: Some(name), data }))) if name == "endpoint" => {
                    return self.named(&String::from_utf8_lossy(&data));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Err("ended its event stream before it named an endpoint".to_owned()),
                Err(BrokenBody::Lost(why)) => return Err(format!("broke off its event stream: {why}")),
                Err(BrokenBody::TooLong) => return Err("sent no endpoint".to_owned()),
            }
        }
    }

    /// A URL of the same origin: messages carry the credentials of the entry.
    fn named(&self, endpoint: &str) -> Result<Url, String> {
        let url = self.wire.url.join(endpoint.trim()).map_err(|_| "named an endpoint that is no URL".to_owned())?;
        if url.origin() == self.wire.url.origin() {
            return Ok(url);
        }
        let origin = url.origin().ascii_serialization();
        Err(format!("named an endpoint of another origin, {origin}; messages would carry credentials there"))
    }
}
