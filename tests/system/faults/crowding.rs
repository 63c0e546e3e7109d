//! One server, or one client, that takes as much as it can: what the others have left.

use std::time::{Duration, Instant};

use reqwest::{Client, header};
use serde_json::{Value, json};

use crate::support::{End, Events, Proxy, Raw, Session, eventually, fixture, peak_kib, resident_kib, within};

/// Longer than anything here should take.
const LONG: Duration = Duration::from_secs(30);

/// A client of that token.
fn client(token: &str) -> Client {
    let mut headers = header::HeaderMap::new();
    headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().expect("a header"));
    Client::builder().default_headers(headers).build().expect("a client")
}

async fn crowded(places: u32, more: Value) -> Proxy {
    let mut server = fixture("a", &[]);
    server["limits"] = json!({"maxConcurrent": places});
    if let (Some(server), Some(more)) = (server.as_object_mut(), more.as_object()) {
        server.extend(more.clone());
    }
    let tokens = json!([{"name": "ann", "token": "the-token-of-ann"}, {"name": "bob", "token": "the-token-of-bob"}]);
    Proxy::start(json!({"servers": [server], "auth": {"tokens": tokens}})).await
}

async fn session_of(proxy: &Proxy, who: &str) -> Session {
    Session::open(&client(&format!("the-token-of-{who}")), &proxy.url("/mcp")).await
}

async fn slow(session: &Session, id: u64, ms: u64) -> Value {
    let params = json!({"name": "a__slow", "arguments": {"ms": ms}});
    session.request_as(json!(id), "tools/call", params).await.pop().expect("a response")
}

async fn until_full(proxy: &Proxy, places: usize) {
    let metrics = client("the-token-of-ann").get(proxy.url("/metrics"));
    eventually("all places are taken", LONG, async || {
        let page = metrics.try_clone().expect("a request").send().await.ok()?.text().await.ok()?;
        page.contains(&format!("mcproxy_calls_in_flight{{server=\"a\"}} {places}")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_client_with_more_calls_than_a_server_takes_leaves_the_others_their_turn() {
    let proxy = crowded(2, json!({})).await;
    let (ann, bob) = (session_of(&proxy, "ann").await, session_of(&proxy, "bob").await);
    let begun = Instant::now();
    let all = futures_util::future::join_all((0..10).map(|id| slow(&ann, id, 500)));
    let beside = async {
        until_full(&proxy, 2).await;
        assert_eq!(bob.say("a__echo", json!({"text": "x"})).await, "x");
        begun.elapsed()
    };
    let (all, took) = tokio::join!(all, beside);
    assert!(all.iter().all(|response| response.get("result").is_some()), "{all:?}");
    assert!(took < begun.elapsed() - Duration::from_millis(800), "bob waited {took:?} of {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_can_be_given_up_and_gives_up_in_its_time() {
    let proxy = crowded(1, json!({"timeout": 2, "maxTimeout": 600})).await;
    let (ann, bob) = (session_of(&proxy, "ann").await, session_of(&proxy, "bob").await);
    let cancel = async {
        until_full(&proxy, 1).await;
        let waits = async {
            let params = json!({"name": "a__echo", "arguments": {"text": "x"}});
            ann.post(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string()).await
        };
        let give_up = async {
            let waiting = client("the-token-of-ann").get(proxy.url("/metrics"));
            eventually("it waits", LONG, async || {
                let page = waiting.try_clone().expect("a request").send().await.ok()?.text().await.ok()?;
                page.contains("mcproxy_calls_waiting{server=\"a\"} 1").then_some(())
            })
            .await;
            ann.notify("notifications/cancelled", json!({"requestId": 7})).await;
        };
        let (given_up, ()) = tokio::join!(waits, give_up);
        assert!(!given_up.body.contains("result"), "{given_up:?}");
        let error = bob.refuse("a__echo", json!({"text": "x"})).await;
        assert_eq!((error["code"].clone(), error["data"]["reason"].clone()), (json!(31002), json!("too_many_calls")));
        assert!(error["message"].as_str().is_some_and(|text| text.contains("limits.maxConcurrent")), "{error}");
    };
    // Its progress keeps it alive for longer than the others may wait.
    let params =
        json!({"name": "a__progress", "arguments": {"steps": 12, "interval_ms": 500}, "_meta": {"progressToken": 1}});
    let holds = ann.request_as(json!(1), "tools/call", params);
    let (held, ()) = tokio::join!(holds, cancel);
    assert!(held.last().is_some_and(|response| response.get("result").is_some()), "{held:?}");
    assert_eq!(ann.say("a__echo", json!({"text": "fine"})).await, "fine");
}

/// The numbers in the lines of server `a` that a stream heard, and how many it says were dropped.
fn heard(messages: &[Value]) -> (Vec<u64>, u64) {
    let (mut lines, mut dropped) = (Vec::new(), 0);
    for message in messages {
        let Some(text) = message["params"]["data"].as_str() else { continue };
        if message["params"]["logger"] == "mcproxy" {
            assert!(text.contains("of server `a` were dropped"), "{text}");
            dropped += text.split(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a number");
        } else if let Some(line) = text.strip_prefix("line ") {
            lines.push(line.trim().parse().expect("a number"));
        }
    }
    (lines, dropped)
}

/// What a stream says until each of so many lines was heard or counted.
async fn all_of(stream: &mut Events, lines: u64) -> Vec<Value> {
    let mut messages = Vec::new();
    within("each line is heard or counted", 3 * LONG, async {
        loop {
            messages.extend(stream.rest(Duration::from_millis(500)).await);
            let (heard, dropped) = heard(&messages);
            assert!(heard.len() as u64 + dropped <= lines, "{} lines, {dropped} dropped", heard.len());
            if heard.len() as u64 + dropped == lines {
                return;
            }
        }
    })
    .await;
    messages
}

#[tokio::test]
async fn a_server_that_logs_without_end_cuts_no_stream_and_costs_others_no_line() {
    const LINES: u64 = 50_000;
    let proxy = Proxy::of(&["a", "b"]).await;
    let (listens, calls) = (proxy.session().await, proxy.session().await);
    listens.request("logging/setLevel", json!({"level": "info"})).await;
    let mut stream = listens.stream().await;
    calls.say("a__notice_flood", json!({"kind": "log", "lines": LINES})).await;
    for n in 0..20 {
        calls.say("b__log", json!({"level": "error", "text": format!("of b: {n}")})).await;
    }
    let messages = within("the end of the flood", 3 * LONG, stream.rest(Duration::from_secs(3))).await;
    let of_b = messages.iter().filter(|m| m["params"]["data"].as_str().is_some_and(|text| text.starts_with("of b")));
    assert_eq!(of_b.count(), 20, "another server's lines are all there");
    let (lines, dropped) = heard(&messages);
    assert!(lines.len() > 1000 && lines.is_sorted() && lines[0] == 0, "{} lines", lines.len());
    assert!(dropped > 0 && lines.len() as u64 + dropped <= LINES, "{} lines, {dropped} dropped", lines.len());
    assert_eq!(calls.say("a__echo", json!({"text": "fine"})).await, "fine");
    // It was not cut: what is said now comes on the same stream.
    calls.say("b__log", json!({"level": "error", "text": "of b: last"})).await;
    stream.find("the last line", |m| m["params"]["data"] == "of b: last").await;
}

#[tokio::test]
async fn a_resource_that_changes_without_end_is_told_of_again_and_again_on_a_stream_that_stays() {
    let proxy = Proxy::of(&["a"]).await;
    let (listens, calls) = (proxy.session().await, proxy.session().await);
    listens.request("resources/subscribe", json!({"uri": "a+fixture://watched"})).await;
    let mut stream = listens.stream().await;
    calls.say("a__notice_flood", json!({"kind": "updated", "lines": 20_000})).await;
    let messages = within("the flood", LONG, stream.rest(Duration::from_secs(2))).await;
    let updates = messages.iter().filter(|m| m["method"] == "notifications/resources/updated").count();
    assert!((1..1000).contains(&updates), "{updates} updates");
    calls.say("a__touch_resource", json!({})).await;
    stream.notification("notifications/resources/updated").await;
}

#[tokio::test]
async fn many_listeners_of_a_flood_hear_less_of_it_and_all_the_same() {
    const SESSIONS: usize = 200;
    let proxy = Proxy::of(&["a", "b"]).await;
    let calls = proxy.session().await;
    let mut streams = Vec::new();
    for _ in 0..SESSIONS {
        let session = proxy.session().await;
        session.request("logging/setLevel", json!({"level": "info"})).await;
        streams.push(session.stream().await);
    }
    calls.say("a__notice_flood", json!({"kind": "log", "lines": 4_000})).await;
    let all = futures_util::future::join_all(streams.iter_mut().map(|stream| all_of(stream, 4_000))).await;
    assert!(all.iter().all(|messages| heard(messages).0.is_sorted()));
    assert_eq!(calls.say("b__echo", json!({"text": "fine"})).await, "fine");
}

#[tokio::test]
async fn a_large_catalogue_that_changes_again_and_again_does_not_hold_up_the_calls_of_others() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &["--tools", "1000"]), fixture("b", &[])]})).await;
    let (changes, calls) = (proxy.session().await, proxy.session().await);
    proxy.until_ready().await;
    let strike = async {
        for n in 0..10 {
            changes.say("a__add_tool", json!({"name": format!("more_{n}")})).await;
        }
    };
    let measure = async || {
        let (mut times, end) = (Vec::new(), Instant::now() + Duration::from_secs(3));
        while Instant::now() < end {
            let begun = Instant::now();
            calls.say("b__echo", json!({"text": "x"})).await;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        times
    };
    let quiet = measure().await;
    let ((), times) = tokio::join!(strike, measure());
    let median = |times: &[Duration]| times[times.len() / 2];
    let (before, during) = (median(&quiet), median(&times));
    assert!(
        during < 5 * before + Duration::from_millis(50),
        "half of the calls took {before:?} before and {during:?} while it changed"
    );
    eventually("the newest tool is listed", LONG, async || {
        let tools = changes.tools().await;
        tools.iter().any(|tool| tool == "a__more_9").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_2024_11_05_that_nobody_reads_costs_a_bounded_number_of_bytes() {
    let proxy = Proxy::of(&["a"]).await;
    let calls = proxy.session().await;
    let mut deaf = Raw::connect(&proxy).await;
    assert!(deaf.send(b"GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await);
    let mut head = String::new();
    while !head.contains("session_id=") {
        head.push_str(&deaf.some().await);
    }
    let id: String =
        head.split("session_id=").nth(1).expect("an id").chars().take_while(|c| c.is_ascii_hexdigit()).collect();
    let post = async |body: Value| {
        let answer = proxy.post(&format!("/sse?session_id={id}"));
        assert_eq!(answer.body(body.to_string()).send().await.expect("an answer").status(), 202);
    };
    let client =
        json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "deaf", "version": "1"}});
    post(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client})).await;
    post(json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "debug"}})).await;
    let gateway = proxy.status().await.gateway_pid();
    let before = resident_kib(gateway);
    calls.say("a__notice_flood", json!({"kind": "log", "lines": 40, "bytes": 4_000_000})).await;
    calls.say("a__echo", json!({"text": "fine"})).await;
    eventually("the flood is over", LONG, async || {
        (calls.say("a__echo", json!({"text": "fine"})).await == "fine").then_some(())
    })
    .await;
    let grown = peak_kib(gateway).saturating_sub(before) / 1024;
    assert!(grown < 100, "40 lines of 4 MB that nobody reads cost {grown} MiB");
    let (_, end) = deaf.rest(Duration::from_secs(1)).await;
    assert_eq!(end, End::Open, "and not the stream");
}
