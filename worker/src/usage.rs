//! What the server and all it started use, looked at twice a second where the configuration bounds it.

use std::time::Duration;

use mcproxy_ipc::{ServerLimits, processes};
use tokio::{sync::mpsc, time::sleep};

use crate::incarnation::Order;

const LOOK: Duration = Duration::from_millis(500);
const MIB: u64 = 1024 * 1024;

/// What a tree uses at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Usage {
    processes: u64,
    memory_bytes: u64,
}

impl Usage {
    /// Of all that is below `root`, and of itself if that is a server.
    fn below(root: u32) -> Self {
        let mut tree = processes::below(root, |_| false);
        if root != std::process::id() {
            tree.extend(processes::one(root));
        }
        let alive = || tree.iter().filter(|process| !process.zombie);
        Self {
            processes: alive().map(|_| 1).sum(),
            memory_bytes: alive().map(|process| processes::resident_bytes(process.pid)).sum(),
        }
    }

    /// Which bound it breaks, and by how much.
    fn breaks(self, limits: &ServerLimits) -> Option<String> {
        let Self { processes, memory_bytes } = self;
        let memory = limits.memory_bytes.filter(|most| memory_bytes > *most).map(|most| {
            format!("memory: {} MiB are resident, limits.maxMemory allows {}", memory_bytes.div_ceil(MIB), most / MIB)
        });
        let many = limits.processes.filter(|most| processes > *most);
        memory.or_else(|| many.map(|most| format!("{processes} processes, limits.maxProcesses allows {most}")))
    }
}

/// Orders the end of the run when what is below `root` breaks a bound: this process, or the server's own where it is one of
/// several. Never ends where there is no bound.
pub(crate) async fn watch(root: u32, limits: ServerLimits, orders: mpsc::Sender<Order>) {
    if limits.memory_bytes.is_none() && limits.processes.is_none() {
        return std::future::pending().await;
    }
    loop {
        sleep(LOOK).await;
        if let Some(what) = Usage::below(root).breaks(&limits) {
            // A run that is over uses nothing.
            let _ = orders.send(Order::Exceeded(what)).await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::spec;

    #[test]
    fn a_bound_may_be_reached_and_not_exceeded() {
        let mut limits = spec().limits;
        let usage = Usage { processes: 3, memory_bytes: 5 * MIB };
        assert_eq!(usage.breaks(&limits), None);
        (limits.processes, limits.memory_bytes) = (Some(3), Some(5 * MIB));
        assert_eq!(usage.breaks(&limits), None);
        limits.processes = Some(2);
        assert!(usage.breaks(&limits).is_some_and(|what| what.contains("maxProcesses allows 2")));
        limits.memory_bytes = Some(4 * MIB);
        assert_eq!(usage.breaks(&limits).as_deref(), Some("memory: 5 MiB are resident, limits.maxMemory allows 4"));
    }
}
