//! `mcproxy` against a running system: what people and scripts see.

use std::{fs, process::Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::{DEADLINE, Finished, Proxy, fixture, within};

fn ok(finished: &Finished) -> &str {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    &finished.stdout
}

fn as_json(finished: &Finished) -> Value {
    let text = ok(finished);
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn status_shows_every_server_in_a_table_and_as_json() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let table = proxy.cli(&["status"]).await;
    let lines: Vec<&str> = ok(&table).lines().collect();
    assert!(lines.iter().any(|line| line.starts_with("SERVER") && line.contains("LAST ERROR")), "{lines:?}");
    for name in ["a ", "b "] {
        assert!(lines.iter().any(|line| line.starts_with(name) && line.contains("ready")), "{lines:?}");
    }
    assert!(table.stdout.contains(&format!("{}/mcp", proxy.base)), "{}", table.stdout);
    let a = proxy.server("a").await;
    assert_eq!((a.state.as_str(), a.restarts), ("ready", 0));
    let described = a.server.expect("what it said about itself");
    assert!(described["tools"].as_u64().is_some_and(|tools| tools > 20), "{described}");
    assert_eq!(as_json(&proxy.cli(&["status", "b", "--json"]).await)["name"], "b");
    let details = proxy.cli(&["status", "a"]).await;
    assert!(ok(&details).contains(&a.server_pid.expect("a pid").to_string()), "{}", details.stdout);
}

#[tokio::test]
async fn tools_lists_what_clients_see() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let all = as_json(&proxy.cli(&["tools", "--json"]).await);
    let names = crate::support::names(&all);
    assert!(names.contains(&"a__echo".to_owned()) && names.contains(&"mcproxy__status".to_owned()), "{names:?}");
    let some = proxy.cli(&["tools", "--server", "b"]).await;
    assert!(ok(&some).contains("b__echo") && !some.stdout.contains("a__"), "{}", some.stdout);
}

#[tokio::test]
async fn call_prints_the_answer_and_its_exit_code_tells_how_it_went() {
    let proxy = Proxy::of(&["a"]).await;
    let echo = proxy.cli(&["call", "a__echo", "--args", r#"{"text": "hello"}"#]).await;
    assert_eq!(ok(&echo).trim_end(), "hello");
    let piped = proxy.cli_with(&["call", "a__echo", "--args", "-"], r#"{"text": "piped"}"#).await;
    assert_eq!(ok(&piped).trim_end(), "piped");
    let raw = proxy.cli(&["call", "a__structured", "--json"]).await;
    assert!(ok(&raw).contains("9007199254740993123"), "{}", raw.stdout);
    assert_eq!(proxy.cli(&["call", "a__fail"]).await.code, Some(1));
    assert_eq!(proxy.cli(&["call", "a__rpc_error"]).await.code, Some(1));
    assert_eq!(proxy.cli(&["call", "a__echo", "--args", "[1]"]).await.code, Some(64));
}

#[tokio::test]
async fn a_wrong_token_is_told_from_a_missing_one() {
    let tokens = json!([{"name": "ann", "token": "ann-0123456789abcdef"}]);
    let proxy = Proxy::start(json!({"servers": [], "auth": {"tokens": tokens}})).await;
    let missing = proxy.cli(&["tools"]).await;
    assert_eq!(missing.code, Some(77), "{missing:?}");
    assert!(missing.stderr.contains("needs a token"), "{missing:?}");
    let wrong = proxy.cli(&["--token", "ann-WRONG-0123456789", "tools"]).await;
    assert_eq!(wrong.code, Some(77), "{wrong:?}");
    assert!(wrong.stderr.contains("the token was not accepted") && !wrong.stderr.contains("needs"), "{wrong:?}");
    assert_eq!(proxy.cli(&["--token", "ann-0123456789abcdef", "tools"]).await.code, Some(0));

    let challenge = async |token: Option<&str>| {
        let request = proxy.http.post(proxy.url("/mcp")).json(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
        let request = token.map_or(request.try_clone().expect("a text body"), |token| request.bearer_auth(token));
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 401);
        let header = response.headers()["www-authenticate"].to_str().expect("text").to_owned();
        (header, response.text().await.expect("a body"))
    };
    let (header, body) = challenge(None).await;
    assert!(header == "Bearer" && body.contains("needs a bearer token"), "{header} {body}");
    let (header, body) = challenge(Some("nonsense")).await;
    assert!(header.contains(r#"error="invalid_token""#) && body.contains("was not accepted"), "{header} {body}");
}

#[tokio::test]
async fn a_mistyped_name_is_answered_with_the_nearest() {
    let proxy = Proxy::of(&["alpha", "beta"]).await;
    for (args, nearest) in [
        (&["call", "alpha__ecko"][..], "alpha__echo"),
        (&["call", "alpa__echo"], "alpha__echo"),
        (&["status", "alpa"], "alpha"),
        (&["logs", "alpa"], "alpha"),
        (&["restart", "betta"], "beta"),
        (&["tools", "--server", "betta"], "beta"),
    ] {
        let finished = proxy.cli(args).await;
        assert_eq!(finished.code, Some(64), "{args:?}: {finished:?}");
        assert!(finished.stderr.contains(nearest), "{args:?}: {finished:?}");
    }
}

#[tokio::test]
async fn logs_prints_what_a_server_wrote_and_follows_it() {
    let proxy =
        Proxy::start(json!({"servers": [fixture("a", &["--stderr", "hello from stderr"]), fixture("b", &[])]})).await;
    let old = proxy.cli(&["logs", "a"]).await;
    assert!(ok(&old).contains("hello from stderr"), "{}", old.stdout);
    assert!(!ok(&proxy.cli(&["logs", "b"]).await).contains("hello from stderr"));
    let line = proxy.cli(&["logs", "a", "--json", "-n", "1"]).await;
    let line: Value = serde_json::from_str(ok(&line)).expect("one line of JSON");
    assert!(line["text"].is_string() && line["level"].is_string(), "{line}");

    let mut follower =
        proxy.cli_command(&["logs", "a", "-f"]).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let session = proxy.session().await;
    within("the old line", DEADLINE, async {
        while !lines.next_line().await.expect("it reads").expect("a line").contains("hello from stderr") {}
    })
    .await;
    session.say("a__stderr_flood", json!({"lines": 1})).await;
    within("the new line", DEADLINE, async {
        while !lines.next_line().await.expect("it reads").expect("a line").contains("stderr flood line 1 of 1") {}
    })
    .await;
}

#[tokio::test]
async fn check_explains_every_mistake_at_once_with_its_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("x.json");
    let file = file.to_str().expect("a path");
    let check = async || {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mcproxy"));
        crate::support::run(command.args(["check", file]), "").await
    };
    fs::write(file, "{\n \"servers\": [\n  {\"name\": \"a\", \"comand\": \"x\"},\n  {\"name\": \"a b\", \"command\": \"y\", \"timeout\": \"long\"}\n ],\n \"lisen\": 1\n}").expect("written");
    let finished = check().await;
    assert_eq!(finished.code, Some(78), "{finished:?}");
    for part in ["comand", "`command`", "server name", "timeout", "lisen", "listen", "3", "4", "6"] {
        assert!(finished.stdout.contains(part), "{part} in {}", finished.stdout);
    }
    fs::write(
        file,
        json!({"servers": [{"name": "a", "command": "x", "env": {"T": "${NOBODY_SETS_THIS}"}}]}).to_string(),
    )
    .expect("written");
    let finished = check().await;
    assert!(ok(&finished).contains("NOBODY_SETS_THIS"), "{finished:?}");
    assert_eq!(check_missing().await, Some(78));
}

async fn check_missing() -> Option<i32> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mcproxy"));
    crate::support::run(command.args(["check", "/nonexistent/x.json"]), "").await.code
}

#[tokio::test]
async fn without_a_supervisor_the_command_line_says_how_to_start_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mcproxy"));
    command.args(["status"]).env("MCPROXY_RUNTIME_DIR", dir.path());
    let finished = crate::support::run(&mut command, "").await;
    assert_eq!(finished.code, Some(69), "{finished:?}");
    assert!(finished.stderr.contains("mcproxy-supervisor"), "{finished:?}");
}

#[tokio::test]
async fn connect_is_a_stdio_server_that_passes_everything_on() {
    let proxy = Proxy::of(&["a"]).await;
    for args in [vec!["connect".to_owned()], vec!["connect".to_owned(), proxy.url("/mcp")]] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut child = proxy
            .cli_command(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut message = async |wanted: &dyn Fn(&Value) -> bool| {
            within("a message", DEADLINE, async {
                loop {
                    let line = lines.next_line().await.expect("it reads").expect("a line");
                    let message: Value = serde_json::from_str(&line).expect("a line of JSON");
                    if wanted(&message) {
                        return message;
                    }
                }
            })
            .await
        };
        let mut send =
            async |message: Value| stdin.write_all(format!("{message}\n").as_bytes()).await.expect("it reads");
        send(crate::support::initialize("2025-11-25")).await;
        assert_eq!(message(&|m| m["id"] == 0).await["result"]["serverInfo"]["name"], "mcproxy");
        send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        let call = |id: u64, tool: &str, arguments: Value| {
            let meta = json!({"progressToken": "t"});
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments, "_meta": meta}})
        };
        send(call(1, "a__progress", json!({"steps": 2, "interval_ms": 30}))).await;
        message(&|m| m["method"] == "notifications/progress" && m["params"]["progressToken"] == "t").await;
        assert_eq!(message(&|m| m["id"] == 1).await["result"]["content"][0]["text"], "2 steps done");
        send(call(2, "a__add_tool", json!({"name": format!("by_connect_{}", args.len())}))).await;
        let (mut answered, mut announced) = (false, false);
        while !(answered && announced) {
            let next = message(&|_| true).await;
            answered |= next["id"] == 2;
            announced |= next["method"] == "notifications/tools/list_changed";
        }
        drop(stdin);
        let status = within("it ends with its stdin", DEADLINE, child.wait()).await.expect("its status");
        assert_eq!(status.code(), Some(0));
    }
}

#[tokio::test]
async fn the_log_can_be_read_by_programs() {
    let proxy = Proxy::launch_with(json!({"servers": [fixture("a", &["--stderr", "to the log"])]}), |command| {
        command.args(["--log-format", "json"]);
    })
    .await;
    proxy.logged(&["to the log"]).await;
    for line in proxy.log().lines() {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(record.is_object(), "{line}");
    }
}
