//! Notifications that no specification names: they travel both ways, to those who are meant.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Proxy, Session, eventually, fixture};

const CHANNEL: &str = "notifications/claude/channel";
/// Longer than such a notification takes.
const QUIET: Duration = Duration::from_millis(600);

async fn heard(session: &Session, tool: &str) -> String {
    session.say(tool, json!({})).await
}

async fn until_heard(session: &Session, tool: &str, word: &str) {
    eventually(&format!("{tool} says {word}"), DEADLINE, async || {
        heard(session, tool).await.contains(word).then_some(())
    })
    .await;
}

fn methods(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["method"].as_str()).collect()
}

#[tokio::test]
async fn what_a_server_tells_goes_to_the_client_of_the_only_call_and_else_to_all_who_see_the_server() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let (caller, other) = (proxy.session().await, proxy.session_at("/servers/a/mcp").await);
    let stranger = proxy.session_at("/servers/b/mcp").await;
    let mut streams = [caller.stream().await, other.stream().await, stranger.stream().await];
    for stream in &mut streams {
        stream.rest(QUIET).await;
    }
    let params = json!({"content": "event", "uri": "a:b", "n": 1.50});
    let arguments = json!({"name": "a__notify", "arguments": {"method": CHANNEL, "params": params}});
    let messages = caller.request_as(json!(5), "tools/call", arguments.clone()).await;
    assert_eq!((&messages[0]["method"], &messages[0]["params"]), (&json!(CHANNEL), &params), "as it was: {messages:?}");
    for stream in &mut streams {
        assert!(stream.rest(QUIET).await.is_empty(), "it concerns nobody else");
    }
    let mut slow = other.streamed(json!(7), "tools/call", json!({"name": "slow", "arguments": {"ms": 600_000}})).await;
    let messages = caller.request_as(json!(6), "tools/call", arguments).await;
    assert_eq!(messages.len(), 1, "whose it is nothing says: {messages:?}");
    for stream in &mut streams[..2] {
        assert_eq!(stream.notification(CHANNEL).await["params"], params);
    }
    assert!(streams[2].rest(QUIET).await.is_empty(), "it does not see that server");
    other.notify("notifications/cancelled", json!({"requestId": 7})).await;
    assert_eq!(slow.event().await, None);
    // What the specification names has ways of its own, and requests are none of these.
    for method in ["notifications/initialized", "tools/call", "sampling/createMessage"] {
        let arguments = json!({"name": "a__notify", "arguments": {"method": method}});
        let messages = caller.request_as(json!(8), "tools/call", arguments).await;
        assert_eq!(methods(&messages), [] as [&str; 0], "{method}: {messages:?}");
    }
}

#[tokio::test]
async fn what_a_client_tells_goes_to_the_one_server_that_is_meant() {
    let servers = [fixture("a", &["--experimental", "claude/channel"]), fixture("b", &[])];
    let proxy = Proxy::start(json!({"servers": servers})).await;
    let session = proxy.session().await;
    assert!(session.hello["capabilities"]["experimental"]["claude/channel"].is_object(), "{}", session.hello);
    // At a common endpoint, by what the server declares.
    session.notify("notifications/claude/channel/permission_request", json!({"n": 1.5})).await;
    until_heard(&session, "a__heard", "permission_request").await;
    for nobodys in ["notifications/other", "other/thing", "tools/call", "notifications/tools/list_changed"] {
        session.notify(nobodys, json!({"name": "crash"})).await;
    }
    // At the endpoint of one server, everything.
    let of_b = proxy.session_at("/servers/b/mcp").await;
    of_b.notify("notifications/vendor/last", json!({})).await;
    until_heard(&session, "b__heard", "notifications/vendor/last").await;
    for (server, count) in [("a__heard", 1), ("b__heard", 1)] {
        let all: Value = serde_json::from_str(&heard(&session, server).await).expect("JSON");
        assert_eq!(all.as_array().map(Vec::len), Some(count), "{server}: {all}");
    }
}

#[tokio::test]
async fn what_a_client_tells_its_own_instance_no_other_hears() {
    let mut entry = fixture("a", &[]);
    entry["instances"] = json!("per-session");
    let proxy = Proxy::start(json!({"servers": [entry]})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let (mut first, mut second) = (one.stream().await, two.stream().await);
    assert_eq!((heard(&one, "a__heard").await.as_str(), heard(&two, "a__heard").await.as_str()), ("[]", "[]"));
    one.notify("notifications/vendor/mine", json!({"of": "one"})).await;
    until_heard(&one, "a__heard", "notifications/vendor/mine").await;
    assert_eq!(heard(&two, "a__heard").await, "[]");
    first.rest(QUIET).await;
    second.rest(QUIET).await;
    let arguments = json!({"name": "a__notify", "arguments": {"method": CHANNEL, "params": {}}});
    let messages = one.request_as(json!(5), "tools/call", arguments).await;
    assert_eq!(messages[0]["method"], CHANNEL, "{messages:?}");
    assert!(second.rest(QUIET).await.is_empty());
}
