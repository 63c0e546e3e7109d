//! Clients with a session that can ask their user.

use serde_json::{Value, json};

use super::{HELD, call, calls, chosen, forms, held, start, start_with, until_held};
use crate::support::{DEADLINE, Events, LegacySession, Proxy, Session, eventually, text};

async fn session(proxy: &Proxy) -> Session {
    Session::capable(&proxy.http, &proxy.url("/mcp"), forms()).await
}

async fn question(events: &mut Events) -> Value {
    events.find("a question", |message| message["method"] == "elicitation/create").await
}

async fn answer(session: &Session, asked: &Value, result: Value) {
    let answer = session.post(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}).to_string()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

async fn response(events: &mut Events, id: u64) -> Value {
    events.find("the answer", |message| message["id"] == id && message.get("method").is_none()).await
}

#[tokio::test]
async fn the_user_is_asked_who_wants_what_and_the_call_is_made_once_that_is_allowed() {
    let proxy = start(json!({}), json!({})).await;
    let session = session(&proxy).await;
    let mut events = session.streamed(json!(505), "tools/call", call("hello")).await;
    let asked = question(&mut events).await;
    let message = asked["params"]["message"].as_str().expect("a message");
    for part in ["system-test/1", "`echo`", "`a`", r#"{"text":"hello"}"#] {
        assert!(message.contains(part), "{message}");
    }
    let schema = &asked["params"]["requestedSchema"]["properties"]["decision"];
    assert_eq!(schema["enum"], json!(["allow once", "allow for this session", "refuse"]), "{asked}");
    let waiting = until_held(&proxy, 1).await;
    assert_eq!((&waiting[0]["tool"], &waiting[0]["asksUser"]), (&json!("echo"), &json!(true)), "{waiting:?}");
    assert_eq!(calls(&session).await, 1, "nothing was sent to the server");
    answer(&session, &asked, chosen("allow once")).await;
    assert_eq!(text(&response(&mut events, 505).await["result"]), "hello");
    assert_eq!(calls(&session).await, 3, "the call was made once");
    until_held(&proxy, 0).await;
    // The next one is asked for again.
    let mut events = session.streamed(json!(506), "tools/call", call("hello")).await;
    let asked = question(&mut events).await;
    answer(&session, &asked, chosen("refuse")).await;
    let refused = response(&mut events, 506).await;
    assert_eq!(refused["error"]["data"]["reason"], "not_approved", "{refused}");
    assert!(refused["error"]["message"].as_str().is_some_and(|text| text.contains("the user refused it")), "{refused}");
    assert_eq!(calls(&session).await, 4);
    let page = proxy.get("/metrics").await.body;
    for (outcome, count) in [("held", 2), ("allowed", 1), ("refused", 1)] {
        let line = format!("mcproxy_approvals_total{{server=\"a\",outcome=\"{outcome}\"}} {count}");
        assert!(page.contains(&line), "{line}: {page}");
    }
}

#[tokio::test]
async fn over_http_with_sse_as_well() {
    let proxy = start(json!({}), json!({})).await;
    let (mut session, _) = LegacySession::capable(&proxy.http, &proxy.base, "/sse", forms()).await;
    session.post(&json!({"jsonrpc": "2.0", "id": 70, "method": "tools/call", "params": call("by SSE")})).await;
    let asked = question(&mut session.events).await;
    session.post(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": chosen("allow once")})).await;
    assert_eq!(text(&response(&mut session.events, 70).await["result"]), "by SSE");
}

#[tokio::test]
async fn anything_but_an_answer_that_was_offered_refuses() {
    let proxy = start(json!({"remember": "never"}), json!({})).await;
    let session = session(&proxy).await;
    let answers = [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        json!({"action": "accept"}),
        chosen("allow for this session"),
        chosen("always allow"),
    ];
    for (result, id) in answers.into_iter().zip(510..) {
        let mut events = session.streamed(json!(id), "tools/call", call("x")).await;
        let asked = question(&mut events).await;
        answer(&session, &asked, result.clone()).await;
        let refused = response(&mut events, id).await;
        assert_eq!(refused["error"]["data"]["reason"], "not_approved", "{result}: {refused}");
    }
    assert_eq!(calls(&session).await, 1);
}

#[tokio::test]
async fn a_call_that_is_given_up_while_it_waits_is_never_made() {
    let proxy = start(json!({}), json!({})).await;
    let session = session(&proxy).await;
    let mut events = session.streamed(json!(505), "tools/call", call("x")).await;
    let asked = question(&mut events).await;
    let waiting = until_held(&proxy, 1).await;
    session.notify("notifications/cancelled", json!({"requestId": 505})).await;
    until_held(&proxy, 0).await;
    let late = proxy.cli(&["approvals", "allow", waiting[0]["id"].as_str().expect("an id")]).await;
    assert!(late.code == Some(1) && late.stderr.contains("no call"), "{late:?}");
    answer(&session, &asked, chosen("allow once")).await;
    assert_eq!(calls(&session).await, 1);
    // Nor is that of a session that ends.
    let _events = session.streamed(json!(506), "tools/call", call("x")).await;
    until_held(&proxy, 1).await;
    assert_eq!(session.delete().await.status, 204);
    until_held(&proxy, 0).await;
}

#[tokio::test]
async fn the_time_of_the_server_and_its_places_are_not_used_meanwhile() {
    let entry = json!({"timeout": 1.0, "limits": {"maxConcurrent": 1}, "rate": {"concurrent": 1}});
    let proxy = start_with(&[], entry, json!({}), json!({})).await;
    let session = session(&proxy).await;
    let mut params = call("later");
    params["_meta"] = json!({"progressToken": "p"});
    let mut events = session.streamed(json!(505), "tools/call", params).await;
    let progress = events.find("a sign of life", |message| message["method"] == "notifications/progress").await;
    assert!(
        progress["params"]["message"].as_str().is_some_and(|text| text.contains("waits for approval")),
        "{progress}"
    );
    let asked = question(&mut events).await;
    // Others are served, for longer than the waiting call may take at the server.
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_millis(1500) {
        assert!(calls(&session).await > 0);
    }
    answer(&session, &asked, chosen("allow once")).await;
    assert_eq!(text(&response(&mut events, 505).await["result"]), "later");
}

#[tokio::test]
async fn a_gateway_that_is_killed_takes_what_waits_with_it() {
    let proxy = start(json!({}), json!({})).await;
    let session = session(&proxy).await;
    let mut events = session.streamed(json!(505), "tools/call", call("x")).await;
    question(&mut events).await;
    let waiting = until_held(&proxy, 1).await;
    let gateway = proxy.status().await.gateway.expect("it runs").pid;
    crate::support::kill(gateway);
    assert_eq!(events.event().await, None, "its stream ends");
    until_held(&proxy, 0).await;
    let late = proxy.cli(&["approvals", "allow", super::id(&waiting[0])]).await;
    assert_eq!(late.code, Some(1), "{late:?}");
    proxy.until_ready().await;
    let other = proxy.session().await;
    assert_eq!(calls(&other).await, 1, "nothing was made");
    assert!(held(&proxy).await.is_empty());
}

#[tokio::test]
async fn a_tool_that_is_defined_anew_meanwhile_is_asked_for_again() {
    let answers = tempfile::tempdir().expect("a directory");
    let offer = |about: &str| {
        let tool = json!({"name": "echo", "description": about, "inputSchema": {"type": "object"}});
        let list = json!({"jsonrpc": "2.0", "result": {"tools": [tool]}}).to_string();
        let done = json!({"jsonrpc": "2.0", "result": {"content": [{"type": "text", "text": "done"}]}}).to_string();
        for (name, answer) in [("tools.list", list), ("tools.call.echo", done)] {
            std::fs::write(answers.path().join(name), answer.replacen('{', "{\"id\":$ID,", 1)).expect("written");
        }
    };
    offer("Says it");
    let flags = ["--profile", "verbatim", "--answers", answers.path().to_str().expect("a path")];
    let entry = json!({"sandbox": {"write": [answers.path()]}});
    let proxy = start_with(&flags, entry, json!({}), json!({})).await;
    let session = session(&proxy).await;
    eventually("it is listed", DEADLINE, async || session.tools().await.contains(&HELD.to_owned()).then_some(())).await;
    let mut events = session.streamed(json!(505), "tools/call", call("x")).await;
    let first = question(&mut events).await;
    offer("Deletes it");
    assert_eq!(proxy.cli(&["restart", "a"]).await.code, Some(0));
    eventually("it is another tool", DEADLINE, async || {
        let tools = session.list("tools/list", "tools").await.to_string();
        tools.contains("Deletes it").then_some(())
    })
    .await;
    answer(&session, &first, chosen("allow once")).await;
    let second = question(&mut events).await;
    assert_ne!(first["id"], second["id"]);
    answer(&session, &second, chosen("allow once")).await;
    assert_eq!(text(&response(&mut events, 505).await["result"]), "done");
}
