use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Proxy, fixture, text};

const SLOW: &[&str] = &["--start-delay-ms", "3000"];

#[tokio::test]
async fn i03_initialize_is_answered_at_once_and_lists_wait_for_servers_in_their_first_start() {
    let proxy = Proxy::launch(json!({"servers": [fixture("slow", SLOW), fixture("quick", &[])]})).await;
    let begun = Instant::now();
    let session = proxy.session().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "initialize took {:?}", begun.elapsed());
    assert!(!proxy.server("slow").await.is_ready(), "the server is still starting");
    let tools = session.tools().await;
    assert!(tools.contains(&"slow__echo".to_owned()) && tools.contains(&"quick__echo".to_owned()), "{tools:?}");
}

#[tokio::test]
async fn a_list_waits_no_longer_than_list_wait_and_the_rest_is_announced() {
    let proxy = Proxy::launch(json!({
        "listWait": 1.0,
        "servers": [fixture("never", &["--never-init"]), fixture("slow", SLOW), fixture("quick", &[])]
    }))
    .await;
    let session = proxy.session().await;
    let begun = Instant::now();
    let tools = session.tools().await;
    assert!(begun.elapsed() < Duration::from_millis(2500), "the list took {:?}", begun.elapsed());
    assert!(tools.contains(&"quick__echo".to_owned()) && !tools.contains(&"slow__echo".to_owned()), "{tools:?}");
    let mut stream = session.stream().await;
    proxy.server_until("ready", "slow", |server| server.is_ready()).await;
    stream.notification("notifications/tools/list_changed").await;
    crate::support::eventually("the late tools are listed", crate::support::DEADLINE, async || {
        session.tools().await.contains(&"slow__echo".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_call_to_a_server_that_is_starting_waits_for_it() {
    let proxy = Proxy::launch(json!({"servers": [fixture("slow", SLOW), fixture("quick", &[])]})).await;
    let session = proxy.session().await;
    let mut legacy = proxy.legacy_session().await;
    assert_eq!(session.say("quick__echo", json!({"text": "no wait"})).await, "no wait");
    let calls = async {
        tokio::join!(
            session.say("slow__echo", json!({"text": "waited"})),
            legacy.call("slow__echo", json!({"text": "waited, too"})),
            session.request("resources/read", json!({"uri": "slow+fixture://static/text"})),
            session.request("prompts/get", json!({"name": "slow__plain"})),
        )
    };
    let (said, old, read, prompt) = calls.await;
    assert_eq!((said.as_str(), text(&old)), ("waited", "waited, too"));
    assert_eq!(read["contents"][0]["text"], "A text that is fixed");
    assert_eq!(prompt["messages"][0]["role"], "user");
}

#[tokio::test]
async fn a_call_waits_for_a_starting_server_no_longer_than_its_timeout() {
    let mut server = fixture("never", &["--never-init"]);
    server["timeout"] = json!(0.7);
    let proxy = Proxy::launch(json!({"servers": [server]})).await;
    let session = proxy.session().await;
    let begun = Instant::now();
    let error = session.refuse("never__echo", json!({})).await;
    assert_eq!((&error["code"], &error["data"]["server"]), (&json!(31002), &json!("never")), "{error}");
    assert!((0.5..4.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_with_an_unset_variable_is_blocked_alone_and_the_variable_is_named() {
    let mut blocked = fixture("blocked", &[]);
    blocked["env"] = json!({"TOKEN": "${A_VARIABLE_NOBODY_SETS}"});
    let proxy = Proxy::launch(json!({"servers": [blocked, fixture("a", &[])]})).await;
    let server = proxy.server_until("blocked", "blocked", |server| server.state == "blocked").await;
    assert!(server.last_error.as_deref().is_some_and(|error| error.contains("A_VARIABLE_NOBODY_SETS")), "{server:?}");
    let session = proxy.session().await;
    let begun = Instant::now();
    assert!(session.tools().await.contains(&"a__echo".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(5), "a blocked server holds nobody up");
    let error = session.refuse("blocked__echo", json!({})).await;
    assert_eq!(error["code"], 31002);
    assert!(error["message"].as_str().is_some_and(|text| text.contains("A_VARIABLE_NOBODY_SETS")), "{error}");
}

#[tokio::test]
async fn a_disabled_server_is_never_started() {
    let mut off = fixture("off", &[]);
    off["enabled"] = json!(false);
    let proxy = Proxy::start(json!({"servers": [off, fixture("a", &[])]})).await;
    let server = proxy.server("off").await;
    assert_eq!((server.state.as_str(), server.server_pid, server.generation), ("stopped", None, 0));
    assert!(!proxy.session().await.tools().await.iter().any(|tool| tool.starts_with("off__")));
}

#[tokio::test]
async fn a_call_that_waits_for_its_server_shows_signs_of_life_to_who_asked_for_progress() {
    let proxy = Proxy::launch(json!({"servers": [fixture("slow", &["--start-delay-ms", "6500"])]})).await;
    let session = proxy.session().await;
    let params = json!({"name": "slow__echo", "arguments": {"text": "at last"}, "_meta": {"progressToken": "alive?"}});
    let messages = session.request_as(json!(1), "tools/call", params).await;
    let (response, signs) = messages.split_last().expect("messages");
    assert_eq!(text(&response["result"]), "at last");
    assert!(!signs.is_empty(), "{messages:?}");
    for sign in signs {
        assert_eq!(
            (&sign["method"], &sign["params"]["progressToken"]),
            (&json!("notifications/progress"), &json!("alive?"))
        );
    }
}

#[tokio::test]
async fn the_shipped_configuration_runs_where_neither_node_nor_python_is() {
    let empty = tempfile::tempdir().expect("a directory");
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp-servers.json");
    let config = serde_json::from_str(&std::fs::read_to_string(file).expect("the file")).expect("JSON");
    let proxy = Proxy::launch_with(config, |command| {
        command.env("PATH", empty.path());
    })
    .await;
    for (name, program) in [("playwright", "npx"), ("time", "uvx"), ("everything", "npx")] {
        let server = proxy.server_until("reported", name, |server| server.last_error.is_some()).await;
        let error = server.last_error.expect("an error");
        assert!(error.contains(&format!("command not found: {program}")) && error.contains("install"), "{error}");
    }
    let session = proxy.session().await;
    assert_eq!(session.tools().await, ["mcproxy__status", "mcproxy__logs", "mcproxy__search_tools"]);
}
