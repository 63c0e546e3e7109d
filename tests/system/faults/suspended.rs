use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use tokio::task::JoinHandle;

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

/// The ids of calls that run beside those of a session, which counts from 1.
const FIRST: usize = 1_000_000;

/// Suspends a process of server `a` and waits for what follows; `b` must not notice.
async fn suspended(proxy: &Proxy, pid: u32) {
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    signal(pid, Signal::STOP);
    let session = proxy.session().await;
    assert_eq!(session.say("b__echo", json!({"text": "not me"})).await, "not me");
    eventually("another generation is ready", NOTICED, async || {
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
async fn a_server_suspended_under_calls_is_found_out_and_each_call_gets_one_answer() {
    // It is given up a call's timeout later than one without calls: it may be busy with them.
    let proxy = Proxy::start(json!({
        "servers": [fixture("old", &[]), fixture("new", &["--era", "modern"]), fixture("b", &[])],
        "defaults": {"restart": {"initialDelay": 0.2}, "timeout": 5}
    }))
    .await;
    let session = proxy.session().await;
    let before = proxy.status().await;
    let suspended = ["old", "new"];
    suspended.iter().for_each(|name| signal(before.server(name).pid(), Signal::STOP));
    let mut calls: Vec<(usize, JoinHandle<String>)> = Vec::new();
    eventually("other generations are ready", NOTICED, async || {
        // Some are under way at any time.
        while calls.iter().filter(|(_, call)| !call.is_finished()).count() < 6 {
            let id = FIRST + calls.len();
            let params = json!({"name": format!("{}__slow", suspended[id % 2]), "arguments": {"ms": 10}});
            let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
            let request = session.http(Method::POST).header("accept", "application/json, text/event-stream");
            let request = request.json(&body);
            let call = async move { request.send().await.expect("an answer").text().await.expect("a body") };
            calls.push((id, tokio::spawn(call)));
        }
        assert_eq!(session.say("b__slow", json!({"ms": 200, "tag": "b"})).await, "slept 200 ms for b");
        let status = proxy.try_status().await?;
        let replaced = |name: &&str| {
            let server = status.server(name);
            server.is_ready() && server.generation > before.server(name).generation
        };
        suspended.iter().all(replaced).then_some(())
    })
    .await;
    let mut errors = [0, 0];
    for (id, call) in calls {
        let text = call.await.expect("it ends");
        assert_eq!(
            text.matches(&format!("\"id\":{id},")).count() + text.matches(&format!("\"id\":{id}}}")).count(),
            1,
            "{text}"
        );
        errors[0] += usize::from(text.contains("31001"));
        errors[1] += usize::from(text.contains("31003"));
    }
    assert!(errors.iter().all(|count| *count > 0), "some timed out, some were lost with their server: {errors:?}");
    for name in suspended {
        assert!(!is_alive(before.server(name).pid()), "{name}");
        assert_eq!(session.say(&format!("{name}__echo"), json!({"text": "again"})).await, "again");
    }
    assert_eq!(proxy.server("b").await.server_pid, before.server("b").server_pid);
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
