//! Headers of clients that servers are told (`forwardHeaders`).

use reqwest::{
    Client,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::{
    at,
    upstream::{Upstream, answer},
};
use crate::support::{DEADLINE, LegacySession, Modern, Proxy, Session, eventually, text};

/// A client that sends these with each request.
fn client(headers: &[(&str, &str)]) -> Client {
    mcproxy_http::share_provider();
    let header = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().expect("a name"), value.parse::<HeaderValue>().expect("a value"))
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    Client::builder().default_headers(headers).no_proxy().build().expect("a client")
}

/// What the upstream saw of a call, as its tool said it.
fn seen(result: &Value) -> Value {
    serde_json::from_str(text(result)).unwrap_or_else(|_| panic!("no headers: {result}"))
}

fn entry(name: &str, upstream: &Upstream, forwarded: Value) -> Value {
    let headers = json!({"Authorization": "Bearer of-the-entry", "X-Fixed": "f"});
    at(name, &upstream.url(), json!({"forwardHeaders": forwarded, "headers": headers}))
}

#[tokio::test]
async fn a_clients_headers_go_with_its_calls_to_the_servers_that_name_them() {
    for era in ["legacy", "modern"] {
        let upstream = Upstream::start(era).await;
        let told = entry("told", &upstream, json!(["Authorization", "X-Tenant"]));
        let servers = [told, entry("other", &upstream, json!([]))];
        let proxy = Proxy::start(json!({"logging": {"level": "debug"}, "servers": servers})).await;
        let url = proxy.url("/mcp");
        let of_alice = [("authorization", "Bearer of-alice"), ("x-tenant", "a"), ("x-secret", "s"), ("cookie", "c=1")];
        let alice = client(&of_alice);
        let bob = client(&[("authorization", "Bearer of-bob")]);
        let (session, modern) = (Session::open(&alice, &url).await, Modern::new(&alice, &url));
        let (mut old, _) = LegacySession::open(&alice, &proxy.base, "/sse").await;
        for result in [
            session.call("told__headers", json!({})).await,
            modern.call("told__headers", json!({})).await,
            old.call("told__headers", json!({})).await,
        ] {
            let seen = seen(&result);
            assert_eq!((&seen["authorization"], &seen["x-tenant"]), (&json!("Bearer of-alice"), &json!("a")), "{era}");
            assert_eq!(seen["x-fixed"], "f", "those of the entry stay");
            assert!(seen.get("x-secret").is_none() && seen.get("cookie").is_none(), "{seen}");
        }
        let of_bob = seen(&Modern::new(&bob, &url).call("told__headers", json!({})).await);
        assert_eq!(
            (&of_bob["authorization"], of_bob.get("x-tenant")),
            (&json!("Bearer of-bob"), None),
            "nothing stays"
        );
        let nobody = seen(&proxy.session().await.call("told__headers", json!({})).await);
        assert_eq!(nobody["authorization"], "Bearer of-the-entry");
        let other = seen(&session.call("other__headers", json!({})).await);
        assert_eq!((&other["authorization"], other.get("x-tenant")), (&json!("Bearer of-the-entry"), None), "{era}");
        for listed in upstream.received("tools/list") {
            assert_eq!(listed.headers["authorization"], "Bearer of-the-entry", "MCProxy's own requests");
        }
        let log = proxy.log();
        assert!(!log.contains("of-alice") && !log.contains("of-the-entry"), "{log}");
    }
}

#[tokio::test]
async fn a_token_that_opens_this_gateway_goes_no_further() {
    let upstream = Upstream::start("modern").await;
    let token = "front-token-front-token";
    let proxy = Proxy::launch(json!({
        "auth": {"tokens": [{"name": "front", "token": token}]},
        "servers": [entry("told", &upstream, json!(["authorization", "x-api-key"]))]
    }))
    .await;
    let url = proxy.url("/mcp");
    let bearer = format!("Bearer {token}");
    let called = async |headers: &[(&str, &str)]| {
        let modern = Modern::new(&client(headers), &url);
        eventually("the server answers", DEADLINE, async || {
            let answer = modern.ask("tools/call", json!({"name": "told__headers", "arguments": {}})).await;
            answer.messages().last()?.get("result").map(seen)
        })
        .await
    };
    let by_bearer = called(&[("authorization", &bearer), ("x-api-key", "mine")]).await;
    assert_eq!((&by_bearer["authorization"], &by_bearer["x-api-key"]), (&json!("Bearer of-the-entry"), &json!("mine")));
    let by_key = called(&[("authorization", "Bearer mine"), ("x-api-key", token)]).await;
    assert_eq!((&by_key["authorization"], by_key.get("x-api-key")), (&json!("Bearer mine"), None));
}

#[tokio::test]
async fn wrong_credentials_of_one_client_cost_its_own_call_and_nobody_elses() {
    for era in ["legacy", "modern"] {
        let upstream = Upstream::with(era, |request| match request.headers.get("authorization").map(String::as_str) {
            Some("Bearer wrong") => Some(answer("401 Unauthorized", "WWW-Authenticate: Bearer\r\n", "")),
            // A session of another client.
            Some("Bearer foreign") => Some(answer("404 Not Found", "", "session not found")),
            _ => None,
        })
        .await;
        let proxy = Proxy::start(json!({"servers": [entry("told", &upstream, json!(["authorization"]))]})).await;
        let url = proxy.url("/mcp");
        let right = Session::open(&client(&[("authorization", "Bearer right")]), &url).await;
        assert_eq!(seen(&right.call("told__headers", json!({})).await)["authorization"], "Bearer right");
        let generation = proxy.server("told").await.generation;
        for wrong in ["Bearer wrong", "Bearer foreign"] {
            let session = Session::open(&client(&[("authorization", wrong)]), &url).await;
            let error = session.refuse("told__headers", json!({})).await.to_string();
            assert!(error.contains("HTTP 40") && !error.contains(wrong), "{era}: {error}");
            assert_eq!(seen(&right.call("told__headers", json!({})).await)["authorization"], "Bearer right", "{era}");
        }
        let server = proxy.server("told").await;
        assert!(server.is_ready() && server.generation == generation, "{era}: the run goes on: {server:?}");
    }
}

#[tokio::test]
async fn headers_that_are_too_long_are_refused_and_reach_no_server() {
    let upstream = Upstream::start("modern").await;
    let proxy = Proxy::start(json!({"servers": [entry("told", &upstream, json!(["x-long"]))]})).await;
    let long = "v".repeat(20 * 1024);
    let modern = Modern::new(&client(&[("x-long", &long)]), &proxy.url("/mcp"));
    let answer = modern.ask("tools/call", json!({"name": "told__headers", "arguments": {}})).await;
    assert_eq!(answer.status, 431, "{answer:?}");
    assert!(answer.body.contains("forwardHeaders"), "{answer:?}");
    assert_eq!(upstream.received("tools/call").len(), 0);
}
