//! As many clients as the default settings let in, each with an open stream and nothing to say.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::support::{Proxy, Raw, Session, ask, fixture, initialize, resident_kib, skip};

const CROWD: usize = 10_000;

/// The median of some calls, one after the other.
async fn p50(session: &Session) -> Duration {
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        session.say("a__echo", json!({"text": "x"})).await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// A session and its stream, open.
async fn one(proxy: &Proxy) -> Raw {
    let answer = ask(proxy.post("/mcp").body(initialize("2025-11-25").to_string())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.header("mcp-session-id").expect("a session");
    let mut raw = Raw::connect(proxy).await;
    let head =
        format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: {id}\r\n\r\n");
    assert!(raw.send(head.as_bytes()).await, "it was let in");
    let opened = raw.some().await;
    assert!(opened.starts_with("HTTP/1.1 200"), "{opened}");
    raw
}

#[tokio::test]
async fn ten_thousand_idle_sessions_cost_little_and_one_more_is_turned_away() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if maximum.is_some_and(|most| most < 12_000) {
        return skip("this machine allows fewer descriptors than that many clients need");
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the hard limit");
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "logging": {"level": "warn"}})).await;
    let session = proxy.session().await;
    let _stream = session.stream().await;
    p50(&session).await; // warm
    let gateway = proxy.status().await.gateway_pid();
    let (before, rss) = (p50(&session).await, resident_kib(gateway));
    let crowd: Vec<Raw> = stream::iter(1..CROWD).map(|_| one(&proxy)).buffer_unordered(32).collect().await;
    let grown = resident_kib(gateway).saturating_sub(rss);
    let after = p50(&session).await;
    let each = grown as f64 / crowd.len() as f64;
    // Figures for whoever looks; nobody may be reading.
    let _ = writeln!(std::io::stderr().lock(), "{each:.1} KiB a session; p50 {before:?} before, {after:?} after");
    assert!(each < 64.0, "{each} KiB of the gateway's memory for each session");
    assert!(after < before * 2 + Duration::from_millis(5), "p50 {before:?} before, {after:?} after");
    let full = ask(proxy.post("/mcp").body(initialize("2025-11-25").to_string())).await;
    assert_eq!(full.status, 503, "{full:?}");
    assert!(full.header("retry-after").is_some() && full.body.contains("limits.maxSessions"), "{full:?}");
    assert_eq!(session.say("a__echo", json!({"text": "fine"})).await, "fine");
}
