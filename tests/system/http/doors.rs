use std::time::{Duration, Instant};

use reqwest::{Method, header};
use serde_json::json;

use super::{LIST, PING, proxy};
use crate::support::{Modern, Proxy, Session, ask, fixture, initialize};

#[tokio::test]
async fn h01_h02_a_foreign_host_or_origin_is_forbidden_on_every_path() {
    let proxy = proxy().await;
    let paths = [
        "/mcp",
        "/sse",
        "/messages",
        "/servers/a/mcp",
        "/servers/a/sse",
        "/healthz",
        "/readyz",
        "/health",
        "/metrics",
        "/",
    ];
    for path in paths {
        for (name, value) in [
            (header::HOST, "evil.example"),
            (header::HOST, "localhost.evil.example"),
            (header::ORIGIN, "https://evil.example"),
            (header::ORIGIN, "null"),
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let answer = ask(proxy.http.request(method, proxy.url(path)).header(&name, value)).await;
                assert_eq!(answer.status, 403, "{path} {name}: {value}");
            }
        }
        let own = proxy.http.get(proxy.url(path)).header(header::ORIGIN, "http://localhost:6274");
        let own = own.timeout(Duration::from_secs(10)).send().await.expect("an answer");
        assert_ne!(own.status(), 403, "{path}");
    }
}

#[tokio::test]
async fn a_configured_host_and_origin_are_let_in() {
    let proxy = Proxy::start(json!({
        "servers": [fixture("a", &[])],
        "allowedHosts": ["gateway.example"],
        "allowedOrigins": ["https://app.example"]
    }))
    .await;
    let request =
        proxy.post("/mcp").header(header::HOST, "gateway.example").header(header::ORIGIN, "https://app.example");
    assert_eq!(ask(request.body(PING)).await.status, 200);
}

#[tokio::test]
async fn a_refused_request_is_logged_with_the_address_that_a_trusted_proxy_names() {
    for (proxies, seen) in [(json!([]), "peer: 127.0.0.1"), (json!(["127.0.0.0/8"]), "peer: 198.51.100.7")] {
        let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "trustedProxies": proxies})).await;
        let request = proxy.post("/mcp").header(header::HOST, "evil.example");
        let request = request.header("x-forwarded-for", "203.0.113.9, 198.51.100.7");
        assert_eq!(ask(request.body(PING)).await.status, 403);
        proxy.logged(&["request refused", "evil.example", seen]).await;
    }
}

#[tokio::test]
async fn a_path_of_no_server_or_group_is_not_found() {
    let proxy = proxy().await;
    let hello = initialize("2025-11-25").to_string();
    for path in ["/servers/nobody/mcp", "/groups/nobody/mcp", "/servers/a__b/mcp", "/servers/..%2Fa/mcp", "/nothing"] {
        assert_eq!(ask(proxy.post(path).body(hello.clone())).await.status, 404, "{path}");
    }
    assert_eq!(proxy.get("/servers/nobody/sse").await.status, 404);
    assert_eq!(ask(proxy.http.put(proxy.url("/mcp"))).await.status, 405);
    assert_eq!(ask(proxy.http.post(proxy.url("/sse"))).await.status, 405);
}

#[tokio::test]
async fn with_tokens_nothing_is_answered_without_one_but_the_liveness() {
    let proxy = Proxy::start(json!({
        "servers": [fixture("a", &[])],
        "auth": {"tokens": [{"name": "ann", "token": "the-secret-of-ann-1"}, {"name": "bob", "token": "the-secret-of-bob-2"}]}
    }))
    .await;
    let hello = initialize("2025-11-25").to_string();
    for path in ["/mcp", "/servers/a/mcp"] {
        for token in [None, Some("Bearer wrong"), Some("Basic the-secret-of-ann-1")] {
            let mut request = proxy.post(path).body(hello.clone());
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, token);
            }
            let answer = ask(request).await;
            assert_eq!(answer.status, 401, "{path} {token:?}");
            assert!(answer.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")), "{answer:?}");
        }
    }
    for path in ["/sse", "/health", "/metrics"] {
        assert_eq!(proxy.get(path).await.status, 401, "{path}");
    }
    assert_eq!(proxy.get("/healthz").await.status, 200);

    let ann = proxy.post("/mcp").header(header::AUTHORIZATION, "Bearer the-secret-of-ann-1").body(hello);
    let ann = ask(ann).await;
    assert_eq!(ann.status, 200, "{ann:?}");
    let id = ann.header("mcp-session-id").expect("a session").to_owned();
    let as_bob =
        proxy.post("/mcp").header("mcp-session-id", id).header(header::AUTHORIZATION, "Bearer the-secret-of-bob-2");
    assert_eq!(ask(as_bob.body(LIST)).await.status, 404, "ann's session is unknown to bob");
    let log = proxy.log();
    assert!(!log.contains("the-secret-of"), "a token is in the log");
}

#[tokio::test]
async fn g04_a_token_reaches_no_server() {
    const TOKEN: &str = "the-secret-of-ann-1";
    let dir = tempfile::tempdir().expect("a directory");
    let records = ["legacy", "modern"].map(|era| (era, dir.path().join(era)));
    let servers: Vec<_> = records
        .iter()
        .map(|(era, record)| fixture(era, &["--era", era, "--record", record.to_str().expect("text")]))
        .collect();
    let tokens = json!([{"name": "ann", "token": TOKEN}]);
    let proxy = Proxy::start(json!({"servers": servers, "auth": {"tokens": tokens}})).await;
    let client = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(TOKEN);
    let bearer =
        header::HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {TOKEN}").parse().expect("a value"))]);
    let http = reqwest::Client::builder().default_headers(bearer).build().expect("a client");
    let session = Session::open(&http, &proxy.url("/mcp")).await;
    for (era, record) in &records {
        let (name, echo) = (format!("{era}__env_names"), format!("{era}__echo"));
        assert_eq!(client.say(&echo, json!({"text": "c"})).await, "c");
        assert_eq!(session.say(&echo, json!({"text": "b"})).await, "b");
        let environment = session.say(&name, json!({})).await;
        let read = std::fs::read_to_string(record).expect("a record");
        assert!(
            read.contains("tools/call") && !read.contains(TOKEN) && !read.to_lowercase().contains("bearer"),
            "{read}"
        );
        assert!(!environment.contains("TOKEN"), "{environment}");
    }
}

#[tokio::test]
async fn a_request_that_never_ends_its_headers_is_answered_408() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let proxy = proxy().await;
    let address = proxy.base.strip_prefix("http://").expect("a URL");
    let mut socket = tokio::net::TcpStream::connect(address).await.expect("a connection");
    socket.write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.expect("written");
    let begun = Instant::now();
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    let _ = crate::support::within("the connection is closed", Duration::from_secs(15), read).await;
    assert!(begun.elapsed() > Duration::from_secs(1), "not at once");
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}
