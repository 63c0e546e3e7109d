//! The gateway under its confinement: what an intruder in it would try is refused, and clients of all dialects are served as ever.

use std::{fs, time::Duration};

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{DEADLINE, Events, Modern, Proxy, Raw, ask, eventually, fixture, kill, within};

/// What the hook of debug builds tries (`crates/confine/src/attempts.rs`).
const ATTEMPTS: [&str; 19] = [
    "exec",
    "fork",
    "spawn",
    "ptrace",
    "mount",
    "unshare",
    "open /etc/passwd",
    "create a file",
    "list /",
    "supervisor's memory",
    "supervisor's descriptors",
    "connect",
    "connect to the control socket",
    "bind",
    "kill the supervisor",
    "setuid",
    "keyctl",
    "bpf",
    "io_uring",
];

fn config(servers: &[&str]) -> Value {
    let servers: Vec<Value> = servers.iter().map(|name| fixture(name, &["--era", "dual"])).collect();
    json!({"servers": servers, "hardening": "best-effort"})
}

/// A field of `/proc/PID/status`.
fn status_of(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field}")).trim().to_owned()
}

async fn serves_all_dialects(proxy: &Proxy) {
    // 2025-11-25, with a stream of its own.
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    assert_eq!(session.say("a__echo", json!({"text": "streamable"})).await, "streamable");
    session.say("a__add_tool", json!({"name": "extra"})).await;
    stream.notification("notifications/tools/list_changed").await;
    // 2024-11-05.
    let mut legacy = proxy.legacy_session().await;
    assert_eq!(legacy.call("a__echo", json!({"text": "sse"})).await["content"][0]["text"], "sse");
    // 2026-07-28, with a listener.
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let wish = json!({"notifications": {"toolsListChanged": true}});
    let mut listener = Events::open(modern.post(&modern.request("subscriptions/listen", wish))).await;
    listener.notification("notifications/subscriptions/acknowledged").await;
    assert_eq!(modern.say("a__echo", json!({"text": "stateless"})).await, "stateless");
    modern.say("a__add_tool", json!({"name": "another"})).await;
    listener.notification("notifications/tools/list_changed").await;
}

#[tokio::test]
async fn an_intruder_in_the_gateway_finds_no_way_out_and_clients_are_served() {
    let proxy = Proxy::launch_with(config(&["a"]), |command| {
        let control = command.get_current_dir().expect("a directory").join("run/supervisor.sock");
        command.env("MCPROXY_ATTEMPT_ESCAPES", control);
    })
    .await;
    proxy.until_ready().await;
    for attempt in ATTEMPTS {
        let line = proxy.logged(&["escape attempt", &format!("attempt: {attempt}, ")]).await;
        assert!(line.contains("outcome: refused: Operation not permitted"), "{line}");
    }
    for wrong in ["outcome: succeeded", "a protection is missing, process: gateway"] {
        assert!(!proxy.log().contains(wrong), "{}", proxy.log());
    }
    let gateway = proxy.status().await.gateway_pid();
    assert_eq!((status_of(gateway, "NoNewPrivs"), status_of(gateway, "Seccomp")), ("1".to_owned(), "2".to_owned()));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status_of(gateway, set), "0000000000000000", "{set}");
    }
    serves_all_dialects(&proxy).await;
    assert_eq!(proxy.status().await.gateway_pid(), gateway, "it is the same gateway");
}

#[tokio::test]
async fn streams_resume_and_large_bodies_arrive_under_the_confinement() {
    let proxy = Proxy::start(config(&["a"])).await;
    let session = proxy.session().await;
    let arguments = json!({"steps": 8, "interval_ms": 50});
    let params = json!({"name": "a__progress", "arguments": arguments, "_meta": {"progressToken": "t"}});
    let mut events = session.streamed(json!(7), "tools/call", params).await;
    let begun = events.prime().await;
    drop(events);
    let mut resumed = Events::open(session.after(&begun)).await;
    let answer = resumed.find("the answer", |message| message["id"] == 7).await;
    assert!(answer["result"].is_object(), "{answer}");
    let large = "x".repeat(3 * 1024 * 1024);
    assert_eq!(session.say("a__echo", json!({"text": large})).await.len(), large.len());
    assert_eq!(session.delete().await.status, 204);
    let gone = ask(session.http(Method::GET).header("accept", "text/event-stream")).await;
    assert_eq!(gone.status, 404);
    for path in ["/health", "/metrics", "/healthz"] {
        assert_eq!(proxy.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_thousand_clients_at_once_are_served_under_the_confinement() {
    let proxy = Proxy::start(config(&["a"])).await;
    let crowd: Vec<Raw> = stream::iter(0..1000)
        .map(async |_| {
            let mut raw = Raw::connect(&proxy).await;
            assert!(raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
            let answer = raw.some().await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            raw
        })
        .buffer_unordered(64)
        .collect()
        .await;
    serves_all_dialects(&proxy).await;
    drop(crowd);
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "after"})).await, "after");
}

#[tokio::test]
async fn kept_catalogues_reach_a_new_confined_gateway_and_sessions_go_on() {
    let proxy = Proxy::start(config(&["a"])).await;
    let session = proxy.session().await;
    eventually("what it offers is kept", DEADLINE, async || {
        let entries = fs::read_dir(proxy.dir().join("state/catalogues")).ok()?;
        entries.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "json")).then_some(())
    })
    .await;
    let before = proxy.status().await.gateway_pid();
    kill(before);
    eventually("another gateway answers", DEADLINE, async || {
        let status = proxy.try_status().await?;
        let answers =
            proxy.http.get(proxy.url("/healthz")).send().await.is_ok_and(|answer| answer.status().is_success());
        (answers && status.gateway.is_some_and(|gateway| gateway.restarts == 1)).then_some(())
    })
    .await;
    assert_eq!(session.say("a__echo", json!({"text": "goes on"})).await, "goes on");
}

#[tokio::test]
async fn an_address_that_changes_reaches_the_confined_gateway_as_a_socket() {
    let proxy = Proxy::start(config(&["a"])).await;
    let session = proxy.session().await;
    let mut changed = config(&["a", "b"]);
    changed["limits"] = json!({"maxConnections": 500});
    proxy.write_config(&changed.to_string());
    within("the new server answers", Duration::from_secs(20), async {
        eventually("b is listed", DEADLINE, async || {
            session.tools().await.contains(&"b__echo".to_owned()).then_some(())
        })
        .await;
    })
    .await;
    serves_all_dialects(&proxy).await;
}
