use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::proxy;
use crate::support::{DEADLINE, Proxy, eventually, fixture};

#[tokio::test]
async fn a_monitor_sees_who_is_ready() {
    let proxy = Proxy::launch(json!({"servers": [fixture("a", &[]), fixture("never", &["--never-init"])]})).await;
    assert_eq!(proxy.get("/healthz").await.status, 200);
    eventually("`a` answers calls", DEADLINE, async || {
        (proxy.get("/readyz?require=a").await.status == 200).then_some(())
    })
    .await;
    let waiting = proxy.get("/readyz").await;
    assert_eq!((waiting.status.as_u16(), &waiting.json()["waiting"][0]["server"]), (503, &json!("never")));
    for required in ["never", "a,never", "nobody"] {
        assert_eq!(proxy.get(&format!("/readyz?require={required}")).await.status, 503, "{required}");
    }
    let health = proxy.get("/health").await.json();
    let states: Vec<&str> =
        health["servers"].as_array().expect("servers").iter().filter_map(|s| s["state"].as_str()).collect();
    assert_eq!(states, ["ready", "starting"], "{health}");
}

#[tokio::test]
async fn the_status_has_one_form_wherever_it_is_asked_for() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let health = proxy.get("/health").await.json();
    let command = proxy.cli(&["status", "--json"]).await;
    let command = serde_json::from_str(&command.stdout).expect("JSON");
    let tool = session.request("tools/call", json!({"name": "mcproxy__status", "arguments": {}})).await;
    let mut without_history = health.clone();
    // Models get the names of missing protections only.
    for missing in without_history["degraded"].as_array_mut().expect("a list") {
        *missing = missing["protection"].take();
    }
    for server in without_history["servers"].as_array_mut().expect("servers") {
        assert!(server.as_object_mut().expect("an object").remove("events").is_some(), "{health}");
    }
    assert_eq!(form(&health), form(&command));
    assert_eq!(form(&without_history), form(&tool["structuredContent"]));
    assert!(health["supervisor"]["uptimeSeconds"].is_f64(), "{health}");
    assert!(health["gateway"]["rssBytes"].is_u64(), "{health}");
}

/// The keys, wherever they are, without what changes from one moment to the next.
fn form(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), form(value))).collect(),
        Value::Array(values) => values.iter().map(form).collect(),
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => json!("a value"),
    }
}

/// The value of the line that holds all of these.
fn metric(page: &str, parts: &[&str]) -> f64 {
    let line = page.lines().find(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
    let line = line.unwrap_or_else(|| panic!("no line with {parts:?} in\n{page}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no number: {line}"))
}

#[tokio::test]
async fn metrics_count_calls_and_name_states() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for _ in 0..3 {
        session.say("a__echo", json!({"text": "x"})).await;
    }
    let metrics = proxy.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let page = &metrics.body;
    assert_eq!(metric(page, &["mcproxy_calls_total", "server=\"a\"", "outcome=\"result\""]), 3.0);
    assert_eq!(metric(page, &["mcproxy_server_state", "server=\"a\"", "ready"]), 1.0);
    assert_eq!(metric(page, &["mcproxy_server_state", "server=\"a\"", "idle"]), 0.0);
    assert_eq!(metric(page, &["mcproxy_sessions "]), 1.0);
    assert_eq!(metric(page, &["mcproxy_calls_waiting", "server=\"a\""]), 0.0);
    assert_eq!(metric(page, &["mcproxy_queued_bytes", "server=\"a\""]), 0.0);
    assert_eq!(metric(page, &["mcproxy_log_records_dropped_total"]), 0.0);
    for process in ["supervisor", "gateway"] {
        let label = format!("process=\"{process}\"");
        assert!(metric(page, &["mcproxy_process_resident_bytes", &label]) > 1e6, "{page}");
    }
    assert!(metric(page, &["mcproxy_server_resident_bytes", "server=\"a\""]) > 1e6, "{page}");
    assert!(page.ends_with("# EOF\n"), "OpenMetrics ends with EOF");
}

#[tokio::test]
async fn errors_are_counted_by_their_reason_and_restarts_by_their_server() {
    let proxy = Proxy::start(json!({
        "servers": [fixture("a", &[])],
        "defaults": {"timeout": 0.5, "restart": {"initialDelay": 0.1}}
    }))
    .await;
    let session = proxy.session().await;
    let call = async |name: &str, arguments: Value| {
        session.request_as(json!(name), "tools/call", json!({"name": name, "arguments": arguments})).await
    };
    call("a__slow", json!({"ms": 600_000})).await;
    call("a__nope", json!({})).await;
    call("a__crash", json!({})).await;
    proxy.server_until("started again", "a", |server| server.is_ready() && server.restarts == 1).await;
    let page = proxy.get("/metrics").await.body;
    assert_eq!(metric(&page, &["mcproxy_call_errors_total", "reason=\"timeout\""]), 1.0);
    assert_eq!(metric(&page, &["mcproxy_call_errors_total", "reason=\"server_exited\""]), 1.0);
    assert_eq!(metric(&page, &["mcproxy_server_restarts_total", "server=\"a\""]), 1.0);
}

#[tokio::test]
async fn what_was_counted_of_a_server_goes_with_it() {
    let config = |name: &str| json!({"servers": [fixture(name, &[])]});
    let proxy = Proxy::start(config("first")).await;
    let session = proxy.session().await;
    session.say("first__echo", json!({"text": "x"})).await;
    session.request_as(json!(1), "tools/call", json!({"name": "first__crash", "arguments": {}})).await;
    assert!(proxy.get("/metrics").await.body.contains("server=\"first\""));
    for name in ["second", "third"] {
        proxy.write_config(&config(name).to_string());
        proxy.server_until("is there", name, |server| server.is_ready()).await;
        proxy.session().await.say(&format!("{name}__echo"), json!({"text": "x"})).await;
    }
    let page = eventually("only what is configured is counted", DEADLINE, async || {
        let page = proxy.get("/metrics").await.body;
        (!page.contains("server=\"first\"") && !page.contains("server=\"second\"")).then_some(page)
    })
    .await;
    assert_eq!(metric(&page, &["mcproxy_calls_total", "server=\"third\"", "outcome=\"result\""]), 1.0);
}

#[tokio::test]
async fn a_flood_of_monitors_is_answered_from_what_was_prepared() {
    let proxy = proxy().await;
    for path in ["/health", "/metrics"] {
        let begun = Instant::now();
        let answers = join_all((0..400).map(|_| proxy.get(path))).await;
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.body.contains("\"a\"")), "{path}");
        // 400 looks at all processes would take longer, one after the other.
        assert!(begun.elapsed() < Duration::from_secs(10), "{path}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn each_call_is_logged_at_its_own_level_and_never_what_it_said() {
    let config = |calls: &str| json!({"servers": [fixture("a", &[])], "logging": {"calls": calls}});
    let proxy = Proxy::start(config("info")).await;
    let session = proxy.session().await;
    session.say("a__echo", json!({"text": "between us"})).await;
    let line = proxy.logged(&["call", "method: tools/call", "name: echo"]).await;
    for part in
        ["INFO", "server: a", "outcome: result", "request_bytes: ", "response_bytes: ", "duration_us: ", "session: "]
    {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
    proxy.write_config(&config("off").to_string());
    proxy.logged(&["settings changed"]).await;
    session.say("a__echo", json!({"text": "unseen"})).await;
    // What is logged later by the same process shows that the call was not.
    drop(proxy.session().await);
    eventually("the other session is logged", DEADLINE, async || {
        (proxy.log().matches("session opened").count() == 2).then_some(())
    })
    .await;
    let log = proxy.log();
    assert_eq!(log.matches("name: echo").count(), 1, "{log}");
    assert!(!log.contains("between us"), "{log}");
}

#[tokio::test]
async fn every_change_of_state_is_one_record_that_says_from_where_to_where_and_why() {
    let proxy = proxy().await;
    proxy.cli(&["restart", "a"]).await;
    for (from, to) in [("ready", "stopping"), ("stopping", "starting"), ("starting", "ready")] {
        let line = proxy.logged(&["server: a", &format!("from: {from}"), &format!("to: {to}"), "reason: "]).await;
        assert!(line.contains("INFO"), "{line}");
    }
}
