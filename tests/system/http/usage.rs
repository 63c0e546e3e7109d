//! HTTP as clients and proxies of all ages use it: what the standard allows is no reason to turn one away (RFC 9110, RFC 9112).

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{PING, proxy};
use crate::support::{End, Proxy, Raw, ask, fixture, initialize};

/// Longer than any head may take in these tests, and far less than a call may.
const LONG_CALL: u64 = 2500;

async fn hasty_proxy() -> Proxy {
    Proxy::start(json!({"servers": [fixture("a", &[])], "limits": {"headerTimeout": 0.5, "maxBody": 4 << 20}})).await
}

/// A request with a JSON body, of which `fields` are header lines.
fn post(fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn call(id: u64, tool: &str, arguments: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        .to_string()
}

/// Reads until all of these texts have come.
async fn until(raw: &mut Raw, texts: &[&str]) -> String {
    let mut all = String::new();
    while !texts.iter().all(|text| all.contains(text)) {
        let more = raw.some().await;
        assert!(!more.is_empty(), "the connection ended after: {all}");
        all.push_str(&more);
    }
    all
}

#[tokio::test]
async fn a_wish_for_another_protocol_is_ignored_and_the_connection_stays() {
    let proxy = proxy().await;
    for wish in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "upgrade: TLS/1.0, HTTP/3.0\r\nCONNECTION: UPGRADE\r\n",
    ] {
        let mut raw = Raw::connect(&proxy).await;
        let both = [post(wish, PING), format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{wish}\r\n")];
        for request in both.iter().chain(&both) {
            raw.send(request.as_bytes()).await;
            let (answer, end) = raw.rest(Duration::from_millis(300)).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{wish}: {answer}");
            assert!(!answer.to_ascii_lowercase().contains("\r\nconnection:"), "{wish}: {answer}");
            assert_eq!(end, End::Open, "{wish}");
        }
    }
}

#[tokio::test]
async fn a_call_may_take_its_time_after_its_client_was_told_to_go_on() {
    let proxy = hasty_proxy().await;
    let session = proxy.session().await;
    let fields = format!("Mcp-Session-Id: {}\r\nExpect: 100-continue\r\n", session.id);
    let body = call(1, "a__slow", &json!({"ms": LONG_CALL, "tag": "has slept"}));
    let request = post(&fields, &body);
    let mut raw = Raw::connect(&proxy).await;
    raw.send(&request.as_bytes()[..request.len() - body.len()]).await;
    assert_eq!(until(&mut raw, &["\r\n\r\n"]).await, "HTTP/1.1 100 Continue\r\n\r\n");
    raw.send(body.as_bytes()).await;
    until(&mut raw, &["has slept"]).await;
}

#[tokio::test]
async fn a_body_may_take_its_time_after_its_client_was_told_to_go_on() {
    let proxy = hasty_proxy().await;
    let session = proxy.session().await;
    let fields = format!("Mcp-Session-Id: {}\r\nExpect: 100-continue\r\n", session.id);
    let body = call(1, "a__echo", &json!({"text": "y".repeat(20_000)}));
    let request = post(&fields, &body);
    let (head, _) = request.split_at(request.len() - body.len());
    let mut raw = Raw::connect(&proxy).await;
    raw.send(head.as_bytes()).await;
    until(&mut raw, &["100 Continue"]).await;
    for piece in body.as_bytes().chunks(2000) {
        raw.send(piece).await;
        let (early, end) = raw.rest(Duration::from_millis(150)).await;
        assert!(end == End::Open && (early.is_empty() || early.contains("yyyy")), "cut: {early}");
        if !early.is_empty() {
            return;
        }
    }
    until(&mut raw, &["yyyy"]).await;
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends_its_body() {
    let proxy = Proxy::start(json!({
        "servers": [fixture("a", &[])],
        "auth": {"tokens": [{"name": "ann", "token": "the-secret-of-ann-1"}]}
    }))
    .await;
    let head = |fields: &str| {
        format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nExpect: 100-continue\r\n{fields}\r\n"
        )
    };
    let known = "Authorization: bearer the-secret-of-ann-1\r\n";
    let json = "Content-Type: application/json\r\n";
    for (status, fields) in [
        ("401", format!("{json}Content-Length: 10\r\n")),
        ("413", format!("{json}{known}Content-Length: 2000000000\r\n")),
        ("415", format!("{json}{known}Content-Encoding: gzip\r\nContent-Length: 10\r\n")),
        ("415", format!("{known}Content-Length: 10\r\n")),
    ] {
        let mut raw = Raw::connect(&proxy).await;
        raw.send(head(&fields).as_bytes()).await;
        let answer = until(&mut raw, &["\r\n\r\n"]).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{fields}: {answer}");
        assert!(answer.contains("access-control-allow-origin: http://localhost"), "{answer}");
    }
}

#[tokio::test]
async fn calls_that_were_sent_ahead_are_all_answered() {
    let proxy = hasty_proxy().await;
    let session = proxy.session().await;
    let fields = format!("Mcp-Session-Id: {}\r\n", session.id);
    let request = |id, ms: u64, tag: &str| post(&fields, &call(id, "a__slow", &json!({"ms": ms, "tag": tag})));
    let mut raw = Raw::connect(&proxy).await;
    raw.send([request(1, 100, "first"), request(2, LONG_CALL, "second")].concat().as_bytes()).await;
    until(&mut raw, &["first"]).await;
    // A head that is cut waits for the others, too.
    let third = request(3, 1, "third");
    raw.send(&third.as_bytes()[..40]).await;
    until(&mut raw, &["second"]).await;
    raw.send(&third.as_bytes()[40..]).await;
    until(&mut raw, &["third"]).await;
}

#[tokio::test]
async fn head_is_answered_wherever_get_is_and_opens_nothing() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for path in
        ["/healthz", "/readyz", "/readyz?require=nobody", "/health", "/metrics", "/sse", "/servers/a/sse", "/mcp"]
    {
        let request = |method| {
            let request = proxy.http.request(method, proxy.url(path)).header("mcp-session-id", &session.id);
            request.header("accept", "*/*").send()
        };
        let (got, head) =
            (request(Method::GET).await.expect("an answer"), request(Method::HEAD).await.expect("an answer"));
        assert_eq!(head.status(), got.status(), "{path}");
        assert_eq!(head.headers().get("content-type"), got.headers().get("content-type"), "{path}");
        assert_eq!(head.text().await.expect("an end"), "", "{path}");
    }
    for path in ["/nothing", "/servers/nobody/sse"] {
        assert_eq!(ask(proxy.http.head(proxy.url(path))).await.status, 404, "{path}");
    }
    assert_eq!(ask(proxy.http.head(proxy.url("/mcp"))).await.status, 400, "as GET without a session");
    let page = proxy.get("/metrics").await.body;
    // Ours, and those of the two streams that were opened and have ended or not.
    let sessions = page.lines().find_map(|line| line.strip_prefix("mcproxy_sessions ")).expect("a number").to_owned();
    assert!(sessions.parse::<u32>().expect("a number") <= 3, "{sessions}");
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_without_chunks_and_needs_no_host() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let body = call(1, "a__progress", &json!({"steps": 2, "interval_ms": 1}));
    let body = body.replacen(r#""params":{"#, r#""params":{"_meta":{"progressToken":7},"#, 1);
    let json = format!("Content-Type: application/json\r\nMcp-Session-Id: {}\r\n", session.id);
    let requests = [
        (
            format!("POST /mcp HTTP/1.0\r\nHost: localhost\r\n{json}Content-Length: {}\r\n\r\n{body}", body.len()),
            "progressToken",
        ),
        (
            format!(
                "POST /mcp HTTP/1.0\r\nConnection: keep-alive\r\n{json}Content-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            "progressToken",
        ),
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), "ok"),
        ("OPTIONS / HTTP/1.0\r\n\r\n".to_owned(), "allow:"),
    ];
    for (request, expected) in requests {
        let mut raw = Raw::connect(&proxy).await;
        raw.send(request.as_bytes()).await;
        let (answer, end) = raw.rest(Duration::from_secs(10)).await;
        assert!(answer.starts_with("HTTP/1.0 2") && answer.contains(expected), "{request}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("transfer-encoding"), "{request}: {answer}");
        assert_eq!(end, End::Closed, "{request}");
    }
    let mut raw = Raw::connect(&proxy).await;
    raw.send(b"GET /sse HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
    let opening = until(&mut raw, &["session_id="]).await;
    assert!(!opening.to_ascii_lowercase().contains("transfer-encoding"), "{opening}");
    assert!(opening.contains("\r\n\r\nevent: endpoint\n"), "no chunk sizes: {opening}");
    let mut raw = Raw::connect(&proxy).await;
    raw.send(b"GET /healthz HTTP/1.0\r\nHost: evil.example\r\n\r\n").await;
    assert!(raw.some().await.starts_with("HTTP/1.0 403"), "a host that is named must be one of ours");
}

#[tokio::test]
async fn one_path_is_written_in_many_ways() {
    let proxy = proxy().await;
    let hello = initialize("2025-11-25").to_string();
    for path in ["/mcp", "/mcp/", "//mcp", "/mcp//", "/%6Dcp", "/servers/a/mcp/", "/servers//a/mcp", "/servers/%61/mcp"]
    {
        assert_eq!(ask(proxy.post(path).body(hello.clone())).await.status, 200, "{path}");
    }
    for path in ["/healthz/", "/readyz/", "/health/", "/metrics/", "//healthz"] {
        assert_eq!(proxy.get(path).await.status, 200, "{path}");
    }
    let mut raw = Raw::connect(&proxy).await;
    raw.send(format!("GET {}/healthz/?x HTTP/1.1\r\nHost: localhost\r\n\r\n", proxy.base).as_bytes()).await;
    assert!(raw.some().await.starts_with("HTTP/1.1 200"), "the whole URL as the target");
}

#[tokio::test]
async fn a_compressed_body_is_unsupported_by_that_name() {
    let proxy = proxy().await;
    for coding in ["gzip", "br", "identity, zstd", "Deflate"] {
        let answer = ask(proxy.post("/mcp").header("content-encoding", coding).body(PING)).await;
        assert_eq!(answer.status, 415, "{coding}");
        assert_eq!(answer.header("accept-encoding"), Some("identity"));
        let name = coding.rsplit(", ").next().expect("a name");
        assert!(answer.body.contains("Content-Encoding") && answer.body.contains(name), "{answer:?}");
    }
    for coding in ["identity", "Identity", ""] {
        let answer = ask(proxy.post("/mcp").header("content-encoding", coding).body(PING)).await;
        assert_eq!(answer.status, 200, "{coding:?}");
    }
}

#[tokio::test]
async fn every_path_says_which_methods_it_has() {
    let proxy = proxy().await;
    for (path, methods) in [
        ("/mcp", "GET, HEAD, POST, DELETE, OPTIONS"),
        ("/servers/a/mcp", "GET, HEAD, POST, DELETE, OPTIONS"),
        ("/sse", "GET, HEAD, OPTIONS"),
        ("/messages", "POST, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/readyz", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
        ("/metrics", "GET, HEAD, OPTIONS"),
    ] {
        for (method, status) in [(Method::OPTIONS, 204), (Method::PATCH, 405)] {
            let answer = ask(proxy.http.request(method.clone(), proxy.url(path))).await;
            assert_eq!((answer.status.as_u16(), answer.header("allow")), (status, Some(methods)), "{method} {path}");
        }
    }
    let mut raw = Raw::connect(&proxy).await;
    raw.send(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = raw.some().await;
    assert!(answer.starts_with("HTTP/1.1 204") && answer.contains("allow: GET"), "{answer}");
}

#[tokio::test]
async fn a_member_that_is_null_is_none() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
        for params in [json!(null), json!({"cursor": null}), json!({"cursor": null, "_meta": null})] {
            assert!(session.request(method, params.clone()).await.is_object(), "{method} {params}");
        }
    }
    assert_eq!(session.request("ping", json!(null)).await, json!({}));
    let params = json!({"name": "a__pid", "arguments": null, "_meta": null, "task": null});
    assert!(session.request("tools/call", params).await["content"].is_array());
    let params = json!({"name": "a__pid", "_meta": {"progressToken": null}});
    assert!(session.request("tools/call", params).await["content"].is_array());
    let told = r#"{"jsonrpc":"2.0","id":null,"method":"notifications/initialized","params":null}"#;
    assert_eq!(session.post(told).await.status, 202, "an id that is null is none");
    let mut hello = initialize("2025-06-18");
    hello["params"]["capabilities"] =
        json!({"roots": null, "sampling": null, "elicitation": null, "experimental": null});
    hello["params"]["_meta"] = json!(null);
    assert_eq!(ask(proxy.post("/mcp").body(hello.to_string())).await.status, 200);
}

#[tokio::test]
async fn a_header_that_initialize_cannot_know_yet_is_no_error() {
    let proxy = proxy().await;
    for version in ["1999-01-01", "2099-12-31", "latest", ""] {
        let request = proxy.post("/mcp").header("mcp-protocol-version", version);
        let answer = ask(request.body(initialize("2025-11-25").to_string())).await;
        assert_eq!(answer.status, 200, "{version:?}: {answer:?}");
        assert_eq!(answer.json()["result"]["protocolVersion"], "2025-11-25");
    }
    let session = proxy.session().await;
    let request = proxy.post("/mcp").header("mcp-protocol-version", "1999-01-01").header("mcp-session-id", &session.id);
    assert_eq!(ask(request.body(PING)).await.status, 400, "later it must be one that is spoken");
}
