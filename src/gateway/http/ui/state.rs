//! `GET /ui/api/state`: every server at this moment, and what needs a person.

use std::time::Instant;

use actix_web::HttpResponse;
use mcproxy_ipc::{ServerState, ServerStatus, StatusReport};
use serde::Serialize;

use super::{
    answer,
    caller::Caller,
    needs::{self, OpenNeed},
};
use crate::gateway::{
    base::{budget::Purpose, calls::MINUTES},
    state::Gateway,
};

/// Bytes of JSON that a model reads as one token, about.
const ONE_TOKEN: usize = 4;

/// The installation at one moment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageState<'a> {
    pub(super) servers: Vec<ServerRow<'a>>,
    pub(super) needs: Vec<OpenNeed<'a>>,
    pub(super) gateway: GatewayRow,
    totals: CatalogueTotals,
}

/// One server.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerRow<'a> {
    pub(super) name: &'a str,
    state: &'a str,
    since: u64,
    calls_per_minute: Option<Vec<u32>>,
    calls_total: u64,
    errors_total: u64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    memory_bytes: u64,
    restarts: u64,
    era: Option<&'a str>,
    transport: &'a str,
    tools: usize,
    tokens: usize,
    server_info: Option<ServerInfoRow<'a>>,
    last_error: Option<&'a str>,
    remedy: Option<String>,
    saying: Option<&'a str>,
    in_flight: usize,
}

/// What a server says that it is.
#[derive(Debug, Serialize, PartialEq)]
struct ServerInfoRow<'a> {
    name: &'a str,
    version: &'a str,
}

/// The gateway itself.
#[derive(Debug, Serialize, PartialEq, Clone)]
#[serde(rename_all = "camelCase")]
pub(super) struct GatewayRow {
    pub(super) calls_per_second: f64,
    sessions: usize,
    memory_bytes: Option<u64>,
    buffered: usize,
    buffered_most: usize,
}

/// What all servers offer together.
#[derive(Debug, Serialize)]
struct CatalogueTotals {
    tools: usize,
    tokens: usize,
}

pub(super) async fn get(caller: Caller) -> HttpResponse {
    // What calls wait with is for operators.
    let caller = if caller.gateway.held_calls.len() > 0 { caller.verified().await } else { caller };
    match caller.report().await {
        Some(report) => answer::json(&page_state(&caller, &report)),
        None => answer::busy(),
    }
}

/// Everything, by this report of the supervisor.
pub(super) fn page_state<'a>(caller: &Caller, report: &'a StatusReport) -> PageState<'a> {
    let servers = rows(caller, report);
    let totals = CatalogueTotals {
        tools: servers.iter().map(|row| row.tools).sum(),
        tokens: servers.iter().map(|row| row.tokens).sum(),
    };
    let last_minute = servers.iter().filter_map(|row| row.calls_per_minute.as_ref()?.get(MINUTES - 2));
    let calls_per_second = f64::from(last_minute.sum::<u32>()) / 60.0;
    PageState {
        needs: open_needs(caller, report),
        gateway: gateway_row(&caller.gateway, report, calls_per_second),
        totals,
        servers,
    }
}

/// What needs a person, as far as this one may see it.
pub(super) fn open_needs<'a>(caller: &Caller, report: &'a StatusReport) -> Vec<OpenNeed<'a>> {
    let gateway = &caller.gateway;
    let held = match caller.may_administer {
        true => gateway.held_calls.undecided(Instant::now()),
        false => Vec::new(),
    };
    needs::of(report, &gateway.servers.unapproved(), &held)
}

/// The gateway itself, with what it was called in the last moment.
pub(super) fn gateway_row(gateway: &Gateway, report: &StatusReport, calls_per_second: f64) -> GatewayRow {
    GatewayRow {
        calls_per_second: (calls_per_second * 100.0).round() / 100.0,
        sessions: gateway.sessions.len(),
        memory_bytes: report.gateway.as_ref().map(|process| process.rss_bytes),
        buffered: Purpose::ALL.into_iter().map(|purpose| gateway.budget.held(purpose)).sum(),
        buffered_most: gateway.budget.total(),
    }
}

/// A row for each server, in the order of the file.
pub(super) fn rows<'a>(caller: &Caller, report: &'a StatusReport) -> Vec<ServerRow<'a>> {
    let load = caller.gateway.servers.load();
    let in_flight =
        |name: &str| load.iter().find(|(server, _)| server.as_str() == name).map_or(0, |(_, load)| load.calls);
    report.servers.iter().map(|server| row(caller, server, in_flight(server.name.as_str()))).collect()
}

/// One of them.
pub(super) fn row<'a>(caller: &Caller, server: &'a ServerStatus, in_flight: usize) -> ServerRow<'a> {
    let gateway = &caller.gateway;
    let figures = gateway.calls.figures_of(&server.name, Instant::now());
    let figures = figures.as_ref();
    let offer = gateway.servers.listed(&caller.principal, &server.name);
    let about = server.description.as_ref();
    let (tools, tokens) = offer.map_or((0, 0), |offer| (offer.counts().tools, tokens(offer.bytes_of_tools())));
    ServerRow {
        name: server.name.as_str(),
        state: state_word(server),
        since: server.events.last().map_or(0, |event| event.at_ms),
        calls_per_minute: figures.map(|figures| figures.per_minute.to_vec()),
        calls_total: figures.map_or(0, |figures| figures.total),
        errors_total: figures.map_or(0, |figures| figures.errors),
        p50_ms: figures.and_then(|figures| figures.p50_ms).map(rounded),
        p95_ms: figures.and_then(|figures| figures.p95_ms).map(rounded),
        memory_bytes: server.rss_bytes,
        restarts: server.restarts,
        era: about.map(|about| about.protocol_version.as_str()),
        transport: server.transport.as_str(),
        tools,
        tokens,
        server_info: about.map(|about| ServerInfoRow { name: &about.name, version: &about.version }),
        last_error: server.last_error.as_deref(),
        remedy: needs::remedy(server),
        saying: server.start.as_ref().and_then(|start| start.last_line.as_deref()),
        in_flight,
    }
}

/// The state, in the page's words: one that is switched off is told from one that ended.
fn state_word(server: &ServerStatus) -> &'static str {
    match server.state {
        ServerState::Stopped if !server.wanted => "disabled",
        state => state.as_str(),
    }
}

/// How many tokens a model reads for so many bytes of JSON, about.
pub(super) fn tokens(bytes: usize) -> usize {
    bytes.div_ceil(ONE_TOKEN)
}

fn rounded(ms: f64) -> f64 {
    if ms < 10.0 { (ms * 100.0).round() / 100.0 } else { ms.round() }
}
