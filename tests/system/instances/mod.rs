//! Servers with `instances: per-session`.

mod bounds;
mod capabilities;
mod isolation;
mod life;
mod lists;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Proxy, Session, eventually, fixture};

/// A proxy with one such server, `a`; `members` are further keys of its entry.
async fn start(members: Value) -> Proxy {
    start_with(&[], members).await
}

/// The same, with flags for the server.
async fn start_with(flags: &[&str], members: Value) -> Proxy {
    let mut entry = fixture("a", flags);
    let entry_members = entry.as_object_mut().expect("an object");
    entry_members.insert("instances".into(), json!("per-session"));
    entry_members.extend(members.as_object().expect("an object").clone());
    Proxy::start(json!({"servers": [entry]})).await
}

/// The process that a session calls.
async fn pid(session: &Session) -> u32 {
    session.say("a__pid", json!({})).await.parse().expect("a pid")
}

/// What a session's instance remembers.
async fn recall(session: &Session) -> String {
    session.say("a__recall", json!({})).await
}

async fn remember(session: &Session, text: &str) {
    session.say("a__remember", json!({"text": text})).await;
}

/// Waits until so many calls are under way.
async fn under_way(proxy: &Proxy, calls: usize) {
    let line = format!("mcproxy_calls_in_flight{{server=\"a\"}} {calls}");
    eventually(&line, DEADLINE, async || {
        proxy.get("/metrics").await.body.lines().any(|found| found == line).then_some(())
    })
    .await;
}
