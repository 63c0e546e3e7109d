//! The status as JSON: one form for `/health`, `mcproxy status --json` and the built-in tool (documented in `docs/status.md`).
//!
//! The wire between the processes has the same facts in types of its own: it may change with each release, this may not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mcproxy_confine::Degradation;
use mcproxy_ipc::{
    ChangeStatus, Generation, LifecycleEvent, ListFailure, ProcessStatus, ServerDescription, ServerState, ServerStatus,
    StartStatus, StatusReport, moment,
};
use serde::Serialize;

/// The whole installation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusView<'a> {
    version: &'a str,
    url: String,
    listen: &'a str,
    log_dropped: u64,
    notes_dropped: u64,
    config_path: &'a str,
    config_source: &'static str,
    config_error: Option<&'a str>,
    config_warnings: &'a [String],
    hardening: &'static str,
    degraded: Vec<DegradationView<'a>>,
    supervisor: ProcessView,
    gateway: Option<ProcessView>,
    servers: Vec<ServerView<'a>>,
}

/// A protection that is missing.
#[derive(Debug, Serialize)]
struct DegradationView<'a> {
    protection: &'static str,
    reason: &'a str,
    help: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessView {
    pid: u32,
    uptime_seconds: f64,
    rss_bytes: u64,
    restarts: u64,
}

/// One server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerView<'a> {
    name: &'a str,
    state: ServerState,
    wanted: bool,
    since_seconds: f64,
    generation: Generation,
    restarts: u64,
    retry_in_seconds: Option<f64>,
    stale: bool,
    worker_pid: Option<u32>,
    server_pid: Option<u32>,
    instances: Option<InstancesView>,
    rss_bytes: u64,
    last_error: Option<&'a str>,
    list_failures: Vec<ListFailureView<'a>>,
    start: Option<StartView<'a>>,
    change: Option<ChangeView<'a>>,
    degraded: Vec<DegradationView<'a>>,
    server: Option<DescriptionView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView<'a>>>,
}

/// A list that a server declares and does not give.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListFailureView<'a> {
    method: &'a str,
    error: &'a str,
    attempts: u32,
    retry_in_seconds: f64,
}

#[derive(Debug, Serialize)]
struct InstancesView {
    running: usize,
    max: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescriptionView<'a> {
    name: &'a str,
    version: &'a str,
    protocol_version: &'a str,
    era: &'a str,
    probe: &'a str,
    tools: usize,
    prompts: usize,
    resources: usize,
    resource_templates: usize,
    tool_tokens: usize,
    suspicious_tools: usize,
}

/// How a start goes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StartView<'a> {
    /// `null` while it waits for others that are starting.
    elapsed_seconds: Option<f64>,
    limit_seconds: f64,
    installing: bool,
    last_line: Option<&'a str>,
}

/// A changed configuration that is not in force.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeView<'a> {
    state: &'static str,
    start: Option<StartView<'a>>,
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct EventView<'a> {
    at: String,
    generation: Generation,
    from: ServerState,
    to: ServerState,
    reason: &'a str,
}

impl<'a> StatusView<'a> {
    /// Of this report.
    pub(crate) fn of(report: &'a StatusReport) -> Self {
        Self {
            version: &report.version,
            url: endpoint_url(report),
            listen: &report.listen,
            log_dropped: report.log_dropped,
            notes_dropped: report.notes_dropped,
            config_path: &report.config_path,
            config_source: report.config_source.as_str(),
            config_error: report.config_error.as_deref(),
            config_warnings: &report.config_warnings,
            hardening: report.hardening.name(),
            degraded: report.degraded.iter().map(DegradationView::of).collect(),
            supervisor: ProcessView::of(&report.supervisor),
            gateway: report.gateway.as_ref().map(ProcessView::of),
            servers: report.servers.iter().map(ServerView::of).collect(),
        }
    }

    /// Without the steps of each server's life, for readers who pay for every word.
    pub(crate) fn without_history(mut self) -> Self {
        self.servers.iter_mut().for_each(|server| server.events = None);
        self
    }
}

impl<'a> DegradationView<'a> {
    fn of(missing: &'a Degradation) -> Self {
        Self { protection: missing.protection.name(), reason: &missing.reason, help: &missing.help }
    }
}

impl ProcessView {
    fn of(process: &ProcessStatus) -> Self {
        Self {
            pid: process.pid,
            uptime_seconds: process.uptime.as_secs_f64(),
            rss_bytes: process.rss_bytes,
            restarts: process.restarts,
        }
    }
}

impl<'a> ServerView<'a> {
    /// Of this server.
    pub(crate) fn of(server: &'a ServerStatus) -> Self {
        Self {
            name: server.name.as_str(),
            state: server.state,
            wanted: server.wanted,
            since_seconds: server.since.as_secs_f64(),
            generation: server.generation,
            restarts: server.restarts,
            retry_in_seconds: server.retry_in.map(|wait| wait.as_secs_f64()),
            stale: server.stale,
            worker_pid: server.worker_pid,
            server_pid: server.server_pid,
            instances: server.instances.map(|count| InstancesView { running: count.running, max: count.max }),
            rss_bytes: server.rss_bytes,
            last_error: server.last_error.as_deref(),
            list_failures: server.list_failures.iter().map(ListFailureView::of).collect(),
            start: server.start.as_ref().map(StartView::of),
            change: server.change.as_ref().map(ChangeView::of),
            degraded: server.degraded.iter().map(DegradationView::of).collect(),
            server: server.description.as_ref().map(DescriptionView::of),
            events: Some(server.events.iter().map(EventView::of).collect()),
        }
    }
}

impl<'a> ListFailureView<'a> {
    fn of(failure: &'a ListFailure) -> Self {
        Self {
            method: &failure.method,
            error: &failure.error,
            attempts: failure.attempts,
            retry_in_seconds: failure.retry_in.as_secs_f64(),
        }
    }
}

impl<'a> StartView<'a> {
    fn of(start: &'a StartStatus) -> Self {
        Self {
            elapsed_seconds: start.elapsed.map(|elapsed| elapsed.as_secs_f64()),
            limit_seconds: start.limit.as_secs_f64(),
            installing: start.installing,
            last_line: start.last_line.as_deref(),
        }
    }
}

impl<'a> ChangeView<'a> {
    fn of(change: &'a ChangeStatus) -> Self {
        match change {
            ChangeStatus::Starting(start) => Self { state: "starting", start: Some(StartView::of(start)), error: None },
            ChangeStatus::Failed(error) => Self { state: "failed", start: None, error: Some(error) },
        }
    }
}

impl<'a> DescriptionView<'a> {
    fn of(about: &'a ServerDescription) -> Self {
        Self {
            name: &about.name,
            version: &about.version,
            protocol_version: &about.protocol_version,
            era: about.era.as_str(),
            probe: &about.probe,
            tools: about.counts.tools,
            prompts: about.counts.prompts,
            resources: about.counts.resources,
            resource_templates: about.counts.templates,
            tool_tokens: about.counts.tool_tokens,
            suspicious_tools: about.counts.suspicious,
        }
    }
}

impl<'a> EventView<'a> {
    fn of(event: &'a LifecycleEvent) -> Self {
        Self {
            at: moment(event.at_ms),
            generation: event.generation,
            from: event.from,
            to: event.to,
            reason: &event.reason,
        }
    }
}

/// The URL of the gateway that this report is about, as seen from this machine.
pub(crate) fn endpoint_url(report: &StatusReport) -> String {
    let address = match report.listen.parse::<SocketAddr>() {
        Ok(mut address) => {
            match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
                _ => {}
            }
            address.to_string()
        }
        Err(_) => report.listen.clone(),
    };
    format!("http://{address}/mcp")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use mcproxy_confine::Protection;
    use mcproxy_ipc::{CatalogueCounts, InstanceCount, data::ServerEra};
    use serde_json::json;

    use super::*;

    fn missing(protection: Protection) -> Degradation {
        Degradation { protection, reason: "not root".into(), help: "start it as root".into() }
    }

    /// A report with a bit of everything.
    pub(crate) fn report() -> StatusReport {
        let process = ProcessStatus { pid: 1, uptime: Duration::from_millis(1500), rss_bytes: 4096, restarts: 0 };
        let server = ServerStatus {
            name: "time".try_into().expect("a name"),
            wanted: true,
            state: ServerState::Ready,
            generation: Generation(2),
            since: Duration::from_secs(62),
            restarts: 1,
            retry_in: None,
            start: None,
            change: Some(ChangeStatus::Failed("it exited".into())),
            stale: false,
            description: Some(ServerDescription {
                era: ServerEra::Legacy,
                evidence: mcproxy_ipc::EraEvidence::Answer,
                probe: "as configured".into(),
                protocol_version: "2025-11-25".into(),
                name: "mcp-time".into(),
                version: "1.2".into(),
                counts: CatalogueCounts { tools: 2, ..CatalogueCounts::default() },
            }),
            transport: mcproxy_ipc::ServerTransport::Stdio,
            worker_pid: Some(4),
            server_pid: Some(5),
            instances: Some(InstanceCount { running: 2, max: 16 }),
            list_failures: Vec::new(),
            rss_bytes: 8192,
            last_error: Some("it exited".into()),
            degraded: vec![missing(Protection::Network)],
            events: vec![LifecycleEvent {
                at_ms: 0,
                generation: Generation(2),
                from: ServerState::Starting,
                to: ServerState::Ready,
                reason: "ready".into(),
            }],
        };
        StatusReport {
            version: "0.1.0".into(),
            config_path: "/etc/mcp-servers.json".into(),
            config_source: mcproxy_ipc::ConfigSource::File,
            config_error: None,
            config_warnings: vec!["x:1:2  /inputs: warning: ignored".into()],
            listen: "0.0.0.0:12009".into(),
            hardening: mcproxy_confine::Hardening::BestEffort,
            degraded: vec![missing(Protection::Users)],
            log_dropped: 0,
            notes_dropped: 0,
            supervisor: process,
            gateway: None,
            servers: vec![server],
        }
    }

    #[test]
    fn the_documented_form_is_what_is_written() {
        let time = json!({
            "name": "time", "state": "ready", "wanted": true, "sinceSeconds": 62.0, "generation": 2, "restarts": 1,
            "retryInSeconds": null, "stale": false, "workerPid": 4, "serverPid": 5, "instances": {"running": 2, "max": 16}, "rssBytes": 8192, "lastError": "it exited", "listFailures": [],
            "start": null, "change": {"state": "failed", "start": null, "error": "it exited"},
            "degraded": [{"protection": "network", "reason": "not root", "help": "start it as root"}],
            "server": {
                "name": "mcp-time", "version": "1.2", "protocolVersion": "2025-11-25", "era": "legacy", "probe": "as configured",
                "tools": 2, "prompts": 0, "resources": 0, "resourceTemplates": 0, "toolTokens": 0, "suspiciousTools": 0,
            },
            "events": [{
                "at": "1970-01-01T00:00:00.000Z", "generation": 2, "from": "starting", "to": "ready", "reason": "ready",
            }],
        });
        let expected = json!({
            "version": "0.1.0", "url": "http://127.0.0.1:12009/mcp", "listen": "0.0.0.0:12009",
            "configPath": "/etc/mcp-servers.json", "configSource": "file", "configError": null,
            "configWarnings": ["x:1:2  /inputs: warning: ignored"],
            "hardening": "best-effort", "degraded": [{"protection": "users", "reason": "not root", "help": "start it as root"}], "logDropped": 0, "notesDropped": 0,
            "supervisor": {"pid": 1, "uptimeSeconds": 1.5, "rssBytes": 4096, "restarts": 0},
            "gateway": null,
            "servers": [time],
        });
        assert_eq!(json!(StatusView::of(&report())), expected);
        assert!(json!(StatusView::of(&report()).without_history())["servers"][0].get("events").is_none());
    }

    /// The names of all members, however deep.
    fn members(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(object) => object.iter().for_each(|(name, value)| {
                found.insert(name.clone());
                members(value, found);
            }),
            serde_json::Value::Array(elements) => elements.iter().for_each(|element| members(element, found)),
            _ => {}
        }
    }

    #[test]
    fn the_page_about_the_status_explains_every_member_and_every_state() {
        let page = include_str!("../docs/status.md");
        let (_, table) = page.split_once("| member | meaning |").expect("a table of members");
        let mut report = report();
        let start = StartStatus { elapsed: None, limit: Duration::ZERO, installing: false, last_line: None };
        let server = &mut report.servers[0];
        server.start = Some(start);
        server.list_failures =
            vec![ListFailure { method: "m".into(), error: "e".into(), attempts: 1, retry_in: Duration::ZERO }];
        let mut found = BTreeSet::new();
        members(&json!(StatusView::of(&report)), &mut found);
        for name in found {
            assert!(table.contains(&format!("`{name}`")) || table.contains(&format!("\"{name}\": ")), "{name}");
        }
        for state in ServerState::ALL {
            assert!(page.contains(&format!("\n| `{state}` |")), "{state}");
        }
    }

    #[test]
    fn an_unspecified_address_is_reached_on_loopback() {
        let url = |listen: &str| endpoint_url(&StatusReport { listen: listen.into(), ..report() });
        assert_eq!(url("[::]:80"), "http://[::1]:80/mcp");
        assert_eq!(url("192.0.2.1:8080"), "http://192.0.2.1:8080/mcp");
    }
}
