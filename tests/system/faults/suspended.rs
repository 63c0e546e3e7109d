use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Proxy, eventually, fixture, is_alive, signal};

/// Three heartbeats without an answer, or three pings after half a minute of silence, and what a busy machine adds.
const NOTICED: Duration = Duration::from_secs(120);

async fn two() -> Proxy {
    Proxy::start(json!({
        "servers": [fixture("a", &[]), fixture("b", &[])],
        "defaults": {"restart": {"initialDelay": 0.2}}
    }))
    .await
}

/// Suspends a process of server `a` and waits for what follows; `b` must not notice.
async fn suspended(proxy: &Proxy, pid: u32) {
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    signal(pid, Signal::STOP);
    let session = proxy.session().await;
    assert_eq!(session.say("b__echo", json!({"text": "not me"})).await, "not me");
    eventually("another incarnation is ready", NOTICED, async || {
        let status = proxy.try_status().await?;
        let server = status.server("a");
        (server.is_ready() && server.generation > a.generation).then_some(())
    })
    .await;
    for old in [a.server_pid, a.worker_pid].into_iter().flatten() {
        assert!(!is_alive(old), "{old} is left");
    }
    assert_eq!(session.say("a__echo", json!({"text": "again"})).await, "again");
    let unharmed = proxy.server("b").await;
    assert_eq!((unharmed.server_pid, unharmed.worker_pid, unharmed.restarts), (b.server_pid, b.worker_pid, 0));
}

#[tokio::test]
async fn a_suspended_server_is_ended_and_started_anew() {
    let proxy = two().await;
    let pid = proxy.server("a").await.pid();
    suspended(&proxy, pid).await;
}

#[tokio::test]
async fn a_suspended_worker_is_killed_and_started_anew() {
    let proxy = two().await;
    let pid = proxy.server("a").await.worker_pid.expect("a worker");
    suspended(&proxy, pid).await;
}

#[tokio::test]
async fn a_suspended_gateway_is_killed_and_started_anew() {
    let proxy = two().await;
    let session = proxy.session().await;
    let before = proxy.status().await;
    signal(before.gateway_pid(), Signal::STOP);
    eventually("another gateway", NOTICED, async || {
        let gateway = proxy.try_status().await?.gateway?.pid;
        (gateway != before.gateway_pid()).then_some(())
    })
    .await;
    assert!(!is_alive(before.gateway_pid()));
    assert_eq!(session.say("a__echo", json!({"text": "again"})).await, "again");
    let after = proxy.status().await;
    for old in &before.servers {
        let now = after.server(&old.name);
        assert_eq!((now.server_pid, now.worker_pid, now.restarts), (old.server_pid, old.worker_pid, 0));
    }
}

#[tokio::test]
async fn calls_go_on_while_the_supervisor_is_suspended() {
    let proxy = two().await;
    let session = proxy.session().await;
    let before = proxy.status().await;
    signal(proxy.pid(), Signal::STOP);
    for n in 0..20 {
        let server = if n % 2 == 0 { "a" } else { "b" };
        let said = session.say(&format!("{server}__slow"), json!({"ms": 100, "tag": n.to_string()})).await;
        assert_eq!(said, format!("slept 100 ms for {n}"));
    }
    assert_eq!(proxy.get("/healthz").await.status, 200);
    signal(proxy.pid(), Signal::CONT);
    let after = proxy.status().await;
    assert_eq!(after.gateway_pid(), before.gateway_pid());
    for old in &before.servers {
        assert_eq!(after.server(&old.name).server_pid, old.server_pid);
    }
}
