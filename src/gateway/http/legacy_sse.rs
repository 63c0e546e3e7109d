//! HTTP with SSE: the transport of 2024-11-05. `GET /sse` opens session and stream in one; its end ends both.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};
use mcproxy_mcp::{ErrorCode, ProtocolVersion, parse};
use serde::Deserialize;
use slog::info;
use tokio::sync::mpsc;

use super::{
    body,
    place::Place,
    refuse,
    sse::{self, Frame},
};
use crate::gateway::{dispatch, request::Incoming, state::short};

/// Frames between a session's stream and the socket; the session's own queue is where messages wait.
const FRAMES: usize = 2;
/// Messages of one call, before its answer, that may wait for the client's stream.
const RELATED_QUEUE: usize = 64;

#[derive(Deserialize)]
pub(super) struct Query {
    session_id: String,
}

/// `GET /sse`
pub(super) async fn get(request: HttpRequest, place: Place) -> HttpResponse {
    let gateway = place.gateway;
    let limit = gateway.settings().max_sessions;
    let opened = gateway.sessions.open(
        place.scope.clone(),
        place.principal,
        ProtocolVersion::V2024_11_05,
        limit,
        Instant::now(),
    );
    let session = match opened {
        Ok((session, evicted)) => {
            if let Some(evicted) = evicted {
                gateway.release(&evicted);
            }
            session
        }
        Err(error) => return refuse(HttpResponse::ServiceUnavailable(), ErrorCode::INTERNAL_ERROR, error),
    };
    info!(gateway.log, "session opened"; "session" => short(session.id()), "scope" => %place.scope, "version" => "2024-11-05 (SSE)");
    let (to, frames) = mpsc::channel(FRAMES);
    let endpoint = format!("{}/messages?session_id={}", place.scope.path(), session.id());
    let _ = to.try_send(Frame::Endpoint(endpoint)); // the queue is empty and holds two
    let mut messages = session.open_stream();
    tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => if to.send(Frame::Message(message)).await.is_err() { break },
                    None => break,
                },
                () = to.closed() => break,
            }
        }
        gateway.sessions.close(session.id());
        gateway.release(&session);
    });
    sse::respond(&request, frames)
}

/// `POST /messages?session_id=…`: accepted here, answered on the stream.
pub(super) async fn post(
    request: HttpRequest,
    place: Place,
    query: Option<web::Query<Query>>,
    payload: web::Payload,
) -> HttpResponse {
    let session =
        query.and_then(|q| place.gateway.sessions.find(&q.session_id, &place.scope, place.principal.as_deref()));
    let Some(session) = session.filter(|s| s.has_stream()) else {
        return refuse(
            HttpResponse::NotFound(),
            ErrorCode::INVALID_REQUEST,
            "the session is unknown or has ended; open /sse again",
        );
    };
    let gateway = place.gateway;
    let max = gateway.settings().max_body_bytes;
    let body = match body::read(&request, payload, max).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let message = match parse(&body) {
        Ok(message) => Incoming::of(message, &body),
        Err(error) => return body::not_a_message(&error),
    };
    match message {
        Incoming::Request(r) => {
            let (related, mut events) = mpsc::channel(RELATED_QUEUE);
            tokio::task::spawn_local(async move {
                let mut answer = std::pin::pin!(dispatch::answer(gateway, session.clone(), r, related));
                let answer = loop {
                    tokio::select! {
                        biased;
                        answer = &mut answer => break answer,
                        Some(event) = events.recv() => session.push_answer(event).await,
                    }
                };
                while let Ok(event) = events.try_recv() {
                    session.push_answer(event).await;
                }
                if let Some(answer) = answer {
                    session.push_answer(answer).await;
                }
            });
        }
        Incoming::Notification { method, params } => dispatch::notice(&session, &method, &params),
        Incoming::Response => session.touch(Instant::now()),
    }
    HttpResponse::Accepted().content_type("text/plain").body("Accepted")
}
