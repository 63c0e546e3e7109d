//! What the server and all it started use, looked at again and again where the configuration bounds it and the kernel does not.

use std::time::{Duration, Instant};

use mcproxy_ipc::{ServerLimits, processes};
use rustix::time::{ClockId, clock_gettime};
use slog::{Logger, warn};
use tokio::{sync::mpsc, time::sleep};

use crate::{cgroup::ServerCgroup, runner::Order};

/// From one look to the next: so long that they take one part in so many of a processor's time, within bounds.
const PART: u32 = 100;
const SOONEST: Duration = Duration::from_millis(50);
const LATEST: Duration = Duration::from_millis(500);
/// Time between two exact measurements, while the sum of what is resident is above the bound: to find what of it is shared, the
/// kernel walks over all pages.
const EXACT_INTERVAL: Duration = Duration::from_secs(2);
const MIB: u64 = 1024 * 1024;

/// What a tree uses at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TreeUsage {
    processes: u64,
    memory_bytes: u64,
}

impl TreeUsage {
    /// Of all that is below `root`, and of itself if that is a server. Memory that several processes share is counted for each,
    /// so it is the most that it can be.
    fn below(root: u32) -> Self {
        Self::of(&tree(root), processes::resident_bytes)
    }

    /// The same, with memory that several share counted once.
    fn closely(root: u32) -> Self {
        Self::of(&tree(root), |pid| {
            processes::proportional_bytes(pid).unwrap_or_else(|| processes::resident_bytes(pid))
        })
    }

    fn of(tree: &[u32], memory: impl Fn(u32) -> u64) -> Self {
        Self { processes: tree.len() as u64, memory_bytes: tree.iter().map(|pid| memory(*pid)).sum() }
    }

    /// Which bound it breaks, and by how much.
    fn breaks(self, limits: &ServerLimits) -> Option<String> {
        let Self { processes, memory_bytes } = self;
        let memory = limits.memory_bytes.filter(|most| memory_bytes > *most).map(|most| {
            format!("memory: {} MiB are used, limits.maxMemory allows {}", memory_bytes.div_ceil(MIB), most / MIB)
        });
        let many = limits.processes.filter(|most| processes > *most);
        memory.or_else(|| many.map(|most| format!("{processes} processes, limits.maxProcesses allows {most}")))
    }
}

/// All that lives below `root`, and it itself if that is a server.
fn tree(root: u32) -> Vec<u32> {
    let mut tree = processes::below(root, |_| false);
    if root != std::process::id() {
        tree.extend(processes::one(root));
    }
    tree.into_iter().filter(|process| !process.zombie).map(|process| process.pid).collect()
}

/// What is watched, and where it is reported.
#[derive(Debug)]
pub(crate) struct Watch {
    /// This process, or the server's own where it is one of several.
    pub(crate) root: u32,
    pub(crate) limits: ServerLimits,
    /// Where the kernel bounds the same.
    pub(crate) cgroup: Option<ServerCgroup>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) log: Logger,
}

impl Watch {
    /// Orders the end of the run when what is below the root breaks a bound. Never ends where there is nothing to watch.
    pub(crate) async fn run(mut self) {
        // The sum for all instances is bounded there, and each by looking.
        let is_alone = self.root == std::process::id();
        if is_alone && self.cgroup.as_ref().is_some_and(ServerCgroup::bounds_memory) {
            self.limits.memory_bytes = None;
        }
        if self.limits.memory_bytes.is_none() && self.limits.processes.is_none() {
            return std::future::pending().await;
        }
        let mut next_close = Instant::now();
        let mut refused = self.cgroup.as_ref().map_or(0, ServerCgroup::refused_tasks);
        loop {
            let began = processor_time();
            let broken = self.look(&mut next_close);
            self.tell_refused(&mut refused);
            if let Some(what) = broken {
                // A run that is over uses nothing.
                let _ = self.orders.send(Order::Exceeded(what)).await;
                return;
            }
            sleep(pause(processor_time().saturating_sub(began))).await;
        }
    }

    fn look(&self, next_close: &mut Instant) -> Option<String> {
        let Self { root, limits, .. } = self;
        let processes_only = ServerLimits { memory_bytes: None, ..*limits };
        let seen = TreeUsage::below(*root);
        let now = Instant::now();
        match seen.breaks(&processes_only) {
            Some(what) => Some(what),
            None if seen.breaks(limits).is_some() && *next_close <= now => {
                *next_close = now + EXACT_INTERVAL;
                TreeUsage::closely(*root).breaks(limits)
            }
            None => None,
        }
    }

    /// Says so when the kernel begins to refuse the server another process.
    fn tell_refused(&self, told: &mut u64) {
        let refused = self.cgroup.as_ref().map_or(0, ServerCgroup::refused_tasks);
        if *told == 0 && refused > 0 {
            warn!(self.log, "the kernel refuses the server more processes and threads"; "limit" => "limits.maxProcesses");
        }
        *told = refused;
    }
}

fn pause(cost: Duration) -> Duration {
    (cost * PART).clamp(SOONEST, LATEST)
}

/// What this thread has used so far.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::spec;

    #[test]
    fn looks_are_frequent_and_take_a_small_part_of_the_time() {
        assert_eq!(pause(Duration::from_micros(100)), SOONEST);
        assert_eq!(pause(Duration::from_millis(2)), Duration::from_millis(200));
        assert_eq!(pause(Duration::from_secs(1)), LATEST);
    }

    #[test]
    fn a_bound_may_be_reached_and_not_exceeded() {
        let mut limits = spec().limits;
        let usage = TreeUsage { processes: 3, memory_bytes: 5 * MIB };
        assert_eq!(usage.breaks(&limits), None);
        (limits.processes, limits.memory_bytes) = (Some(3), Some(5 * MIB));
        assert_eq!(usage.breaks(&limits), None);
        limits.processes = Some(2);
        assert!(usage.breaks(&limits).is_some_and(|what| what.contains("maxProcesses allows 2")));
        limits.memory_bytes = Some(4 * MIB);
        assert_eq!(usage.breaks(&limits).as_deref(), Some("memory: 5 MiB are used, limits.maxMemory allows 4"));
    }

    #[test]
    fn memory_that_several_processes_share_is_counted_once() {
        // Copies of one shell, which hold the same 40 MB and never write to them.
        let script = "x=$(head -c 40000000 /dev/zero | tr '\\0' a); \
            for i in 1 2 3 4; do (sleep 60; :) & done; echo ready; wait";
        let mut shell = std::process::Command::new("sh")
            .args(["-c", script])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut ready = [0; 6];
        let stdout = shell.stdout.as_mut().expect("piped");
        std::io::Read::read_exact(stdout, &mut ready).expect("it says so");
        let (each, once) = (TreeUsage::below(shell.id()), TreeUsage::closely(shell.id()));
        for pid in tree(shell.id()) {
            let pid = processes::to_pid(pid).expect("a pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL); // a parent may have been faster
        }
        shell.wait().expect("waited");
        assert!(each.processes >= 5 && once.processes >= 5, "{each:?}");
        assert!(each.memory_bytes >= 5 * 40_000_000, "{each:?}");
        if processes::proportional_bytes(std::process::id()).is_some() {
            assert!(once.memory_bytes < 2 * 40_000_000 + 20 * MIB, "{once:?}");
        }
    }
}
