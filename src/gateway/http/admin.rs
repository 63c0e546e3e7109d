//! Pages for monitors and people: liveness, readiness, status, metrics.

use std::rc::Rc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, http::header};
use actix_web_lab::extract::Query;
use bytes::Bytes;
use mcproxy_ipc::{ServerName, ServerState};
use serde::{Deserialize, Serialize};

use super::{Shared, error::HttpError, metrics_page};
use crate::{
    gateway::{
        base::{
            principal::Principal,
            status_cache::{lines_of, part_of},
        },
        state::Gateway,
        upstream::servers::Servers,
    },
    status_view::StatusView,
};

/// `GET /healthz`: this process answers.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

#[derive(Deserialize)]
pub(super) struct Require {
    require: Option<String>,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// Only for those who may know which servers there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Vec<UnreadyServer>>,
}

#[derive(Serialize)]
struct UnreadyServer {
    server: String,
    state: &'static str,
}

/// `GET /readyz[?require=a,b]`: 200 once the required servers answer calls; without `require`, all that are wanted. Where
/// authentication is configured, only an authenticated client learns the names of servers; others learn whether all are ready.
pub(super) async fn readyz(
    request: HttpRequest,
    Shared(gateway): Shared,
    query: Query<Require>,
) -> Result<HttpResponse, HttpError> {
    let admission = gateway.auth().identify(request.headers(), request.uri());
    let servers = &gateway.servers;
    let (ready, waiting) = match (&query.require, admission) {
        (Some(_), Err(error)) => return Err(HttpError::unauthorized(error, None)),
        (None, Err(_)) => (servers.is_ready(), None),
        (None, Ok(_)) if servers.is_ready() => (true, Some(Vec::new())),
        (required, Ok(admission)) => {
            let principal = admission.principal();
            let waiting = match required {
                Some(list) => {
                    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
                    waiting_of(servers, &principal, names)
                }
                None => {
                    let wanted = servers.wanted();
                    let shown = wanted.iter().filter(|name| servers.reaches(&principal, name));
                    waiting_of(servers, &principal, shown.map(|name| name.as_str()))
                }
            };
            (waiting.is_empty(), Some(waiting))
        }
    };
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    Ok(response.json(Readiness { ready, waiting }))
}

/// Of these servers, those that do not answer; to a principal that may not use one, that one is unknown.
fn waiting_of<'n>(
    servers: &Servers,
    principal: &Principal,
    names: impl Iterator<Item = &'n str>,
) -> Vec<UnreadyServer> {
    let is_shown = |name: &str| ServerName::try_from(name).is_ok_and(|name| servers.reaches(principal, &name));
    let missing = names.filter(|name| !(is_shown(name) && servers.answers(name)));
    missing
        .map(|name| {
            let state = match servers.state_of(name).filter(|_| is_shown(name)) {
                // Its worker is ready, and we have not read its catalogue yet.
                Some(ServerState::Ready) => ServerState::Starting.as_str(),
                state => state.map_or("unknown", ServerState::as_str),
            };
            UnreadyServer { server: name.to_owned(), state }
        })
        .collect()
}

/// `GET /health`: everything that is known, as JSON in the form of [`StatusView`](crate::status_view::StatusView).
pub(super) async fn health(request: HttpRequest, Shared(gateway): Shared) -> HttpResponse {
    let principal = principal(&request);
    if gateway.servers.is_limited(&principal) {
        let report = gateway.status_cache.report(&gateway.supervisor).await;
        let part = report.map(|report| part_of(&report, |server| gateway.servers.reaches(&principal, server)));
        return match part {
            Some(part) => HttpResponse::Ok().json(StatusView::of(&part)),
            None => HttpResponse::ServiceUnavailable().body("the supervisor did not answer\n"),
        };
    }
    match gateway.status_cache.health(&gateway.supervisor).await {
        Some(page) => HttpResponse::Ok().content_type(header::ContentType::json()).body(page),
        None => HttpResponse::ServiceUnavailable().body("the supervisor did not answer\n"),
    }
}

/// `GET /metrics`: Prometheus.
pub(super) async fn metrics(request: HttpRequest, Shared(gateway): Shared) -> HttpResponse {
    let (principal, page) = (principal(&request), prepared_metrics(&gateway).await);
    let shows =
        |server: &str| ServerName::try_from(server).is_ok_and(|server| gateway.servers.reaches(&principal, &server));
    let page = match std::str::from_utf8(&page) {
        Ok(text) if gateway.servers.is_limited(&principal) => lines_of(text, shows).into(),
        Ok(_) | Err(_) => page,
    };
    HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(page)
}

/// By whom the request was sent.
fn principal(request: &HttpRequest) -> Principal {
    request.extensions().get::<Principal>().cloned().unwrap_or_default()
}

/// Without an answer of the supervisor the page lacks what only that knows.
async fn prepared_metrics(gateway: &Rc<Gateway>) -> Bytes {
    let gateway = gateway.clone();
    let work = async move {
        let render = async || {
            let report = gateway.status_cache.report(&gateway.supervisor).await;
            Bytes::from(metrics_page::render(&gateway, report.as_deref()))
        };
        gateway.status_cache.metrics(render).await
    };
    // The page is for all requests, so the work goes on when the first client has left.
    tokio::task::spawn_local(work).await.unwrap_or_default()
}
