//! Servers of the legacy era that ask for something, and clients that come back with it.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{DEADLINE, Modern, Proxy, eventually, fixture, signal, text};

const TOKENS: [&str; 2] = ["a-token-of-ann-that-is-long-enough", "a-token-of-bob-that-is-long-enough"];

async fn start(members: Value) -> Proxy {
    let mut entry = fixture("a", &[]);
    entry["clientFeatures"] = json!(["sampling", "elicitation", "elicitation.url", "roots"]);
    entry.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    Proxy::start(json!({"servers": [entry]})).await
}

fn client_of(proxy: &Proxy, capabilities: Value) -> Modern {
    let mut client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    client.capabilities = capabilities;
    client
}

fn everything() -> Value {
    json!({"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}})
}

fn call(name: &str, arguments: Value) -> Value {
    json!({"name": name, "arguments": arguments})
}

/// Calls a tool that asks; the state of the call, and what was asked for.
async fn asked(client: &Modern, params: &Value) -> (Value, Value) {
    let result = client.result("tools/call", params.clone()).await;
    assert_eq!(result["resultType"], "input_required", "{result}");
    assert!(result["requestState"].is_string(), "{result}");
    (result["requestState"].clone(), result["inputRequests"].clone())
}

/// The same call with what was asked for.
fn again(params: &Value, state: &Value, responses: Value) -> Value {
    let mut params = params.clone();
    params["requestState"] = state.clone();
    params["inputResponses"] = responses;
    params
}

fn answers(requests: &Value, word: &str) -> Value {
    let answer = |request: &Value| match request["method"].as_str().expect("a method") {
        "elicitation/create" => json!({"action": "accept", "content": {"answer": word}}),
        "sampling/createMessage" => {
            json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": word}})
        }
        _ => json!({"roots": [{"uri": format!("file:///{word}")}]}),
    };
    let requests = requests.as_object().expect("requests");
    requests.iter().map(|(key, request)| (key.clone(), answer(request))).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn e03_elicit_c_l_one_call_of_the_server_is_resumed() {
    let proxy = start(json!({})).await;
    let client = client_of(&proxy, everything());
    let params = call("a__elicit", json!({"message": "what is it?"}));
    let (state, requests) = asked(&client, &params).await;
    assert!(requests.to_string().contains("what is it?"), "{requests}");
    let result = client.result("tools/call", again(&params, &state, answers(&requests, "a tree"))).await;
    assert_eq!(result["resultType"], "complete");
    assert!(text(&result).contains("a tree"), "{result}");
    // With the one that counts.
    assert_eq!(text(&client.call("a__calls", json!({})).await), "2");
}

#[tokio::test]
async fn e09_sampling_roots_and_a_form_c_l_in_as_many_rounds_as_the_server_takes() {
    let proxy = start(json!({})).await;
    let client = client_of(&proxy, everything());
    let params = call("a__ask_all", json!({}));
    let (mut state, mut requests) = asked(&client, &params).await;
    let mut seen = 0;
    // What the server asks at once may come in one round or in several.
    let result = loop {
        seen += requests.as_object().map_or(0, serde_json::Map::len);
        let result = client.result("tools/call", again(&params, &state, answers(&requests, "here"))).await;
        if result["resultType"] == "complete" {
            break result;
        }
        assert_ne!(result["requestState"], state, "each state is good once");
        (state, requests) = (result["requestState"].clone(), result["inputRequests"].clone());
    };
    assert_eq!(seen, 3);
    assert_eq!(text(&result).matches("here").count(), 3, "{result}");
    assert_eq!(text(&client.call("a__calls", json!({})).await), "2");
}

#[tokio::test]
async fn what_is_missing_is_asked_for_again_under_the_same_state() {
    let proxy = start(json!({})).await;
    let client = client_of(&proxy, everything());
    let params = call("a__elicit", json!({"message": "?"}));
    let (state, requests) = asked(&client, &params).await;
    for nothing in [json!({}), json!({"other": {"action": "accept"}})] {
        assert_eq!(asked(&client, &again(&params, &state, nothing)).await, (state.clone(), requests.clone()));
    }
    let result = client.result("tools/call", again(&params, &state, answers(&requests, "there"))).await;
    assert!(text(&result).contains("there"), "{result}");
}

async fn ann_and_bob() -> (Proxy, Modern, Modern) {
    let tokens: Vec<Value> =
        TOKENS.iter().zip(["ann", "bob"]).map(|(t, name)| json!({"name": name, "token": t})).collect();
    let mut entry = fixture("a", &[]);
    entry["clientFeatures"] = json!(["elicitation"]);
    let proxy = Proxy::launch(json!({"servers": [entry], "auth": {"tokens": tokens}})).await;
    let client = |token: &str| client_of(&proxy, everything()).with_token(token);
    let (ann, bob) = (client(TOKENS[0]), client(TOKENS[1]));
    (proxy, ann, bob)
}

#[tokio::test]
async fn e02_what_might_be_somebody_elses_question_is_put_to_nobody() {
    let (_proxy, ann, bob) = ann_and_bob().await;
    let params = call("a__elicit", json!({"message": "ann?"}));
    let (state, requests) = asked(&ann, &params).await;
    let answer = bob.ask("tools/call", call("a__elicit", json!({"message": "bob?"}))).await;
    let response = answer.messages().pop().expect("an answer");
    assert!(response.to_string().contains("ambiguous"), "{response}");
    let result = ann.result("tools/call", again(&params, &state, answers(&requests, "ann's"))).await;
    assert!(text(&result).contains("ann's"), "{result}");
}

#[tokio::test]
async fn e04_a_state_is_good_once_for_its_own_request_and_caller() {
    let (_proxy, ann, bob) = ann_and_bob().await;
    let params = call("a__elicit", json!({"message": "?"}));
    let (state, requests) = asked(&ann, &params).await;
    let good = answers(&requests, "x");
    let text_of_state = state.as_str().expect("a text");
    let flipped = json!(format!("{}{}", &text_of_state[1..], &text_of_state[..1]));
    let other = call("a__elicit", json!({"message": "!"}));
    for (client, params, state) in
        [(&ann, &params, &flipped), (&ann, &params, &json!(7)), (&ann, &other, &state), (&bob, &params, &state)]
    {
        let error = client.failure("tools/call", again(params, state, good.clone())).await;
        assert_eq!(error["code"], -32602, "{error}");
    }
    let result = ann.result("tools/call", again(&params, &state, good.clone())).await;
    assert_eq!(result["resultType"], "complete", "{result}");
    let error = ann.failure("tools/call", again(&params, &state, good)).await;
    assert_eq!(error["code"], -32602, "used up: {error}");
}

#[tokio::test]
async fn e04_a_state_is_no_good_after_its_time_or_its_server() {
    let proxy = start(json!({"inputTimeout": 1})).await;
    let client = client_of(&proxy, everything());
    let params = call("a__elicit", json!({"message": "?"}));
    let (state, requests) = asked(&client, &params).await;
    eventually("the state is no good any more", DEADLINE, async || {
        // Without what was asked for, a good state is used up by nobody.
        let answer = client.ask("tools/call", again(&params, &state, json!({}))).await;
        answer.messages().pop()?.get("error").map(|_| ())
    })
    .await;
    let error = client.failure("tools/call", again(&params, &state, answers(&requests, "late"))).await;
    assert_eq!(error["code"], -32602, "{error}");

    let proxy = start(json!({})).await;
    let client = client_of(&proxy, everything());
    let (state, requests) = asked(&client, &params).await;
    let before = proxy.server("a").await;
    signal(before.server_pid.expect("it runs"), Signal::KILL);
    proxy.server_until("another", "a", |server| server.is_ready() && server.generation > before.generation).await;
    let error = client.failure("tools/call", again(&params, &state, answers(&requests, "x"))).await;
    assert_eq!(error["code"], -32602, "{error}");
}

#[tokio::test]
async fn a_client_that_never_comes_back_keeps_nobody_else_from_being_asked() {
    let proxy = start(json!({})).await;
    let (gone, other) = (client_of(&proxy, everything()), client_of(&proxy, everything()));
    asked(&gone, &call("a__elicit", json!({"message": "gone?"}))).await;
    let params = call("a__elicit", json!({"message": "here?"}));
    let (state, requests) = asked(&other, &params).await;
    assert!(requests.to_string().contains("here?"), "{requests}");
    let result = other.result("tools/call", again(&params, &state, answers(&requests, "here"))).await;
    assert!(text(&result).contains("here"), "{result}");
}

#[tokio::test]
async fn e08_url_elicit_c_l_asks_for_the_page_and_makes_the_call_again() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy, everything());
    let params = call("a__gate", json!({}));
    let (state, requests) = asked(&client, &params).await;
    let page = json!({"mode": "url", "url": "https://x.example/gate", "message": "Knock"});
    assert_eq!(requests, json!({"r1": {"method": "elicitation/create", "params": page}}));
    let visited = json!({"r1": {"action": "accept"}});
    let error = client.failure("tools/call", again(&params, &json!("other"), visited.clone())).await;
    assert_eq!(error["code"], -32602, "{error}");
    let result = client.result("tools/call", again(&params, &state, visited.clone())).await;
    assert_eq!(text(&result), "come in");
    assert_eq!(text(&client.call("a__calls", json!({})).await), "3", "it was made twice");
    let error = client.failure("tools/call", again(&params, &state, visited)).await;
    assert_eq!(error["code"], -32602, "used up: {error}");
}

#[tokio::test]
async fn e08_a_page_that_is_none_of_the_web_ends_the_call() {
    let proxy = start(json!({})).await;
    let client = client_of(&proxy, everything());
    for tool in ["a__ask_page", "a__gate"] {
        let error = client.failure("tools/call", call(tool, json!({"url": "file:///etc/passwd"}))).await;
        assert_eq!(error["data"]["reason"], "no_web_page", "{tool}: {error}");
        assert!(!error.to_string().contains("etc/passwd"), "{error}");
    }
    assert_eq!(text(&client.call("a__echo", json!({"text": "on"})).await), "on");
}

#[tokio::test]
async fn e08_a_page_that_nobody_can_or_will_visit_ends_the_call() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let client = client_of(&proxy, json!({"elicitation": {}}));
    let error = client.failure("tools/call", call("a__gate", json!({}))).await;
    assert_eq!((&error["code"], &error["message"]), (&json!(-32021), &json!("knock first")), "{error}");
    assert_eq!(error["data"]["requiredCapabilities"], json!({"elicitation": {"url": {}}}));
    let client = client_of(&proxy, everything());
    let params = call("b__gate", json!({}));
    let (state, _) = asked(&client, &params).await;
    let result = client.result("tools/call", again(&params, &state, json!({"r1": {"action": "decline"}}))).await;
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(text(&client.call("b__calls", json!({})).await), "2", "it was not made again");
}

#[tokio::test]
async fn e08_a_page_that_is_asked_for_within_a_call_has_no_name_for_c() {
    let proxy = start(json!({})).await;
    let client = client_of(&proxy, everything());
    let params = call("a__ask_page", json!({}));
    let (state, requests) = asked(&client, &params).await;
    let request = requests.as_object().and_then(|all| all.values().next()).expect("a request");
    let params_of_page = request["params"].as_object().expect("params");
    assert_eq!(params_of_page["url"], "https://x.example/");
    assert!(!params_of_page.contains_key("elicitationId"), "{request}");
    let result = client.result("tools/call", again(&params, &state, answers(&requests, "x"))).await;
    assert!(text(&result).contains("accept"), "{result}");
}

#[tokio::test]
async fn e05_elicit_c_nocap_the_server_hears_no_and_the_client_nothing() {
    let proxy = start(json!({})).await;
    let client = client_of(&proxy, json!({}));
    let answer = client.ask("tools/call", call("a__elicit", json!({"message": "?"}))).await;
    let response = answer.messages().pop().expect("an answer");
    assert_ne!(response["result"]["resultType"], "input_required", "{response}");
    assert!(response.to_string().contains("has not declared"), "{response}");
    // The tool could not do without, and says so; the client is told what would have helped.
    assert_eq!((answer.status.as_u16(), &response["error"]["code"]), (400, &json!(-32021)), "{response}");
    assert_eq!(response["error"]["data"]["requiredCapabilities"], json!({"elicitation": {}}));
}

#[tokio::test]
async fn e05_what_is_missing_has_its_status_even_if_an_instance_had_to_start_first() {
    // Longer than the answer to a session would wait before it becomes a stream.
    let server = fixture("a", &["--start-delay-ms", "1500"]);
    let mut config = json!({"servers": [server]});
    config["servers"][0]["instances"] = "per-session".into();
    let proxy = Proxy::start(config).await;
    let client = client_of(&proxy, json!({}));
    let answer = client.ask("tools/call", call("a__elicit", json!({"message": "?"}))).await;
    let response = answer.messages().pop().expect("an answer");
    assert_eq!((answer.status.as_u16(), &response["error"]["code"]), (400, &json!(-32021)), "{response}");
}
