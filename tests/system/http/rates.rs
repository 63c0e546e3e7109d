//! How often tokens, servers and tools may be used, and what is told to those who use them more often.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PING;
use crate::support::{Answer, DEADLINE, LegacySession, Modern, Proxy, Session, ask, eventually, fixture, http_client};

const ANN: &str = "the-secret-of-ann-1";
const BOB: &str = "the-secret-of-bob-2";

async fn start(rate_of_ann: Value, rate_of_a: Value) -> Proxy {
    let mut server = fixture("a", &[]);
    server["rate"] = rate_of_a;
    let proxy = Proxy::launch(json!({"servers": [server], "auth": {"tokens": [
        {"name": "ann", "token": ANN, "rate": rate_of_ann}, {"name": "bob", "token": BOB}]}}))
    .await;
    proxy.until_ready().await;
    proxy
}

async fn ping(session: &Session) -> Answer {
    session.post(PING).await
}

async fn page(proxy: &Proxy) -> String {
    ask(http_client(Some(BOB)).get(proxy.url("/metrics"))).await.body
}

#[tokio::test]
async fn a_token_that_is_used_too_often_gets_429_and_the_time_to_wait() {
    let proxy = start(json!({"perSecond": 0.5, "burst": 6}), json!({})).await;
    let http = http_client(Some(ANN));
    let ann = Session::open(&http, &proxy.url("/mcp")).await;
    let bob = Session::open(&http_client(Some(BOB)), &proxy.url("/mcp")).await;
    let mut statuses = Vec::new();
    let refused = loop {
        let answer = ping(&ann).await;
        statuses.push(answer.status.as_u16());
        if answer.status != 200 {
            break answer;
        }
        assert!(statuses.len() < 20, "{statuses:?}");
    };
    // Two opened the session.
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
    let wait: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1..=2).contains(&wait), "{refused:?}");
    assert!(refused.body.contains("rate.perSecond"), "{refused:?}");
    // Of any transport and endpoint, and nobody else.
    let modern = Modern::new(&proxy.http, &proxy.url("/servers/a/mcp")).with_token(ANN);
    assert_eq!(modern.ask("tools/list", json!({})).await.status, 429);
    assert_eq!(ping(&bob).await.status, 200);
    assert!(page(&proxy).await.contains("mcproxy_requests_refused_total{reason=\"rate\"} 2"));
    let begun = Instant::now();
    eventually("it may go on", DEADLINE, async || (ping(&ann).await.status == 200).then_some(())).await;
    assert!(begun.elapsed() < Duration::from_secs(wait + 1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_requests_of_a_batch_count_each() {
    let proxy = start(json!({"perSecond": 0.01, "burst": 4}), json!({})).await;
    let http = http_client(Some(ANN));
    let ann = Session::of_version(&http, &proxy.url("/mcp"), "2025-03-26").await;
    let batch: Vec<Value> = (0..4).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "ping"})).collect();
    let answers = ann.post(&json!(batch).to_string()).await.json();
    let refused: Vec<&Value> =
        answers.as_array().expect("a list").iter().filter(|answer| answer["error"].is_object()).collect();
    // Two of four opened the session.
    assert_eq!(refused.len(), 2, "{answers}");
    assert_eq!(refused[0]["error"]["data"]["reason"], "rate_limited", "{answers}");
    assert!(refused[0]["error"]["data"]["retryAfterMs"].as_u64() > Some(10_000), "{answers}");
}

#[tokio::test]
async fn a_token_has_no_more_requests_under_way_than_it_may() {
    let proxy = start(json!({"concurrent": 1}), json!({})).await;
    let http = http_client(Some(ANN));
    let (legacy, _) = LegacySession::open(&http, &proxy.base, "/sse").await;
    let slow = json!({"name": "a__slow", "arguments": {"ms": 600_000}});
    legacy.post(&json!({"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": slow})).await;
    eventually("the call is under way", DEADLINE, async || {
        page(&proxy).await.contains("mcproxy_calls_in_flight{server=\"a\"} 1").then_some(())
    })
    .await;
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(ANN);
    let failure = modern.failure("tools/call", json!({"name": "a__echo", "arguments": {"text": "x"}})).await;
    assert_eq!(failure["data"]["reason"], "rate_limited", "{failure}");
    assert!(failure["message"].as_str().is_some_and(|text| text.contains("rate.concurrent")), "{failure}");
    legacy.post(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}})).await;
    eventually("there is room", DEADLINE, async || {
        let answer = modern.ask("tools/call", json!({"name": "a__echo", "arguments": {"text": "x"}})).await;
        answer.json()["result"].is_object().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_and_its_tools_are_called_as_often_as_their_rates_say() {
    let rate = json!({"perSecond": 0.01, "burst": 5, "tools": {"ech*": {"perSecond": 0.02, "burst": 2}}});
    let proxy = start(json!({"perSecond": 100_000.0}), rate.clone()).await;
    let ann = Session::open(&http_client(Some(ANN)), &proxy.url("/mcp")).await;
    let bob = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(BOB);
    assert_eq!(ann.say("a__echo", json!({"text": "1"})).await, "1");
    assert_eq!(bob.say("a__echo", json!({"text": "2"})).await, "2");
    for failure in [
        ann.refuse("a__echo", json!({"text": "3"})).await,
        bob.failure("tools/call", json!({"name": "a__echo", "arguments": {"text": "3"}})).await,
    ] {
        assert_eq!(
            (&failure["code"], &failure["data"]["reason"]),
            (&json!(31002), &json!("rate_limited")),
            "{failure}"
        );
        assert!(failure["message"].as_str().is_some_and(|text| text.contains("\"ech*\"")), "{failure}");
        let wait = failure["data"]["retryAfterMs"].as_u64().expect("a time");
        assert!((30_000..=50_000).contains(&wait), "{failure}");
    }
    for _ in 0..3 {
        ann.say("a__calls", json!({})).await;
    }
    let failure = ann.failure("prompts/get", json!({"name": "a__plain"})).await;
    assert!(failure["data"]["reason"] == "rate_limited" && !failure.to_string().contains("ech*"), "{failure}");
    let metrics = page(&proxy).await;
    assert!(metrics.contains("mcproxy_call_errors_total{server=\"a\",reason=\"rate_limited\"} 3"), "{metrics}");
    assert_eq!(proxy.server("a").await.restarts, 0);

    // A reload fills no bucket, another rate begins anew.
    let mut server = fixture("a", &[]);
    server["rate"] = rate;
    let tokens = json!([{"name": "ann", "token": ANN}, {"name": "bob", "token": BOB}]);
    proxy.write_config(&json!({"servers": [server], "auth": {"tokens": tokens}}).to_string());
    proxy.logged(&["settings changed"]).await;
    ann.refuse("a__calls", json!({})).await;
    server["rate"] = json!({"perSecond": 100, "burst": 100});
    proxy.write_config(&json!({"servers": [server], "auth": {"tokens": tokens}}).to_string());
    eventually("it may be called", DEADLINE, async || {
        ann.respond("tools/call", json!({"name": "a__calls", "arguments": {}})).await["result"]
            .is_object()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn those_without_a_token_have_a_rate_together() {
    let config = json!({"servers": [fixture("a", &[])], "limits": {"rate": {"perSecond": 0.5, "burst": 6}}});
    let proxy = Proxy::launch(config).await;
    proxy.until_ready().await;
    let (one, other) = (proxy.session().await, proxy.session().await);
    let mut statuses = Vec::new();
    for session in [&one, &other, &one] {
        statuses.push(ping(session).await.status.as_u16());
    }
    // Four opened the sessions.
    assert_eq!(statuses, [200, 200, 429]);
    let refused = ping(&other).await;
    assert!(refused.header("retry-after").is_some() && refused.body.contains("rate.perSecond"), "{refused:?}");
    assert_eq!(proxy.get("/healthz").await.status, 200);
}
