//! HTTP with SSE: the transport of 2024-11-05. `GET /sse` opens session and stream in one; its end ends both.

use actix_web::{HttpRequest, HttpResponse, guard::GuardContext, http::StatusCode, web};
use mcproxy_mcp::{ErrorCode, parse};
use serde::Deserialize;
use slog::info;
use tokio::sync::mpsc;

use super::{
    body,
    place::Place,
    refusal::Refusal,
    sse::{self, Frame},
};
use crate::gateway::{caller::log_for, dispatch, exchange, request::Incoming, session::short};

/// Frames between a session's stream and the socket; the session's own queue is where messages wait.
const FRAMES: usize = 2;

#[derive(Deserialize)]
pub(super) struct Query {
    session_id: String,
}

/// `GET /sse`
pub(super) async fn get(request: HttpRequest, place: Place) -> Result<HttpResponse, Refusal> {
    let session = place.open_stream_session()?;
    let Place { gateway, scope, .. } = place;
    let budget = gateway.budget.clone();
    info!(log_for(&gateway.log, session.principal()), "session opened"; "session" => short(session.id()), "scope" => %scope,
        "version" => "HTTP+SSE, agreed on at initialize");
    let (to, frames) = mpsc::channel(FRAMES);
    let _ = to.try_send(Frame::Endpoint(endpoint(session.id()))); // the queue is empty and holds two
    let messages = session.open_stream();
    tokio::task::spawn_local(async move {
        sse::forward(messages, to).await;
        gateway.sessions.close(session.id());
        gateway.release(&session);
    });
    Ok(sse::respond(&request, &budget, frames))
}

/// Where the client is to post: a reference to the URL of the stream itself, so that it holds under any prefix that a reverse proxy
/// puts before it (docs/decisions/0095).
fn endpoint(session: &str) -> String {
    format!("?session_id={session}")
}

/// `HEAD /sse`: what `GET` would begin with, and no stream.
pub(super) async fn head(_: Place) -> HttpResponse {
    sse::head()
}

/// Whether a POST is for the session of a stream. Elsewhere than at `/messages` one without is none of ours: clients find out by it
/// that a URL is not that of the newer transport.
pub(super) fn names_session(context: &GuardContext<'_>) -> bool {
    web::Query::<Query>::from_query(context.head().uri.query().unwrap_or_default()).is_ok()
}

/// `POST /sse?session_id=…`, or at `/messages`: accepted here, answered on the stream.
pub(super) async fn post(
    request: HttpRequest,
    place: Place,
    query: Option<web::Query<Query>>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let known = query.and_then(|q| place.stream_session(&q.session_id));
    let session = known.filter(|s| s.has_stream()).ok_or_else(|| {
        let message = "the session is unknown or has ended; open /sse again";
        Refusal::new(StatusCode::NOT_FOUND, ErrorCode::INVALID_REQUEST, message)
    })?;
    let gateway = place.gateway;
    let body = body::read(&request, payload, &gateway, async || body::Bound::Any).await?;
    let message = Incoming::of(parse(&body)?, &body);
    match message {
        Incoming::Request(r) => {
            let related = exchange::related();
            let (budget, id) = (gateway.budget.clone(), r.id.clone());
            tokio::task::spawn_local(async move {
                let mut answer = std::pin::pin!(dispatch::answer(gateway, session.clone(), r, related.clone()));
                let answer = loop {
                    tokio::select! {
                        biased;
                        answer = &mut answer => break answer,
                        event = related.next() => session.push_answer(event).await,
                    }
                };
                while let Some(event) = related.pop() {
                    session.push_answer(event).await;
                }
                if let Some(answer) = answer {
                    session.push_answer(answer.join(&budget, Some(&id))).await;
                }
            });
        }
        Incoming::Notification { method, params } => dispatch::notice(&gateway, &session, &method, &params),
        Incoming::Response { id, response } => dispatch::answered(&session, &id, response),
    }
    Ok(HttpResponse::Accepted().content_type("text/plain").body("Accepted"))
}
