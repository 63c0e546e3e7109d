use std::time::Duration;

use reqwest::{Method, RequestBuilder, Url};
use serde_json::json;

use super::{LIST, PING, VERSIONS, proxy, refused};
use crate::support::{LegacySession, Proxy, Session, ask, fixture, initialize};

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
async fn h13_an_unknown_session_is_not_found() {
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
async fn the_first_event_of_sse_is_an_endpoint_that_holds_under_any_prefix() {
    let proxy = proxy().await;
    for path in ["/sse", "/sse/", "/servers/a/sse", "/servers/a//sse/"] {
        let session = LegacySession::connect(&proxy.http, &proxy.base, path).await;
        let (outside, inside) = (format!("https://mcp.example/gateway{path}"), format!("{}{path}", proxy.base));
        let posts_to = |stream: &str| Url::parse(stream).expect("a URL").join(&session.endpoint).expect("a URL");
        assert!(posts_to(&outside).as_str().starts_with("https://mcp.example/gateway/"), "{}", session.endpoint);
        let answer = ask(session_post(&proxy, posts_to(&inside).as_str())).await;
        assert_eq!(answer.status, 202, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_resolves_the_endpoint_by_rules_of_its_own_reaches_its_session_too() {
    let proxy = proxy().await;
    for path in ["/sse", "/servers/a/sse"] {
        let session = LegacySession::connect(&proxy.http, &proxy.base, path).await;
        let query = &session.endpoint;
        // As RFC 2396 had it (Java), as the origin and what follows it, and where it was before.
        for url in ["/", "", "/servers/a/", "/servers/a", "/messages", "/servers/a/messages"] {
            let answer = ask(session_post(&proxy, &format!("{}{url}{query}", proxy.base))).await;
            assert_eq!(answer.status, 202, "{path}, {url:?}: {answer:?}");
        }
    }
    for path in ["/sse", "/", "/servers/a"] {
        let status = ask(proxy.post(path).body(PING)).await.status;
        assert!(status == 404 || status == 405, "{path} is no endpoint of the newer transport: {status}");
    }
    let streamable = proxy.session().await;
    for path in ["/sse", "/", "/messages"] {
        let url = format!("{path}?session_id={}", streamable.id);
        assert_eq!(ask(proxy.post(&url).body(PING)).await.status, 404, "a session of the other transport");
    }
}

fn session_post(proxy: &Proxy, url: &str) -> RequestBuilder {
    proxy.http.post(url).header("content-type", "application/json").body(PING)
}

#[tokio::test]
async fn the_end_of_an_sse_stream_is_the_end_of_its_session() {
    let proxy = proxy().await;
    let LegacySession { post_url, events, .. } = proxy.legacy_session().await;
    drop(events);
    crate::support::eventually("the session is gone", Duration::from_secs(20), async || {
        (ask(session_post(&proxy, &post_url)).await.status == 404).then_some(())
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
async fn at_the_limit_idle_sessions_make_room_and_used_ones_do_not() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "limits": {"maxSessions": 2}})).await;
    let (idle, used) = (proxy.session().await, proxy.session().await);
    let _stream = used.stream().await;
    let third = proxy.session().await;
    assert_eq!(idle.post(LIST).await.status, 404, "the longest idle one made room");
    let _streams = (third.stream().await, used.post(LIST).await);
    let full = ask(proxy.post("/mcp").body(initialize("2025-11-25").to_string())).await;
    assert_eq!(full.status, 503, "{full:?}");
    assert!(full.header("retry-after").is_some(), "{full:?}");
    assert_eq!(ask(proxy.http.get(proxy.url("/sse"))).await.status, 503);
}

#[tokio::test]
async fn endless_initialize_of_one_token_is_bounded_and_costs_nobody_else_a_session() {
    const ANN: &str = "Bearer the-secret-of-ann-1";
    const BOB: &str = "Bearer the-secret-of-bob-2";
    let proxy = Proxy::start(json!({
        "servers": [fixture("a", &[])],
        "limits": {"maxSessions": 50, "maxSessionsPerToken": 20},
        "auth": {"tokens": [{"name": "ann", "token": &ANN[7..]}, {"name": "bob", "token": &BOB[7..]}]}
    }))
    .await;
    let open = async |token: &str| {
        let body = initialize("2025-11-25").to_string();
        ask(proxy.post("/mcp").header("authorization", token).body(body)).await
    };
    let bobs = open(BOB).await.header("mcp-session-id").expect("a session").to_owned();
    let mut last = Vec::new();
    for _ in 0..200 {
        let answer = open(ANN).await;
        assert_eq!(answer.status, 200, "the longest idle session of the same token makes room: {answer:?}");
        last.push(answer.header("mcp-session-id").expect("a session").to_owned());
    }
    let page = ask(proxy.http.get(proxy.url("/metrics")).header("authorization", ANN)).await.body;
    assert!(page.contains("mcproxy_sessions 21\n"), "{page}");
    let ping = async |token: &str, id: &str| {
        let request = proxy.post("/mcp").header("authorization", token).header("mcp-session-id", id);
        ask(request.body(PING)).await.status.as_u16()
    };
    assert_eq!(ping(BOB, &bobs).await, 200);
    assert_eq!((ping(ANN, &last[179]).await, ping(ANN, &last[180]).await), (404, 200));
    // With all of them in use there is no room, and the answer says what bounds it.
    let mut streams = Vec::new();
    for id in &last[180..] {
        let request = proxy.http.get(proxy.url("/mcp")).header("authorization", ANN).header("mcp-session-id", id);
        streams.push(crate::support::Events::open(request.header("accept", "text/event-stream")).await);
    }
    let full = open(ANN).await;
    assert_eq!(full.status, 503, "{full:?}");
    assert!(full.body.contains("limits.maxSessionsPerToken") && full.header("retry-after").is_some(), "{full:?}");
    assert_eq!(open(BOB).await.status, 200);
}
