//! Reads what `/proc` says about the processes of this machine (proc(5)). Supervisor and worker both look after process trees.

use std::{collections::HashSet, fs, io, path::Path};

use rustix::process::{Pid, WaitOptions, waitpid};

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent: the process that started it, or adopted it.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Whether it has ended and waits for its parent.
    pub zombie: bool,
}

/// Every process that can be seen at this moment.
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(one).collect()
}

/// Everything below `root`, itself not included; those that `spare` names are left out, with all that is below them.
pub fn below(root: u32, spare: impl Fn(u32) -> bool) -> Vec<Process> {
    let mut open = children(root);
    // No snapshot: reused ids could make a ring.
    let mut seen = HashSet::from([root]);
    let mut found = Vec::new();
    while let Some(pid) = open.pop() {
        if !spare(pid)
            && seen.insert(pid)
            && let Some(process) = one(pid)
        {
            open.extend(children(pid));
            found.push(process);
        }
    }
    found
}

/// The processes whose parent is `parent`, zombies included.
pub fn children(parent: u32) -> Vec<u32> {
    match listed_children(parent) {
        Ok(children) => children,
        // It is gone.
        Err(_) if Path::new("/proc/thread-self/children").exists() => Vec::new(),
        // A kernel without these lists.
        Err(_) => all().into_iter().filter(|process| process.parent == parent).map(|process| process.pid).collect(),
    }
}

fn listed_children(parent: u32) -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{parent}/task"))?.flatten() {
        let list = fs::read_to_string(task.path().join("children"))?;
        children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(children)
}

/// Collects our own children that have ended, except those that a caller waits for.
pub fn reap(is_waited_for: impl Fn(u32) -> bool) {
    for pid in children(std::process::id()) {
        if !is_waited_for(pid)
            && let Some(pid) = to_pid(pid)
        {
            // It is ours, or gone meanwhile.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// The value of a variable in the environment that a process was started with.
pub fn environment(pid: u32, name: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let entry =
        bytes.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(entry.to_vec()).ok()
}

/// The command line that a process was started with; empty when it is gone.
pub fn arguments(pid: u32) -> Vec<Vec<u8>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// The resident memory of a process; 0 when it is gone. Pages that it shares with others count as if they were its own.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    bytes_of(&status, "VmRSS:").unwrap_or_default()
}

/// The same, with a page that several processes share counted in parts (proportional set size, proc_pid_smaps(5)), so that the
/// sum of a tree counts each page once. It costs the kernel a walk over all pages. `None`: the process is gone, or the kernel
/// does not say (before 4.14, or of a process of another user).
pub fn proportional_bytes(pid: u32) -> Option<u64> {
    bytes_of(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Pss:")
}

/// The user that a process runs as (its real id); `None` when it is gone.
pub fn user(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_ascii_whitespace().next()?.parse().ok()
}

/// The value of a line like `VmRSS:      1234 kB`.
fn bytes_of(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib = line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?;
    Some(kib.saturating_mul(1024))
}

/// The name of a process, as the kernel knows it: cut at 15 bytes; empty when it is gone.
pub fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map(|name| name.trim_end().to_owned()).unwrap_or_default()
}

/// An id as the system calls take it.
pub fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// The process with this id.
pub fn one(pid: u32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// When a process was started, in ticks since the machine was: with its id it is that process and no later one.
pub fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // From the state to the start: proc_pid_stat(5), fields 3 to 22.
    stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn parse(pid: u32, stat: &str) -> Option<Process> {
    // The name in parentheses may contain anything, parentheses included.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let mut number = || fields.next()?.parse().ok();
    Some(Process { pid, zombie, parent: number()?, group: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let process = parse(7, "7 (a) R 1 (b) Z 3 4 5 0 -1").expect("well formed");
        assert_eq!(process, Process { pid: 7, parent: 3, group: 4, zombie: true });
        assert_eq!(parse(7, "nonsense"), None);
        assert_eq!(parse(7, "7 (a) R 1"), None);
    }

    #[test]
    fn we_find_ourselves_and_our_environment() {
        let us = std::process::id();
        assert!(all().iter().any(|process| process.pid == us));
        assert!(resident_bytes(us) > 100_000);
        if Path::new("/proc/self/smaps_rollup").exists() {
            let proportional = proportional_bytes(us).expect("our own");
            assert!(proportional > 50_000 && proportional <= resident_bytes(us) + (1 << 20), "{proportional}");
        }
        assert_eq!(bytes_of("Rss:  9 kB\nPss:     12 kB\nPss_Dirty: 3 kB\n", "Pss:"), Some(12 * 1024));
        assert_eq!(environment(us, "PATH"), std::env::var("PATH").ok());
        assert!(!arguments(us).is_empty() && !name(us).is_empty());
        assert_eq!((user(us), user(0)), (Some(rustix::process::getuid().as_raw()), None));
        assert!(started(us).is_some_and(|at| at > 0) && started(us) == started(us) && started(0).is_none());
    }

    #[test]
    fn what_is_below_a_process_is_found_and_what_is_spared_is_not() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & echo ready; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut ready = [0; 6];
        let stdout = child.stdout.as_mut().expect("piped");
        io::Read::read_exact(stdout, &mut ready).expect("it says so");
        let us = std::process::id();
        let tree: Vec<u32> = below(us, |_| false).into_iter().map(|process| process.pid).collect();
        let sleep = children(child.id());
        assert!(sleep.len() == 1 && tree.contains(&child.id()) && tree.contains(&sleep[0]), "{sleep:?} {tree:?}");
        assert!(!below(us, |pid| pid == child.id()).iter().any(|process| process.pid == sleep[0]));
        for pid in sleep.into_iter().chain([child.id()]) {
            rustix::process::kill_process(to_pid(pid).expect("a pid"), rustix::process::Signal::KILL).expect("killed");
        }
        child.wait().expect("waited");
        assert_eq!(children(child.id()), []);
    }
}
