//! Calls that wait until a person agrees to them: the client's user, an operator, or nobody.

mod operators;
mod policy;
mod remembered;
mod sessions;
mod stateless;
mod texts;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Proxy, Session, eventually, fixture};

/// The tool of the fixture whose calls wait; `calls` says how many calls came to the server.
const HELD: &str = "a__echo";

fn forms() -> Value {
    json!({"elicitation": {}})
}

/// A proxy with a server `a`, of which calls of `echo` wait; `members` are further keys of the configuration.
async fn start(approvals: Value, members: Value) -> Proxy {
    start_with(&[], json!({}), approvals, members).await
}

async fn start_with(flags: &[&str], entry: Value, approvals: Value, members: Value) -> Proxy {
    let mut server = fixture("a", flags);
    let of_server = server.as_object_mut().expect("an object");
    of_server.insert("tools".into(), json!({"approve": {"echo": "always"}}));
    of_server.extend(entry.as_object().expect("an object").clone());
    let mut config = json!({"servers": [server], "approvals": approvals});
    config.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    let proxy = Proxy::launch(config).await;
    proxy.until_ready().await;
    proxy
}

fn call(text: &str) -> Value {
    json!({"name": HELD, "arguments": {"text": text}})
}

fn chosen(word: &str) -> Value {
    json!({"action": "accept", "content": {"decision": word}})
}

/// The calls that wait, as `mcproxy approvals` lists them.
async fn held(proxy: &Proxy) -> Vec<Value> {
    let listed = proxy.cli(&["approvals", "--json"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    serde_json::from_str(&listed.stdout).expect("a list")
}

/// Waits until so many calls wait.
async fn until_held(proxy: &Proxy, count: usize) -> Vec<Value> {
    eventually(&format!("{count} calls wait"), DEADLINE, async || {
        let held = held(proxy).await;
        (held.len() == count).then_some(held)
    })
    .await
}

fn id(call: &Value) -> &str {
    call["id"].as_str().expect("an id")
}

/// How many calls the server had, with this one.
async fn calls(session: &Session) -> u64 {
    session.say("a__calls", json!({})).await.parse().expect("a number")
}
