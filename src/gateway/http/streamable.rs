//! Streamable HTTP with sessions: 2025-03-26, 2025-06-18, 2025-11-25 (MCP transports).

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web,
};
use bytes::Bytes;
use futures_util::future::join_all;
use mcproxy_ipc::control::GatewaySettings;
use mcproxy_mcp::{
    ErrorCode, ErrorObject, Message, ProtocolVersion, RawArray, RequestId, method, parse, write_error_response,
};
use slog::info;

use super::{
    body,
    endpoint::Endpoint,
    error::HttpError,
    responder::{self, Beginning, beginning},
    sse,
    stateless::{self, VERSION},
    step_up,
};
use crate::gateway::{
    base::{pieces::Pieces, reply::Reply, response_timer},
    call::{
        incoming::{Incoming, Params, Request},
        request_context::{self, Related},
    },
    dialect::session::{
        lifetime,
        methods::{self, InitializeParams},
    },
    sessions::{
        event_id::{EventId, StreamKind},
        replay_buffer::Bounds,
        session::{Session, short},
        stream::Stream,
    },
    state::Gateway,
};

static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
static LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
/// A client that resumes a stream is not disconnected again before this time.
const COME_BACK: Duration = Duration::from_secs(10);
/// Most messages in a batch.
const MAX_BATCH: usize = 100;
/// Most bytes of all answers to a batch: what is beyond gets an error in its place.
const BATCH_BYTES: usize = 64 * 1024 * 1024;

/// The answer to one POST, still to come. `None`: everything in it was cancelled or needs no answer.
type PendingAnswers = Pin<Box<dyn Future<Output = Option<Pieces>>>>;

/// `POST /mcp`
pub(super) async fn post(
    request: HttpRequest,
    endpoint: Endpoint,
    payload: web::Payload,
) -> Result<HttpResponse, HttpError> {
    check_accept(&request, &["application/json", "text/event-stream"])?;
    let body = body::read(&request, payload, &endpoint.gateway, async || body_bound(&request, &endpoint).await).await?;
    if stateless::names_this_version(&request) {
        return Box::pin(stateless::post(&request, endpoint, &body)).await;
    }
    if body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        return batch(&request, &endpoint, &body).await;
    }
    match Incoming::of(parse(&body)?, &body) {
        Incoming::Request(r) if r.method == method::INITIALIZE => initialize(&request, &endpoint, &r).await,
        Incoming::Request(r) if r.method == method::PING && header(&request, &SESSION).is_none() => {
            check_version(&request)?;
            Ok(json(&request, &endpoint.gateway, Reply::from("{}").into_response(&r.id)))
        }
        Incoming::Request(r) => match find_session(&request, &endpoint).await {
            Ok(session) => {
                if let Some(refusal) = step_up::of_request(&endpoint.gateway, &request, &endpoint.scope, &r) {
                    return Err(refusal);
                }
                let related = request_context::related();
                let id = Some(r.id.clone());
                let r = r.with_headers(endpoint.client_headers(&request)?);
                let pending = Box::pin(methods::answer(endpoint.gateway.clone(), session.clone(), r, related.clone()));
                Ok(respond(&request, &endpoint.gateway, &session, pending, related, id).await)
            }
            // A request of 2026-07-28 has no session.
            Err(error) => stateless::refusal(&request, &endpoint, &r).ok_or(error),
        },
        Incoming::Notification { method, params } => {
            let session = find_session(&request, &endpoint).await?;
            methods::notice(&endpoint.gateway, &session, &method, &params);
            Ok(HttpResponse::Accepted().finish())
        }
        Incoming::Response { id, response } => {
            methods::answered(&*find_session(&request, &endpoint).await?, &id, response);
            Ok(HttpResponse::Accepted().finish())
        }
    }
}

/// The bound of a body: any size for a known session and for a request that needs none; else only what opens a session, which is small.
async fn body_bound(request: &HttpRequest, endpoint: &Endpoint) -> body::Bound {
    let known = match header(request, &SESSION) {
        Some(id) => matches!(endpoint.session(id).await, Ok(Some(_))),
        None => false,
    };
    match known || stateless::names_this_version(request) {
        true => body::Bound::Any,
        false => body::Bound::WithoutSession,
    }
}

/// Opens a session and answers at once, whatever the servers do.
async fn initialize(http: &HttpRequest, endpoint: &Endpoint, request: &Request) -> Result<HttpResponse, HttpError> {
    let gateway = &endpoint.gateway;
    let hello = match Params::read(&request.params) {
        Ok(params) => match stateless::refusal_of(http, endpoint, request, &params) {
            Some(refusal) => return Ok(refusal),
            None => InitializeParams::read(&params),
        },
        Err(error) => Err(error),
    };
    let hello = match hello {
        Ok(hello) => hello,
        Err(error) => return Ok(json(http, gateway, Reply::from(error).into_response(&request.id))),
    };
    gateway.servers.looked_up(&endpoint.scope).await;
    let session = endpoint.open_session(hello)?;
    info!(session.principal().log(&gateway.log), "session opened"; "session" => short(session.id()), "scope" => %endpoint.scope,
        "version" => %session.version(), "client" => %session.client());
    let mut response = json(http, gateway, methods::welcome(gateway, &session).into_response(&request.id));
    let id = HeaderValue::from_str(session.id()).expect("session ids are ASCII");
    response.headers_mut().insert(SESSION.clone(), id);
    Ok(response)
}

/// Sends the answer as JSON if it comes soon and alone, else as a stream of what precedes it and then the answer.
/// A client that leaves does not cancel its call (MCP 2025-11-25, transports); it may come back for the rest. `id`: of the
/// request, if it is one.
async fn respond(
    request: &HttpRequest,
    gateway: &Rc<Gateway>,
    session: &Session,
    mut pending: PendingAnswers,
    related: Related,
    id: Option<RequestId>,
) -> HttpResponse {
    match beginning(&gateway.response_timer, &related, response_timer::OF_SESSIONS, &mut pending).await {
        Beginning::Json(Some(answer)) => return json(request, gateway, answer),
        // Cancelled: the client wants no answer, but HTTP owes one.
        Beginning::Json(None) => return HttpResponse::Accepted().finish(),
        Beginning::Stream(Some(answer)) => pending = Box::pin(std::future::ready(answer)),
        Beginning::Stream(None) => {}
    }
    let settings = gateway.settings();
    let stream = session.answer_by_stream(&gateway.replay_budget, bounds(&settings));
    let can_come_back = session.can_come_back();
    let reader = stream.read(0, can_come_back, stream_time(session, &settings));
    tokio::task::spawn_local(carry(gateway.clone(), pending, related, stream, id));
    sse::replay(request, &gateway.budget, reader.expect("a new stream is read from its beginning"), can_come_back)
}

/// Puts a call on its stream, whether or not a client reads it.
async fn carry(
    gateway: Rc<Gateway>,
    mut pending: PendingAnswers,
    related: Related,
    stream: Rc<Stream>,
    id: Option<RequestId>,
) {
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut pending => break answer,
            event = related.next() => stream.push(event),
        }
    };
    while let Some(event) = related.pop() {
        stream.push(event);
    }
    if let Some(answer) = answer {
        stream.push(answer.join(&gateway.budget, id.as_ref()));
    }
    stream.end();
}

fn bounds(settings: &GatewaySettings) -> Bounds {
    Bounds { events: settings.replay_events, bytes: settings.replay_bytes }
}

/// After this time the client is to come back for the rest (SSE polling), if it knows how.
fn stream_time(session: &Session, settings: &GatewaySettings) -> Option<Duration> {
    settings.stream_time.filter(|_| session.can_come_back())
}

/// JSON-RPC batches exist on 2025-03-26 only.
async fn batch(request: &HttpRequest, endpoint: &Endpoint, body: &Bytes) -> Result<HttpResponse, HttpError> {
    let unreadable = |why: &dyn std::fmt::Display| HttpError::new(StatusCode::BAD_REQUEST, ErrorCode::PARSE_ERROR, why);
    let text = std::str::from_utf8(body).map_err(|_| unreadable(&"the body is not UTF-8"))?;
    let elements = RawArray::from_text(text).map_err(|error| unreadable(&error))?.0;
    if elements.is_empty() || elements.len() > MAX_BATCH {
        return Err(HttpError::bad_request(format_args!("a batch holds 1 to {MAX_BATCH} messages")));
    }
    let session = find_session(request, endpoint).await?;
    if session.version() != ProtocolVersion::V2025_03_26 {
        return Err(HttpError::bad_request("batches exist on protocol version 2025-03-26 only"));
    }
    let headers = endpoint.client_headers(request)?;
    let related = request_context::related();
    let room = Rc::new(Cell::new(BATCH_BYTES));
    let mut answers: Vec<PendingAnswers> = Vec::new();
    for (at, element) in elements.into_iter().enumerate() {
        match parse(element.get().as_bytes()) {
            Ok(Message::Request { id, method, .. }) if method == method::INITIALIZE => {
                answers.push(Box::pin(std::future::ready(Some(error(&id, "initialize cannot be part of a batch")))));
            }
            Ok(message) => match Incoming::of(message, body) {
                Incoming::Request(r) => {
                    // The first was counted with the request that the batch came in.
                    if let Some(refusal) = (at > 0).then(|| too_often(endpoint, &r.id)).flatten() {
                        answers.push(Box::pin(std::future::ready(Some(refusal))));
                        continue;
                    }
                    let (id, r) = (r.id.clone(), r.with_headers(headers.clone()));
                    let answer = methods::answer(endpoint.gateway.clone(), session.clone(), r, related.clone());
                    answers.push(Box::pin(within(room.clone(), id, answer)));
                }
                Incoming::Notification { method, params } => {
                    methods::notice(&endpoint.gateway, &session, &method, &params)
                }
                Incoming::Response { id, response } => methods::answered(&session, &id, response),
            },
            Err(problem) => {
                let mut out = Vec::new();
                let object = mcproxy_mcp::error_object(problem.code(), &problem);
                write_error_response(&mut out, problem.id(), object.get());
                answers.push(Box::pin(std::future::ready(Some(out.into()))));
            }
        }
    }
    if answers.is_empty() {
        return Ok(HttpResponse::Accepted().finish());
    }
    let all: PendingAnswers = Box::pin(async move {
        let answers: Vec<Pieces> = join_all(answers).await.into_iter().flatten().collect();
        (!answers.is_empty()).then(|| Pieces::array(answers))
    });
    Ok(respond(request, &endpoint.gateway, &session, all, related, None).await)
}

/// The answer to a request of a batch that is one too many for its token.
fn too_often(endpoint: &Endpoint, id: &RequestId) -> Option<Pieces> {
    let limiter = endpoint.gateway.rates.of(endpoint.principal.name())?;
    let exceeded = limiter.admit(Instant::now()).err()?;
    let error = ErrorObject::new(ErrorCode::INTERNAL_ERROR, format_args!("this token has {exceeded}"));
    Some(Reply::from(exceeded.tell(error)).into_response(id))
}

/// The answer to one request of a batch, or an error where there is no room for it.
async fn within(room: Rc<Cell<usize>>, id: RequestId, answer: impl Future<Output = Option<Pieces>>) -> Option<Pieces> {
    let answer = answer.await?;
    match room.get().checked_sub(answer.len()) {
        Some(left) => {
            room.set(left);
            Some(answer)
        }
        None => Some(error(
            &id,
            &format!(
                "the answers to this batch are more than {BATCH_BYTES} bytes; ask for this one in a request of its own"
            ),
        )),
    }
}

fn error(id: &RequestId, why: &str) -> Pieces {
    Reply::from(ErrorObject::new(ErrorCode::INVALID_REQUEST, why)).into_response(id)
}

/// `GET /mcp`: the stream for messages that belong to no request, or the rest of a stream that broke off.
pub(super) async fn get(request: HttpRequest, endpoint: Endpoint) -> Result<HttpResponse, HttpError> {
    stateless::refuse_method(&request)?;
    check_accept(&request, &["text/event-stream"])?;
    let session = find_session(&request, &endpoint).await?;
    session.touch(Instant::now());
    let settings = endpoint.gateway.settings();
    let reader = match last_event(&request)? {
        Some(id) if id.stream.kind() == StreamKind::Answering => {
            session.read_on(id, stream_time(&session, &settings).map(|time| time.max(COME_BACK))).ok_or_else(|| {
                HttpError::bad_request(format_args!(
                    "there is nothing to resume after event {id}: its call was lost with an earlier gateway, or the stream \
                     is no longer kept (limits.replayEvents, limits.replayBytes, limits.replayTotal)"
                ))
            })?
        }
        after => session.listen(&endpoint.gateway.replay_budget, bounds(&settings), after),
    };
    Ok(sse::replay(&request, &endpoint.gateway.budget, reader, session.can_come_back()))
}

/// `HEAD /mcp`: what `GET` would begin with, and no stream.
pub(super) async fn head(request: HttpRequest, endpoint: Endpoint) -> Result<HttpResponse, HttpError> {
    stateless::refuse_method(&request)?;
    check_accept(&request, &["text/event-stream"])?;
    find_session(&request, &endpoint).await?;
    Ok(sse::head())
}

/// Where the client wants to go on.
fn last_event(request: &HttpRequest) -> Result<Option<EventId>, HttpError> {
    match header(request, &LAST_EVENT).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => EventId::parse(text)
            .map(Some)
            .ok_or_else(|| HttpError::bad_request(format_args!("the Last-Event-ID {text:?} is none of ours"))),
    }
}

/// `DELETE /mcp`: the client leaves.
pub(super) async fn delete(request: HttpRequest, endpoint: Endpoint) -> Result<HttpResponse, HttpError> {
    stateless::refuse_method(&request)?;
    let session = find_session(&request, &endpoint).await?;
    endpoint.gateway.sessions.close(session.id());
    lifetime::release(&endpoint.gateway, &session);
    Ok(HttpResponse::NoContent().finish())
}

/// The session that a message is of. The version header repeats what `initialize` has agreed on.
async fn find_session(request: &HttpRequest, endpoint: &Endpoint) -> Result<Rc<Session>, HttpError> {
    check_version(request)?;
    let id = header(request, &SESSION)
        .ok_or_else(|| HttpError::bad_request("an Mcp-Session-Id header is required; send initialize first"))?;
    endpoint.session(id).await?.filter(|session| !session.ends_with_its_stream()).ok_or_else(|| {
        let message = "the session is unknown or has expired; send initialize again";
        HttpError::new(StatusCode::NOT_FOUND, ErrorCode::INVALID_REQUEST, message)
    })
}

/// A stated version must be one that we speak; without one the session's own holds.
fn check_version(request: &HttpRequest) -> Result<(), HttpError> {
    match header(request, &VERSION) {
        Some(text) if ProtocolVersion::parse(text).is_none() => Err(HttpError::bad_request(format_args!(
            "the MCP-Protocol-Version {text:?} is not supported; supported: {}",
            ProtocolVersion::WITH_INITIALIZE.map(ProtocolVersion::as_str).join(", ")
        ))),
        _ => Ok(()),
    }
}

fn header<'r>(request: &'r HttpRequest, name: &HeaderName) -> Option<&'r str> {
    // Not `to_str`, which looks at each byte of what may be a long session id.
    request.headers().get(name).map(|value| std::str::from_utf8(value.as_bytes()).unwrap_or(""))
}

/// The value that the SDKs send.
const USUAL_ACCEPT: &[u8] = b"application/json, text/event-stream";

/// The client must take all of these media types; a client that names none takes everything.
fn check_accept(request: &HttpRequest, needed: &[&str]) -> Result<(), HttpError> {
    if request.headers().get(header::ACCEPT).is_some_and(|value| value.as_bytes() == USUAL_ACCEPT) {
        return Ok(());
    }
    let stated: Vec<&str> = request
        .headers()
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .collect();
    let takes = |mime: &&str| {
        let family = mime.split('/').next();
        stated.iter().any(|range| {
            *range == "*/*"
                || range.eq_ignore_ascii_case(mime)
                || range.strip_suffix("/*").is_some_and(|f| Some(f) == family)
        })
    };
    if stated.is_empty() || needed.iter().all(takes) {
        return Ok(());
    }
    let message = format!("the client must accept {}", needed.join(" and "));
    Err(HttpError::new(StatusCode::NOT_ACCEPTABLE, ErrorCode::INVALID_REQUEST, message))
}

fn json(request: &HttpRequest, gateway: &Gateway, answer: Pieces) -> HttpResponse {
    responder::json(request, &gateway.budget, StatusCode::OK, answer)
}
