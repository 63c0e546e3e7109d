//! The status of everything, collected on request.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use mcproxy_confine::Protection;
use mcproxy_ipc::{ChangeStatus, ProcessStatus, ServerDescription, ServerStatus, StartStatus, StatusReport, processes};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::{
    bounded_text::{MAX_REASON, cut, cut_error},
    context::Context,
};

/// Steps of all servers together: a status has to fit into one frame of 1 MiB.
const MAX_EVENTS: usize = 1500;
/// The same for the reasons of changes that are not in force.
const MAX_CHANGE_ERRORS: usize = 24 * 1024;
/// Of each word of a server about itself.
const MAX_WORD: usize = 60;
/// Of how the eras of all servers were found out.
const MAX_PROBES: usize = 64 * 1024;
/// Lists of all servers that are refused, and the bytes of why.
const MAX_LIST_FAILURES: usize = 512;
const MAX_LIST_ERRORS: usize = 32 * 1024;
/// The bytes of what single servers lack.
const MAX_DEGRADED: usize = 16 * 1024;

fn fit_start(start: StartStatus) -> StartStatus {
    StartStatus { last_line: start.last_line.map(|line| cut(line, MAX_WORD)), ..start }
}

/// The room in a status for one of `servers`.
fn fit(mut status: ServerStatus, servers: usize) -> ServerStatus {
    status.events.drain(..status.events.len().saturating_sub(MAX_EVENTS / servers.max(1)));
    for event in &mut status.events {
        event.reason = cut(std::mem::take(&mut event.reason), MAX_REASON);
    }
    status.last_error = cut_error(status.last_error, servers);
    status.list_failures.truncate((MAX_LIST_FAILURES / servers.max(1)).max(1));
    for failure in &mut status.list_failures {
        failure.error = cut(std::mem::take(&mut failure.error), MAX_LIST_ERRORS / 4 / servers.max(1));
    }
    let room = MAX_DEGRADED / servers.max(1);
    let kept = (room / 400).clamp(1, Protection::ALL.len());
    status.degraded.truncate(kept);
    for missing in &mut status.degraded {
        // Of many servers the names of what they lack have to do.
        let each = if room / kept < MAX_WORD { 0 } else { room / kept / 2 };
        for text in [&mut missing.reason, &mut missing.help] {
            *text = if each == 0 { String::new() } else { cut(std::mem::take(text), each) };
        }
    }
    status.change = status.change.map(|change| match change {
        ChangeStatus::Failed(error) => ChangeStatus::Failed(cut(error, MAX_CHANGE_ERRORS / servers.max(1))),
        ChangeStatus::Starting(start) => ChangeStatus::Starting(fit_start(start)),
    });
    status.start = status.start.map(fit_start);
    status.description = status.description.map(|mut about| {
        let probe = cut(std::mem::take(&mut about.probe), (MAX_PROBES / servers.max(1)).max(MAX_WORD));
        ServerDescription { probe, ..about.map_texts(|text| cut(text, MAX_WORD)) }
    });
    status
}

/// Everything at this moment.
pub(crate) async fn report(context: &Context) -> StatusReport {
    // Reading /proc takes milliseconds that the heartbeats should not wait for.
    let memory = tokio::task::spawn_blocking(MemoryUse::read).await.unwrap_or_default();
    let now = Instant::now();
    let servers = context.servers();
    let count = servers.len();
    let servers = servers.iter().map(|server| {
        let snapshot = server.snapshot.borrow().clone();
        fit(snapshot.status(now, memory.of_server(snapshot.worker_pid, snapshot.server_pid)), count)
    });
    let servers = servers.collect();
    let overview = context.overview.borrow().clone();
    let gateway = context.gateway.borrow().clone();
    let process = |pid: u32, since: Instant, restarts: u64| ProcessStatus {
        pid,
        uptime: now.saturating_duration_since(since),
        rss_bytes: memory.of_process(pid),
        restarts,
    };
    StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_path: overview.config_path,
        config_source: overview.config_source,
        config_error: overview.config_error,
        config_warnings: overview.config_warnings,
        listen: overview.listen,
        hardening: context.hardening,
        degraded: context.degraded.list(),
        log_dropped: context.log_dropped.count(),
        notes_dropped: gateway.notes_dropped,
        supervisor: process(std::process::id(), overview.started, 0),
        gateway: gateway.running.map(|(pid, since)| process(pid, since, gateway.restarts)),
        servers,
    }
}

/// Resident memory of all processes, and who belongs to whom.
#[derive(Debug, Default)]
struct MemoryUse {
    rss: HashMap<u32, u64>,
    children: HashMap<u32, Vec<u32>>,
    groups: HashMap<u32, Vec<u32>>,
}

impl MemoryUse {
    fn read() -> Self {
        // Without it the numbers are missing, and nothing else.
        let Ok(mut system) = System::new() else { return Self::default() };
        let kind = ProcessRefreshKind::nothing().with_memory().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let mut memory = Self::default();
        for (pid, process) in system.processes() {
            let pid = pid.as_u32();
            memory.rss.insert(pid, process.memory());
            if let Some(parent) = process.parent().map(Pid::as_u32) {
                memory.children.entry(parent).or_default().push(pid);
            }
        }
        for process in processes::all() {
            memory.groups.entry(process.group).or_default().push(process.pid);
        }
        memory
    }

    fn of_process(&self, pid: u32) -> u64 {
        self.rss.get(&pid).copied().unwrap_or_default()
    }

    /// Memory and processes of a server: its group and everything below its worker, the worker itself not included.
    fn of_server(&self, worker: Option<u32>, server: Option<u32>) -> u64 {
        let Some(worker) = worker else { return 0 };
        let mut found: HashSet<u32> = HashSet::new();
        let group = server.and_then(|server| self.groups.get(&server)).into_iter().flatten();
        let mut open: Vec<u32> =
            group.copied().chain(self.children.get(&worker).into_iter().flatten().copied()).collect();
        while let Some(pid) = open.pop() {
            if pid != worker && found.insert(pid) {
                open.extend(self.children.get(&pid).into_iter().flatten());
            }
        }
        found.into_iter().map(|pid| self.of_process(pid)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcproxy_config::{MAX_RULES_BYTES, MAX_SERVERS};
    use mcproxy_confine::Degradation;
    use mcproxy_ipc::{
        CallTimeouts, CatalogueCounts, CatalogueKey, Generation, InstanceCount, LifecycleEvent, ListFailure, Need,
        Route, ServerDescription, ServerName, ServerRates, ServerState, ToolRules,
        control::{Answer, SupervisorToGateway},
        data::ServerEra,
    };

    use super::*;
    use crate::bounded_text::{MAX_CONFIG_ERROR, MAX_ERRORS};

    #[test]
    fn a_servers_memory_is_its_tree_and_its_group_once_each() {
        let memory = MemoryUse {
            rss: HashMap::from([(10, 1000), (11, 1), (12, 2), (13, 4), (14, 8)]),
            children: HashMap::from([(10, vec![11]), (11, vec![12])]),
            groups: HashMap::from([(11, vec![11, 12, 13])]),
        };
        assert_eq!(memory.of_server(Some(10), Some(11)), 7);
        assert_eq!(memory.of_server(None, None), 0);
    }

    #[test]
    fn the_errors_of_many_servers_fit_into_one_frame() {
        let long = || Some("é".repeat(4000));
        let all: usize = (0..1000).filter_map(|_| cut_error(long(), 1000)).map(|text| text.len()).sum();
        assert!(all <= MAX_ERRORS + 1000 * '…'.len_utf8(), "{all}");
        assert_eq!(cut_error(long(), 3), long());
    }

    /// It can be written and read as one message.
    fn passes(message: &SupervisorToGateway) {
        let exchange = async {
            let mut wire = Vec::new();
            mcproxy_ipc::Sender::new(&mut wire).send(message).await.expect("fits");
            mcproxy_ipc::Receiver::<SupervisorToGateway, _>::new(&wire[..], 0).next().await.expect("reads")
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        assert!(runtime.block_on(exchange).is_some_and(|(read, _)| read == *message), "it comes back");
    }

    fn missing(length: usize) -> Degradation {
        let long = "x".repeat(length);
        Degradation { protection: Protection::SystemCalls, reason: long.clone(), help: long }
    }

    /// A server that has as much to tell as it can.
    fn talkative(n: usize) -> ServerStatus {
        let long = || "é\u{1f980}".repeat(2000);
        let event = LifecycleEvent {
            at_ms: u64::MAX,
            generation: Generation(u64::MAX),
            from: ServerState::Starting,
            to: ServerState::Backoff,
            reason: long(),
        };
        let name = format!("{n:x>40}");
        ServerStatus {
            name: ServerName::try_from(name.as_str()).expect("a name"),
            wanted: true,
            state: ServerState::Backoff,
            generation: Generation(u64::MAX),
            since: Duration::MAX,
            restarts: u64::MAX,
            retry_in: Some(Duration::MAX),
            start: None,
            change: Some(ChangeStatus::Failed("e".repeat(100_000))),
            stale: false,
            description: Some(ServerDescription {
                era: ServerEra::Modern,
                evidence: mcproxy_ipc::EraEvidence::Answer,
                probe: long(),
                protocol_version: long(),
                name: long(),
                version: long(),
                counts: CatalogueCounts {
                    tools: 9999,
                    prompts: 9999,
                    resources: 9999,
                    templates: 9999,
                    tool_tokens: usize::MAX,
                    suspicious: usize::MAX,
                },
            }),
            transport: mcproxy_ipc::ServerTransport::Stdio,
            worker_pid: Some(u32::MAX),
            server_pid: Some(u32::MAX),
            instances: Some(InstanceCount { running: usize::MAX, max: usize::MAX }),
            rss_bytes: u64::MAX,
            list_failures: vec![
                ListFailure {
                    method: "resources/templates/list".to_owned(),
                    error: long(),
                    attempts: u32::MAX,
                    retry_in: Duration::MAX,
                };
                4
            ],
            last_error: Some(long()),
            degraded: vec![missing(5000); 9],
            events: vec![event; 50],
        }
    }

    #[test]
    fn whatever_servers_say_a_status_fits_into_one_message() {
        for count in [1, 40, MAX_SERVERS] {
            let process = ProcessStatus { pid: 1, uptime: Duration::MAX, rss_bytes: u64::MAX, restarts: u64::MAX };
            let report = StatusReport {
                version: "1.0.0".to_owned(),
                config_path: "p".repeat(4096),
                config_source: mcproxy_ipc::ConfigSource::LastGood,
                config_error: Some(cut("problem\n".repeat(100_000), MAX_CONFIG_ERROR)),
                config_warnings: vec!["w".repeat(MAX_CONFIG_ERROR / 100); 100],
                listen: "127.0.0.1:12009".to_owned(),
                hardening: mcproxy_confine::Hardening::BestEffort,
                degraded: vec![missing(400); 12],
                log_dropped: 0,
                notes_dropped: 0,
                supervisor: process.clone(),
                gateway: Some(process),
                servers: (0..count).map(|n| fit(talkative(n), count)).collect(),
            };
            passes(&SupervisorToGateway::Answer { id: u64::MAX, answer: Box::new(Answer::Status(Box::new(report))) });
        }
    }

    #[test]
    fn whatever_is_configured_the_routes_fit_into_one_message() {
        for count in [1, 40, MAX_SERVERS] {
            let rules = "x".repeat(MAX_RULES_BYTES / count - 8);
            let route = |n| {
                let ServerStatus { name, state, generation, last_error, .. } = talkative(n);
                Route {
                    server: name,
                    state,
                    generation,
                    settled: true,
                    last_error: cut_error(last_error, count),
                    timeouts: CallTimeouts { idle: Duration::MAX, total: Duration::MAX, input: Duration::MAX },
                    tools: ToolRules { deny: vec![rules.clone()], ..ToolRules::default() },
                    need: Need::Resting,
                    catalogue: Some(CatalogueKey([0xff; 16])),
                    listed: true,
                    returns: true,
                    per_session: true,
                    concurrent_calls: usize::MAX,
                    rates: ServerRates::default(),
                    approvals: mcproxy_ipc::ServerApprovals::default(),
                    result_bytes: Some(usize::MAX),
                }
            };
            passes(&SupervisorToGateway::Routes((0..count).map(route).collect()));
        }
    }

    #[test]
    fn how_an_era_was_found_out_is_told_whole() {
        let probe = "server/discover was refused with -32601, and initialize was answered after that".repeat(3);
        let mut status = talkative(1);
        status.description = status.description.map(|about| ServerDescription { probe: probe.clone(), ..about });
        let told = fit(status, 200).description.expect("a description");
        assert_eq!(told.probe, probe);
        assert!(told.name.len() < 80, "a server's own words are cut");
    }

    #[test]
    fn our_own_memory_is_known() {
        assert!(MemoryUse::read().of_process(std::process::id()) > 100_000);
    }
}
