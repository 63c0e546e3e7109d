//! The cgroup of a server (cgroups(7)), as its worker and its launcher see it. The supervisor made it, with what bounds it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use mcproxy_ipc::{EndReason, WorkerSpec};
use rustix::process::Signal;

const PROCS: &str = "cgroup.procs";
const KILL: &str = "cgroup.kill";

static HELD: OnceLock<OpenedCgroup> = OnceLock::new();

/// What a worker may still write of its server's cgroup when it has confined itself.
#[derive(Debug)]
struct OpenedCgroup {
    procs: File,
    kill: File,
}

/// Where a server and all it starts belong.
#[derive(Debug, Clone)]
pub(crate) struct ServerCgroup {
    path: PathBuf,
}

impl ServerCgroup {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Opens the files of it that this process writes later. A server is in the domain of its worker, and who may open
    /// `cgroup.procs` can move others into its own cgroup and kill them there: once the worker has confined itself, nobody can.
    pub(crate) fn hold(&self) -> io::Result<()> {
        let open = |file| OpenOptions::new().write(true).open(self.path.join(file));
        let held = OpenedCgroup { procs: open(PROCS)?, kill: open(KILL)? };
        // A worker has one server, and so one cgroup.
        let _ = HELD.set(held);
        Ok(())
    }

    /// Moves a process into it.
    pub(crate) fn take_in(&self, process: u32) -> io::Result<()> {
        let process = process.to_string();
        match HELD.get() {
            Some(held) => held.procs.write_all_at(process.as_bytes(), 0),
            None => fs::write(self.path.join(PROCS), process),
        }
    }

    /// Kills whatever is in it.
    pub(crate) fn kill(&self) {
        // In vain where it is gone already.
        let _ = match HELD.get() {
            Some(held) => held.kill.write_all_at(b"1", 0),
            None => fs::write(self.path.join(KILL), "1"),
        };
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

    #[test]
    fn what_is_held_is_written_when_the_path_is_out_of_reach() {
        let dir = tempfile::tempdir().expect("a directory");
        let (before, after) = (dir.path().join("before"), dir.path().join("after"));
        fs::create_dir(&before).expect("made");
        for file in [PROCS, KILL] {
            fs::write(before.join(file), "").expect("written");
        }
        let cgroup = ServerCgroup::at(&before);
        cgroup.hold().expect("held");
        fs::rename(&before, &after).expect("moved");
        cgroup.take_in(17).expect("taken in");
        cgroup.kill();
        let read = |file| fs::read_to_string(after.join(file)).expect("there");
        assert_eq!((read(PROCS), read(KILL)), ("17".to_owned(), "1".to_owned()));
    }
}
