//! What processes cost: CPU time, memory and number, read from `/proc`.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

/// A live process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// The kernel's short name, at most 15 bytes.
    pub(crate) name: String,
    parent: u32,
    is_zombie: bool,
}

/// Resident memory in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) rss_kib: u64,
    /// Shared pages are divided among their sharers.
    pub(crate) pss_kib: u64,
}

impl Process {
    fn read(pid: u32) -> io::Result<Self> {
        parse_stat(&fs::read_to_string(proc(pid, "stat"))?).ok_or_else(|| io::Error::other("an unknown form of stat"))
    }
}

/// Those of `roots` that live, and all their descendants. A zombie does not live.
pub(crate) fn tree(roots: &[u32]) -> io::Result<Vec<Process>> {
    let mut children: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(process) = Process::read(pid) else { continue }; // it has just ended
        if process.is_zombie {
            continue;
        }
        if roots.contains(&pid) {
            found.push(process);
        } else {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children.remove(&process.pid).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

/// CPU time of all threads that live, in ns: user and system, as the scheduler counts it.
pub(crate) fn cpu_ns(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(proc(pid, "task"))? {
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue }; // the thread has just ended
        sum += parse_schedstat(&text).ok_or_else(|| io::Error::other("an unknown form of schedstat"))?;
    }
    Ok(sum)
}

/// The memory of one process.
pub(crate) fn memory(pid: u32) -> io::Result<Memory> {
    parse_rollup(&fs::read_to_string(proc(pid, "smaps_rollup"))?)
        .ok_or_else(|| io::Error::other("an unknown form of smaps_rollup"))
}

fn proc(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

/// `PID (NAME) STATE PPID …`, where a name may hold blanks and brackets.
fn parse_stat(text: &str) -> Option<Process> {
    let (pid, rest) = text.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let is_zombie = fields.next()? == "Z";
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid: pid.parse().ok()?, name: name.to_owned(), parent, is_zombie })
}

fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn parse_rollup(text: &str) -> Option<Memory> {
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
    };
    Some(Memory { rss_kib: field("Rss:")?, pss_kib: field("Pss:")? })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let process = parse_stat("12 (a) b (c)) S 7 12 12 0 -1").expect("the form of the kernel");
        assert_eq!((process.pid, process.name.as_str(), process.parent), (12, "a) b (c)", 7));
        assert!(!process.is_zombie && parse_stat("13 (b) Z 7 12").is_some_and(|dead| dead.is_zombie));
        assert_eq!(parse_stat("12 (a"), None);
    }

    #[test]
    fn memory_is_read_in_kib() {
        let text = "5583-7fff ---p 0 00:00 0  [rollup]\nRss:    1764 kB\nPss:     388 kB\nPss_Dirty:   1 kB\n";
        assert_eq!(parse_rollup(text), Some(Memory { rss_kib: 1764, pss_kib: 388 }));
        assert_eq!(parse_rollup("Rss: 1 kB"), None);
        let own = memory(std::process::id()).expect("our own memory");
        assert!(own.pss_kib > 0 && own.rss_kib >= own.pss_kib, "{own:?}");
    }

    #[test]
    fn time_spent_is_seen() {
        let before = cpu_ns(std::process::id()).expect("our own time");
        let deadline = Instant::now() + Duration::from_secs(20);
        while cpu_ns(std::process::id()).expect("our own time") < before + 20_000_000 {
            assert!(Instant::now() < deadline, "the clock of the scheduler stands still");
        }
    }

    #[test]
    fn a_tree_holds_children_and_no_others() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().expect("sleep starts");
        let own = tree(&[std::process::id()]).expect("our own tree");
        let alone = tree(&[child.id()]).expect("the child's tree");
        child.kill().expect("killed");
        child.wait().expect("reaped");
        assert!(own.iter().any(|process| process.pid == child.id()));
        assert_eq!(alone.len(), 1);
        assert_eq!(alone[0].parent, std::process::id());
    }
}
