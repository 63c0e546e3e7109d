//! HTTP with SSE: the transport of 2024-11-05. `GET /sse` opens session and stream in one; its end ends both.

use std::{
    borrow::Cow,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{HttpRequest, HttpResponse, guard::GuardContext, http::StatusCode, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use mcproxy_mcp::{ErrorCode, parse};
use serde::Deserialize;
use slog::{info, warn};
use url::form_urlencoded;

use super::{
    body,
    endpoint::Endpoint,
    error::HttpError,
    sse::{self, Frame},
};
use crate::gateway::{
    call::{incoming::Incoming, request_context},
    dialect::session::{lifetime, methods},
    sessions::{
        mailbox::Mail,
        session::{Session, short},
    },
    state::Gateway,
};

#[derive(Deserialize)]
pub(super) struct Query {
    session_id: String,
}

/// `GET /sse`
pub(super) async fn get(request: HttpRequest, endpoint: Endpoint) -> Result<HttpResponse, HttpError> {
    let session = endpoint.open_stream_session()?;
    let Endpoint { gateway, scope, .. } = endpoint;
    let budget = gateway.budget.clone();
    info!(session.principal().log(&gateway.log), "session opened"; "session" => short(session.id()), "scope" => %scope,
        "version" => "HTTP+SSE, agreed on at initialize");
    // The reference has a query of its own, which takes the place of the one that the client came with.
    let key = gateway.auth().key_in_query(request.uri()).map(Cow::into_owned);
    let first = stream::iter([Frame::Endpoint(post_target(session.id(), key.as_deref()))]);
    let mail = session.open_stream(&budget);
    let rest = Reading { gateway, session, mail }.map(|message| Frame::Message(message.into()));
    Ok(sse::frames(&request, &budget, first.chain(rest)))
}

/// The stream of a session that ends with it.
struct Reading {
    gateway: Rc<Gateway>,
    session: Rc<Session>,
    mail: Mail,
}

impl Stream for Reading {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.mail.poll_next_unpin(context)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.gateway.sessions.close(self.session.id());
        lifetime::release(&self.gateway, &self.session);
    }
}

/// Where the client is to post: a reference to the URL of the stream itself, so that it holds under any prefix that a reverse proxy
/// puts before it (docs/decisions/0095).
fn post_target(session: &str, key: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
    query.append_pair("session_id", session);
    key.iter().for_each(|key| {
        query.append_pair("api_key", key);
    });
    query.finish()
}

/// `HEAD /sse`: what `GET` would begin with, and no stream.
pub(super) async fn head(_: Endpoint) -> HttpResponse {
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
    endpoint: Endpoint,
    query: Option<web::Query<Query>>,
    payload: web::Payload,
) -> Result<HttpResponse, HttpError> {
    let known = query.and_then(|q| endpoint.stream_session(&q.session_id));
    let session = known.filter(|s| s.has_stream()).ok_or_else(|| {
        let message = "the session is unknown or has ended; open /sse again";
        HttpError::new(StatusCode::NOT_FOUND, ErrorCode::INVALID_REQUEST, message)
    })?;
    let headers = endpoint.client_headers(&request)?;
    let gateway = endpoint.gateway;
    let body = body::read(&request, payload, &gateway, async || body::Bound::Any).await?;
    let message = Incoming::of(parse(&body)?, &body);
    match message {
        Incoming::Request(r) => {
            let related = request_context::related();
            let (id, r) = (r.id.clone(), r.with_headers(headers));
            tokio::task::spawn_local(async move {
                let work = methods::answer(gateway.clone(), session.clone(), r, related.clone());
                let mut answer = std::pin::pin!(work);
                let answer = loop {
                    tokio::select! {
                        biased;
                        answer = &mut answer => break answer,
                        event = related.next() => session.push_event(event).await,
                    }
                };
                let answer = answer.map(|answer| answer.join(&gateway.budget, Some(&id)));
                let mut rest = std::iter::from_fn(|| related.pop()).chain(answer);
                if !rest.all(|message| session.push_answer(message)) {
                    warn!(gateway.log, "a client has lost its stream: too many bytes of answers waited to be read";
                        "session" => short(session.id()));
                }
            });
        }
        Incoming::Notification { method, params } => methods::notice(&gateway, &session, &method, &params),
        Incoming::Response { id, response } => methods::answered(&session, &id, response),
    }
    Ok(HttpResponse::Accepted().content_type("text/plain").body("Accepted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_a_query_that_they_can_append() {
        assert_eq!(post_target("s1", None), "?session_id=s1");
        assert_eq!(post_target("s1", Some("a&b")), "?session_id=s1&api_key=a%26b");
    }
}
