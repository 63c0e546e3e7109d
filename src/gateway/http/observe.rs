//! What monitors and people read: liveness, readiness, status, metrics.

use actix_web::{HttpResponse, web};
use mcproxy_ipc::{
    ServerState,
    control::{Answer, Question},
};
use serde::{Deserialize, Serialize};

use super::Shared;
use crate::{gateway::metrics as counters, status_view::StatusView};

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
    waiting: Vec<Waiting>,
}

#[derive(Serialize)]
struct Waiting {
    server: String,
    state: String,
}

/// `GET /readyz[?require=a,b]`: 200 once the required servers answer calls; without `require`, all that are wanted.
pub(super) async fn readyz(Shared(gateway): Shared, query: web::Query<Require>) -> HttpResponse {
    let routes = gateway.fleet.routes();
    let state_of = |name: &str| routes.iter().find(|r| r.server.as_str() == name).map(|r| r.state);
    let required: Vec<String> = match &query.require {
        Some(list) => list.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect(),
        None => routes
            .iter()
            .filter(|r| r.state != ServerState::Stopped || !r.settled)
            .map(|r| r.server.to_string())
            .collect(),
    };
    let waiting: Vec<Waiting> = required
        .into_iter()
        .filter(|name| !gateway.fleet.answers(name))
        .map(|server| {
            let state = match state_of(&server) {
                // Its worker is ready, and we have not read its catalogue yet.
                Some(ServerState::Ready) => ServerState::Starting.as_str(),
                state => state.map_or("unknown", ServerState::as_str),
            };
            Waiting { state: state.to_owned(), server }
        })
        .collect();
    let mut response = if waiting.is_empty() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(Readiness { ready: waiting.is_empty(), waiting })
}

/// `GET /health`: everything that is known, as JSON in the form of [`StatusView`].
pub(super) async fn health(Shared(gateway): Shared) -> HttpResponse {
    match gateway.supervisor.ask(Question::Status).await {
        Some(Answer::Status(report)) => HttpResponse::Ok().json(StatusView::of(&report)),
        _ => HttpResponse::ServiceUnavailable().body("the supervisor did not answer\n"),
    }
}

/// `GET /metrics`: Prometheus. Without an answer of the supervisor the page lacks what only it knows.
pub(super) async fn metrics(Shared(gateway): Shared) -> HttpResponse {
    let answer = gateway.supervisor.ask(Question::Status).await;
    let report = match &answer {
        Some(Answer::Status(report)) => Some(&**report),
        _ => None,
    };
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(counters::render(&gateway, report))
}
