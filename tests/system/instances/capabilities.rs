//! What the instance of a session is told that its client can do.

use reqwest::Method;
use serde_json::{Value, json};

use super::{pid, start, start_with};
use crate::support::{DEADLINE, Events, Modern, Proxy, Session, eventually, fixture, initialize, kill, text};

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
async fn every_sessions_instance_hears_all_that_its_client_said_of_itself() {
    let declared = json!({
        "sampling": {"tools": {}, "context": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": true},
        "experimental": {"x/y": {}},
        "extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}},
    });
    for flags in [&[][..], &["--era", "modern"], &["--era", "dual"]] {
        let proxy = start_with(flags, json!({})).await;
        let session = session(&proxy, declared.clone()).await;
        assert_eq!(told(&session).await, declared, "{flags:?}");
        let client: Value = serde_json::from_str(&session.say("a__client", json!({})).await).expect("JSON");
        assert_eq!(client["name"], initialize("2025-11-25")["params"]["clientInfo"]["name"], "{flags:?}");
    }
}

#[tokio::test]
async fn what_a_client_said_of_itself_outlives_the_gateway() {
    let proxy = start(json!({})).await;
    let declared = json!({"extensions": {"io.modelcontextprotocol/ui": {}}});
    let session = session(&proxy, declared.clone()).await;
    kill(proxy.status().await.gateway_pid());
    eventually("another gateway answers", DEADLINE, async || {
        let other = proxy.try_status().await?.gateway.is_some_and(|gateway| gateway.restarts > 0);
        (other && proxy.http.get(proxy.url("/healthz")).send().await.is_ok()).then_some(())
    })
    .await;
    assert_eq!(told(&session).await, declared);
}

#[tokio::test]
async fn a_shared_server_is_told_of_the_extensions_that_are_listed() {
    let mut entry = fixture("a", &[]);
    entry["clientFeatures"] = json!(["roots", "io.modelcontextprotocol/ui"]);
    let proxy = Proxy::start(json!({"servers": [entry]})).await;
    let ui = json!({"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}});
    let session = session(&proxy, json!({})).await;
    assert_eq!(told(&session).await, json!({"roots": {}, "extensions": ui}));
}

#[tokio::test]
async fn a_server_of_both_eras_is_spoken_to_as_its_own_client_speaks() {
    let proxy = start_with(&["--era", "dual"], json!({})).await;
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let session = session(&proxy, json!({})).await;
    for _ in 0..2 {
        assert_eq!(session.say("a__era", json!({})).await, "legacy");
        assert_eq!(client.say("a__era", json!({})).await, "modern");
    }
    assert_ne!(pid(&session).await.to_string(), client.say("a__pid", json!({})).await);
    let other = self::session(&proxy, json!({"roots": {}})).await;
    assert_eq!(other.say("a__era", json!({})).await, "legacy");
    // One that knows 2026-07-28 only has nothing else for anybody.
    let proxy = start_with(&["--era", "modern"], json!({})).await;
    let sessions = (self::session(&proxy, json!({})).await, self::session(&proxy, json!({})).await);
    assert_eq!(sessions.0.say("a__era", json!({})).await, "modern");
    assert_eq!(sessions.1.say("a__era", json!({})).await, "modern");
    // What is configured counts.
    let proxy = start_with(&["--era", "dual"], json!({"era": "modern"})).await;
    assert_eq!(self::session(&proxy, json!({})).await.say("a__era", json!({})).await, "modern");
}

#[tokio::test]
async fn what_a_server_offers_to_able_clients_only_is_listed_for_sessions_of_such_clients_and_for_all_without_one() {
    let proxy = start_with(&["--tools-by-capability"], json!({})).await;
    let tool = "a__elicit".to_owned();
    for (capabilities, expected) in
        [(json!({}), false), (json!({"elicitation": {}}), true), (json!({"roots": {}}), false)]
    {
        let session = session(&proxy, capabilities.clone()).await;
        assert_eq!(session.tools().await.contains(&tool), expected, "before its first call: {capabilities}");
        told(&session).await;
        assert_eq!(session.tools().await.contains(&tool), expected, "{capabilities}");
    }
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let listed = client.result("tools/list", json!({})).await;
    let names: Vec<&str> =
        listed["tools"].as_array().expect("a list").iter().filter_map(|t| t["name"].as_str()).collect();
    assert!(names.contains(&"a__elicit"), "lists do not depend on who asks");
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
