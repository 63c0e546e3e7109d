//! `GET /ui/api/servers/{name}`: one server with its life, what it wrote, and what it offers.

use actix_web::{HttpResponse, web};
use mcproxy_ipc::{
    LogSource, ServerName, ServerState,
    control::{Answer, Question},
};
use mcproxy_mcp::{RawObject, RawValue};
use serde::Serialize;

use super::{
    answer,
    caller::Caller,
    logs::LogRow,
    state::{self, ServerRow, tokens},
};

/// Lines of what it wrote that are shown.
const MAX_LINES: usize = 500;

/// A server, in full.
#[derive(Serialize)]
struct ServerPage<'a> {
    row: ServerRow<'a>,
    history: Vec<HistoryRow<'a>>,
    stderr: Vec<LogRow<'a>>,
    entry: Option<&'a RawValue>,
    tools: Vec<ToolRow<'a>>,
    resources: usize,
    prompts: usize,
}

/// A step of its life.
#[derive(Serialize)]
struct HistoryRow<'a> {
    at: u64,
    state: ServerState,
    text: &'a str,
}

/// A tool, as clients are shown it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolRow<'a> {
    name: String,
    title: Option<String>,
    description: Option<String>,
    input_schema: Option<&'a RawValue>,
    output_schema: Option<&'a RawValue>,
    annotations: Option<&'a RawValue>,
    tokens: usize,
}

pub(super) async fn get(caller: Caller, name: web::Path<String>) -> HttpResponse {
    let caller = caller.verified().await;
    let gateway = &caller.gateway;
    let unknown =
        || answer::not_found("there is no server of that name", Some("it may have been removed from the file"));
    let Ok(name) = ServerName::try_from(name.as_str()) else { return unknown() };
    let Some(report) = caller.report().await else { return answer::busy() };
    let Some(server) = report.servers.iter().find(|server| server.name == name) else { return unknown() };
    let lines = match caller.may_administer {
        true => gateway.supervisor.ask(Question::Logs { server: name.clone(), lines: MAX_LINES }).await,
        false => None,
    };
    let lines = match lines {
        Some(Answer::Logs(lines)) => lines,
        _ => Vec::new(),
    };
    let entry = match caller.may_administer {
        true => gateway.supervisor.ask(Question::Entry(name.clone())).await,
        false => None,
    };
    let entry = match &entry {
        Some(Answer::Entry(json)) => serde_json::from_str::<&RawValue>(json).ok(),
        _ => None,
    };
    let offer = gateway.servers.listed(&caller.principal, &name);
    let counts = offer.as_ref().map(|offer| offer.counts()).unwrap_or_default();
    let listed: Vec<_> = offer.iter().flat_map(|offer| offer.tools_as_listed(name.as_str())).collect();
    let in_flight = gateway.servers.load().iter().find(|(of, _)| *of == name).map_or(0, |(_, load)| load.calls);
    answer::json(&ServerPage {
        row: state::row(&caller, server, in_flight),
        history: server
            .events
            .iter()
            .map(|event| HistoryRow { at: event.at_ms, state: event.to, text: &event.reason })
            .collect(),
        stderr: lines
            .iter()
            .filter(|line| line.source == LogSource::Stderr)
            .map(|line| LogRow::of(Some(name.as_str()), line))
            .collect(),
        entry,
        tools: listed.iter().filter_map(|json| tool(json)).collect(),
        resources: counts.resources,
        prompts: counts.prompts,
    })
}

fn tool(json: &str) -> Option<ToolRow<'_>> {
    let object = RawObject::from_text(json).ok()?;
    Some(ToolRow {
        name: object.get_string("name")?.to_string(),
        title: object.get_string("title").map(|text| text.to_string()),
        description: object.get_string("description").map(|text| text.to_string()),
        input_schema: object.get("inputSchema"),
        output_schema: object.get("outputSchema"),
        annotations: object.get("annotations"),
        tokens: tokens(json.len()),
    })
}
