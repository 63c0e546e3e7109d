//! Clients of 2026-07-28, which are sent away with the question and come back with the answer.

use serde_json::{Value, json};

use super::{call, calls, chosen, forms, id, start, start_with, until_held};
use crate::support::{Modern, Proxy, text};

const ANN: &str = "a-token-of-ann-that-is-long-enough";
const BOB: &str = "a-token-of-bob-that-is-long-enough";

fn client(proxy: &Proxy) -> Modern {
    let mut client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    client.capabilities = forms();
    client
}

/// Calls; the request state, and what was asked for.
async fn asked(client: &Modern, params: &Value) -> (Value, Value) {
    let result = client.result("tools/call", params.clone()).await;
    assert_eq!(result["resultType"], "input_required", "{result}");
    assert!(result["requestState"].is_string(), "{result}");
    (result["requestState"].clone(), result["inputRequests"].clone())
}

/// The same call with this answer to our question.
fn again(params: &Value, state: &Value, answer: Value) -> Value {
    let mut params = params.clone();
    params["requestState"] = state.clone();
    params["inputResponses"] = json!({"approval": answer});
    params
}

fn tokens() -> Value {
    json!({"auth": {"tokens": [{"name": "ann", "token": ANN}, {"name": "bob", "token": BOB}]}})
}

#[tokio::test]
async fn the_same_call_with_the_answer_is_made_and_no_other() {
    let proxy = start(json!({}), json!({})).await;
    let (client, session) = (client(&proxy), proxy.session().await);
    let params = call("hello");
    let (state, wanted) = asked(&client, &params).await;
    let question = &wanted["approval"];
    assert_eq!(question["method"], "elicitation/create", "{wanted}");
    let offered = &question["params"]["requestedSchema"]["properties"]["decision"]["enum"];
    assert_eq!(*offered, json!(["allow once", "refuse"]), "there is no session: {wanted}");
    until_held(&proxy, 1).await;
    // Without an answer it is asked again, and other arguments are another call.
    let mut unanswered = params.clone();
    unanswered["requestState"] = state.clone();
    let result = client.result("tools/call", unanswered).await;
    assert_eq!((&result["resultType"], &result["requestState"]), (&json!("input_required"), &state), "{result}");
    let changed = again(&call("something else"), &state, chosen("allow once"));
    let (other, _) = asked(&client, &changed).await;
    assert_ne!(other, state, "the changed call is held anew");
    assert_eq!(calls(&session).await, 1);
    let refused = client.failure("tools/call", again(&params, &state, chosen("allow once"))).await;
    assert_eq!(refused["data"]["reason"], "request_state", "the state is used up: {refused}");
    let (state, _) = asked(&client, &params).await;
    let made = client.result("tools/call", again(&params, &state, chosen("allow once"))).await;
    assert_eq!(text(&made), "hello");
    let twice = client.failure("tools/call", again(&params, &state, chosen("allow once"))).await;
    assert_eq!(twice["data"]["reason"], "request_state", "good once: {twice}");
    let (state, _) = asked(&client, &params).await;
    let refused = client.failure("tools/call", again(&params, &state, chosen("refuse"))).await;
    assert_eq!(refused["data"]["reason"], "not_approved", "{refused}");
    assert_eq!(calls(&session).await, 3, "one was made");
}

#[tokio::test]
async fn the_state_of_somebody_else_is_refused() {
    let proxy = start(json!({}), tokens()).await;
    let (ann, bob) = (client(&proxy).with_token(ANN), client(&proxy).with_token(BOB));
    let params = call("hers");
    let (state, _) = asked(&ann, &params).await;
    let refused = bob.failure("tools/call", again(&params, &state, chosen("allow once"))).await;
    assert_eq!(refused["data"]["reason"], "request_state", "{refused}");
    let made = ann.result("tools/call", again(&params, &state, chosen("allow once"))).await;
    assert_eq!(text(&made), "hers", "it is still hers");
    let invented = again(&params, &json!("mcproxy-approval.AAAA"), chosen("allow once"));
    assert_eq!(ann.failure("tools/call", invented).await["data"]["reason"], "request_state");
}

#[tokio::test]
async fn an_operator_decides_as_well_and_an_answer_of_the_client_comes_too_late_then() {
    let proxy = start(json!({}), json!({})).await;
    let client = client(&proxy);
    let params = call("x");
    let (state, _) = asked(&client, &params).await;
    let waiting = until_held(&proxy, 1).await;
    let refused = proxy.cli(&["approvals", "refuse", id(&waiting[0])]).await;
    assert_eq!(refused.code, Some(0), "{refused:?}");
    let answer = client.failure("tools/call", again(&params, &state, chosen("allow once"))).await;
    assert!(answer["message"].as_str().is_some_and(|text| text.contains("an operator refused it")), "{answer}");
    until_held(&proxy, 0).await;
}

#[tokio::test]
async fn what_nobody_comes_back_for_is_over_in_time() {
    let proxy = start(json!({"timeout": 0.5}), json!({})).await;
    let client = client(&proxy);
    let params = call("x");
    let (state, _) = asked(&client, &params).await;
    until_held(&proxy, 1).await;
    crate::support::eventually("it is too late", crate::support::DEADLINE, async || {
        let answer = client.ask("tools/call", again(&call("x"), &state, json!({}))).await;
        (answer.messages().pop()?["error"]["data"]["reason"] == "request_state").then_some(())
    })
    .await;
    until_held(&proxy, 0).await;
}

#[tokio::test]
async fn what_the_server_asks_afterwards_needs_no_second_approval() {
    for flags in [&["--era", "modern"][..], &[][..]] {
        let entry = json!({"tools": {"approve": {"elicit": "always"}}, "clientFeatures": ["elicitation"]});
        let proxy = start_with(flags, entry, json!({}), json!({})).await;
        let client = client(&proxy);
        let params = json!({"name": "a__elicit", "arguments": {"message": "which?"}});
        let (state, wanted) = asked(&client, &params).await;
        assert!(wanted["approval"].is_object(), "{wanted}");
        let result = client.result("tools/call", again(&params, &state, chosen("allow once"))).await;
        assert_eq!(result["resultType"], "input_required", "the server asks now: {result}");
        let key = result["inputRequests"].as_object().expect("questions").keys().next().expect("one").clone();
        assert_ne!(key, "approval", "{result}");
        let mut answered = params.clone();
        answered["inputResponses"] = json!({key: {"action": "accept", "content": {"answer": "this one"}}});
        if result["requestState"].is_string() {
            answered["requestState"] = result["requestState"].clone();
        }
        let made = client.result("tools/call", answered.clone()).await;
        assert!(text(&made).contains("this one"), "{flags:?}: {made}");
        // Not once more.
        let answer = client.ask("tools/call", answered).await.messages().pop().expect("an answer");
        let is_asked = answer["result"]["inputRequests"]["approval"].is_object();
        assert!(is_asked || answer["error"].is_object(), "{flags:?}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_cannot_ask_waits_and_one_that_leaves_takes_its_call_with_it() {
    let proxy = start(json!({}), json!({})).await;
    let silent = Modern::new(&proxy.http, &proxy.url("/mcp")).with_meta(json!({"progressToken": 1}));
    let events = silent.stream("tools/call", call("x")).await;
    let waiting = until_held(&proxy, 1).await;
    assert_eq!(waiting[0]["asksUser"], false, "{waiting:?}");
    drop(events);
    until_held(&proxy, 0).await;
    let mut events = silent.stream("tools/call", call("made")).await;
    let waiting = until_held(&proxy, 1).await;
    assert_eq!(proxy.cli(&["approvals", "allow", id(&waiting[0])]).await.code, Some(0));
    let answer = events.find("the answer", |message| message.get("result").is_some()).await;
    assert_eq!(text(&answer["result"]), "made");
}

#[tokio::test]
async fn a_call_that_becomes_a_task_waits_like_any_other() {
    let entry = json!({"tools": {"approve": {"slow_compute": "always"}}});
    let proxy = start_with(&["--era", "modern", "--tasks"], entry, json!({}), json!({})).await;
    let mut client = client(&proxy);
    client.capabilities["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
    let params = json!({"name": "a__slow_compute", "arguments": {"seconds": 0.1}});
    let (state, _) = asked(&client, &params).await;
    let begun = client.result("tools/call", again(&params, &state, chosen("allow once"))).await;
    assert_eq!(begun["resultType"], "task", "{begun}");
    // Its state is asked for without anybody's leave.
    let task = client.result("tasks/get", json!({"taskId": begun["taskId"]})).await;
    assert_eq!(task["taskId"], begun["taskId"], "{task}");
}
