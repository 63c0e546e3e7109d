//! Bounds that the kernel keeps, where the controllers of cgroups are delegated to MCProxy. A scope of systemd is such a place; on a
//! machine without it these tests say so.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::orphans::cgroup_of;
use crate::hardening::users::range;
use crate::support::{Proxy, ServerView, cannot, eventually, fixture, is_alive, signal};

fn scope() -> Command {
    let mut command = Command::new("systemd-run");
    if !rustix::process::geteuid().is_root() {
        command.arg("--user");
    }
    command.args(["--scope", "--quiet", "--collect", "--property", "Delegate=yes", "--"]);
    command
}

/// The same command in a scope of its own.
fn in_a_scope(command: &mut Command) {
    let mut wrapped = scope();
    wrapped
        .args(["sh", "-c", "exec \"$@\" >>out/log.txt 2>&1", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    wrapped.current_dir(command.get_current_dir().expect("a directory")).stdin(Stdio::null());
    let wanted = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    wrapped.envs(wanted);
    *command = wrapped;
}

/// MCProxy with a server that is bounded and one that is not, if the memory and pids controllers can be had.
async fn bounded(limits: Value) -> Option<Proxy> {
    bounded_with(limits, json!({"uids": "off"})).await
}

/// The same with these users.
async fn bounded_with(limits: Value, isolation: Value) -> Option<Proxy> {
    if !scope().arg("true").output().is_ok_and(|output| output.status.success()) {
        cannot("no systemd that delegates a cgroup");
        return None;
    }
    let mut hog = fixture("hog", &["--tool-name", "sh"]);
    hog["limits"] = limits;
    let config = json!({
        "hardening": "best-effort", "isolation": isolation, "servers": [hog, fixture("quiet", &[])],
        "defaults": {"restart": {"initialDelay": 0.1}}
    });
    let proxy = Proxy::launch_with(config, |command| {
        // As the parents of a state directory are.
        let dir = command.get_current_dir().expect("a directory");
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
        in_a_scope(command);
    })
    .await;
    proxy.until_ready().await;
    let cgroup = cgroup_of(proxy.server("hog").await.pid());
    if cgroup.is_none_or(|cgroup| !cgroup.join("memory.max").exists() || !cgroup.join("pids.max").exists()) {
        cannot("the memory and pids controllers are not delegated");
        return None;
    }
    Some(proxy)
}

fn read(cgroup: &Path, file: &str) -> String {
    fs::read_to_string(cgroup.join(file)).expect("the kernel has it").trim().to_owned()
}

async fn cgroup_of_hog(proxy: &Proxy) -> PathBuf {
    cgroup_of(proxy.server("hog").await.pid()).expect("a cgroup")
}

#[tokio::test]
async fn what_bounds_a_server_is_in_its_own_cgroup_and_ours_goes_first() {
    let Some(mut proxy) = bounded(json!({"maxMemory": 100 << 20, "maxProcesses": 10, "cpu": 0.5})).await else {
        return;
    };
    let cgroup = cgroup_of_hog(&proxy).await;
    let facts = ["memory.max", "memory.oom.group", "pids.max"].map(|file| read(&cgroup, file));
    assert_eq!(facts, ["104857600", "1", "320"]);
    let system = proxy.status().await;
    let leaf = cgroup_of(proxy.pid()).expect("a cgroup");
    for ours in [system.gateway_pid(), system.server("quiet").worker_pid.expect("a worker")] {
        assert_eq!(cgroup_of(ours), Some(leaf.clone()));
    }
    if cgroup.join("cpu.max").exists() {
        assert_eq!(
            (read(&cgroup, "cpu.max"), read(&leaf, "cpu.weight")),
            ("50000 100000".to_owned(), "1000".to_owned())
        );
    }
    let unbounded = cgroup_of(system.server("quiet").pid()).expect("a cgroup");
    assert_eq!(read(&unbounded, "memory.max"), "max");
    proxy.terminate();
    assert_eq!(proxy.exit_code(Duration::from_secs(30)).await, Some(0));
    let base = leaf.parent().expect("above it");
    assert!(!base.exists(), "{}", base.display());
}

#[tokio::test]
async fn a_hog_below_the_leader_ends_with_its_whole_server_which_says_memory() {
    let Some(proxy) = bounded(json!({"maxMemory": 100 << 20})).await else { return };
    let (hog, quiet) = (proxy.server("hog").await, proxy.server("quiet").await);
    let session = proxy.session().await;
    // The server itself stays small.
    let script = "x=$(head -c 300000000 /dev/zero | tr '\\0' a); echo ${#x}";
    session.refuse("hog__sh", json!({"script": script})).await;
    let again = |server: &ServerView| server.is_ready() && server.generation > hog.generation;
    let after = proxy.server_until("ready again", "hog", again).await;
    assert!(after.went_through("memory: limits.maxMemory allows 100 MiB, the kernel ended it"), "{after:?}");
    assert!(!is_alive(hog.pid()));
    let unharmed = proxy.server("quiet").await;
    assert_eq!((unharmed.server_pid, unharmed.restarts), (quiet.server_pid, 0));
}

#[tokio::test]
async fn a_fork_bomb_that_nobody_looks_at_is_stopped_by_the_kernel() {
    let Some(proxy) = bounded(json!({"maxProcesses": 8})).await else { return };
    let (hog, cgroup) = (proxy.server("hog").await, cgroup_of_hog(&proxy).await);
    let worker = hog.worker_pid.expect("a worker");
    let bomb = "n() { if [ $1 -gt 0 ]; then n $(($1 - 1)) & n $(($1 - 1)) & wait; else exec sleep 60; fi; }; \
        (sleep 0.5; n 9) </dev/null >/dev/null 2>&1 &";
    proxy.session().await.say("hog__sh", json!({"script": bomb})).await;
    signal(worker, Signal::STOP);
    eventually("the kernel refuses it a process", Duration::from_secs(20), async || {
        let tasks: u64 = read(&cgroup, "pids.current").parse().expect("a number");
        assert!(tasks <= 256, "{tasks}");
        (read(&cgroup, "pids.events") != "max 0").then_some(())
    })
    .await;
    signal(worker, Signal::CONT);
    let again = |server: &ServerView| server.is_ready() && server.generation > hog.generation;
    proxy.server_until("ready again", "hog", again).await;
    assert_eq!(proxy.session().await.say("quiet__echo", json!({"text": "alive"})).await, "alive");
}

/// What a server with a user of its own could try with its cgroup, where file modes would let it.
const WAYS_OUT: [&str; 5] = [
    "echo max > $CGROUP/memory.max",
    "echo 0 > $CGROUP/memory.oom.group",
    "echo max > $CGROUP/pids.max",
    "echo $$ > $CGROUP/../../main/cgroup.procs",
    "mkdir $CGROUP/below",
];

#[tokio::test]
async fn a_server_with_a_user_of_its_own_is_bounded_in_a_cgroup_whose_bounds_it_cannot_change() {
    if !rustix::process::geteuid().is_root() {
        return cannot("only root can give users away");
    }
    let (first, last) = range();
    let users = json!({"uids": format!("{first}-{last}")});
    let Some(proxy) = bounded_with(json!({"maxMemory": 100 << 20, "maxProcesses": 10}), users).await else { return };
    let (hog, quiet) = (proxy.server("hog").await, proxy.server("quiet").await);
    let cgroup = cgroup_of_hog(&proxy).await;
    assert!(cgroup.ends_with("hog.1/server"), "{}", cgroup.display());
    let worker = cgroup_of(hog.worker_pid.expect("a worker")).expect("a cgroup");
    assert_eq!(worker, cgroup.with_file_name("worker"));
    assert_eq!(["memory.max", "pids.max"].map(|file| read(&cgroup, file)), ["104857600", "320"]);
    let owner = fs::metadata(format!("/proc/{}", hog.pid())).expect("it lives").uid();
    assert!((first..=last).contains(&owner), "{owner}");
    let session = proxy.session().await;
    for attempt in WAYS_OUT {
        let script = format!("CGROUP={}; ({attempt}) 2>&1 || echo refused", cgroup.display());
        let said = session.say("hog__sh", json!({"script": script})).await;
        assert!(said.ends_with("refused"), "{attempt}: {said}");
    }
    assert_eq!(cgroup_of(hog.pid()).as_ref(), Some(&cgroup));
    session.refuse("hog__sh", json!({"script": "x=$(head -c 300000000 /dev/zero | tr '\\0' a); echo ${#x}"})).await;
    let again = |server: &ServerView| server.is_ready() && server.generation > hog.generation;
    let after = proxy.server_until("ready again", "hog", again).await;
    assert!(after.went_through("memory: limits.maxMemory allows 100 MiB, the kernel ended it"), "{after:?}");
    assert!(cgroup_of_hog(&proxy).await.ends_with("hog.2/server"), "the next one, too");
    let unharmed = proxy.server("quiet").await;
    assert_eq!((unharmed.server_pid, unharmed.restarts), (quiet.server_pid, 0));
}
