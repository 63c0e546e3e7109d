//! What would be left behind: daemons, trees that grow again, and everything after a supervisor was killed.

use std::{process::Child, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Proxy, eventually, fixture, is_alive, kill, signal, supervisor, terminate};

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
