//! The cgroup of a server (cgroups(7)), as its worker and its launcher see it. The supervisor made it, with what bounds it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use mcproxy_ipc::{EndReason, WorkerSpec};
use rustix::process::Signal;

/// Where a server and all it starts belong.
#[derive(Debug, Clone)]
pub(crate) struct ServerCgroup {
    path: PathBuf,
}

impl ServerCgroup {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Moves this process into it.
    pub(crate) fn enter(&self) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), "0")
    }

    /// The files of it that a worker and its launcher write.
    pub(crate) fn written(&self) -> [PathBuf; 2] {
        ["cgroup.procs", "cgroup.kill"].map(|file| self.path.join(file))
    }

    /// Kills whatever is in it.
    pub(crate) fn kill(&self) {
        // In vain where it is gone already.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }

    /// Whether the kernel bounds its memory.
    pub(crate) fn bounds_memory(&self) -> bool {
        fs::read_to_string(self.path.join("memory.max")).is_ok_and(|most| most.trim() != "max")
    }

    /// How many of its processes the kernel has killed for want of memory.
    pub(crate) fn memory_kills(&self) -> u64 {
        self.count("memory.events", "oom_kill")
    }

    /// How often the kernel has refused it another process or thread.
    pub(crate) fn refused_tasks(&self) -> u64 {
        self.count("pids.events", "max")
    }

    fn count(&self, file: &str, key: &str) -> u64 {
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
        pairs.find(|(name, _)| *name == key).and_then(|(_, number)| number.trim().parse().ok()).unwrap_or_default()
    }
}

/// Whether the kernel killed the process for want of memory.
pub(crate) struct MemoryKills {
    cgroup: Option<ServerCgroup>,
    /// Those that have nothing to do with the process that runs now.
    before: u64,
    limit: Option<u64>,
}

impl MemoryKills {
    /// Begins to count, before the process is started.
    pub(crate) fn from_now_on(spec: &WorkerSpec) -> Self {
        let cgroup = spec.cgroup.as_deref().map(ServerCgroup::at);
        let before = cgroup.as_ref().map_or(0, ServerCgroup::memory_kills);
        Self { cgroup, before, limit: spec.limits.memory_bytes }
    }

    /// Why a process really ended.
    pub(crate) fn explain(&self, exit: EndReason) -> EndReason {
        let killed = matches!(exit, EndReason::Exited { signal: Some(signal), .. } if signal == Signal::KILL.as_raw());
        if !killed || self.cgroup.as_ref().is_none_or(|cgroup| cgroup.memory_kills() <= self.before) {
            return exit;
        }
        EndReason::Limit(match self.limit {
            Some(most) => format!("memory: limits.maxMemory allows {} MiB, the kernel ended it for more", most >> 20),
            None => {
                "memory: the kernel ended it when the service, the container or the machine had none left".to_owned()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counts_is_read_by_its_name_and_nothing_where_it_does_not_count() {
        let dir = tempfile::tempdir().expect("a directory");
        let cgroup = ServerCgroup::at(dir.path());
        assert_eq!((cgroup.memory_kills(), cgroup.refused_tasks(), cgroup.bounds_memory()), (0, 0, false));
        let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).expect("written");
        write("memory.events", "low 0\nhigh 0\nmax 31\noom 2\noom_kill 7\noom_group_kill 1\n");
        write("pids.events", "max 12\n");
        write("memory.max", "max\n");
        assert_eq!((cgroup.memory_kills(), cgroup.refused_tasks(), cgroup.bounds_memory()), (7, 12, false));
        write("memory.max", "268435456\n");
        assert!(cgroup.bounds_memory());
    }
}
