//! What the instance of a session is told that its client can do.

use reqwest::Method;
use serde_json::{Value, json};

use super::{start, start_with};
use crate::support::{DEADLINE, Events, Modern, Proxy, Session, eventually, text};

async fn session(proxy: &Proxy, capabilities: Value) -> Session {
    Session::capable(&proxy.http, &proxy.url("/mcp"), capabilities).await
}

/// What the server was told.
async fn told(session: &Session) -> Value {
    serde_json::from_str(&session.say("a__capabilities", json!({})).await).expect("JSON")
}

/// Calls a tool, and says where the client works when it is asked.
async fn say(session: &Session, id: u64, tool: &str, root: &str) -> String {
    let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
    let post = session.http(Method::POST).header("content-type", "application/json");
    let post = post.header("accept", "application/json, text/event-stream").body(call.to_string());
    let response = post.send().await.expect("an answer");
    // Only what is asked something gets a stream.
    if response.headers()["content-type"] == "application/json" {
        let answer: Value = response.json().await.expect("JSON");
        return text(&answer["result"]).to_owned();
    }
    let mut events = Events::of(response);
    loop {
        let message = events.find("a question or the answer", |message| message.get("id").is_some()).await;
        if message.get("method").is_none() {
            return text(&message["result"]).to_owned();
        }
        assert_eq!(message["method"], "roots/list");
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"roots": [{"uri": root}]}});
        assert_eq!(session.post(&answer.to_string()).await.status, 202);
    }
}

#[tokio::test]
async fn every_sessions_instance_is_told_what_its_own_client_can_do() {
    let proxy = start(json!({})).await;
    for capabilities in [
        json!({"sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": true}}),
        json!({}),
        json!({"elicitation": {"url": {}}, "roots": {}}),
    ] {
        assert_eq!(told(&session(&proxy, capabilities.clone()).await).await, capabilities);
    }
    // Clients of 2026-07-28 are different each time; what one cannot do is refused when it is asked for.
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let told = text(&client.call("a__capabilities", json!({})).await).to_owned();
    let listed = json!({"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}});
    assert_eq!(serde_json::from_str::<Value>(&told).expect("JSON"), listed);
}

#[tokio::test]
async fn what_a_server_offers_to_able_clients_only_is_listed_for_all() {
    let proxy = start_with(&["--tools-by-capability"], json!({})).await;
    for capabilities in [json!({}), json!({"elicitation": {}}), json!({"roots": {}})] {
        let session = session(&proxy, capabilities).await;
        told(&session).await;
        assert!(session.tools().await.contains(&"a__elicit".to_owned()), "lists do not depend on who asks");
    }
}

#[tokio::test]
async fn what_is_listed_bounds_what_an_instance_is_told() {
    let proxy = start(json!({"clientFeatures": ["roots"]})).await;
    let capabilities = json!({"sampling": {}, "roots": {"listChanged": true}});
    assert_eq!(told(&session(&proxy, capabilities).await).await, json!({"roots": {"listChanged": true}}));
    assert_eq!(told(&session(&proxy, json!({"sampling": {}})).await).await, json!({}));
    let proxy = start(json!({"clientFeatures": []})).await;
    assert_eq!(told(&session(&proxy, json!({"sampling": {}})).await).await, json!({}));
}

#[tokio::test]
async fn changed_roots_are_told_to_the_sessions_own_instance_and_asked_for_at_its_next_call() {
    let proxy = start(json!({})).await;
    let roots = json!({"roots": {"listChanged": true}});
    let (one, other) = (session(&proxy, roots.clone()).await, session(&proxy, roots).await);
    for session in [&one, &other] {
        assert_eq!(say(session, 1, "a__recall", "file:///too-early").await, "<nothing>");
    }
    one.notify("notifications/roots/list_changed", json!({})).await;
    let mut id = 1;
    eventually("the server asked for them", DEADLINE, async || {
        id += 1;
        say(&one, id, "a__recall", "file:///here").await.contains("file:///here").then_some(())
    })
    .await;
    assert_eq!(say(&other, 2, "a__recall", "file:///there").await, "<nothing>", "nobody else is told");
}
