//! Streamable HTTP without sessions: 2026-07-28 (MCP transports).

use std::{future::Future, pin::Pin, rc::Rc, time::Instant};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName},
    },
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use mcproxy_mcp::{ErrorCode, ErrorObject, Message, ProtocolVersion, RawArray, RawObject, RequestId, method, parse};

use super::{
    endpoint::Endpoint,
    error::HttpError,
    json_body,
    responder::{Beginning, beginning},
    sse,
};
use crate::gateway::{
    base::{
        budget::{Held, Purpose},
        pieces::Pieces,
        reply::Reply,
        response_timer,
    },
    call::{
        incoming::{Incoming, Request, read_params},
        request_context::{self, Related, RequestContext},
        skills,
    },
    dialect::stateless::{
        listen::Listening,
        methods, response,
        validate::{self, Repeating},
    },
    downstream::{
        header_value::HeaderValue, param_headers::ParamHeaders, request_meta, stateless_client::StatelessClient,
    },
    notify::custom_notifications,
    state::Gateway,
};

/// Which revision a request is of. Looked up with each: a name that is text would be checked and hashed each time.
pub(super) static VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
static METHOD: HeaderName = HeaderName::from_static("mcp-method");
static NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The answer to one POST, still to come. Dropping it gives the request up.
type Pending = Pin<Box<dyn Future<Output = Answered>>>;

/// A JSON-RPC response, and the status that it has if nothing was said before it.
struct Answered {
    status: StatusCode,
    text: Pieces,
}

/// Whether a POST may be of this dialect; the others pay for no more than this.
pub(super) fn may_concern(request: &HttpRequest, body: &[u8]) -> bool {
    names_this_version(request) || request_meta::may_hold_request_meta(body)
}

/// Refuses what does not exist in this dialect: streams and sessions to be deleted.
pub(super) fn refuse_method(request: &HttpRequest) -> Result<(), HttpError> {
    if names_this_version(request) {
        Err(HttpError::post_only("2026-07-28 has no sessions: POST only"))
    } else {
        Ok(())
    }
}

pub(super) fn names_this_version(request: &HttpRequest) -> bool {
    let version = request.headers().get(&VERSION).map(header::HeaderValue::as_bytes);
    version == Some(ProtocolVersion::V2026_07_28.as_str().as_bytes())
}

/// Answers a POST of this dialect; `None`: it is of another.
pub(super) async fn post(
    request: &HttpRequest,
    endpoint: &Endpoint,
    body: &Bytes,
) -> Result<Option<HttpResponse>, HttpError> {
    if body.trim_ascii_start().starts_with(b"[") {
        return batch(body).map(|()| None);
    }
    let named = names_this_version(request);
    match parse(body)? {
        Message::Notification { method, params } => {
            let claimed = params.and_then(|raw| RawObject::from_raw(raw).ok()).is_some_and(|params| claims(&params));
            // No notification of the protocol means anything here: a client cancels by closing the stream.
            if (named || claimed) && method::is_custom_notification(&method) {
                let (gateway, key) = (&endpoint.gateway, endpoint.principal.key());
                let params = params.map_or(&[][..], |raw| raw.get().as_bytes());
                custom_notifications::to_server(gateway, &endpoint.scope, key, &method, params);
            }
            Ok((named || claimed).then(|| HttpResponse::Accepted().finish()))
        }
        Message::Response { .. } if named => Err(HttpError::bad_request("2026-07-28 has no responses of clients")),
        Message::Response { .. } => Ok(None),
        message @ Message::Request { .. } => {
            let Incoming::Request(incoming) = Incoming::of(message, body) else { return Ok(None) };
            let params = match read_params(&incoming.params) {
                Ok(params) => params,
                Err(error) => return Ok(named.then(|| refused(request, endpoint, &incoming.id, error))),
            };
            let meta = params.get_object("_meta");
            match (request_meta::is_stateless(meta.as_ref()), named) {
                (false, false) => Ok(None),
                (false, true) if incoming.method == method::INITIALIZE => {
                    let message = "the Mcp-Protocol-Version header names a version that has no `initialize`";
                    let error = ErrorObject::new(ErrorCode::HEADER_MISMATCH, message);
                    Ok(Some(refused(request, endpoint, &incoming.id, error)))
                }
                _ => Ok(Some(request_of(request, endpoint, &incoming, &params, meta.as_ref()).await)),
            }
        }
    }
}

/// Batches belong to sessions, and no request of this dialect may be among one.
fn batch(body: &[u8]) -> Result<(), HttpError> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let claimed = |element: &&mcproxy_mcp::RawValue| {
        let message = RawObject::from_raw(element).ok();
        message.and_then(|message| message.get_object("params")).is_some_and(|params| claims(&params))
    };
    match RawArray::from_text(text) {
        Ok(RawArray(elements)) if elements.iter().any(claimed) => {
            Err(HttpError::bad_request("2026-07-28 has no batches"))
        }
        _ => Ok(()),
    }
}

fn claims(params: &RawObject<'_>) -> bool {
    request_meta::is_stateless(params.get_object("_meta").as_ref())
}

async fn request_of(
    request: &HttpRequest,
    endpoint: &Endpoint,
    incoming: &Request,
    params: &RawObject<'_>,
    meta: Option<&RawObject<'_>>,
) -> HttpResponse {
    let extended = |method: &str| {
        let view = endpoint.gateway.servers.view(&endpoint.scope);
        view.owner_of(method).is_some() || (skills::is_method(method) && view.has_skills())
    };
    let stated = |which| stated(request.headers(), header_of(which));
    let meta_of_request = match validate::validate(stated, extended, &incoming.method, params, meta) {
        Ok(meta_of_request) => meta_of_request,
        Err(error) => return refused(request, endpoint, &incoming.id, error),
    };
    let params_of_tool = match &*incoming.method {
        method::TOOLS_CALL => {
            let headers = request.headers().iter();
            ParamHeaders::of(headers.map(|(name, value)| (name.as_str(), value)), |value| value.to_str().ok())
        }
        _ => ParamHeaders::default(),
    };
    let client =
        StatelessClient::new(endpoint.scope.clone(), endpoint.principal.clone(), meta_of_request, params_of_tool);
    let related = request_context::related();
    if incoming.method == method::LISTEN {
        let context = match RequestContext::begin_stateless(
            endpoint.gateway.clone(),
            client,
            related,
            incoming,
            Instant::now(),
        ) {
            Ok(context) => context,
            Err(full) => {
                return refused(request, endpoint, &incoming.id, ErrorObject::new(ErrorCode::INTERNAL_ERROR, full));
            }
        };
        let budget = &endpoint.gateway.budget;
        // What it listens to is kept for as long as it listens.
        let room = match budget.take(Purpose::Subscriptions, incoming.params.len()) {
            Ok(room) => room,
            Err(full) => {
                return refused(request, endpoint, &incoming.id, ErrorObject::new(ErrorCode::INTERNAL_ERROR, full));
            }
        };
        return match Listening::begin(&context, params).await {
            Ok(listening) => sse::answer(request, budget, heard(listening, room)),
            Err(error) => refused(request, endpoint, &incoming.id, error),
        };
    }
    let pending = Box::pin(work(endpoint.gateway.clone(), client, incoming.clone(), related.clone()));
    respond(request, &endpoint.gateway, pending, related).await
}

fn header_of(which: Repeating) -> &'static HeaderName {
    match which {
        Repeating::Version => &VERSION,
        Repeating::Method => &METHOD,
        Repeating::Name => &NAME,
    }
}

fn stated<'r>(headers: &'r HeaderMap, name: &HeaderName) -> HeaderValue<'r> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (None, _) => HeaderValue::Nothing,
        (Some(value), None) => value.to_str().map_or(HeaderValue::Unclear, HeaderValue::Once),
        (Some(_), Some(_)) => HeaderValue::Unclear,
    }
}

async fn work(gateway: Rc<Gateway>, client: StatelessClient, request: Request, related: Related) -> Answered {
    let context = RequestContext::begin_stateless(gateway, client, related, &request, Instant::now());
    let reply = match (context, read_params(&request.params)) {
        (Ok(context), Ok(params)) => methods::answer(&context, &request.method, params).await,
        (Ok(_), Err(error)) => error.into(),
        (Err(full), _) => ErrorObject::new(ErrorCode::INTERNAL_ERROR, full).into(),
    };
    // Errors of servers are answers like others, but for what is wrong with the request itself.
    let status = match reply.code() {
        Some(ErrorCode::MISSING_CLIENT_CAPABILITY | ErrorCode::HEADER_MISMATCH) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let cacheable = request.method == method::RESOURCES_READ || skills::is_cacheable(&request.method);
    Answered { status, text: response::response(&request.id, reply, cacheable) }
}

/// Sends the answer as JSON if it comes soon and alone, else as a stream of what precedes it and then the answer. A client
/// that leaves drops what is pending, and with it the call.
async fn respond(request: &HttpRequest, gateway: &Gateway, mut pending: Pending, related: Related) -> HttpResponse {
    let wait = response_timer::WITHOUT_SESSION;
    let begun = match beginning(&gateway.response_timer, &related, wait, &mut pending).await {
        Beginning::Json(Answered { status, text }) => return json_body::json(request, &gateway.budget, status, text),
        Beginning::Stream(Some(answered)) => Course::Answered(related, answered.text),
        Beginning::Stream(None) => Course::Pending(related, pending),
    };
    sse::answer(request, &gateway.budget, messages(begun))
}

/// How far a request is whose answer is a stream.
enum Course {
    /// What comes first goes out first.
    Pending(Related, Pending),
    /// What was said before the answer goes out before it.
    Answered(Related, Pieces),
    /// There is nothing after the answer.
    Over,
}

fn messages(begun: Course) -> impl Stream<Item = Pieces> {
    stream::unfold(begun, |mut course| async move {
        loop {
            course = match course {
                Course::Pending(related, mut pending) => {
                    let answered = tokio::select! {
                        biased;
                        answered = &mut pending => answered,
                        event = related.next() => return Some((event.into(), Course::Pending(related, pending))),
                    };
                    Course::Answered(related, answered.text)
                }
                Course::Answered(related, text) => match related.pop() {
                    Some(event) => return Some((event.into(), Course::Answered(related, text))),
                    None => return Some((text, Course::Over)),
                },
                Course::Over => return None,
            };
        }
    })
}

/// What a listener hears, until it leaves or there is nothing more to hear.
fn heard(listening: Listening, room: Held) -> impl Stream<Item = Pieces> {
    stream::unfold((listening, room), |(mut listening, room)| async move {
        let message = listening.next().await?;
        Some((message.into(), (listening, room)))
    })
}

/// A request that is not valid.
fn refused(request: &HttpRequest, endpoint: &Endpoint, id: &RequestId, error: ErrorObject) -> HttpResponse {
    let status = match error.code {
        ErrorCode::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        ErrorCode::INTERNAL_ERROR => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    json_body::json(request, &endpoint.gateway.budget, status, Reply::from(error).into_response(id))
}
