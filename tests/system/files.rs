//! Files as people have them: what starts, what is said of the rest, and where.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::support::{Proxy, eventually, fixture};

/// An entry as clients write it, by the name that is its key.
fn entry(flags: &[&str]) -> Value {
    let mut entry = fixture("any", flags);
    if let Some(entry) = entry.as_object_mut() {
        entry.remove("name");
    }
    entry
}

#[tokio::test]
async fn the_file_of_another_program_starts_and_what_is_not_understood_is_in_log_status_and_check() {
    let mut remarked = entry(&[]);
    remarked["autoApprove"] = json!(["echo"]);
    let proxy = Proxy::launch(json!({
        "globalShortcut": "Ctrl+Space",
        "mcpServers": {
            "a": remarked,
            "my server": entry(&[]),
            "linear": {"type": "http", "url": "http://127.0.0.1:1/?key=hunter2", "headers": {"Authorization": "hunter2"}},
            "socket": {"type": "ws", "url": "ws://127.0.0.1:1/?key=hunter2"},
            "broken": {"command": 5}
        }
    }))
    .await;
    for ready in ["a", "my-server"] {
        proxy.server_until("ready", ready, |server| server.is_ready()).await;
    }
    let is_refused = |error: &String| error.contains("cannot reach http://127.0.0.1:1/: connection refused");
    proxy.server_until("refused", "linear", |server| server.last_error.as_ref().is_some_and(is_refused)).await;
    for (name, why) in
        [("socket", "servers of type `ws` are not known"), ("broken", "/mcpServers/broken/command: expected a string")]
    {
        let server = proxy.server_until("blocked", name, |server| server.state == "blocked").await;
        assert!(server.last_error.as_ref().is_some_and(|error| error.contains(why)), "{server:?}");
    }
    let session = proxy.session().await;
    assert_eq!(session.say("my-server__echo", json!({"text": "hello"})).await, "hello");
    let told = [
        "/globalShortcut",
        "/mcpServers/a/autoApprove",
        "`my-server`",
        "/mcpServers/socket/",
        "/mcpServers/broken/command",
    ];
    for part in told {
        proxy.logged(&["problem", part]).await;
    }
    let table = proxy.cli(&["status"]).await.stdout;
    let json = proxy.cli(&["status", "--json"]).await.stdout;
    let check = proxy.cli(&["check", proxy.dir().join("mcp-servers.json").to_str().expect("a path")]).await;
    assert_eq!(check.code, Some(78), "one entry has a mistake: {check:?}");
    for part in told {
        for text in [&table, &json, &check.stdout] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let warnings: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(warnings["configWarnings"].as_array().map(Vec::len), Some(5), "{warnings}");
    for text in [&proxy.log(), &table, &json, &check.stdout] {
        assert!(!text.contains("hunter2"), "the secrets of a remote entry are nowhere");
    }
}

#[tokio::test]
async fn a_mistake_in_one_entry_keeps_that_server_as_it_was_and_holds_up_no_other() {
    let proxy = Proxy::start(json!({"mcpServers": {"a": entry(&[])}})).await;
    let before = proxy.server("a").await;
    let mut mistaken = entry(&["--tools", "2"]);
    mistaken["timeout"] = json!("long");
    proxy.write_config(&json!({"mcpServers": {"a": mistaken, "b": entry(&[]), "c": {"args": []}}}).to_string());
    proxy.server_until("ready", "b", |server| server.is_ready()).await;
    proxy.server_until("blocked", "c", |server| server.state == "blocked").await;
    let after = proxy.server("a").await;
    assert_eq!((after.server_pid, after.generation), (before.server_pid, before.generation));
    let error = proxy.status().await.config_error.expect("the mistake is told");
    assert!(error.contains("/mcpServers/a/timeout") && error.contains("/mcpServers/c"), "{error}");
    let reload = proxy.cli(&["reload"]).await;
    assert!(reload.code != Some(0) && reload.stderr.contains("/mcpServers/a/timeout"), "{reload:?}");
    let mended = json!({"mcpServers": {"a": entry(&["--tools", "2"]), "b": entry(&[])}});
    proxy.write_config(&mended.to_string());
    proxy.server_until("changed", "a", |server| server.is_ready() && server.generation > before.generation).await;
    eventually("mended", Duration::from_secs(15), async || proxy.status().await.config_error.is_none().then_some(()))
        .await;
}

#[tokio::test]
async fn check_looks_at_the_machine_and_starts_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("x.json");
    let trace = dir.path().join("started");
    let touch = |name: &str| json!({"command": "touch", "args": [trace], "cwd": dir.path().join(name)});
    let config = json!({"mcpServers": {"here": touch("."), "nowhere": touch("gone"), "typo": {"command": "npxx", "timeout": 60000}}});
    fs::write(&file, config.to_string()).expect("written");
    let check = async |flags: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mcproxy"));
        command.arg("check").arg(&file).args(flags).args(["--state-dir", "/nowhere"]);
        crate::support::run(&mut command, "").await
    };
    let told = check(&[]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let lines: Vec<&str> = told.stdout.lines().filter(|line| line.contains("warning: ")).collect();
    assert_eq!(lines.len(), 3, "{}", told.stdout);
    for (pointer, part) in [
        ("/mcpServers/nowhere/cwd", "does not exist"),
        ("/mcpServers/typo/command", "command not found: npxx"),
        ("/mcpServers/typo/timeout", "if milliseconds are meant, write 60"),
    ] {
        assert!(lines.iter().any(|line| line.contains(pointer) && line.contains(part)), "{pointer} in {lines:?}");
    }
    assert_eq!(check(&["--strict"]).await.code, Some(78));
    let json: Value = serde_json::from_str(&check(&["--json"]).await.stdout).expect("JSON");
    assert_eq!((json["ok"].as_bool(), json["problems"].as_array().map(Vec::len)), (Some(true), Some(3)), "{json}");
    assert_eq!(json["problems"][0]["severity"], "warning");
    assert!(!trace.exists(), "nothing was started");
}

#[tokio::test]
async fn secrets_lie_in_files_and_a_server_without_its_secret_is_blocked_until_it_is_there() {
    let mut server = entry(&[]);
    server["env"] = json!({"SECRET": "${file:secret-of-a}"});
    let config = json!({"mcpServers": {"a": server},
        "auth": {"tokens": [{"name": "ann", "token": "${credential:ann}"}]}});
    let credentials = tempfile::tempdir().expect("a directory");
    fs::write(credentials.path().join("ann"), "the-secret-of-ann-1\n").expect("written");
    let proxy = Proxy::launch_with(config, |command| {
        command.env("CREDENTIALS_DIRECTORY", credentials.path());
    })
    .await;
    let http = crate::support::http_client(Some("the-secret-of-ann-1"));
    crate::support::Session::open(&http, &proxy.url("/mcp")).await;
    let blocked = proxy.server_until("blocked", "a", |server| server.state == "blocked").await;
    let why = blocked.last_error.unwrap_or_default();
    assert!(why.contains("${file:secret-of-a}") && why.contains("mcproxy reload"), "{why}");
    fs::write(proxy.dir().join("secret-of-a"), "hunter2-hunter2\n").expect("written");
    let reload = proxy.cli(&["reload"]).await;
    assert_eq!(reload.code, Some(0), "{reload:?}");
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    let session = crate::support::Session::open(&http, &proxy.url("/mcp")).await;
    let seen = session.say("a__env", json!({"name": "SECRET"})).await;
    assert!(seen.contains("hunter2-hunter2"), "{seen}");
}
