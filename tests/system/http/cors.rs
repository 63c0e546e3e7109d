//! Pages in a browser: what they may send and read (Fetch standard, CORS protocol). `tests/system/real/pages.rs` has a real one.

use reqwest::{Method, RequestBuilder, header};
use serde_json::json;

use super::{LIST, PING, proxy};
use crate::support::{Answer, Proxy, ask, fixture, initialize};

const APP: &str = "https://app.example";
const TOKEN: &str = "the-secret-of-ann-1";

async fn guarded() -> Proxy {
    Proxy::start(json!({
        "servers": [fixture("a", &[])],
        "allowedOrigins": [APP],
        "limits": {"maxBody": 4096},
        "auth": {"tokens": [{"name": "ann", "token": TOKEN}]}
    }))
    .await
}

fn preflight(proxy: &Proxy, path: &str, origin: &str) -> RequestBuilder {
    proxy
        .http
        .request(Method::OPTIONS, proxy.url(path))
        .header(header::ORIGIN, origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,mcp-param-region")
}

/// What an answer lets a page of this origin read.
fn readable(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{answer:?}");
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default().to_ascii_lowercase();
    for name in ["mcp-session-id", "mcp-protocol-version", "www-authenticate"] {
        assert!(exposed.contains(name), "{answer:?}");
    }
    assert!(answer.header("vary").is_some_and(|vary| vary.contains("Origin")), "{answer:?}");
}

#[tokio::test]
async fn a_browser_may_ask_for_an_allowed_page_without_a_token_at_every_path() {
    let proxy = guarded().await;
    for origin in [APP, "http://localhost:6274", "http://127.0.0.1:3000"] {
        for path in
            ["/mcp", "/mcp/", "/sse", "/messages?session_id=x", "/servers/a/mcp", "/health", "/readyz", "/metrics"]
        {
            let answer = ask(preflight(&proxy, path, origin)).await;
            assert_eq!(answer.status, 204, "{path} {origin}");
            readable(&answer, origin);
            let methods = answer.header("access-control-allow-methods").expect("methods");
            assert!(["GET", "POST", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
            let headers = answer.header("access-control-allow-headers").expect("headers");
            assert_eq!(headers, "authorization,content-type,mcp-param-region");
            assert!(answer.header("access-control-max-age").is_some(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn an_allowed_page_reads_every_answer_refusals_and_streams_included() {
    let proxy = guarded().await;
    let hello = initialize("2025-11-25").to_string();
    let page = |method: Method, path: &str| {
        let request = proxy.http.request(method, proxy.url(path)).header(header::ORIGIN, APP);
        request.header("content-type", "application/json")
    };
    let of_ann = |request: RequestBuilder| request.bearer_auth(TOKEN);
    let opened = ask(of_ann(page(Method::POST, "/mcp").body(hello.clone()))).await;
    let id = opened.header("mcp-session-id").expect("a session").to_owned();
    let in_session = |request: RequestBuilder| of_ann(request).header("mcp-session-id", &id);
    let large = json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "x".repeat(5000)}}).to_string();
    let refusals = [
        (200, opened),
        (200, ask(in_session(page(Method::POST, "/mcp").body(LIST))).await),
        (401, ask(page(Method::POST, "/mcp").body(hello)).await),
        (404, ask(of_ann(page(Method::POST, "/mcp").header("mcp-session-id", "nobody").body(LIST))).await),
        (404, ask(of_ann(page(Method::POST, "/nothing").body(LIST))).await),
        (405, ask(of_ann(page(Method::PUT, "/mcp"))).await),
        (413, ask(in_session(page(Method::POST, "/mcp").body(large))).await),
        (400, ask(in_session(page(Method::POST, "/mcp").body("{"))).await),
        (200, ask(of_ann(page(Method::GET, "/health"))).await),
        (200, ask(page(Method::GET, "/readyz")).await),
        (200, ask(of_ann(page(Method::GET, "/metrics"))).await),
        (204, ask(in_session(page(Method::DELETE, "/mcp"))).await),
    ];
    for (status, answer) in refusals {
        assert_eq!(answer.status, status, "{answer:?}");
        readable(&answer, APP);
    }
    let stream = of_ann(page(Method::GET, "/sse")).send().await.expect("a stream");
    assert_eq!(stream.headers()["access-control-allow-origin"], APP);
}

#[tokio::test]
async fn a_foreign_page_is_refused_and_reads_nothing() {
    let proxy = guarded().await;
    for origin in ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"] {
        let answers = [
            ask(preflight(&proxy, "/mcp", origin)).await,
            ask(proxy.post("/mcp").header(header::ORIGIN, origin).body(PING)).await,
            ask(proxy.http.get(proxy.url("/healthz")).header(header::ORIGIN, origin)).await,
        ];
        for answer in answers {
            assert_eq!(answer.status, 403, "{origin}");
            let readable = answer.headers.keys().any(|name| name.as_str().starts_with("access-control"));
            assert!(!readable, "{origin}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn programs_are_spared_what_is_for_browsers() {
    let proxy = proxy().await;
    let answer = ask(proxy.post("/mcp").body(PING)).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{answer:?}");
}

#[tokio::test]
async fn an_origin_is_allowed_however_its_default_port_is_written() {
    let proxy = Proxy::start(json!({
        "servers": [fixture("a", &[])],
        "allowedOrigins": ["https://one.example:443", "http://two.example:80", "HTTPS://Three.example"]
    }))
    .await;
    for (origin, status) in [
        ("https://one.example", 204),
        ("http://two.example", 204),
        ("https://three.example", 204),
        ("https://two.example", 403),
        ("https://one.example:80", 403),
    ] {
        assert_eq!(ask(preflight(&proxy, "/mcp", origin)).await.status, status, "{origin}");
    }
}
