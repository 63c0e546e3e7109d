//! What would be left behind: daemons, trees that grow again, and everything after a supervisor was killed.

use std::{os::unix::fs::MetadataExt as _, process::Child, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Proxy, cannot, eventually, fixture, is_alive, kill, signal, supervisor, terminate};

/// A second supervisor in the same place. Whatever is asserted meanwhile, it must not be left behind.
struct Second(Child);

impl Second {
    fn start(proxy: &Proxy) -> Self {
        let log = std::fs::File::create(proxy.dir().join("out/second.txt")).expect("a log");
        let mut command = supervisor(proxy.dir());
        Self(command.stdout(log.try_clone().expect("the log")).stderr(log).spawn().expect("it starts"))
    }

    async fn stop(mut self) -> Option<i32> {
        terminate(self.0.id());
        eventually("the second ends", Duration::from_secs(25), async || self.0.try_wait().expect("its state"))
            .await
            .code()
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // Stopped in order, it has ended; after a failed assertion its children go with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn daemon(proxy: &Proxy, tool: &str) -> u32 {
    let pid = proxy.session().await.say(tool, json!({})).await.parse().expect("a pid");
    assert!(is_alive(pid));
    pid
}

/// Until all threads of a killed supervisor are gone it holds its lock, although its process looks dead before that: only
/// waiting for it tells.
async fn kill_first(proxy: &mut Proxy) {
    kill(proxy.pid());
    assert_eq!(proxy.exit_code(Duration::from_secs(20)).await, None);
}

async fn gone(what: &str, pids: &[u32]) {
    eventually(what, Duration::from_secs(20), async || pids.iter().all(|pid| !is_alive(*pid)).then_some(())).await;
}

#[tokio::test]
async fn nothing_outlives_a_killed_supervisor_and_the_next_one_starts() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", &["--ignore-term"]), fixture("b", &[])]})).await;
    let status = proxy.status().await;
    let mut ours = vec![status.gateway_pid()];
    for server in &status.servers {
        ours.extend([server.pid(), server.worker_pid.expect("a worker")]);
    }
    for tool in ["a__double_fork", "a__hidden_daemon", "b__hidden_daemon"] {
        ours.push(daemon(&proxy, tool).await);
    }
    kill_first(&mut proxy).await;
    gone("gateway, workers, servers and daemons are gone", &ours).await;

    let second = Second::start(&proxy);
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    proxy.server_until("ready", "b", |server| server.is_ready()).await;
    assert_eq!(second.stop().await, Some(0));
}

#[tokio::test]
async fn a_suspended_worker_notices_the_end_of_its_supervisor_too() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", &["--ignore-term"])]})).await;
    let server = proxy.server("a").await;
    let left = [daemon(&proxy, "a__hidden_daemon").await, server.pid(), server.worker_pid.expect("a worker")];
    signal(left[2], Signal::STOP);
    kill_first(&mut proxy).await;
    gone("worker, server and daemon are gone", &left).await;
}

#[tokio::test]
async fn what_outlives_a_supervisor_and_its_workers_is_swept_by_the_next_one() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    let worker = proxy.server("a").await.worker_pid.expect("a worker");
    let left = daemon(&proxy, "a__double_fork").await;
    // Stopped, so that neither can sweep any more.
    signal(proxy.pid(), Signal::STOP);
    signal(worker, Signal::STOP);
    kill(worker);
    kill_first(&mut proxy).await;
    let second = Second::start(&proxy);
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    assert!(!is_alive(left));
    assert_eq!(second.stop().await, Some(0));
}

#[tokio::test]
async fn a_daemon_that_hides_goes_with_its_own_worker_and_with_no_other() {
    let proxy = Proxy::of(&["a", "b"]).await;
    for round in ["the worker is killed", "the server is killed", "it is restarted"] {
        let before = proxy.server("a").await;
        let (hidden, other) = (daemon(&proxy, "a__hidden_daemon").await, daemon(&proxy, "b__hidden_daemon").await);
        match round {
            "the worker is killed" => kill(before.worker_pid.expect("a worker")),
            "the server is killed" => kill(before.pid()),
            _ => assert_eq!(proxy.cli(&["restart", "a"]).await.code, Some(0)),
        }
        let again = |server: &crate::support::ServerView| server.is_ready() && server.generation > before.generation;
        proxy.server_until("ready again", "a", again).await;
        assert!(!is_alive(hidden), "{round}");
        assert!(is_alive(other), "{round}");
    }
    assert_eq!(proxy.server("b").await.restarts, 0);
}

#[tokio::test]
async fn a_tree_that_grows_again_when_it_is_cut_is_gone_with_a_killed_worker() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let before = proxy.server("a").await;
    let session = proxy.session().await;
    let root: u32 = session.say("a__respawning_tree", json!({"depth": 6})).await.parse().expect("a pid");
    let tree = || mcproxy_ipc::processes::below(root, |_| false);
    eventually("it has grown", Duration::from_secs(20), async || (tree().len() >= 126).then_some(())).await;
    let pids: Vec<u32> = tree().iter().map(|process| process.pid).chain([root]).collect();
    assert_eq!(session.say("b__echo", json!({"text": "well"})).await, "well");
    kill(before.worker_pid.expect("a worker"));
    let again = |server: &crate::support::ServerView| server.is_ready() && server.generation > before.generation;
    proxy.server_until("ready again", "a", again).await;
    assert!(!pids.iter().any(|pid| is_alive(*pid)), "{pids:?}");
    let swept = proxy.logged(&["processes left behind were killed"]).await;
    assert!(swept.contains("left: 0") || swept.contains("left=0"), "{swept}");
}

/// The directory of a process's cgroup of version 2, if it is one of ours.
pub(crate) fn cgroup_of(pid: u32) -> Option<std::path::PathBuf> {
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let inside = own.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?;
    inside.contains("mcproxy-").then(|| std::path::Path::new(mount).join(inside.trim_start_matches('/')))
}

#[tokio::test]
async fn what_hid_from_a_supervisor_and_its_worker_is_found_in_their_cgroup_by_the_next_one() {
    // At the root of a hierarchy only who kept all capabilities can make one.
    let mut proxy = Proxy::launch(json!({"hardening": "off", "servers": [fixture("a", &[])]})).await;
    proxy.until_ready().await;
    let server = proxy.server("a").await;
    let hidden = daemon(&proxy, "a__hidden_daemon").await;
    let Some(cgroup) = cgroup_of(hidden) else {
        assert!(proxy.log().contains("no cgroups for servers"), "{}", proxy.log());
        return cannot("no cgroup of version 2 that is ours to divide");
    };
    assert_eq!(cgroup_of(server.pid()).as_ref(), Some(&cgroup));
    let worker = server.worker_pid.expect("a worker");
    assert_ne!(cgroup_of(worker).as_ref(), Some(&cgroup), "the worker is not, for it has to outlive the kill");
    // Stopped, so that neither can sweep any more.
    signal(proxy.pid(), Signal::STOP);
    signal(worker, Signal::STOP);
    kill(worker);
    kill_first(&mut proxy).await;
    assert!(is_alive(hidden));
    let second = Second::start(&proxy);
    let fresh = proxy.server_until("ready", "a", |server| server.is_ready()).await;
    assert!(!is_alive(hidden));
    let base = cgroup_of(fresh.pid()).expect("a cgroup").parent().expect("a parent").to_owned();
    assert_eq!(second.stop().await, Some(0));
    assert!(!cgroup.exists(), "they are removed at the end");
    // The root of a hierarchy is closed to who has no privileges: there an empty one stays.
    let is_closed = base.parent().is_some_and(|above| above.metadata().expect("it is there").mode() & 0o200 == 0);
    let is_empty = || std::fs::read_to_string(base.join("cgroup.procs")).is_ok_and(|processes| processes.is_empty());
    assert!(!base.exists() || is_closed && is_empty(), "{} is left", base.display());
    let _ = std::fs::remove_dir(&base);
}

#[tokio::test]
async fn the_pid_namespace_of_a_killed_supervisor_dies_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let flags = ["--ignore-term", "--hidden-daemon", "daemons.txt"];
    std::fs::write(dir.path().join("mcp-servers.json"), json!({"servers": [fixture("a", &flags)]}).to_string())
        .expect("written");
    let plain = supervisor(dir.path());
    let mut command = std::process::Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(plain.get_program()).args(plain.get_args());
    let log = std::fs::File::create(dir.path().join("log.txt")).expect("a log");
    command.current_dir(dir.path()).stdin(std::process::Stdio::null());
    command.stdout(log.try_clone().expect("the log")).stderr(log);
    let Ok(outer) = command.spawn() else { return cannot("no `unshare`") };
    let mut outer = Second(outer);
    let text = || std::fs::read_to_string(dir.path().join("log.txt")).unwrap_or_default();
    let ended = eventually("ready, or refused", Duration::from_secs(20), async || {
        if text().contains("server is ready") {
            return Some(None);
        }
        outer.0.try_wait().expect("its state").map(Some)
    })
    .await;
    if ended.is_some() {
        assert!(text().contains("unshare"), "{}", text());
        return cannot("this machine lets nobody have a pid namespace");
    }
    let init = mcproxy_ipc::processes::children(outer.0.id())[0];
    let inside: Vec<u32> = mcproxy_ipc::processes::below(init, |_| false).iter().map(|process| process.pid).collect();
    assert!(inside.len() >= 4, "gateway, worker, server and daemon: {inside:?}");
    kill(init);
    gone("everything in the namespace is gone", &inside).await;
    outer.0.wait().expect("waited");
}
