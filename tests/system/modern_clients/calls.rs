//! Calls, reads and prompts without a session.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Modern, Proxy, ask, eventually, fixture};

fn client_of(proxy: &Proxy) -> Modern {
    Modern::new(&proxy.http, &proxy.url("/mcp"))
}

#[tokio::test]
async fn t01_a_call_has_the_same_content_in_every_dialect() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy);
    let (session, mut legacy) = (proxy.session().await, proxy.legacy_session().await);
    let arguments = json!({"text": "hällo"});
    let mut modern = client.call("a__echo", arguments.clone()).await;
    assert_eq!(modern.as_object_mut().expect("an object").remove("resultType"), Some("complete".into()));
    let of_session = session.call("a__echo", arguments.clone()).await;
    assert_eq!(modern, of_session);
    assert_eq!(of_session, legacy.call("a__echo", arguments.clone()).await);
    let own = Modern::new(&proxy.http, &proxy.url("/servers/a/mcp"));
    assert_eq!(own.say("echo", arguments).await, "hällo");
}

#[tokio::test]
async fn a_result_keeps_its_bytes_and_what_is_ours_is_not_the_servers() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy).with_meta(json!({"vendor.example/trace": {"id": 1}, "progressToken": "mine"}));
    let answer = client.ask("tools/call", json!({"name": "a__structured", "arguments": {}})).await;
    for kept in [r#""structuredContent":{"big":9007199254740993123,"ratio":1.10,"#, r#""lone":"\ufffd"}"#] {
        assert!(answer.body.contains(kept), "{kept} in {answer:?}");
    }
    let said = client.say("a__request", json!({})).await;
    assert!(said.contains("vendor.example/trace") && !said.contains("io.modelcontextprotocol"), "{said}");
    let mut again = json!({"name": "a__request", "arguments": {}, "inputResponses": {"x": {}}});
    client.result("tools/call", again.clone()).await; // nobody asked for it: it says nothing
    again["requestState"] = "made up".into();
    assert_eq!(client.failure("tools/call", again).await["code"], -32602);
}

#[tokio::test]
async fn reads_prompts_and_completions_are_routed_and_say_what_they_are() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let client = client_of(&proxy);
    let read = client.result("resources/read", json!({"uri": "b+fixture://static/text"})).await;
    assert_eq!(read["contents"][0]["uri"], "b+fixture://static/text");
    let error = client.failure("resources/read", json!({"uri": "b+fixture://nothing"})).await;
    assert_eq!(error["code"], -32602, "r03 of an initialize server: {error}");
    assert_eq!(client.failure("resources/read", json!({"uri": "nobody+x:y"})).await["code"], -32602);
    let prompts = client.result("prompts/list", json!({})).await;
    let prompt = prompts["prompts"][0]["name"].as_str().expect("a prompt").to_owned();
    let got = client.result("prompts/get", json!({"name": prompt, "arguments": {"name": "x", "topic": "y"}})).await;
    assert!(got["resultType"] == "complete" && got["messages"].is_array(), "{got}");
    let reference = json!({"type": "ref/resource", "uri": "b+fixture://item/{id}"});
    let completed =
        client.result("completion/complete", json!({"ref": reference, "argument": {"name": "id", "value": ""}})).await;
    assert!(completed["resultType"] == "complete" && completed["completion"]["values"].is_array(), "{completed}");
    for name in ["a__nothing", "nothing", "nobody__x"] {
        assert_eq!(client.failure("tools/call", json!({"name": name})).await["code"], -32602, "t10 {name}");
    }
    let answer = ask(client.post(&client.request("tools/call", json!({"arguments": {}})))).await;
    assert_eq!(answer.code(), -32602, "a call of nothing");
    let status = client.say("mcproxy__status", json!({})).await;
    assert!(status.contains("ready"), "{status}");
}

#[tokio::test]
async fn progress_comes_before_the_answer_on_the_stream_of_its_own_request() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy).with_meta(json!({"progressToken": "tokC"}));
    let call = json!({"name": "a__progress", "arguments": {"steps": 3, "interval_ms": 20}});
    let body = client.request("tools/call", call);
    let (one, two) = tokio::join!(ask(client.post(&body)), ask(client.post(&body)));
    for answer in [one, two] {
        assert_eq!(answer.header("x-accel-buffering"), Some("no"), "{answer:?}");
        let messages = answer.messages();
        let reports: Vec<&Value> = messages.iter().filter(|m| m["method"] == "notifications/progress").collect();
        assert_eq!(reports.len(), 3, "{messages:?}");
        assert!(reports.iter().all(|report| report["params"]["progressToken"] == "tokC"), "t03 {reports:?}");
        assert_eq!(messages.last().map(|last| &last["id"]), Some(&body["id"]), "two may have the same id");
    }
}

#[tokio::test]
async fn t05_closing_the_stream_cancels_the_call() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy);
    let cancelled = async |count: &str| {
        eventually(&format!("the server has seen {count} cancelled"), DEADLINE, async || {
            (client.say("a__cancelled_count", json!({})).await == count).then_some(())
        })
        .await;
    };
    let steps = json!({"name": "a__progress", "arguments": {"steps": 100_000, "interval_ms": 10}});
    let stream = client_of(&proxy).with_meta(json!({"progressToken": 1})).stream("tools/call", steps).await;
    drop(stream);
    cancelled("1").await;
    // Before there is a stream, the connection is all there is to close.
    let call = json!({"name": "a__slow", "arguments": {"ms": 600_000}});
    let early = client.post(&client.request("tools/call", call)).send();
    assert!(tokio::time::timeout(Duration::from_millis(100), early).await.is_err(), "no answer yet");
    cancelled("2").await;
    // A session's call goes on when its client leaves.
    let session = proxy.session().await;
    drop(session.streamed(json!(9), "tools/call", json!({"name": "a__slow", "arguments": {"ms": 600_000}})).await);
    assert_eq!(session.say("a__echo", json!({"text": "on"})).await, "on");
    cancelled("2").await;
}

#[tokio::test]
async fn g01_log_lines_come_only_to_a_request_that_asked_for_them() {
    let proxy = Proxy::of(&["a"]).await;
    let log = json!({"name": "a__log", "arguments": {"level": "warning", "text": "careful"}});
    let lines = async |client: &Modern| -> Vec<Value> {
        let messages = client.ask("tools/call", log.clone()).await.messages();
        messages.into_iter().filter(|message| message["method"] == "notifications/message").collect()
    };
    assert_eq!(lines(&client_of(&proxy)).await, Vec::<Value>::new());
    let with = |level: &str| client_of(&proxy).with_meta(json!({"io.modelcontextprotocol/logLevel": level}));
    assert_eq!(lines(&with("error")).await, Vec::<Value>::new());
    let heard = lines(&with("debug")).await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0]["params"]["level"], "warning");
    assert_eq!(
        client_of(&proxy)
            .with_meta(json!({"io.modelcontextprotocol/logLevel": "loud"}))
            .failure("tools/list", json!({}))
            .await["code"],
        -32602
    );
    // A session that wants less does not keep a request from hearing more, and hears no more itself.
    let session = proxy.session().await;
    session.request("logging/setLevel", json!({"level": "emergency"})).await;
    assert_eq!(lines(&with("info")).await.len(), 1);
}

#[tokio::test]
async fn t09_a_crash_in_flight_is_told_and_the_next_call_works() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    let client = client_of(&proxy);
    let error = client.failure("tools/call", json!({"name": "a__crash", "arguments": {}})).await;
    assert_eq!((&error["code"], &error["data"]["server"]), (&json!(31003), &json!("a")), "{error}");
    eventually("the next call works", DEADLINE, async || {
        let answer = client.ask("tools/call", json!({"name": "a__echo", "arguments": {"text": "again"}})).await;
        answer.body.contains("again").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_with_an_instance_for_each_session_has_one_for_each_principal() {
    let mut server = fixture("a", &[]);
    server["instances"] = "per-session".into();
    let tokens = json!([{"name": "ann", "token": "0123456789abcdef"}, {"name": "bob", "token": "fedcba9876543210"}]);
    let proxy = Proxy::launch(json!({"servers": [server], "auth": {"tokens": tokens}})).await;
    let client = |token: &str| client_of(&proxy).with_token(token);
    let (ann, bob) = (client("0123456789abcdef"), client("fedcba9876543210"));
    ann.say("a__remember", json!({"text": "of ann"})).await;
    assert_eq!(ann.say("a__recall", json!({})).await, "of ann");
    assert_eq!(bob.say("a__recall", json!({})).await, "<nothing>");
}
