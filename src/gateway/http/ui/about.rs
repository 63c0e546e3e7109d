//! `GET /ui/api/about`: which MCProxy this is, and what the caller may do.

use std::time::SystemTime;

use actix_web::HttpResponse;
use mcproxy_ipc::unix_millis;
use serde::Serialize;

use super::{answer, caller::Caller, paths::path_of};
use crate::gateway::base::scope::{EndpointScope, Scope};

/// What the page knows at its beginning.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AboutPage<'a> {
    version: &'a str,
    started_at: u64,
    now: u64,
    auth: bool,
    principal: Option<&'a str>,
    may_act: bool,
    /// There is no way to say it; the page takes its own address.
    public_url: Option<&'a str>,
    endpoints: Vec<String>,
    config_path: &'a str,
}

pub(super) async fn get(caller: Caller) -> HttpResponse {
    let caller = caller.verified().await;
    let gateway = &caller.gateway;
    let Some(report) = caller.report().await else { return answer::busy() };
    let settings = gateway.settings();
    let is_there =
        |endpoint: &EndpointScope| gateway.servers.has(&Scope::new(endpoint.clone(), caller.principal.clone()));
    let groups = settings.groups.iter().map(|group| EndpointScope::Group(group.name.clone()));
    let groups = groups.filter(is_there).map(|group| path_of(&group));
    let servers = report.servers.iter().map(|server| format!("/servers/{}/mcp", server.name));
    let fixed = ["/mcp", "/sse", "/search/mcp"].map(str::to_owned);
    let now = SystemTime::now();
    answer::json(&AboutPage {
        version: &report.version,
        started_at: unix_millis(now.checked_sub(report.supervisor.uptime).unwrap_or(now)),
        now: unix_millis(now),
        auth: !gateway.auth().is_open(),
        principal: caller.principal.name(),
        may_act: caller.may_administer,
        public_url: None,
        endpoints: fixed.into_iter().chain(groups).chain(servers).collect(),
        config_path: &report.config_path,
    })
}
