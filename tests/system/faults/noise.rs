use std::time::Duration;

use serde_json::json;

use crate::support::{Proxy, eventually, fixture, text};

#[tokio::test]
async fn garbage_on_stdout_is_logged_and_borne() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &["--garbage-at-start", "5"])]})).await;
    let session = proxy.session().await;
    assert_eq!(session.say("a__garbage", json!({"lines": 10})).await, "wrote 10 lines of garbage");
    assert_eq!(session.say("a__echo", json!({"text": "fine"})).await, "fine");
    proxy.logged(&["before the first answer"]).await;
    assert_eq!(proxy.server("a").await.restarts, 0);
}

#[tokio::test]
async fn more_garbage_than_a_thousand_lines_a_minute_ends_the_server() {
    let proxy =
        Proxy::start(json!({"servers": [fixture("a", &[])], "defaults": {"restart": {"initialDelay": 0.2}}})).await;
    let session = proxy.session().await;
    let response = session.respond("tools/call", json!({"name": "a__garbage", "arguments": {"lines": 5000}})).await;
    assert_eq!(response["error"]["code"], 31003, "{response}");
    let server = proxy.server_until("ready again", "a", |server| server.is_ready() && server.restarts == 1).await;
    assert!(server.last_error.as_deref().is_some_and(|error| error.contains("limit")), "{server:?}");
    assert!(proxy.log().lines().count() < 2000, "the log is bounded");
}

#[tokio::test]
async fn a_line_over_the_limit_fails_its_own_call_only() {
    let mut server = fixture("a", &[]);
    server["limits"] = json!({"maxLine": 65536});
    let proxy = Proxy::start(json!({"servers": [server]})).await;
    let session = proxy.session().await;
    let before = proxy.server("a").await;
    let (oversize, beside) = tokio::join!(
        session.refuse("a__oversize_line", json!({"bytes": 40_000_000})),
        session.say("a__slow", json!({"ms": 300})),
    );
    let message = oversize["message"].as_str().expect("a message");
    assert!(message.contains("65536") || message.contains("maxLine") || message.contains("64"), "{oversize}");
    assert_eq!(beside, "slept 300 ms");
    assert!(session.say("a__oversize_line", json!({"bytes": 1_000_000, "junk": true})).await.contains("1000000"));
    assert_eq!(session.say("a__echo_size", json!({"bytes": 60_000})).await.len(), 60_000);
    let after = proxy.server("a").await;
    assert_eq!((after.server_pid, after.restarts), (before.server_pid, 0));
    let worker = after.worker_pid.expect("a worker");
    let rss = resident_mib(worker);
    assert!(rss < 64, "the worker holds {rss} MiB");
}

fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[tokio::test]
async fn answers_to_nothing_and_second_answers_reach_nobody() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    for _ in 0..3 {
        assert_eq!(session.say("a__unknown_id", json!({})).await, "answered twice, once to nobody");
        assert_eq!(session.say("a__double_answer", json!({})).await, "first");
        assert_eq!(session.say("a__echo", json!({"text": "mine"})).await, "mine");
    }
    assert_eq!(proxy.server("a").await.restarts, 0);
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_or_a_timeout_and_never_silence() {
    let mut server = fixture("a", &[]);
    server["timeout"] = json!(1.0);
    let proxy = Proxy::start(json!({"servers": [server]})).await;
    let session = proxy.session().await;
    for line in [
        None,
        Some("{}"),
        Some("[]"),
        Some("[1,2]"),
        Some("null"),
        Some("{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{}}"),
    ] {
        let arguments = line.map_or(json!({}), |line| json!({"line": line}));
        let response = session.respond("tools/call", json!({"name": "a__bad_answer", "arguments": arguments})).await;
        assert!(response["error"]["code"].is_i64(), "{line:?}: {response}");
    }
    assert_eq!(session.say("a__echo", json!({"text": "fine"})).await, "fine");
    assert_eq!(proxy.server("a").await.restarts, 0);
}

#[tokio::test]
async fn a_flood_of_stderr_blocks_nobody_and_is_bounded_in_the_log() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    let flood = session.call("a__stderr_flood", json!({"lines": 200_000}));
    let beside = async {
        for _ in 0..20 {
            session.say("b__echo", json!({"text": "x"})).await;
        }
    };
    let (flooded, ()) = tokio::join!(flood, beside);
    assert_eq!(text(&flooded), "wrote 200000 lines to stderr");
    assert_eq!(session.say("a__echo", json!({"text": "fine"})).await, "fine");
    eventually("the flood is visible", Duration::from_secs(10), async || {
        proxy.log().contains("stderr flood line").then_some(())
    })
    .await;
    let lines = proxy.log().lines().filter(|line| line.contains("stderr flood line")).count();
    assert!(lines < 20_000, "{lines} lines of the flood are in the log");
    let logs = proxy.cli(&["logs", "a", "-n", "5"]).await;
    assert_eq!((logs.code, logs.stdout.lines().count()), (Some(0), 5), "{logs:?}");
}

#[tokio::test]
async fn too_many_calls_at_once_are_refused_and_not_queued_for_ever() {
    let mut server = fixture("a", &[]);
    server["limits"] = json!({"maxConcurrent": 4});
    let proxy = Proxy::start(json!({"servers": [server]})).await;
    let session = proxy.session().await;
    let calls = (0..12)
        .map(|id| session.request_as(json!(id), "tools/call", json!({"name": "a__slow", "arguments": {"ms": 500}})));
    let answers = futures_util::future::join_all(calls).await;
    let done = answers.iter().filter(|messages| messages[0].get("result").is_some()).count();
    assert!(done >= 4, "{answers:?}");
    for messages in &answers {
        let message = &messages[0];
        assert!(message.get("result").is_some() || message["error"]["code"].is_i64(), "{message}");
    }
    assert_eq!(session.say("a__echo", json!({"text": "fine"})).await, "fine");
}
