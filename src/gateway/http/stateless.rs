//! Streamable HTTP without sessions: 2026-07-28 (MCP transports).

use std::{future::Future, pin::Pin, time::Instant};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName},
    },
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use mcproxy_mcp::{ErrorCode, ErrorObject, ProtocolVersion, RequestId, method, parse};

use super::{
    endpoint::Endpoint,
    error::HttpError,
    responder::{self, Beginning, beginning},
    sse, step_up,
};
use crate::gateway::{
    base::{
        budget::{Held, Purpose},
        pieces::Pieces,
        reply::Reply,
        response_timer,
    },
    call::{
        incoming::{Incoming, Params, Request},
        request_context::{self, Related, RequestContext},
        skills,
    },
    dialect::stateless::{
        listen::Listening,
        methods, response,
        validate::{self, Repeating},
    },
    downstream::{
        Downstream,
        header_value::HeaderValue,
        param_headers::ParamHeaders,
        request_meta::{self, RequestMeta},
        stateless_client::StatelessClient,
    },
    notify::custom_notifications,
    state::Gateway,
};

/// Which revision a request is of. Looked up with each: a name that is text would be checked and hashed each time.
pub(super) static VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
static METHOD: HeaderName = HeaderName::from_static("mcp-method");
static NAME: HeaderName = HeaderName::from_static("mcp-name");
/// The web page sends it with a call that it makes again.
static REPLAY: HeaderName = HeaderName::from_static("x-mcproxy-replay");

/// The answer to one POST, still to come. Dropping it gives the request up.
type Pending = Pin<Box<dyn Future<Output = Answered>>>;

/// A JSON-RPC response, and the status that it has if nothing was said before it.
struct Answered {
    status: StatusCode,
    text: Pieces,
}

/// Refuses what does not exist in this dialect: streams and sessions to be deleted.
pub(super) fn refuse_method(request: &HttpRequest) -> Result<(), HttpError> {
    if names_this_version(request) {
        Err(HttpError::post_only("2026-07-28 has no sessions: POST only"))
    } else {
        Ok(())
    }
}

/// Whether a message is of this dialect: its header says so.
pub(super) fn names_this_version(request: &HttpRequest) -> bool {
    let version = request.headers().get(&VERSION).map(header::HeaderValue::as_bytes);
    version == Some(ProtocolVersion::V2026_07_28.as_str().as_bytes())
}

/// Answers a POST of this dialect.
pub(super) async fn post(request: &HttpRequest, endpoint: Endpoint, body: &Bytes) -> Result<HttpResponse, HttpError> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(HttpError::bad_request("2026-07-28 has no batches"));
    }
    match Incoming::of(parse(body)?, body) {
        Incoming::Notification { method, params } => {
            // No notification of the protocol means anything here: a client cancels by closing the stream.
            if method::is_custom_notification(&method) {
                let (gateway, key) = (&endpoint.gateway, endpoint.principal.key());
                custom_notifications::to_server(gateway, &endpoint.scope, key, &method, &params);
            }
            Ok(HttpResponse::Accepted().finish())
        }
        Incoming::Response { .. } => Err(HttpError::bad_request("2026-07-28 has no responses of clients")),
        Incoming::Request(incoming) if incoming.method == method::LISTEN => {
            let gateway = endpoint.gateway.clone();
            let listening = listen(request, endpoint, &incoming).await;
            Ok(match listening {
                Ok((listening, room)) => sse::answer(request, &gateway.budget, heard(listening, room)),
                Err(error) => refused(request, &gateway, &incoming.id, error),
            })
        }
        Incoming::Request(incoming) => {
            if let Some(refusal) = step_up::of_request(&endpoint.gateway, request, &endpoint.scope, &incoming) {
                return Err(refusal);
            }
            let (gateway, related) = (endpoint.gateway.clone(), request_context::related());
            let incoming = incoming.with_headers(endpoint.client_headers(request)?);
            let pending = Box::pin(answer(request.clone(), endpoint, incoming, related.clone()));
            Ok(respond(request, &gateway, pending, related).await)
        }
    }
}

/// The answer to a request of no session whose body says that it is of this dialect, while its header does not. `None`: its body does
/// not say so either.
pub(super) fn refusal(request: &HttpRequest, endpoint: &Endpoint, incoming: &Request) -> Option<HttpResponse> {
    let params = Params::read(&incoming.params).ok()?;
    refusal_of(request, endpoint, incoming, &params)
}

/// The same when the params are read.
pub(super) fn refusal_of(
    request: &HttpRequest,
    endpoint: &Endpoint,
    incoming: &Request,
    params: &Params<'_>,
) -> Option<HttpResponse> {
    if !request_meta::names_version(params.meta.as_ref()) {
        return None;
    }
    let error = checked(request, endpoint, incoming, params).err()?;
    Some(refused(request, &endpoint.gateway, &incoming.id, error))
}

/// The `_meta` of a request, if the request is valid.
fn checked(
    request: &HttpRequest,
    endpoint: &Endpoint,
    incoming: &Request,
    params: &Params<'_>,
) -> Result<RequestMeta, ErrorObject> {
    if incoming.method == method::INITIALIZE && !request_meta::names_version(params.meta.as_ref()) {
        let message = "the Mcp-Protocol-Version header names a version that has no `initialize`";
        return Err(ErrorObject::new(ErrorCode::HEADER_MISMATCH, message));
    }
    let extended = |method: &str| {
        let view = endpoint.gateway.servers.view(&endpoint.scope);
        view.owner_of(method).is_some() || (skills::is_method(method) && view.has_skills())
    };
    let stated = |which| stated(request.headers(), header_of(which));
    validate::validate(stated, extended, &incoming.method, params)
}

/// The client of a request that is as it has to be.
fn client(
    request: &HttpRequest,
    endpoint: Endpoint,
    incoming: &Request,
    params: &Params<'_>,
) -> Result<Downstream, ErrorObject> {
    let meta = checked(request, &endpoint, incoming, params)?;
    let arguments = match &*incoming.method {
        method::TOOLS_CALL => {
            let headers = request.headers().iter();
            ParamHeaders::of(headers.map(|(name, value)| (name.as_str(), value)), |value| value.to_str().ok())
        }
        _ => ParamHeaders::default(),
    };
    let Endpoint { scope, principal, .. } = endpoint;
    let is_replay = request.headers().contains_key(&REPLAY);
    Ok(Downstream::Stateless(StatelessClient::new(scope, principal, meta, arguments).replaying(is_replay)))
}

/// Begins to listen, with room for what is listened to.
async fn listen(
    request: &HttpRequest,
    endpoint: Endpoint,
    incoming: &Request,
) -> Result<(Listening, Held), ErrorObject> {
    let gateway = endpoint.gateway.clone();
    let params = Params::read(&incoming.params)?;
    let client = client(request, endpoint, incoming, &params)?;
    let full = |full: &dyn std::fmt::Display| ErrorObject::new(ErrorCode::INTERNAL_ERROR, full);
    let context = RequestContext::begin(gateway.clone(), client, request_context::related(), incoming, Instant::now());
    let context = context.map_err(|refused| refused.to_error())?;
    // The subscriptions are kept for as long as it listens.
    let room = gateway.budget.take(Purpose::Subscriptions, incoming.params.len()).map_err(|error| full(&error))?;
    Ok((Listening::begin(&context, &params).await?, room))
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

/// Reads a request, and answers it if it is as it has to be.
async fn answer(http: HttpRequest, endpoint: Endpoint, request: Request, related: Related) -> Answered {
    let gateway = endpoint.gateway.clone();
    let read = Params::read(&request.params).and_then(|params| {
        let client = client(&http, endpoint, &request, &params)?;
        Ok((params, client))
    });
    // Its response may be a stream that lasts.
    drop(http);
    let (params, client) = match read {
        Ok(read) => read,
        Err(error) => {
            return Answered { status: status_of(&error), text: Reply::from(error).into_response(&request.id) };
        }
    };
    let reply = match RequestContext::begin(gateway, client, related, &request, Instant::now()) {
        Ok(context) => methods::answer(&context, &request.method, params).await,
        Err(refused) => refused.to_error().into(),
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
        Beginning::Json(Answered { status, text }) => return responder::json(request, &gateway.budget, status, text),
        Beginning::Stream(Some(answered)) => Course::Answered(related, answered.text),
        Beginning::Stream(None) => Course::Pending(related, pending),
    };
    sse::answer(request, &gateway.budget, messages(begun))
}

/// How far a request is whose answer is a stream.
enum Course {
    /// No answer yet: messages go out as they come.
    Pending(Related, Pending),
    /// The answer is there: messages before it go out first.
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

/// The messages to a listener, until it leaves or there are no more.
fn heard(listening: Listening, room: Held) -> impl Stream<Item = Pieces> {
    stream::unfold((listening, room), |(mut listening, room)| async move {
        let message = listening.next().await?;
        Some((message.into(), (listening, room)))
    })
}

/// The response to a request that is not as it has to be.
fn refused(request: &HttpRequest, gateway: &Gateway, id: &RequestId, error: ErrorObject) -> HttpResponse {
    responder::json(request, &gateway.budget, status_of(&error), Reply::from(error).into_response(id))
}

fn status_of(error: &ErrorObject) -> StatusCode {
    match error.code {
        ErrorCode::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        ErrorCode::INTERNAL_ERROR => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}
