//! What HTTP itself says: statuses, headers and codes, before any server is asked (docs: README, "troubleshooting").

use std::time::{Duration, Instant};

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{Answer, LegacySession, Proxy, Session, ask, fixture, initialize};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

async fn proxy() -> Proxy {
    Proxy::of(&["a"]).await
}

fn refused(answer: &Answer, status: u16, code: i64) {
    assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{answer:?}");
    assert_eq!(answer.json()["jsonrpc"], "2.0", "{answer:?}");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_parse_error() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let mut legacy = proxy.legacy_session().await;
    for body in ["", "{", "nonsense", "{\"jsonrpc\":\"2.0\",}", "\u{0}", "{\"jsonrpc\":\"2.0\"} trailing", "[1,"] {
        refused(&session.post(body).await, 400, -32700);
        refused(&legacy.post_text(body).await, 400, -32700);
    }
    assert_eq!(session.request("ping", json!({})).await, json!({}), "the session goes on");
    assert_eq!(legacy.request("ping", json!({})).await, json!({}), "the session goes on");
}

#[tokio::test]
async fn json_that_is_no_message_is_an_invalid_request() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for body in [
        "{}",
        r#""text""#,
        "17",
        "null",
        "[]",
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#,
    ] {
        refused(&session.post(body).await, 400, -32600);
    }
    assert_eq!(session.request("ping", json!({})).await, json!({}), "the session goes on");
}

#[tokio::test]
async fn json_nested_a_hundred_thousand_deep_is_refused_and_nobody_falls_over() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let (gateway, server) = (proxy.status().await.gateway_pid(), proxy.server("a").await.pid());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a__echo","arguments":{{"text":{deep}}}}}}}"#
    );
    for body in [deep, call] {
        let answer = session.post(&body).await;
        assert!([-32700, -32600, -32602].contains(&answer.code()), "{answer:?}");
    }
    assert_eq!(session.say("a__echo", json!({"text": "alive"})).await, "alive");
    assert_eq!((proxy.status().await.gateway_pid(), proxy.server("a").await.pid()), (gateway, server));
}

#[tokio::test]
async fn only_ping_and_initialize_go_without_a_session() {
    let proxy = proxy().await;
    let ping = ask(proxy.post("/mcp").body(PING)).await;
    assert_eq!((ping.status.as_u16(), ping.json()), (200, json!({"jsonrpc": "2.0", "id": 1, "result": {}})));
    refused(&ask(proxy.post("/mcp").body(LIST)).await, 400, -32600);
    let stream = ask(proxy.http.get(proxy.url("/mcp")).header("accept", "text/event-stream")).await;
    refused(&stream, 400, -32600);
    refused(&ask(proxy.http.delete(proxy.url("/mcp"))).await, 400, -32600);
}

#[tokio::test]
async fn an_unknown_session_is_not_found() {
    let proxy = proxy().await;
    for id in ["00000000-0000-0000-0000-000000000000", "x", "../../etc", ""] {
        let list = ask(proxy.post("/mcp").header("mcp-session-id", id).body(LIST)).await;
        assert_eq!(list.status, 404, "{id}: {list:?}");
        let stream = proxy.http.get(proxy.url("/mcp")).header("accept", "text/event-stream");
        assert_eq!(ask(stream.header("mcp-session-id", id)).await.status, 404);
        assert_eq!(ask(proxy.http.delete(proxy.url("/mcp")).header("mcp-session-id", id)).await.status, 404);
        let legacy = proxy.post(&format!("/messages?session_id={}", id.replace('/', "%2F"))).body(PING);
        assert_eq!(ask(legacy).await.status, 404);
    }
    assert_eq!(ask(proxy.post("/messages").body(PING)).await.status, 404);
}

#[tokio::test]
async fn a_session_of_one_endpoint_is_unknown_at_another() {
    let proxy = proxy().await;
    let session = proxy.session_at("/servers/a/mcp").await;
    let elsewhere = ask(proxy.post("/mcp").header("mcp-session-id", &session.id).body(LIST)).await;
    assert_eq!(elsewhere.status, 404, "{elsewhere:?}");
}

#[tokio::test]
async fn a_deleted_session_is_gone() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let deleted = session.delete().await;
    assert!(deleted.status == 200 || deleted.status == 204, "{deleted:?}");
    assert_eq!(session.post(LIST).await.status, 404);
    assert_eq!(session.delete().await.status, 404);
}

#[tokio::test]
async fn a_body_of_another_type_is_unsupported() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let request = session.http(Method::POST).header("accept", "application/json, text/event-stream");
        let answer = ask(request.header("content-type", kind).body(PING)).await;
        assert_eq!(answer.status, 415, "{kind}: {answer:?}");
    }
    let request = session.http(Method::POST).header("accept", "*/*");
    let answer = ask(request.header("content-type", "Application/JSON; charset=utf-8").body(PING)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_client_must_accept_json_and_streams() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let post = |accept: &'static str| {
        let request = session.http(Method::POST).header("content-type", "application/json");
        ask(request.header("accept", accept).body(PING))
    };
    for accept in ["application/json", "text/event-stream", "text/html"] {
        assert_eq!(post(accept).await.status, 406, "{accept}");
    }
    for accept in ["*/*", "application/json, text/event-stream", "text/event-stream;q=0.5,application/json;q=1"] {
        assert_eq!(post(accept).await.status, 200, "{accept}");
    }
    let stream = ask(session.http(Method::GET).header("accept", "application/json")).await;
    assert_eq!(stream.status, 406, "{stream:?}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large_and_one_below_is_not() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "limits": {"maxBody": 4096}})).await;
    let session = proxy.session().await;
    let echo = |length: usize| {
        let params = json!({"name": "a__echo", "arguments": {"text": "x".repeat(length)}});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    };
    assert_eq!(session.post(&echo(3000)).await.status, 200);
    assert_eq!(session.post(&echo(5000)).await.status, 413);
    let legacy = proxy.legacy_session().await;
    assert_eq!(legacy.post_text(&echo(5000)).await.status, 413);
    assert_eq!(session.say("a__echo", json!({"text": "goes on"})).await, "goes on");
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_forbidden_on_every_path() {
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
async fn an_unknown_protocol_version_header_is_refused() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let post = |version: &'static str| {
        ask(proxy.post("/mcp").header("mcp-session-id", &session.id).header("mcp-protocol-version", version).body(PING))
    };
    for version in ["1900-01-01", "latest", "2025-11-25, 2025-06-18"] {
        assert_eq!(post(version).await.status, 400, "{version}");
    }
    assert_eq!(post("2025-11-25").await.status, 200);
    let none = ask(proxy.post("/mcp").header("mcp-session-id", &session.id).body(PING)).await;
    assert_eq!(none.status, 200, "without the header the session's own version holds");
}

#[tokio::test]
async fn an_unknown_method_is_answered_and_an_unknown_notification_is_borne() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for method in ["foo/bar", "server/discover", "tasks/list"] {
        assert_eq!(session.failure(method, json!({})).await["code"], -32601, "{method}");
    }
    session.notify("notifications/nobody/knows", json!({"x": 1})).await;
    let answer = session.post(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (202, ""), "a response to nothing");
}

#[tokio::test]
async fn every_revision_is_negotiated_and_an_unknown_one_gets_the_newest() {
    let proxy = proxy().await;
    for (asked, agreed) in VERSIONS.map(|version| (version, version)).into_iter().chain([("2099-01-01", "2025-11-25")])
    {
        let session = Session::of_version(&proxy.http, &proxy.url("/mcp"), asked).await;
        assert_eq!(session.hello["protocolVersion"], agreed, "asked for {asked}");
        assert_eq!(session.hello["serverInfo"]["name"], "mcproxy");
        assert!(session.id.bytes().all(|byte| byte.is_ascii_graphic()), "{}", session.id);
        assert_eq!(session.say("a__echo", json!({"text": asked})).await, asked);
        let mut legacy = LegacySession::connect(&proxy.http, &proxy.base, "/sse").await;
        legacy.post(&initialize(asked)).await;
        let hello = legacy.events.find("the answer to initialize", |message| message["id"] == 0).await;
        assert!(VERSIONS.contains(&hello["result"]["protocolVersion"].as_str().expect("a version")), "{hello}");
        assert_eq!(legacy.call("a__echo", json!({"text": asked})).await["content"][0]["text"], asked);
    }
}

#[tokio::test]
async fn the_merged_capabilities_and_instructions_are_announced() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    let capabilities = &session.hello["capabilities"];
    for list in ["tools", "prompts", "resources"] {
        assert_eq!(capabilities[list]["listChanged"], true, "{list} in {capabilities}");
    }
    assert_eq!(capabilities["resources"]["subscribe"], true);
    assert!(capabilities["logging"].is_object() && capabilities["completions"].is_object(), "{capabilities}");
    let instructions = session.hello["instructions"].as_str().expect("instructions");
    assert!(instructions.contains("fixture a") && instructions.contains("fixture b"), "{instructions}");
}

#[tokio::test]
async fn batches_exist_on_2025_03_26_only() {
    let proxy = proxy().await;
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":"two","method":"tools/call","params":{"name":"a__echo","arguments":{"text":"hi"}}}]"#;
    let old = Session::of_version(&proxy.http, &proxy.url("/mcp"), "2025-03-26").await;
    let answer = old.post(batch).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let messages: Vec<Value> = answer
        .messages()
        .into_iter()
        .flat_map(|message| match message {
            Value::Array(many) => many,
            one => vec![one],
        })
        .collect();
    let by_id = |id: Value| {
        messages.iter().find(|message| message["id"] == id).unwrap_or_else(|| panic!("no {id}: {messages:?}"))
    };
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(by_id(json!(1))["result"], json!({}));
    assert_eq!(by_id(json!("two"))["result"]["content"][0]["text"], "hi");
    assert_eq!(old.post(r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#).await.status, 202);
    refused(&old.post("[]").await, 400, -32600);
    let with_initialize = format!("[{}]", initialize("2025-03-26"));
    refused(&old.post(&with_initialize).await, 400, -32600);

    refused(&proxy.session().await.post(batch).await, 400, -32600);
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
async fn the_first_event_of_sse_is_the_endpoint_and_it_is_relative() {
    let proxy = proxy().await;
    for (path, prefix) in [("/sse", "/messages?"), ("/servers/a/sse", "/servers/a/messages?")] {
        let session = LegacySession::connect(&proxy.http, &proxy.base, path).await;
        assert!(session.endpoint.starts_with(prefix), "{}", session.endpoint);
    }
}

#[tokio::test]
async fn the_end_of_an_sse_stream_is_the_end_of_its_session() {
    let proxy = proxy().await;
    let LegacySession { endpoint, events, .. } = proxy.legacy_session().await;
    drop(events);
    crate::support::eventually("the session is gone", Duration::from_secs(20), async || {
        (ask(proxy.post(&endpoint).body(PING)).await.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_second_stream_of_a_session_takes_over_or_is_refused() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let mut first = session.stream().await;
    let second = session.http(Method::GET).header("accept", "text/event-stream").send().await.expect("an answer");
    if second.status() == 200 {
        let ended = crate::support::within("the first stream ends", Duration::from_secs(20), first.event()).await;
        assert_eq!(ended, None);
    } else {
        assert_eq!(second.status(), 409);
    }
}

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
    assert!(line(&["mcproxy_sessions "]).ends_with(" 1"));
    assert!(metrics.body.ends_with("# EOF\n"), "OpenMetrics ends with EOF");
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
async fn a_request_that_never_ends_its_headers_is_dropped() {
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
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}
