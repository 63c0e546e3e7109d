//! Calls of the built-in server's tools.

use mcproxy_ipc::{
    ServerName,
    control::{Answer, Question},
};

use super::{
    large_result::{self, ResultPart},
    request_context::RequestContext,
    tool_search,
};
use crate::gateway::{
    base::{reply::Reply, status_cache::part_of},
    builtin::{
        Plan, plan,
        render::{render_error, render_logs, render_part, render_search, render_status},
    },
};

/// Answers a call of a built-in tool. `shows` is which servers the client's endpoint shows, `arguments` the text of the member of
/// that name. `is_limited`: it may use a part of the servers only.
pub(crate) async fn run(
    context: &RequestContext,
    shows: impl Fn(&ServerName) -> bool,
    is_limited: bool,
    tool: &str,
    arguments: Option<&str>,
) -> Reply {
    const BUSY: &str = "the supervisor does not answer; try again in a moment";
    let gateway = &context.gateway;
    let result = match plan(tool, arguments) {
        Plan::AskStatus => match gateway.status_cache.report(&gateway.supervisor).await {
            Some(report) if is_limited => render_status(&part_of(&report, shows)),
            Some(report) if report.servers.iter().all(|server| shows(&server.name)) => render_status(&report),
            Some(report) => {
                let mut shown = (*report).clone();
                shown.servers.retain(|server| shows(&server.name));
                render_status(&shown)
            }
            None => render_error(BUSY),
        },
        Plan::AskLogs { server, .. } if !shows(&server) => render_error(&unknown(&server)),
        Plan::AskLogs { server, lines } => {
            match gateway.supervisor.ask(Question::Logs { server: server.clone(), lines }).await {
                Some(Answer::Logs(lines)) => render_logs(server.as_str(), &lines),
                Some(Answer::UnknownServer) => render_error(&unknown(&server)),
                _ => render_error(BUSY),
            }
        }
        Plan::Search { query, limit } => {
            let view = context.view();
            let hits = tool_search::find(gateway, &view, &query, None).await;
            let shown: Vec<_> = hits.iter().filter_map(|hit| view.found(hit)).take(limit).collect();
            render_search(&query, hits.len(), &shown)
        }
        Plan::ReadResult { uri, offset, length } => {
            let part = ResultPart { offset, length: Some(length) };
            match large_result::read(context, &uri) {
                Ok(kept) => render_part(&kept.text, part.range(&kept.text)),
                Err(error) => render_error(&error.message),
            }
        }
        Plan::Invalid(why) => render_error(&why),
    };
    Reply::Result(result.into())
}

/// The same for a server that there is and that this endpoint does not show.
fn unknown(server: &ServerName) -> String {
    format!("there is no server `{server}`; mcproxy__status lists all of them")
}
