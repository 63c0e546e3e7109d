//! What lies on the way to a server: nginx that speaks TLS and HTTP/2, holds streams back, cuts and times out.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::{at, nginx::Nginx, upstream::Upstream};
use crate::support::{DEADLINE, Proxy, Session, eventually, text};

/// The address of a gateway, without its scheme.
fn host(proxy: &Proxy) -> &str {
    proxy.base.strip_prefix("http://").expect("a URL")
}

/// Calls of so many clients at once, so many times.
async fn calls(proxy: &Proxy, clients: usize, times: usize) {
    let tasks = (0..clients).map(|client| {
        let (http, url) = (proxy.http.clone(), proxy.url("/mcp"));
        tokio::spawn(async move {
            let session = Session::open(&http, &url).await;
            for call in 0..times {
                let said = format!("{client}-{call}");
                assert_eq!(session.say("r__echo", json!({"text": said})).await, said);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
}

#[tokio::test]
async fn http_2_over_tls_carries_sixty_four_clients_on_one_connection() {
    let upstream = Proxy::of(&["a"]).await;
    let Some(nginx) = Nginx::start(host(&upstream), "proxy_set_header Host $host;", true).await else { return };
    let url = format!("https://localhost:{}/servers/a/mcp", nginx.port);
    let entry = at("r", &url, json!({"tls": {"ca": nginx.authority()}, "proxy": "none"}));
    let proxy = Proxy::start(json!({"servers": [entry]})).await;
    calls(&proxy, 64, 5).await;
    let requests = nginx.requests();
    assert!(requests.len() >= 64 * 5, "{}", requests.len());
    assert!(requests.iter().all(|request| request.contains(" HTTP/2.0 ")), "{:?}", requests.first());
    let connections: BTreeSet<&str> = requests.iter().filter_map(|request| request.split(' ').next()).collect();
    assert!(connections.len() <= 2, "{connections:?}");
}

#[tokio::test]
async fn sixty_four_clients_need_no_connection_for_each_call() {
    for era in ["legacy", "modern"] {
        let upstream = Upstream::start(era).await;
        let proxy = Proxy::start(json!({"servers": [at("r", &upstream.url(), json!({}))]})).await;
        let sessions = (0..64).map(|_| proxy.session());
        let sessions: Vec<Session> = futures_util::future::join_all(sessions).await;
        for _ in 0..10 {
            let calls = sessions.iter().map(|session| session.call("r__headers", json!({})));
            futures_util::future::join_all(calls).await;
        }
        let connections = upstream.connections();
        assert_eq!(upstream.received("tools/call").len(), 640);
        assert!(connections <= 64 + 8, "{era}: {connections} connections for 640 calls");
    }
}

#[tokio::test]
async fn a_reverse_proxy_that_holds_streams_back_costs_progress_and_no_answer() {
    let upstream = Proxy::of(&["a"]).await;
    let buffering = "proxy_buffering on;\nproxy_ignore_headers X-Accel-Buffering;\nproxy_buffers 8 1m;\nproxy_buffer_size 1m;\n\
                     proxy_busy_buffers_size 2m;\nproxy_set_header Host $host;";
    let Some(nginx) = Nginx::start(host(&upstream), buffering, false).await else { return };
    let url = format!("http://127.0.0.1:{}/servers/a/mcp", nginx.port);
    for era in ["legacy", "modern"] {
        let proxy = Proxy::start(json!({"servers": [at("r", &url, json!({"era": era, "proxy": "none"}))]})).await;
        let session = proxy.session().await;
        let params = json!({"name": "r__progress", "arguments": {"steps": 3, "interval_ms": 50}, "_meta": {"progressToken": "t"}});
        let messages = session.request_as(json!(7), "tools/call", params).await;
        let response = messages.last().expect("an answer");
        assert!(response["result"].is_object(), "{era}: {messages:?}");
    }
}

#[tokio::test]
async fn a_stream_that_a_reverse_proxy_cuts_is_taken_up_again_or_says_what_happened() {
    let upstream = Proxy::of(&["a"]).await;
    let impatient = "proxy_read_timeout 1s;\nproxy_set_header Host $host;";
    let Some(nginx) = Nginx::start(host(&upstream), impatient, false).await else { return };
    let url = format!("http://127.0.0.1:{}/servers/a/mcp", nginx.port);
    for (era, expected) in [("legacy", "done"), ("modern", "may have been carried out")] {
        let proxy = Proxy::start(json!({"servers": [at("r", &url, json!({"era": era, "proxy": "none"}))]})).await;
        let session = proxy.session().await;
        let params = json!({"name": "r__slow", "arguments": {"ms": 2500, "tag": "done"}});
        let response = session.respond("tools/call", params).await;
        let said = response.to_string();
        assert!(said.contains(expected) || said.contains("does not answer (in time)"), "{era}: {response}");
        assert_eq!(session.say("r__echo", json!({"text": "on"})).await, "on", "{era}: the run goes on");
        assert_eq!(upstream.session_at("/servers/a/mcp").await.say("echo", json!({"text": "x"})).await, "x");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_behind_a_reverse_proxy_is_named() {
    let mut upstream = Proxy::of(&["a"]).await;
    let Some(nginx) = Nginx::start(host(&upstream), "proxy_set_header Host $host;", false).await else { return };
    let url = format!("http://127.0.0.1:{}/servers/a/mcp", nginx.port);
    let proxy = Proxy::start(json!({"servers": [at("r", &url, json!({"proxy": "none"}))]})).await;
    let session = proxy.session().await;
    assert_eq!(text(&session.call("r__echo", json!({"text": "x"})).await), "x");
    upstream.terminate();
    let _ = upstream.exit_code(Duration::from_secs(30)).await;
    let failed = async || {
        let response = session.respond("tools/call", json!({"name": "r__echo", "arguments": {"text": "x"}})).await;
        let said = response.to_string();
        said.contains("the server behind it does not answer").then_some(())
    };
    eventually("a call says what is wrong", DEADLINE, failed).await;
}
