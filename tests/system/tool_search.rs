//! Endpoints where tools are found instead of listed, by clients of both eras.

use serde_json::{Value, json};

use crate::support::{DEADLINE, Modern, Proxy, Session, eventually, fixture, initialize, names, text};

/// What a list of tools may cost, and the signatures of one search, in tokens of o200k.
const MOST_TOKENS: usize = 400;

fn tokens(text: &str) -> usize {
    bpe_openai::o200k_base().count(text)
}

fn wrapped(tool: &str, arguments: Value) -> Value {
    json!({"name": "call_tool", "arguments": {"name": tool, "arguments": arguments}})
}

async fn start() -> Proxy {
    let mut asking = fixture("a", &["--tools", "100"]);
    asking["clientFeatures"] = json!(["sampling", "elicitation", "roots"]);
    let proxy = Proxy::launch(json!({
        "servers": [asking, fixture("b", &[])],
        "search": {"pin": ["b__echo"]},
        "groups": {
            "small": {"servers": ["b"], "view": "search", "tools": {"deny": ["mcproxy__*"], "rename": {"b__echo": "say"}}},
            "plain": {"servers": ["b"]},
        },
    }))
    .await;
    proxy.until_ready().await;
    proxy
}

#[tokio::test]
async fn the_list_is_three_tools_and_those_that_are_pinned() {
    let proxy = start().await;
    let session = proxy.session_at("/search/mcp").await;
    assert_eq!(session.tools().await, ["find_tools", "describe_tools", "call_tool", "b__echo"]);
    let modern = Modern::new(&proxy.http, &proxy.url("/search/mcp"));
    let listed = modern.result("tools/list", json!({})).await["tools"].clone();
    assert_eq!(names(&listed), ["find_tools", "describe_tools", "call_tool", "b__echo"]);
    let three = json!(listed.as_array().expect("a list")[..3]).to_string();
    assert!(tokens(&three) <= MOST_TOKENS, "{} tokens: {three}", tokens(&three));
    for (path, all) in [
        ("/groups/small/mcp", &["find_tools", "describe_tools", "call_tool"][..]),
        ("/groups/plain/search/mcp", &["find_tools", "describe_tools", "call_tool", "b__echo"]),
    ] {
        assert_eq!(proxy.session_at(path).await.tools().await, all, "{path}");
    }
    assert!(proxy.session().await.tools().await.len() > 100, "the plain list stays");
    let hello =
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize("2025-11-25")["params"]});
    let answer = proxy.post("/search/mcp").body(hello.to_string()).send().await.expect("an answer");
    let answer = answer.text().await.expect("a body");
    assert!(answer.contains("find_tools") && answer.contains("- a (") && answer.contains("- b ("), "{answer}");
}

#[tokio::test]
async fn a_tool_is_found_described_and_called_as_it_would_be_directly() {
    let proxy = start().await;
    let session = proxy.session_at("/search/mcp").await;
    let modern = Modern::new(&proxy.http, &proxy.url("/search/mcp"));
    let found = session.say("find_tools", json!({"query": "echo the text that was sent", "limit": 3})).await;
    assert!(found.contains("a__echo(text"), "{found}");
    assert!(tokens(&found) <= MOST_TOKENS, "{found}");
    let of_b = session.say("find_tools", json!({"query": "echo", "server": "b"})).await;
    assert!(of_b.contains("b__echo(") && !of_b.contains("a__echo"), "{of_b}");
    assert_eq!(modern.say("find_tools", json!({"query": "echo", "server": "b"})).await, of_b);
    let nothing = session.say("find_tools", json!({"query": "zzzz"})).await;
    assert!(nothing.contains("No tool matches"), "{nothing}");

    let described = session.say("describe_tools", json!({"names": ["a__echo", "a__ehco"]})).await;
    let (definition, unknown) = described.split_once('\n').expect("two lines");
    let listed = proxy.session().await.list("tools/list", "tools").await;
    let listed = listed.as_array().expect("a list").iter().find(|tool| tool["name"] == "a__echo").cloned();
    assert_eq!(serde_json::from_str::<Value>(definition).ok(), listed, "as it is listed");
    assert!(unknown.contains("Did you mean a__echo?"), "{unknown}");

    let direct = proxy.session().await.call("a__echo", json!({"text": "hello"})).await;
    assert_eq!(session.request("tools/call", wrapped("a__echo", json!({"text": "hello"}))).await, direct);
    assert_eq!(text(&modern.result("tools/call", wrapped("a__echo", json!({"text": "hello"}))).await), "hello");
    assert_eq!(session.say("b__echo", json!({"text": "pinned"})).await, "pinned");
    // The gateway's own.
    let status = session.request("tools/call", wrapped("mcproxy__status", json!({}))).await;
    assert!(text(&status).contains("servers ready"), "{status}");
}

#[tokio::test]
async fn rules_of_a_group_hold_for_what_is_found_and_called() {
    let proxy = start().await;
    let session = proxy.session_at("/groups/small/mcp").await;
    let found = session.say("find_tools", json!({"query": "say echo status", "limit": 25})).await;
    assert!(found.contains("b__say(") && !found.contains("b__echo(") && !found.contains("a__"), "{found}");
    assert!(!found.contains("mcproxy__"), "{found}");
    assert_eq!(text(&session.request("tools/call", wrapped("b__say", json!({"text": "x"}))).await), "x");
    for hidden in ["a__echo", "mcproxy__status", "b__echo"] {
        let answer = session.respond("tools/call", wrapped(hidden, json!({"text": "x"}))).await;
        assert!(answer["error"].is_object() || answer["result"]["isError"] == true, "{hidden}: {answer}");
    }
}

#[tokio::test]
async fn wrong_arguments_are_answered_with_what_is_wrong_before_the_server_is_asked() {
    let proxy = start().await;
    let session = proxy.session_at("/search/mcp").await;
    let calls = async || proxy.session().await.say("a__calls", json!({})).await.parse::<u64>().expect("a number");
    let before = calls().await;
    for (arguments, expected) in [
        (json!({"name": "a__echo"}), "\"text\" is a required property"),
        (json!({"name": "a__echo", "arguments": {"text": 4}}), "/text: "),
        (json!({"name": "a__echo", "arguments": []}), "must be an object"),
        (json!({"name": "nothing"}), "There is no tool"),
        (json!({"name": "call_tool"}), "call call_tool itself"),
        (json!({"arguments": {}}), "`name` must be"),
    ] {
        let result = session.call("call_tool", arguments.clone()).await;
        assert!(result["isError"] == true && text(&result).contains(expected), "{arguments}: {result}");
    }
    let wrong = session.say("call_tool", json!({"name": "a__echo", "arguments": {"text": 4}})).await;
    assert!(wrong.contains("Its schema: {") && wrong.contains("a__echo was not called"), "{wrong}");
    assert_eq!(calls().await, before + 1, "this question alone");
}

#[tokio::test]
async fn progress_questions_and_cancellation_pass_through() {
    let proxy = start().await;
    let capable = json!({"elicitation": {"form": {}}});
    let session = Session::capable(&proxy.http, &proxy.url("/search/mcp"), capable.clone()).await;

    let mut params = wrapped("b__progress", json!({"steps": 3, "interval_ms": 1}));
    params["_meta"] = json!({"progressToken": "t"});
    let messages = session.request_as(json!(5), "tools/call", params).await;
    assert!(
        messages.iter().filter(|message| message["method"] == "notifications/progress").count() >= 3,
        "{messages:?}"
    );

    let mut events = session.streamed(json!(6), "tools/call", wrapped("a__elicit", json!({"message": "well?"}))).await;
    let asked = events.find("a question", |message| message["method"] == "elicitation/create").await;
    assert_eq!(asked["params"]["message"], "well?");
    let answer =
        json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"answer": "yes"}}});
    session.post(&answer.to_string()).await;
    let result = events.find("the answer", |message| message["id"] == 6 && message.get("method").is_none()).await;
    assert!(text(&result["result"]).contains("yes"), "{result}");

    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": wrapped("b__slow", json!({"ms": 600_000}))});
    let body = body.to_string();
    let given_up = async {
        let count = async || proxy.session().await.say("b__cancelled_count", json!({})).await;
        eventually("the server saw it", DEADLINE, async || {
            session.notify("notifications/cancelled", json!({"requestId": 7})).await;
            (count().await == "1").then_some(())
        })
        .await;
    };
    let (answer, ()) = tokio::join!(session.post(&body), given_up);
    assert!(!answer.body.contains("slept"), "no answer to a cancelled request: {answer:?}");

    let mut modern = Modern::new(&proxy.http, &proxy.url("/search/mcp"));
    modern.capabilities = capable;
    let params = wrapped("a__elicit", json!({"message": "and now?"}));
    let asked = modern.result("tools/call", params.clone()).await;
    let requests = asked["inputRequests"].as_object().expect("questions").clone();
    let responses: serde_json::Map<String, Value> = requests
        .keys()
        .map(|key| (key.clone(), json!({"action": "accept", "content": {"answer": "a tree"}})))
        .collect();
    let mut again = params;
    again["requestState"] = asked["requestState"].clone();
    again["inputResponses"] = responses.into();
    let result = modern.result("tools/call", again).await;
    assert!(text(&result).contains("a tree"), "{result}");
}
