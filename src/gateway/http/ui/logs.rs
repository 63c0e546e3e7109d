//! `GET /ui/api/logs`: what servers and MCProxy wrote. For those who may administer: what one server says to its operator is not for
//! every client.

use actix_web::{HttpResponse, web};
use mcproxy_ipc::{
    LogLine, LogSource, ServerName,
    control::{Answer, OwnedLine, Question},
};
use serde::{Deserialize, Serialize};

use super::{answer, caller::Caller};

/// Lines of one answer.
const MAX_LINES: usize = 1000;

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct LogRow<'a> {
    at: u64,
    server: Option<&'a str>,
    level: &'static str,
    text: &'a str,
    source: &'static str,
}

/// Some of them, the oldest first.
#[derive(Serialize)]
struct LogsPage<'a> {
    lines: Vec<LogRow<'a>>,
}

/// Which lines are wanted.
#[derive(Deserialize)]
pub(super) struct LogsQuery {
    server: Option<String>,
    limit: Option<usize>,
}

impl<'a> LogRow<'a> {
    /// A line of this server, or of the gateway.
    pub(super) fn of(server: Option<&'a str>, line: &'a LogLine) -> Self {
        let source = match line.source {
            LogSource::Stderr => "stderr",
            LogSource::Own if server.is_some() => "supervisor",
            LogSource::Own => "log",
        };
        Self { at: line.at_ms, server, level: line.level.as_str(), text: &line.text, source }
    }

    /// The same of a line that says whose it is.
    pub(super) fn of_owned(owned: &'a OwnedLine) -> Self {
        Self::of(owned.server.as_ref().map(ServerName::as_str), &owned.line)
    }
}

pub(super) async fn get(caller: Caller, query: web::Query<LogsQuery>) -> HttpResponse {
    let caller = caller.verified().await;
    if !caller.may_administer {
        return caller.refused("see the log");
    }
    let lines = query.limit.unwrap_or(MAX_LINES).min(MAX_LINES);
    let supervisor = &caller.gateway.supervisor;
    match query.server.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => {
            let unknown = || answer::not_found("there is no server of that name", None);
            let Ok(server) = ServerName::try_from(name) else { return unknown() };
            match supervisor.ask(Question::Logs { server, lines }).await {
                Some(Answer::Logs(lines)) => {
                    answer::json(&LogsPage { lines: lines.iter().map(|line| LogRow::of(Some(name), line)).collect() })
                }
                Some(Answer::UnknownServer) => unknown(),
                _ => answer::busy(),
            }
        }
        None => match supervisor.ask(Question::AllLogs { lines }).await {
            Some(Answer::AllLogs(lines)) => {
                answer::json(&LogsPage { lines: lines.iter().map(LogRow::of_owned).collect() })
            }
            _ => answer::busy(),
        },
    }
}
