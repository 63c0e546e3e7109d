//! What connections cost is on the budget (`limits.totalBuffered`), and an idle one, or a stream that lasts, costs little.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use super::{
    PING,
    memory::{Growth, MIB, head, held},
};
use crate::support::{DEADLINE, End, Proxy, Raw, Session, ask, eventually, fixture, initialize, skip};

const HEALTHZ: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A gateway with a small budget. `None`: this machine does not allow so many connections.
async fn proxy_for(connections: u64) -> Option<Proxy> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if maximum.is_some_and(|most| most < connections + 500) {
        skip("this machine allows fewer descriptors than that many clients need");
        return None;
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the hard limit");
    let mut server = fixture("a", &[]);
    server["limits"] = json!({"maxLine": MIB});
    let limits = json!({"totalBuffered": 8 * MIB, "maxBody": MIB, "headerTimeout": 60, "bodyTimeout": 60});
    Some(Proxy::start(json!({"servers": [server], "limits": limits, "logging": {"level": "warn"}})).await)
}

async fn connections(proxy: &Proxy, count: usize) -> Vec<Raw> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(Raw::connect(proxy).await);
    }
    all
}

async fn closed(clients: &mut [Raw]) -> usize {
    let mut closed = 0;
    for client in clients {
        closed += usize::from(client.rest(Duration::from_millis(1)).await.1 == End::Closed);
    }
    closed
}

#[tokio::test]
async fn the_longest_idle_connections_give_way_to_new_ones_when_the_budget_is_used() {
    let Some(proxy) = proxy_for(6000).await else { return };
    let growth = Growth::begin(&proxy).await;
    let mut crowd = connections(&proxy, 5000).await;
    assert!(held(&proxy, "connections").await <= 4 * MIB, "half of the budget");
    growth.is_within(8 * MIB, "5,000 connections that say nothing");
    let last = crowd.last_mut().expect("many");
    last.send(HEALTHZ).await;
    assert!(last.some().await.starts_with("HTTP/1.1 200"), "who came last is served");
    let (eldest, rest) = crowd.split_at_mut(1000);
    assert_eq!(closed(eldest).await, 1000, "the eldest made room");
    assert!(closed(rest).await < 3000);
    drop(crowd);
    eventually("all is given back", DEADLINE, async || (held(&proxy, "connections").await < 64 * 1024).then_some(()))
        .await;
}

#[tokio::test]
async fn bodies_that_never_end_on_connections_that_were_there_before_stay_within_the_budget() {
    let Some(proxy) = proxy_for(6000).await else { return };
    let growth = Growth::begin(&proxy).await;
    let mut crowd = connections(&proxy, 5000).await;
    let mut refused = 0;
    for raw in &mut crowd {
        raw.send(head("MCP-Protocol-Version: 2026-07-28\r\n", MIB).as_bytes()).await;
        raw.send(&[b' '; 16_000]).await;
    }
    for raw in &mut crowd {
        let (answer, end) = raw.rest(Duration::from_millis(1)).await;
        refused += usize::from(end == End::Closed);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 503") && answer.contains("totalBuffered"),
            "{answer}"
        );
    }
    assert!(refused > 4500, "{refused} of 5,000 were refused");
    growth.is_within(8 * MIB, "5,000 bodies of 16 kB");
    assert_eq!(ask(proxy.post("/mcp").body(PING)).await.status, 200, "a small one beside them");
}

#[tokio::test]
async fn connections_that_are_used_now_and_then_make_room_for_each_other_and_lose_nothing() {
    let Some(proxy) = proxy_for(2000).await else { return };
    // Each costs 12 KiB while it is used: a third of them has room at once.
    let mut crowd = connections(&proxy, 1000).await;
    for round in 0..2 {
        for raw in &mut crowd {
            raw.send(HEALTHZ).await;
            let answer = raw.some().await;
            assert!(answer.starts_with("HTTP/1.1 200"), "round {round}: {answer}");
        }
    }
    assert!(held(&proxy, "connections").await <= 4 * MIB);
    eventually("they cost little when they are idle", DEADLINE, async || {
        (held(&proxy, "connections").await <= 1100 * 2048).then_some(())
    })
    .await;
    assert_eq!(closed(&mut crowd).await, 0);
}

#[tokio::test]
async fn requests_that_find_no_room_for_their_connection_are_refused_by_name() {
    let Some(proxy) = proxy_for(2000).await else { return };
    let mut server = connections(&proxy, 600).await;
    for (id, raw) in server.iter_mut().enumerate() {
        // None of them ends, and each needs its connection; what comes of it is not kept.
        raw.send(format!("GET /healthz HTTP/1.1\r\nX-Never: {id}").as_bytes()).await;
    }
    let mut refused = 0;
    for raw in &mut server {
        let (answer, end) = raw.rest(Duration::from_millis(1)).await;
        refused += usize::from(end == End::Closed);
        let names_it = answer.contains("connections") && answer.contains("limits.totalBuffered");
        assert!(answer.is_empty() || (answer.starts_with("HTTP/1.1 503") && names_it), "{answer}");
        assert!(answer.is_empty() || answer.contains("retry-after"), "{answer}");
    }
    assert!((200..400).contains(&refused), "{refused} of 600");
}

/// A session, and its stream on a connection of ours.
async fn stream(proxy: &Proxy) -> (Raw, Session) {
    let session = proxy.session().await;
    let mut raw = Raw::connect(proxy).await;
    let id = &session.id;
    let head =
        format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: {id}\r\n\r\n");
    raw.send(head.as_bytes()).await;
    assert!(raw.some().await.starts_with("HTTP/1.1 200"));
    (raw, session)
}

/// The data of a chunked body, and whether its end was there.
fn chunks(mut text: &str) -> (String, bool) {
    let mut data = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("a size, not {size:?}"));
        if size == 0 {
            assert_eq!(rest, "\r\n", "nothing follows the end");
            return (data, true);
        }
        data.push_str(&rest[..size]);
        text = rest[size..].strip_prefix("\r\n").expect("the end of a chunk");
    }
    assert_eq!(text, "");
    (data, false)
}

#[tokio::test]
async fn a_stream_that_lasts_costs_little_carries_its_messages_and_leaves_its_connection_usable() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    let (mut raw, session) = stream(&proxy).await;
    let used = 12 * 1024 + 4 * 1024;
    eventually("it costs less than a connection that is used", DEADLINE, async || {
        // That of the session, that of the stream, and the one that asks.
        (held(&proxy, "connections").await <= used + 2048).then_some(())
    })
    .await;
    raw.rest(Duration::from_millis(10)).await;
    for name in ["one", "two"] {
        session.say("a__add_tool", json!({"name": name})).await;
        let text = eventually("it is told", DEADLINE, async || {
            let (text, end) = raw.rest(Duration::from_millis(50)).await;
            assert_eq!(end, End::Open);
            (!text.is_empty()).then_some(text)
        })
        .await;
        let (data, ended) = chunks(&text);
        assert!(data.contains("notifications/tools/list_changed") && !ended, "{data}");
    }
    // Sent ahead: it is the next request, after the end of the stream.
    raw.send(HEALTHZ).await;
    assert_eq!(raw.rest(Duration::from_millis(100)).await, (String::new(), End::Open));
    let end = proxy.http.delete(proxy.url("/mcp")).header("mcp-session-id", &session.id);
    assert!(ask(end).await.status.is_success());
    let text = eventually("both come", DEADLINE, async || {
        let (text, end) = raw.rest(Duration::from_millis(50)).await;
        assert_eq!(end, End::Open);
        (!text.is_empty()).then_some(text)
    })
    .await;
    let (ending, answer) = text.split_at(text.find("HTTP/1.1 200").expect("an answer"));
    assert!(chunks(ending).1, "{ending:?}");
    assert!(answer.ends_with("ok\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_that_lasts_is_noticed() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    let (raw, _session) = stream(&proxy).await;
    let costs = async |least: usize, most: usize| {
        let held = held(&proxy, "connections").await;
        (least..=most).contains(&held).then_some(())
    };
    eventually("it lasts", DEADLINE, async || costs(4096, 12 * 1024 + 4096 + 2048).await).await;
    drop(raw);
    eventually("it is gone", DEADLINE, async || costs(0, 12 * 1024 + 2 * 2048).await).await;
}

#[tokio::test]
async fn seven_hundred_streams_stay_when_there_is_room_for_fewer_that_are_used() {
    let Some(proxy) = proxy_for(2000).await else { return };
    let mut streams = Vec::new();
    for _ in 0..700 {
        let answer = ask(proxy.post("/mcp").body(initialize("2025-11-25").to_string())).await;
        let id = answer.header("mcp-session-id").expect("a session").to_owned();
        let mut raw = Raw::connect(&proxy).await;
        let head = format!(
            "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: {id}\r\n\r\n"
        );
        raw.send(head.as_bytes()).await;
        let opened = raw.some().await;
        assert!(opened.starts_with("HTTP/1.1 200"), "{opened}");
        streams.push(raw);
    }
    assert_eq!(closed(&mut streams).await, 0);
}
