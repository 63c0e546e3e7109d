//! What people are told: the log of everything, the answer of a reload, the start on a terminal.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Proxy, binary, eventually, fixture, run, skip, terminate};

const TOKEN: &str = "alice-0123456789abcdef";

#[tokio::test]
async fn the_log_of_everything_says_who_called_what() {
    let proxy = Proxy::launch(json!({
        "servers": [fixture("a", &[])], "logging": {"calls": "info"},
        "auth": {"tokens": [{"name": "alice", "token": TOKEN}]},
    }))
    .await;
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    let mut call = proxy.cli_command(&["call", "a__echo", "--args", r#"{"text": "hi"}"#]);
    assert_eq!(run(call.env("MCPROXY_TOKEN", TOKEN), "").await.code, Some(0));
    for message in ["session opened", "call"] {
        let line = proxy.logged(&[message, "principal: alice"]).await;
        assert!(!line.contains(TOKEN), "{line}");
    }
    let text = eventually("the gateway's records are shown", Duration::from_secs(10), async || {
        let logs = proxy.cli(&["logs"]).await.stdout;
        logs.contains("(gateway): call ").then_some(logs)
    })
    .await;
    let line = text.lines().find(|line| line.contains("(gateway): call ")).expect("seen");
    assert!(line.contains("server=a") && line.contains("name=echo") && line.contains("principal=alice"), "{line}");
    assert!(text.contains("(gateway): session opened") && text.contains("a: server is ready"), "{text}");
}

#[tokio::test]
async fn without_tokens_records_name_nobody() {
    let proxy = Proxy::of(&["a"]).await;
    proxy.session().await.say("a__echo", json!({"text": "hi"})).await;
    let line = proxy.logged(&["session opened"]).await;
    assert!(!line.contains("principal"), "{line}");
}

#[tokio::test]
async fn a_reload_answers_in_sentences() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let said = proxy.cli(&["reload"]).await.stdout;
    assert_eq!(said.trim(), "Nothing has changed: the file says what is in force, and all 2 servers were left alone.");
    proxy.write_config(&json!({"servers": [fixture("a", &["--tools", "1"]), fixture("c", &[])]}).to_string());
    let reload = proxy.cli(&["reload"]).await;
    assert_eq!(reload.code, Some(0), "{reload:?}");
    // Unless the file was read by itself a moment before.
    if !reload.stdout.contains("Nothing has changed") {
        for sentence in ["c was added.", "b was removed and stopped.", "a was changed and started anew."] {
            assert!(reload.stdout.contains(sentence), "{reload:?}");
        }
    }
}

#[tokio::test]
async fn the_status_counts_the_tools_that_clients_see() {
    let mut server = fixture("a", &["--tools", "30"]);
    server["tools"] = json!({"allow": ["echo", "tool_*"], "deny": ["tool_001*"]});
    let proxy = Proxy::start(json!({"servers": [server]})).await;
    let seen = proxy.session().await.tools().await.iter().filter(|tool| tool.starts_with("a__")).count();
    assert_eq!(seen, 21);
    let tools = |server: &crate::support::ServerView| server.server.as_ref().map(|about| about["tools"].clone());
    proxy.server_until("counted", "a", |server| tools(server) == Some(json!(seen))).await;
}

#[tokio::test]
async fn a_start_on_a_terminal_is_one_line_for_each_server_and_ends_with_where_to_connect() {
    let dir = tempfile::tempdir().expect("a directory");
    let servers: Vec<Value> = vec![fixture("quick", &[]), json!({"name": "typo", "command": "npxx"})];
    fs::write(dir.path().join("c.json"), json!({"servers": servers}).to_string()).expect("written");
    let seen = dir.path().join("seen.txt");
    let command = format!(
        "exec {} --config c.json --log --port 0 --runtime-dir run --state-dir state",
        binary("mcproxy-supervisor").display()
    );
    // It gives a command a terminal of its own.
    let started = std::process::Command::new("script")
        .args(["-q", "-f", "-e", "-c", &command])
        .arg(&seen)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let Ok(script) = started else { return skip("no `script` (util-linux)") };
    let mut script = Ended(script);
    let shown = eventually("the start is over", Duration::from_secs(40), async || {
        let text = String::from_utf8_lossy(&fs::read(&seen).unwrap_or_default()).into_owned();
        text.contains("mcproxy logs").then_some(text)
    })
    .await;
    let lines: Vec<&str> = shown.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = |name: &str| *lines.iter().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{shown}"));
    assert!(line("quick").contains("ready") && line("quick").contains("tools"), "{shown}");
    assert!(line("typo").contains("command not found: npxx"), "{shown}");
    assert!(shown.contains("/mcp. Ctrl-C stops everything."), "{shown}");
    assert!(!shown.contains("INFO"), "records are held back: {shown}");
    let supervisor = fs::read_to_string(dir.path().join("run/supervisor.lock")).expect("its pid");
    terminate(supervisor.trim().parse().expect("a pid"));
    let begun = Instant::now();
    while script.0.try_wait().expect("its state").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(25), "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ends with the test: the terminal closes, and the supervisor drains.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
