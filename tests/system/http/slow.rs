//! Clients that take their time, or leave without a word: what they hold up is theirs, and not for long.

use std::time::{Duration, Instant};

use serde_json::json;

use super::PING;
use crate::support::{DEADLINE, End, Proxy, Raw, ask, descriptors, eventually, fixture, resident_kib};

async fn proxy_with(limits: serde_json::Value) -> Proxy {
    Proxy::start(json!({"servers": [fixture("a", &[])], "limits": limits})).await
}

fn head(length: usize) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {length}\r\n"
    )
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_after_its_time() {
    let proxy = proxy_with(json!({"bodyTimeout": 1.0})).await;
    let mut raw = Raw::connect(&proxy).await;
    raw.send(format!("{}\r\n{{", head(100)).as_bytes()).await;
    let answer = raw.some().await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("limits.bodyTimeout"), "{answer}");
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_before_its_time() {
    let proxy = proxy_with(json!({"bodyTimeout": 600})).await;
    let mut raw = Raw::connect(&proxy).await;
    let begun = Instant::now();
    raw.send(format!("{}\r\n", head(100_000)).as_bytes()).await;
    let answer = loop {
        if !raw.send(b" ").await {
            break raw.some().await;
        }
        let (answer, end) = raw.rest(Duration::from_millis(200)).await;
        if !answer.is_empty() || end == End::Closed {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it drips on");
    };
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("limits.minBodyRate"), "{answer}");
}

#[tokio::test]
async fn a_head_that_drips_ends_its_connection_whichever_request_it_is() {
    let proxy = proxy_with(json!({"headerTimeout": 1.0})).await;
    let mut fresh = Raw::connect(&proxy).await;
    fresh.send(b"GET /healthz HT").await;
    assert!(fresh.some().await.starts_with("HTTP/1.1 408"));
    let mut used = Raw::connect(&proxy).await;
    used.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(used.some().await.starts_with("HTTP/1.1 200"));
    let begun = Instant::now();
    let mut drip = b"GET /healthz HTTP/1.1\r\nX-Long: ".iter().chain([b'x'; 1000].iter());
    while used.send(&[*drip.next().expect("it ends before that")]).await {
        if used.rest(Duration::from_millis(100)).await.1 == End::Closed {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it drips on");
    }
    assert!(begun.elapsed() >= Duration::from_millis(900), "not before its time: {:?}", begun.elapsed());
}

#[tokio::test]
async fn two_gigabytes_are_refused_without_being_read_and_endless_chunks_at_the_limit() {
    let proxy = proxy_with(json!({"maxBody": 1 << 20})).await;
    let gateway = proxy.status().await.gateway_pid();
    let before = resident_kib(gateway);
    let mut raw = Raw::connect(&proxy).await;
    raw.send(format!("{}\r\n", head(2 << 30)).as_bytes()).await;
    let answer = raw.some().await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("limits.maxBody"), "{answer}");
    let mut raw = Raw::connect(&proxy).await;
    // It says that it needs no session; one that does and has none is refused much earlier.
    raw.send(head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked").as_bytes()).await;
    raw.send(b"MCP-Protocol-Version: 2026-07-28\r\n\r\n").await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut sent = 0;
    while sent < 64 && raw.send(chunk.as_bytes()).await {
        sent += 1;
    }
    let (answer, _) = raw.rest(Duration::from_secs(2)).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(sent < 64 || !answer.is_empty(), "all of it was read");
    assert_eq!(ask(proxy.post("/mcp").body(PING)).await.status, 200);
    let grown = resident_kib(gateway).saturating_sub(before);
    assert!(grown < 16 * 1024, "the gateway grew by {grown} KiB");
}

#[tokio::test]
async fn a_client_that_never_reads_its_answer_loses_its_connection() {
    let proxy = proxy_with(json!({"stallTimeout": 1.0})).await;
    let session = proxy.session().await;
    let gateway = proxy.status().await.gateway_pid();
    let before = descriptors(gateway);
    let mut clients = Vec::new();
    for id in 100..104 {
        let params = json!({"name": "a__echo_size", "arguments": {"bytes": 4_000_000}});
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string();
        let mut raw = Raw::connect(&proxy).await;
        raw.send(format!("{}Mcp-Session-Id: {}\r\n\r\n{body}", head(body.len()), session.id).as_bytes()).await;
        clients.push(raw);
    }
    eventually("their answers are on the way", DEADLINE, async || (descriptors(gateway) >= before + 4).then_some(()))
        .await;
    assert_eq!(session.say("a__echo", json!({"text": "beside"})).await, "beside");
    let left = || descriptors(gateway) <= before;
    eventually("they lost their connections", Duration::from_secs(60), async || left().then_some(())).await;
    drop(clients);
}

#[tokio::test]
async fn a_client_that_never_reads_its_stream_is_dropped_and_its_session_with_it() {
    let proxy = proxy_with(json!({"stallTimeout": 1.0})).await;
    let gateway = proxy.status().await.gateway_pid();
    let mut raw = Raw::connect(&proxy).await;
    raw.send(b"GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await;
    let mut opening = String::new();
    while !opening.contains("session_id=") {
        opening.push_str(&raw.some().await);
    }
    let at = opening.find("?session_id=").expect("an endpoint");
    let endpoint = format!("/sse{}", opening[at..].split_ascii_whitespace().next().expect("a reference"));
    let before = resident_kib(gateway);
    let call = |id: u64| {
        let params = json!({"name": "a__echo_size", "arguments": {"bytes": 300_000}});
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        ask(proxy.post(&endpoint).body(body.to_string()))
    };
    for id in 0..20 {
        call(id).await;
    }
    let mut id = 20;
    eventually("the session is gone", Duration::from_secs(60), async || {
        id += 1;
        (call(id).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "fine"})).await, "fine");
    let grown = resident_kib(gateway).saturating_sub(before) / 1024;
    assert!(grown < 96, "the gateway grew by {grown} MiB");
}
