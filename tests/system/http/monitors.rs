use serde_json::json;

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
    assert!(line(&["mcproxy_calls_total", "server=\"a\""]).ends_with(" 3"));
    assert!(line(&["mcproxy_server_state", "server=\"a\"", "ready"]).ends_with(" 1"));
    assert!(metrics.body.lines().any(|line| line == "mcproxy_sessions 1"));
    assert!(metrics.body.ends_with("# EOF\n"), "OpenMetrics ends with EOF");
}
