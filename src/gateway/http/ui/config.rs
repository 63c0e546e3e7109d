//! `GET /ui/api/config`: the file with secrets masked, what is wrong in it, and what reading it again would do. The supervisor reads and
//! masks it; this process never sees a secret.

use actix_web::HttpResponse;
use mcproxy_ipc::control::{Answer, Question};
use serde::Serialize;

use super::{answer, caller::Caller};

/// The file.
#[derive(Serialize)]
struct ConfigPage<'a> {
    path: &'a str,
    text: Option<&'a str>,
    problems: Vec<ProblemRow<'a>>,
    pending: Vec<PendingRow<'a>>,
}

/// A mistake, or something that is not understood.
#[derive(Serialize)]
struct ProblemRow<'a> {
    line: Option<usize>,
    column: Option<usize>,
    severity: &'static str,
    message: &'a str,
    remedy: Option<&'a str>,
}

/// What reading the file again would change.
#[derive(Serialize)]
struct PendingRow<'a> {
    server: Option<&'a str>,
    change: &'a str,
}

pub(super) async fn get(caller: Caller) -> HttpResponse {
    let caller = caller.verified().await;
    if !caller.may_administer {
        return caller.refused("see the configuration");
    }
    let gateway = &caller.gateway;
    let Some(report) = caller.report().await else { return answer::busy() };
    let Some(Answer::ConfigFile(shown)) = gateway.supervisor.ask(Question::ConfigFile).await else {
        return answer::busy();
    };
    let place = |number: usize| (number > 0).then_some(number);
    let problems = shown.problems.iter().map(|problem| ProblemRow {
        line: place(problem.line),
        column: place(problem.column),
        severity: if problem.is_error { "error" } else { "warning" },
        message: &problem.message,
        // What to write instead is part of the message.
        remedy: None,
    });
    let pending = shown.pending.iter().map(|pending| PendingRow {
        server: pending.server.as_ref().map(|server| server.as_str()),
        change: &pending.change,
    });
    answer::json(&ConfigPage {
        path: &report.config_path,
        text: shown.text.as_deref(),
        problems: problems.collect(),
        pending: pending.collect(),
    })
}
