//! The status of everything, collected when somebody asks.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use mcproxy_ipc::{ProcessStatus, StatusReport};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::{context::Context, proc_table};

/// Steps of all servers together: a status has to fit into one frame of 1 MiB.
const MAX_EVENTS: usize = 1500;
/// The same for the bytes of their last errors.
const MAX_ERRORS: usize = 300 * 1024;

/// The share of one of `servers` of what fits: most errors are far shorter than this.
pub(crate) fn fitting(error: Option<String>, servers: usize) -> Option<String> {
    let most = MAX_ERRORS / servers.max(1);
    error.map(|mut text| {
        if text.len() > most {
            text.truncate(text.floor_char_boundary(most));
            text.push('…');
        }
        text
    })
}

/// Everything at this moment.
pub(crate) async fn report(context: &Context) -> StatusReport {
    // Reading /proc takes milliseconds that the heartbeats should not wait for.
    let memory = tokio::task::spawn_blocking(Memory::read).await.unwrap_or_default();
    let now = Instant::now();
    let servers = context.servers();
    let count = servers.len();
    let events = MAX_EVENTS / count.max(1);
    let servers = servers.iter().map(|server| {
        let snapshot = server.snapshot.borrow().clone();
        let mut status = snapshot.status(now, memory.of_server(snapshot.worker_pid, snapshot.server_pid));
        status.events.drain(..status.events.len().saturating_sub(events));
        status.last_error = fitting(status.last_error, count);
        status
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
        config_error: overview.config_error,
        listen: overview.listen,
        supervisor: process(std::process::id(), overview.started, 0),
        gateway: gateway.running.map(|(pid, since)| process(pid, since, gateway.restarts)),
        servers,
    }
}

/// Resident memory of all processes, and who belongs to whom.
#[derive(Debug, Default)]
struct Memory {
    rss: HashMap<u32, u64>,
    children: HashMap<u32, Vec<u32>>,
    groups: HashMap<u32, Vec<u32>>,
}

impl Memory {
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
        for process in proc_table::all() {
            memory.groups.entry(process.group).or_default().push(process.pid);
        }
        memory
    }

    fn of_process(&self, pid: u32) -> u64 {
        self.rss.get(&pid).copied().unwrap_or_default()
    }

    /// What a server uses: its group and everything below its worker, the worker itself not included.
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
    use super::*;

    #[test]
    fn a_servers_memory_is_its_tree_and_its_group_once_each() {
        let memory = Memory {
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
        let all: usize = (0..1000).filter_map(|_| fitting(long(), 1000)).map(|text| text.len()).sum();
        assert!(all <= MAX_ERRORS + 1000 * '…'.len_utf8(), "{all}");
        assert_eq!(fitting(long(), 3), long());
    }

    #[test]
    fn our_own_memory_is_known() {
        assert!(Memory::read().of_process(std::process::id()) > 100_000);
    }
}
