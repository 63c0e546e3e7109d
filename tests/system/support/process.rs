use std::{fs, path::Path, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{io::AsyncWriteExt, process::Command};

use super::wait::within;

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end, with this input.
pub(crate) async fn run(command: &mut Command, input: &str) -> Finished {
    run_within(std::time::Duration::from_secs(90), command, input).await
}

/// The same for one that takes long.
pub(crate) async fn run_within(deadline: std::time::Duration, command: &mut Command, input: &str) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // A command that reads nothing may be gone before.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = within("a command ends", deadline, child.wait_with_output()).await;
    let output = output.expect("its output can be read");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// SIGKILL.
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// SIGTERM.
pub(crate) fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
}

/// Sends a signal to a process that a test started.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid is not 0");
    kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot signal {pid:?}: {error}"));
}

/// Whether there is such a process that is not merely waiting to be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    // The state follows the last parenthesis: a name may hold some itself (proc_pid_stat(5)).
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// All processes that work in `dir` or below, with their command lines: a test's proxy and everything that came of it.
pub(crate) fn processes_in(dir: &Path) -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir)))
        .filter(|pid| is_alive(*pid))
        .map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            (pid, String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Its resident memory, in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    memory_kib(pid, "VmRSS:")
}

/// The most that its resident memory ever was, in KiB.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    memory_kib(pid, "VmHWM:")
}

fn memory_kib(pid: u32, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix(which)).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Changes how many descriptors a running process may have, and returns how many it might have before.
pub(crate) fn limit_descriptors(pid: u32, current: Option<u64>) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
    let maximum = getrlimit(Resource::Nofile).maximum; // that of all its children
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid is not 0");
    prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum }).expect("the limit is changed").current
}
