//! What `/proc` says about the processes of this machine (proc(5)).

use std::{fs, io};

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    pub(crate) zombie: bool,
}

/// Every process that can be seen at this moment.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(one).collect()
}

/// The processes whose parent is `parent`, zombies included.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    match listed_children(parent) {
        Ok(children) => children,
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

/// The value of a variable in the environment that a process was started with.
pub(crate) fn environment(pid: u32, name: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let entry =
        bytes.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(entry.to_vec()).ok()
}

/// The name of a process, as the kernel knows it: cut at 15 bytes; empty when it is gone.
pub(crate) fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map(|name| name.trim_end().to_owned()).unwrap_or_default()
}

fn one(pid: u32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(pid: u32, stat: &str) -> Option<Process> {
    // The name in parentheses may contain anything, parentheses included.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let mut number = || fields.next()?.parse().ok();
    Some(Process { pid, zombie, parent: number()?, group: number()?, session: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let process = parse(7, "7 (a) R 1 (b) Z 3 4 5 0 -1").expect("well formed");
        assert_eq!(process, Process { pid: 7, parent: 3, group: 4, session: 5, zombie: true });
        assert_eq!(parse(7, "nonsense"), None);
    }

    #[test]
    fn we_find_ourselves_and_our_environment() {
        let us = std::process::id();
        assert!(all().iter().any(|process| process.pid == us));
        assert_eq!(environment(us, "PATH"), std::env::var("PATH").ok());
    }
}
