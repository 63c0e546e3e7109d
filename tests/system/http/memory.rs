//! What clients can make the gateway hold has one bound (`limits.totalBuffered`), whatever they do and however many they are.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PING;
use crate::support::{Answer, DEADLINE, End, Proxy, Raw, Session, ask, eventually, fixture, peak_kib};

pub(super) const MIB: usize = 1 << 20;
/// For the fixture, which is slow with what is large.
const LONG: Duration = Duration::from_secs(60);
/// An answer that is large for a small budget: the fixture takes long for larger ones.
const LARGE: usize = 900_000;
/// What may come on top of the budget (issue 10).
const SLACK_KIB: u64 = 32 * 1024;

async fn proxy_with(limits: Value) -> Proxy {
    Proxy::start(json!({"servers": [fixture("a", &[])], "limits": limits})).await
}

pub(super) fn head(fields: &str, length: usize) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {length}\r\n{fields}\r\n"
    )
}

/// How much more the gateway ever took than what it takes now.
pub(super) struct Growth {
    gateway: u32,
    before: u64,
}

impl Growth {
    pub(super) async fn begin(proxy: &Proxy) -> Self {
        let gateway = proxy.status().await.gateway_pid();
        Self { gateway, before: peak_kib(gateway) }
    }

    pub(super) fn is_within(&self, budget: usize, what: &str) {
        let grown = peak_kib(self.gateway) - self.before;
        assert!(grown <= budget as u64 / 1024 + SLACK_KIB, "{what}: the gateway grew by {grown} KiB");
    }
}

pub(super) async fn held(proxy: &Proxy, purpose: &str) -> usize {
    let page = proxy.get("/metrics").await.body;
    let line = format!("mcproxy_held_bytes{{purpose=\"{purpose}\"}} ");
    let value = page.lines().find_map(|l| l.strip_prefix(&line)).expect("every purpose is shown");
    value.parse().expect("a number")
}

#[tokio::test]
async fn large_bodies_share_one_budget_and_small_ones_get_through() {
    let total = 64 * MIB;
    let proxy = proxy_with(json!({"totalBuffered": total, "bodyTimeout": 60})).await;
    let growth = Growth::begin(&proxy).await;
    let (mut clients, mut refused) = (Vec::new(), 0);
    let begun = Instant::now();
    for _ in 0..60 {
        let mut raw = Raw::connect(&proxy).await;
        // It needs no session, and keeps the last byte to itself.
        raw.send(head("MCP-Protocol-Version: 2026-07-28\r\n", 4 * MIB).as_bytes()).await;
        raw.send(&vec![b' '; 4 * MIB - 1]).await;
        clients.push(raw);
        assert_eq!(ask(proxy.post("/mcp").body(PING)).await.status, 200, "a small one beside them");
    }
    growth.is_within(total, "60 bodies of 4 MiB");
    assert!(held(&proxy, "bodies").await <= total / 2);
    for raw in &mut clients {
        let (answer, end) = raw.rest(Duration::from_millis(50)).await;
        if end == End::Closed {
            refused += 1;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(answer.is_empty() || (answer.contains("limits.totalBuffered") && answer.contains("retry-after")));
        }
    }
    assert!(refused >= 60 - total / 2 / (4 * MIB), "{refused} were refused within {:?}", begun.elapsed());
    drop(clients);
    eventually("all of it is given back", DEADLINE, async || (held(&proxy, "bodies").await == 0).then_some(())).await;
}

#[tokio::test]
async fn those_who_send_a_body_slowly_make_room_for_those_who_do_not() {
    let proxy = proxy_with(json!({"totalBuffered": 64 * MIB, "bodyTimeout": 60, "minBodyRate": 0})).await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::connect(&proxy).await;
        raw.send(head("MCP-Protocol-Version: 2026-07-28\r\n", 8 * MIB).as_bytes()).await;
        raw.send(&vec![b' '; 7 * MIB]).await;
        slow.push(raw);
    }
    eventually("they are there", DEADLINE, async || (held(&proxy, "bodies").await >= 21 * MIB).then_some(())).await;
    let session = proxy.session().await;
    let large = json!({"text": "x".repeat(6 * MIB)});
    eventually("a large call gets through", DEADLINE, async || {
        let params = json!({"name": "a__echo", "arguments": large});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        (session.post(&body).await.status == 200).then_some(())
    })
    .await;
    let mut gave_way = 0;
    for raw in &mut slow {
        let (answer, end) = raw.rest(Duration::from_millis(300)).await;
        assert!(answer.is_empty() || answer.contains("the slowest"), "{answer}");
        gave_way += usize::from(end == End::Closed);
    }
    assert!((1..3).contains(&gave_way), "{gave_way} of 3 gave way");
}

#[tokio::test]
async fn a_body_without_a_session_is_refused_before_much_of_it_is_kept() {
    let proxy = proxy_with(json!({})).await;
    let growth = Growth::begin(&proxy).await;
    for fields in ["", "Mcp-Session-Id: nobody\r\n"] {
        for _ in 0..20 {
            let mut raw = Raw::connect(&proxy).await;
            raw.send(head(fields, 16 * MIB).as_bytes()).await;
            raw.send(&vec![b' '; 16 * MIB - 1]).await;
            let (answer, _) = raw.rest(Duration::from_secs(2)).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
            assert!(answer.is_empty() || answer.contains("Mcp-Session-Id"), "{answer}");
        }
    }
    growth.is_within(8 * MIB, "40 bodies of 16 MiB");
}

#[tokio::test]
async fn a_thousand_small_bodies_that_do_not_end_cost_what_has_come_of_them() {
    let proxy = proxy_with(json!({"bodyTimeout": 60})).await;
    let growth = Growth::begin(&proxy).await;
    let mut clients = Vec::new();
    for _ in 0..1000 {
        let mut raw = Raw::connect(&proxy).await;
        raw.send(head("MCP-Protocol-Version: 2026-07-28\r\n", 16 * MIB).as_bytes()).await;
        raw.send(&[b' '; 1000]).await;
        clients.push(raw);
    }
    eventually("they are there", DEADLINE, async || (held(&proxy, "bodies").await >= 1_000_000).then_some(())).await;
    let (taken, request) = (held(&proxy, "bodies").await, 32 * 1024);
    assert!(taken <= 1000 * request, "it is what has come and their requests, not what they say will: {taken}");
    assert_eq!(ask(proxy.post("/mcp").body(PING)).await.status, 200);
    growth.is_within(4 * MIB, "1,000 bodies of 1 kB");
}

/// A small budget, and a server whose answers fit into it.
async fn proxy_of(total: usize) -> Proxy {
    let mut server = fixture("a", &[]);
    server["limits"] = json!({"maxLine": MIB});
    let limits = json!({"totalBuffered": total, "maxBody": MIB, "stallTimeout": 120});
    Proxy::start(json!({"servers": [server], "limits": limits})).await
}

fn big_call(session: &Session, id: usize, bytes: usize) -> String {
    let params = json!({"name": "a__echo_size", "arguments": {"bytes": bytes}});
    let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string();
    format!("{}{body}", head(&format!("Mcp-Session-Id: {}\r\n", session.id), body.len()))
}

#[tokio::test]
async fn answers_that_nobody_takes_are_kept_once_and_make_room_for_others() {
    let total = 8 * MIB;
    let proxy = proxy_of(total).await;
    let growth = Growth::begin(&proxy).await;
    let session = proxy.session().await;
    let mut clients = Vec::new();
    for id in 0..20 {
        let mut raw = Raw::connect(&proxy).await;
        raw.send(big_call(&session, 100 + id, LARGE).as_bytes()).await;
        clients.push(raw);
    }
    eventually("the budget is used", LONG, async || {
        let held = held(&proxy, "frames").await + held(&proxy, "answers").await;
        (held >= total / 3).then_some(())
    })
    .await;
    for id in 0..5 {
        let params = json!({"name": "a__echo_size", "arguments": {"bytes": LARGE}});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string();
        eventually("who reads gets all of it", LONG, async || {
            let answer = session.post(&call).await.body;
            // Clients that have an answer to take only now are not slow yet: until then there may be no room.
            assert!(answer.len() > LARGE || answer.contains("limits.totalBuffered"), "{answer}");
            (answer.len() > LARGE).then_some(())
        })
        .await;
    }
    growth.is_within(total, "20 large answers that nobody takes");
    let page = proxy.get("/metrics").await.body;
    let given_way =
        page.lines().find_map(|line| line.strip_prefix("mcproxy_held_given_way_total ")).expect("it is shown");
    assert_ne!(given_way, "0", "the slowest clients made room");
    drop(clients);
    eventually("all of it is given back", DEADLINE, async || (held(&proxy, "frames").await == 0).then_some(())).await;
}

#[tokio::test]
async fn answers_on_streams_that_nobody_takes_are_bounded_as_well() {
    let total = 8 * MIB;
    let proxy = proxy_of(total).await;
    let growth = Growth::begin(&proxy).await;
    let session = proxy.session().await;
    let mut clients = Vec::new();
    for id in 0..15 {
        // What takes its time is answered on a stream.
        let params = json!({"name": "a__echo_size", "arguments": {"bytes": LARGE, "ms": 600}});
        let body = json!({"jsonrpc": "2.0", "id": 100 + id, "method": "tools/call", "params": params}).to_string();
        let mut raw = Raw::connect(&proxy).await;
        let fields = format!("Mcp-Session-Id: {}\r\n", session.id);
        raw.send(format!("{}{body}", head(&fields, body.len())).as_bytes()).await;
        clients.push(raw);
    }
    eventually("answers wait", LONG, async || (held(&proxy, "answers").await >= LARGE).then_some(())).await;
    eventually("who reads gets its answer", LONG, async || {
        let params = json!({"name": "a__echo_size", "arguments": {"bytes": LARGE, "ms": 600}});
        let answer = session.respond("tools/call", params).await;
        (answer["result"]["content"][0]["text"].as_str().is_some_and(|text| text.len() == LARGE)).then_some(())
    })
    .await;
    growth.is_within(total, "15 streams that nobody reads");
}

#[tokio::test]
async fn a_batch_of_lists_is_answered_within_a_bound_and_shares_its_pages() {
    let answers = tempfile::tempdir().expect("a directory");
    let tool = |n: usize| json!({"name": format!("t{n}"), "description": "x".repeat(30_000), "inputSchema": {"type": "object"}});
    let tools: Vec<Value> = (0..100).map(tool).collect();
    let list = format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{{"tools":{}}}}}"#, json!(tools));
    std::fs::write(answers.path().join("tools.list"), list).expect("an answer");
    let path = answers.path().to_str().expect("UTF-8");
    let proxy = Proxy::start(json!({"servers": [fixture("s", &["--profile", "verbatim", "--answers", path])]})).await;
    let session = Session::of_version(&proxy.http, &proxy.url("/mcp"), "2025-03-26").await;
    session.request("tools/list", json!({})).await;
    let growth = Growth::begin(&proxy).await;
    let batch: Vec<Value> = (0..100).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"})).collect();
    let answer = session.post(&json!(batch).to_string()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() < 65 * MIB, "{} bytes", answer.body.len());
    let messages: Vec<Value> = serde_json::from_str(&answer.body).expect("an array");
    assert_eq!(messages.len(), 100, "each request has its answer");
    let (good, bad): (Vec<&Value>, Vec<&Value>) = messages.iter().partition(|message| message.get("result").is_some());
    assert!(
        good.len() >= 15
            && good.iter().all(|message| message["result"]["tools"].as_array().is_some_and(|t| t.len() >= 100))
    );
    assert!(bad.iter().all(|message| message["error"]["message"].as_str().is_some_and(|m| m.contains("batch"))));
    growth.is_within(0, "a batch of 100 lists");
    // A hundred clients that ask for one each and do not read it share it, too.
    let mut clients = Vec::new();
    for id in 0..100 {
        let body = json!({"jsonrpc": "2.0", "id": 1000 + id, "method": "tools/list"}).to_string();
        let mut raw = Raw::connect(&proxy).await;
        raw.send(format!("{}{body}", head(&format!("Mcp-Session-Id: {}\r\n", session.id), body.len())).as_bytes())
            .await;
        clients.push(raw);
    }
    eventually("they are answered", DEADLINE, async || (held(&proxy, "sockets").await >= 100_000).then_some(())).await;
    growth.is_within(16 * MIB, "100 lists that nobody reads");
}

#[tokio::test]
async fn requests_sent_ahead_by_a_client_that_reads_nothing_are_left_in_its_socket() {
    let proxy = proxy_with(json!({"stallTimeout": 120})).await;
    let growth = Growth::begin(&proxy).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect(&proxy).await;
        let many = "OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(400_000);
        let sent = tokio::time::timeout(Duration::from_millis(500), raw.send(many.as_bytes())).await;
        clients.push((raw, sent.is_ok()));
    }
    assert!(clients.iter().any(|(_, all)| !all), "they were not read to their end");
    assert_eq!(ask(proxy.post("/mcp").body(PING)).await.status, 200);
    growth.is_within(0, "20 clients that send ahead");
}

#[tokio::test]
async fn a_result_of_exactly_sixteen_mebibytes_arrives_and_one_byte_more_names_the_limit() {
    let proxy = proxy_with(json!({})).await;
    let session = proxy.session_at("/servers/a/mcp").await;
    let call = async |bytes: usize| {
        let params = json!({"name": "echo_size", "arguments": {"bytes": bytes}});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        session.post(&body).await
    };
    let before = r#"{"jsonrpc":"2.0","id":1,"result":"#;
    // What takes its time comes as a stream.
    let size = |answer: &Answer| answer.texts().pop().expect("one").strip_prefix(before).expect("a result").len() - 1;
    let overhead = size(&call(1000).await) - 1000;
    for result in [16 * MIB - 1, 16 * MIB] {
        let answer = call(result - overhead).await;
        assert_eq!((answer.status.as_u16(), size(&answer)), (200, result));
    }
    let answer = call(16 * MIB + 1 - overhead).await;
    assert!(answer.body.contains("limits.maxLine") && answer.body.contains("16777217"), "{}", &answer.body[..200]);
    assert_eq!(proxy.server("a").await.restarts, 0);
}
