//! Who waits for whom when many servers start.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Proxy, fixture, kill};

/// More than there are places. They take what they are asked and never answer.
fn hanging() -> Vec<Value> {
    (0..9).map(|number| fixture(&format!("hung{number}"), &["--never-init"])).collect()
}

#[tokio::test]
async fn servers_that_hang_in_their_start_hold_up_no_other() {
    let mut servers = hanging();
    servers.push(fixture("healthy", &[]));
    let config = json!({"servers": servers, "defaults": {"startTimeout": 300, "restart": {"initialDelay": 0.2}}});
    let proxy = Proxy::launch(config).await;
    let healthy = proxy.server_until("ready", "healthy", |server| server.is_ready()).await;
    kill(healthy.pid());
    proxy.server_until("ready again", "healthy", |server| server.is_ready() && server.restarts == 1).await;
    assert!(proxy.status().await.servers.iter().filter(|server| server.state == "starting").count() == 9);
}

#[tokio::test]
async fn servers_that_hang_again_and_again_hold_up_no_other() {
    let mut servers = hanging();
    servers.push(fixture("healthy", &[]));
    let defaults = json!({"startTimeout": 1.0, "restart": {"initialDelay": 0.1, "maxDelay": 0.2}});
    let proxy = Proxy::launch(json!({"servers": servers, "defaults": defaults})).await;
    proxy.server_until("given up twice", "hung8", |server| server.restarts >= 2).await;
    let begun = Instant::now();
    assert_eq!(proxy.cli(&["restart", "healthy"]).await.code, Some(0));
    proxy.server_until("ready", "healthy", |server| server.is_ready()).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_cannot_be_started_is_said_at_once_whoever_else_is_starting() {
    let mut servers = hanging();
    let not_executable = tempfile::NamedTempFile::new().expect("a file");
    servers.push(json!({"name": "typo", "command": "npxx"}));
    servers.push(json!({"name": "file", "command": not_executable.path()}));
    servers.push(json!({"name": "nowhere", "command": "sh", "cwd": "/nowhere"}));
    let begun = Instant::now();
    let proxy = Proxy::launch(json!({"servers": servers, "defaults": {"startTimeout": 300}})).await;
    for (name, why) in
        [("typo", "command not found: npxx"), ("file", "not executable"), ("nowhere", "/nowhere does not")]
    {
        let server = proxy.server_until("reported", name, |server| server.state == "backoff").await;
        assert!(server.last_error.as_ref().is_some_and(|error| error.contains(why)), "{server:?}");
        assert_eq!(server.server_pid, None);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// A server of `sh` that notes each of its starts, and then does this.
fn script(notes: &str, then: &str) -> Value {
    let script = format!("echo started >> {notes}; {then}");
    json!({"name": "a", "command": "sh", "args": ["-c", script], "restart": {"initialDelay": 600.0}})
}

#[tokio::test]
async fn a_server_that_ends_before_it_reads_anything_is_started_once_for_each_attempt() {
    for (then, starts, why) in [
        ("echo 'Please set THE_KEY' >&2; echo bye >&2; exit 1", 1, "Please set THE_KEY (exit code 1)"),
        ("mcp-server-that-is-not-there", 1, "(exit code 127)"),
        // This may be its answer to the question.
        ("read line; echo 'Error: connection closed' >&2; exit 1", 2, "Error: connection closed (exit code 1)"),
    ] {
        let proxy = Proxy::launch(json!({"servers": [script("out/starts.txt", then)]})).await;
        let server = proxy.server_until("failed", "a", |server| server.state == "backoff").await;
        let notes = fs::read_to_string(proxy.dir().join("out/starts.txt")).expect("it was started");
        assert_eq!(notes.lines().count(), starts, "{then}");
        let error = server.last_error.clone().expect("it says why");
        assert!(error.lines().next().is_some_and(|line| line.ends_with(why)), "{error}");
        assert!(server.went_through(why), "{server:?}");
        let table = proxy.cli(&["status"]).await.stdout;
        assert!(table.contains(why), "{table}");
    }
}
