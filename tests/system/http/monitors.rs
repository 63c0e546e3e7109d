use serde_json::{Value, json};

use super::proxy;
use crate::support::{Proxy, fixture};

#[tokio::test]
async fn a_monitor_sees_who_is_ready() {
    let proxy = Proxy::launch(json!({"servers": [fixture("a", &[]), fixture("never", &["--never-init"])]})).await;
    assert_eq!(proxy.get("/healthz").await.status, 200);
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    assert_eq!(proxy.get("/readyz?require=a").await.status, 200);
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

#[tokio::test]
async fn metrics_count_calls_and_name_states() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for _ in 0..3 {
        session.say("a__echo", json!({"text": "x"})).await;
    }
    let metrics = proxy.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let line = |parts: &[&str]| {
        metrics.body.lines().find(|line| parts.iter().all(|part| line.contains(part))).unwrap_or_else(|| {
            panic!("no line with {parts:?} in\n{}", metrics.body);
        })
    };
    assert!(line(&["mcproxy_calls_total", "server=\"a\"", "outcome=\"result\""]).ends_with(" 3"));
    assert!(line(&["mcproxy_server_state", "server=\"a\"", "ready"]).ends_with(" 1"));
    assert!(metrics.body.lines().any(|line| line == "mcproxy_sessions 1"));
    assert!(metrics.body.ends_with("# EOF\n"), "OpenMetrics ends with EOF");
}
