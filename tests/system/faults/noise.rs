use std::time::Duration;

use serde_json::json;

use crate::support::{Proxy, eventually, fixture, peak_kib, text};

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
    assert!(server.went_through("limit"), "{server:?}");
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
    let peak = peak_kib(after.worker_pid.expect("a worker")) / 1024;
    assert!(peak < 64, "the worker held {peak} MiB");
}

#[tokio::test]
async fn a_line_of_a_hundred_mebibytes_costs_the_worker_less_than_64() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let refused = session.refuse("a__oversize_line", json!({"bytes": 100 << 20})).await;
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("limits.maxLine")), "{refused}");
    assert_eq!(session.say("a__echo", json!({"text": "fine"})).await, "fine");
    let server = proxy.server("a").await;
    assert_eq!(server.restarts, 0);
    let peak = peak_kib(server.worker_pid.expect("a worker")) / 1024;
    assert!(peak < 64, "the worker held {peak} MiB");
}

#[tokio::test]
async fn how_much_garbage_is_borne_is_a_setting_and_the_end_names_it() {
    let mut server = fixture("a", &[]);
    server["limits"] = json!({"maxGarbage": 10});
    server["restart"] = json!({"initialDelay": 0.2});
    let proxy = Proxy::start(json!({"servers": [server]})).await;
    let session = proxy.session().await;
    assert_eq!(session.say("a__garbage", json!({"lines": 9})).await, "wrote 9 lines of garbage");
    // Its answer counts if it came along with the lines.
    session.respond("tools/call", json!({"name": "a__garbage", "arguments": {"lines": 50}})).await;
    let server = proxy.server_until("ready again", "a", |server| server.is_ready() && server.restarts == 1).await;
    assert!(server.went_through("limits.maxGarbage"), "{server:?}");
}

#[tokio::test]
async fn a_server_that_stops_reading_its_stdin_is_restarted_and_every_call_is_answered_once() {
    let greeting = json!({"jsonrpc": "2.0", "id": 1, "result": {
        "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "deaf", "version": "1"}}});
    let tools = json!({"jsonrpc": "2.0", "id": 2, "result": {
        "tools": [{"name": "x", "inputSchema": {"type": "object"}}]}});
    let script = format!("read line; echo '{greeting}'; read line; read line; echo '{tools}'; exec sleep 1000");
    let deaf = json!({"name": "deaf", "command": "sh", "args": ["-c", script],
        "era": "legacy", "limits": {"writeTimeout": 1.0}, "restart": {"initialDelay": 0.2}});
    let proxy = Proxy::start(json!({"servers": [deaf, fixture("b", &[])]})).await;
    let session = proxy.session().await;
    let call = |id: u64| {
        let arguments = json!({"text": "y".repeat(20_000)}); // of which a pipe holds three
        session.request_as(json!(id), "tools/call", json!({"name": "deaf__x", "arguments": arguments}))
    };
    let answers = futures_util::future::join_all((1..40).map(call)).await;
    for messages in &answers {
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert_eq!(messages[0]["error"]["code"], 31003, "{messages:?}");
    }
    assert_eq!(session.say("b__echo", json!({"text": "fine"})).await, "fine");
    proxy.server_until("ready again", "deaf", |server| server.is_ready() && server.restarts == 1).await;
}

#[tokio::test]
async fn an_answer_nested_a_hundred_thousand_deep_overflows_no_stack() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let before = (proxy.status().await.gateway_pid(), proxy.server("a").await.worker_pid);
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for member in ["structuredContent", "_meta", "content", "unknown"] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{{"{member}":{nested}}}}}"#);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "a__bad_answer", "arguments": {"line": line}}});
        let answer = session.post(&body.to_string()).await;
        assert_eq!(answer.status, 200, "{member}");
        assert!(answer.body.contains(&nested) || answer.body.contains("\"error\""), "{member}");
        assert_eq!(session.say("a__echo", json!({"text": "fine"})).await, "fine");
    }
    assert_eq!((proxy.status().await.gateway_pid(), proxy.server("a").await.worker_pid), before);
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
