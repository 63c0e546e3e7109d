//! Servers of 2026-07-28 that need something of the client: `input_required`, and the same call again.

use serde_json::{Value, json};

use super::{capable, client_of, everything, start};
use crate::support::{Events, LegacySession, Modern, Proxy, Session, text};

async fn begin(session: &Session, method: &str, params: Value) -> Events {
    session.streamed(json!(5), method, params).await
}

/// Answers the questions of one call until it has its result; says what was asked, as method and params.
async fn answer_all(session: &Session, events: &mut Events, answer: impl Fn(&Value) -> Value) -> (Vec<Value>, Value) {
    let mut asked = Vec::new();
    loop {
        let message = events.find("a question or the answer", |message| message.get("id").is_some()).await;
        if message.get("method").is_none() {
            return (asked, message);
        }
        let reply = json!({"jsonrpc": "2.0", "id": message["id"], "result": answer(&message)});
        let accepted = session.post(&reply.to_string()).await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        asked.push(message);
    }
}

fn sensible(question: &Value) -> Value {
    match question["method"].as_str().expect("a method") {
        "sampling/createMessage" => {
            json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "sampled"}})
        }
        "roots/list" => json!({"roots": [{"uri": "file:///work"}]}),
        _ => json!({"action": "accept", "content": {"answer": question["params"]["message"]}}),
    }
}

async fn call_of_session(proxy: &Proxy, tool: &str, arguments: Value) -> (Vec<Value>, Value) {
    let session = capable(proxy).await;
    let mut events = begin(&session, "tools/call", json!({"name": tool, "arguments": arguments})).await;
    answer_all(&session, &mut events, sensible).await
}

#[tokio::test]
async fn e06_a_session_is_asked_on_the_stream_of_its_call_in_three_rounds() {
    let proxy = start().await;
    let (asked, response) = call_of_session(&proxy, "m__ask_rounds", json!({"rounds": 3})).await;
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked.iter().all(|question| question["method"] == "elicitation/create"), "{asked:?}");
    let said = text(&response["result"]);
    assert!((1..=3).all(|n| said.contains(&format!("question {n}"))), "{said}");
    assert!(response["result"].get("resultType").is_none(), "{response}");
}

#[tokio::test]
async fn e06_several_questions_of_one_round_are_asked_at_once() {
    let proxy = start().await;
    let (asked, response) = call_of_session(&proxy, "m__ask_all", json!({})).await;
    let mut methods: Vec<&str> = asked.iter().filter_map(|question| question["method"].as_str()).collect();
    methods.sort_unstable();
    assert_eq!(methods, ["elicitation/create", "roots/list", "sampling/createMessage"]);
    let said = text(&response["result"]);
    assert!(said.contains("sampled") && said.contains("file:///work"), "{said}");
}

#[tokio::test]
async fn e06_prompts_and_resources_ask_as_well() {
    let proxy = start().await;
    let session = capable(&proxy).await;
    let mut events = begin(&session, "resources/read", json!({"uri": "m+fixture://asks"})).await;
    let (asked, response) = answer_all(&session, &mut events, sensible).await;
    assert_eq!(asked.len(), 1, "{asked:?}");
    let content = &response["result"]["contents"][0];
    assert!(content["text"].as_str().is_some_and(|text| text.contains("What about?")), "{response}");
    assert_eq!(content["uri"], "m+fixture://asks");
}

#[tokio::test]
async fn e06_a_client_of_the_2024_transport_is_asked_as_well() {
    let proxy = start().await;
    let (mut client, _) = LegacySession::capable(&proxy.http, &proxy.url(""), "/sse", everything()).await;
    client.post(&json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": {"name": "m__elicit", "arguments": {"message": "old?"}}})).await;
    let question = client.events.find("a question", |message| message["method"] == "elicitation/create").await;
    client.post(&json!({"jsonrpc": "2.0", "id": question["id"], "result": sensible(&question)})).await;
    let response = client.events.find("the answer", |message| message["id"] == 77).await;
    assert!(text(&response["result"]).contains("old?"), "{response}");
}

#[tokio::test]
async fn e06_a_state_without_a_question_is_brought_back_after_a_pause() {
    let proxy = start().await;
    let (asked, response) = call_of_session(&proxy, "m__ask_again", json!({"rounds": 2})).await;
    assert!(asked.is_empty() && text(&response["result"]).contains("called again 2 times"), "{response}");
}

#[tokio::test]
async fn e07_a_server_that_asks_for_ever_is_given_up() {
    let proxy = start().await;
    let (asked, response) = call_of_session(&proxy, "m__ask_forever", json!({})).await;
    assert_eq!(asked.len(), 8, "{response}");
    let result = &response["result"];
    assert!(result["isError"] == true && text(result).contains("8 times"), "{response}");
}

#[tokio::test]
async fn e07_what_a_client_refuses_or_cannot_give_ends_the_call_as_an_error_of_the_tool() {
    let proxy = start().await;
    let session = capable(&proxy).await;
    let mut events = begin(&session, "tools/call", json!({"name": "m__elicit", "arguments": {"message": "?"}})).await;
    let question = events.find("a question", |message| message["method"] == "elicitation/create").await;
    let refusal = json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "no"}});
    session.post(&refusal.to_string()).await;
    let response = events.find("the answer", |message| message["id"] == 5).await;
    assert_eq!(response["result"]["isError"], true, "{response}");
    // Without the capability the server says so itself, and an old client hears it in a form that it knows.
    let bare = proxy.session().await;
    let response = bare.respond("tools/call", json!({"name": "m__elicit", "arguments": {"message": "?"}})).await;
    let said = response.to_string();
    assert!(said.contains("elicitation") && !said.contains("-32021"), "{response}");
}

#[tokio::test]
async fn e08_a_page_to_visit_gets_the_id_that_old_clients_need() {
    let proxy = start().await;
    let (asked, response) = call_of_session(&proxy, "m__ask_page", json!({})).await;
    let params = &asked[0]["params"];
    assert!(params["mode"] == "url" && params["url"].is_string(), "{params}");
    assert!(params["elicitationId"].as_str().is_some_and(|id| !id.is_empty()), "{params}");
    assert!(response.get("result").is_some(), "{response}");
}

#[tokio::test]
async fn e08_a_page_that_is_none_of_the_web_is_refused_to_the_server_or_ends_the_call() {
    let proxy = start().await;
    let params = json!({"name": "m__ask_page", "arguments": {"url": "file:///etc/passwd"}});
    let response = capable(&proxy).await.respond("tools/call", params.clone()).await;
    assert!(text(&response["result"]).contains("cancel"), "as a user who does not want to: {response}");
    let mut client = client_of(&proxy);
    client.capabilities = everything();
    let error = client.failure("tools/call", params).await;
    assert_eq!(error["data"]["reason"], "no_web_page", "{error}");
}

#[tokio::test]
async fn e10_what_it_asks_a_client_of_its_own_era_passes_as_it_is() {
    let proxy = start().await;
    let mut client = client_of(&proxy);
    client.capabilities = everything();
    let params = json!({"name": "m__ask_rounds", "arguments": {"rounds": 2}});
    let first = client.result("tools/call", params.clone()).await;
    assert_eq!(first["resultType"], "input_required", "{first}");
    let mut own = Modern::new(&proxy.http, &proxy.url("/servers/m/mcp"));
    own.capabilities = everything();
    let mut result = first;
    let mut at = params;
    for round in 1..=2 {
        assert_eq!(result["resultType"], "input_required", "round {round}: {result}");
        let requests = result["inputRequests"].as_object().expect("questions").clone();
        let responses: serde_json::Map<String, Value> =
            requests.iter().map(|(key, question)| (key.clone(), sensible(question))).collect();
        at["inputResponses"] = responses.into();
        at["requestState"] = result["requestState"].clone();
        // Another way to the same server: nothing of it is kept here.
        let client = if round == 1 { &client } else { &own };
        at["name"] = if round == 1 { "m__ask_rounds" } else { "ask_rounds" }.into();
        if at["requestState"].is_null() {
            at.as_object_mut().expect("an object").remove("requestState");
        }
        result = client.result("tools/call", at.clone()).await;
    }
    assert_eq!(result["resultType"], "complete", "{result}");
    assert!(text(&result).contains("question 2"), "{result}");
}

#[tokio::test]
async fn e10_a_client_without_the_capability_hears_the_servers_own_refusal() {
    let proxy = start().await;
    let answer = client_of(&proxy).ask("tools/call", json!({"name": "m__elicit", "arguments": {"message": "?"}})).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32021), "{answer:?}");
}

#[tokio::test]
async fn a_question_is_taken_back_when_its_call_is_cancelled() {
    let proxy = start().await;
    let session = capable(&proxy).await;
    let mut events = begin(&session, "tools/call", json!({"name": "m__elicit", "arguments": {"message": "?"}})).await;
    let question = events.find("a question", |message| message["method"] == "elicitation/create").await;
    session.notify("notifications/cancelled", json!({"requestId": 5})).await;
    let back = events.notification("notifications/cancelled").await;
    assert_eq!(back["params"]["requestId"], question["id"], "{back}");
    assert_eq!(session.say("m__echo", json!({"text": "on"})).await, "on");
}

#[tokio::test]
async fn a_server_is_not_told_of_what_its_entry_does_not_list() {
    for instances in ["shared", "per-session"] {
        let mut entry = super::modern("m", &[]);
        entry["clientFeatures"] = json!(["roots"]);
        entry["instances"] = instances.into();
        let proxy = Proxy::start(json!({"servers": [entry]})).await;
        let said: Value =
            serde_json::from_str(&capable(&proxy).await.say("m__capabilities", json!({})).await).expect("JSON");
        assert!(said["roots"].is_object(), "{instances}: {said}");
        assert!(said.get("sampling").is_none() && said.get("elicitation").is_none(), "{instances}: {said}");
    }
}
