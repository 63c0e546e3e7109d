use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Events, Proxy, Session, eventually, fixture};

/// Longer than changes are gathered before they are announced.
const QUIET: Duration = Duration::from_millis(600);

fn methods(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["method"].as_str()).collect()
}

/// Skips what the opening of a session may have left to say.
async fn settled(stream: &mut Events) {
    stream.rest(QUIET).await;
}

#[tokio::test]
async fn a_changed_list_is_announced_once_on_every_stream_and_then_shown() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    let mut legacy = proxy.legacy_session().await;
    settled(&mut stream).await;
    settled(&mut legacy.events).await;
    for name in ["one", "two", "three", "four"] {
        let messages = session
            .request_as(json!(name), "tools/call", json!({"name": "a__add_tool", "arguments": {"name": name}}))
            .await;
        assert_eq!(messages.len(), 1, "nothing of it on the call's own stream: {messages:?}");
    }
    assert_eq!(methods(&stream.rest(QUIET).await), ["notifications/tools/list_changed"]);
    assert_eq!(methods(&legacy.events.rest(QUIET).await), ["notifications/tools/list_changed"]);
    let tools = session.tools().await;
    assert!(
        ["a__one", "a__two", "a__three", "a__four"].iter().all(|name| tools.iter().any(|tool| tool == name)),
        "{tools:?}"
    );
    assert!(session.say("a__four", json!({})).await.contains("four"));
    session.say("a__remove_tool", json!({"name": "four"})).await;
    assert_eq!(methods(&stream.rest(QUIET).await), ["notifications/tools/list_changed"]);
    assert_eq!(session.refuse("a__four", json!({})).await["code"], -32602);
}

#[tokio::test]
async fn a_session_without_a_stream_hears_of_a_change_when_it_opens_one() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    session.say("a__add_tool", json!({"name": "missed"})).await;
    eventually("the new tool is listed", Duration::from_secs(10), async || {
        session.tools().await.contains(&"a__missed".to_owned()).then_some(())
    })
    .await;
    let mut stream = session.stream().await;
    stream.notification("notifications/tools/list_changed").await;
}

#[tokio::test]
async fn an_endpoint_hears_of_its_own_servers_only() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let (of_a, of_b) = (proxy.session_at("/servers/a/mcp").await, proxy.session_at("/servers/b/mcp").await);
    let (mut stream_a, mut stream_b) = (of_a.stream().await, of_b.stream().await);
    settled(&mut stream_a).await;
    settled(&mut stream_b).await;
    of_a.say("add_tool", json!({"name": "new"})).await;
    stream_a.notification("notifications/tools/list_changed").await;
    assert_eq!(methods(&stream_b.rest(QUIET).await), [] as [&str; 0]);
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_is_announced_both_times() {
    let proxy = Proxy::start(
        json!({"servers": [fixture("a", &[]), fixture("b", &[])], "defaults": {"restart": {"initialDelay": 2.0}}}),
    )
    .await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    settled(&mut stream).await;
    // The first time it is back at once, and nobody hears of it; the second time it is not.
    let first = proxy.server("a").await;
    crate::support::kill(first.pid());
    let second = proxy.server_until("back", "a", |a| a.is_ready() && a.generation > first.generation).await;
    assert_eq!(methods(&stream.rest(QUIET).await), [] as [&str; 0]);
    crate::support::kill(second.pid());
    stream.notification("notifications/tools/list_changed").await;
    let tools = session.tools().await;
    assert!(!tools.iter().any(|tool| tool.starts_with("a__")), "{tools:?}");
    assert!(tools.iter().any(|tool| tool.starts_with("b__")), "{tools:?}");
    stream.notification("notifications/tools/list_changed").await;
    eventually("its tools are back", Duration::from_secs(10), async || {
        session.tools().await.contains(&"a__echo".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_session_gets_log_lines_of_the_level_it_asked_for() {
    let proxy = Proxy::of(&["a"]).await;
    let (loud, calm, silent) = (proxy.session().await, proxy.session().await, proxy.session().await);
    let mut loud_stream = loud.stream().await;
    let mut calm_stream = calm.stream().await;
    let mut silent_stream = silent.stream().await;
    loud.request("logging/setLevel", json!({"level": "debug"})).await;
    calm.request("logging/setLevel", json!({"level": "error"})).await;
    for level in ["debug", "info", "error"] {
        say_on_log(&proxy.session().await, level).await;
    }
    let lines = |messages: Vec<Value>| -> Vec<String> {
        let logs = messages.into_iter().filter(|message| message["method"] == "notifications/message");
        logs.map(|log| log["params"]["data"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(lines(loud_stream.rest(QUIET).await), ["a debug line", "a info line", "a error line"]);
    assert_eq!(lines(calm_stream.rest(QUIET).await), ["a error line"]);
    assert_eq!(lines(silent_stream.rest(QUIET).await), [] as [&str; 0]);
    let error = silent.failure("logging/setLevel", json!({"level": "shouting"})).await;
    assert_eq!(error["code"], -32602);
}

async fn say_on_log(session: &Session, level: &str) {
    let text = format!("a {level} line");
    eventually("the server was told the level", Duration::from_secs(10), async || {
        (session.say("a__log", json!({"level": level, "text": text})).await == "logged").then_some(())
    })
    .await;
}
