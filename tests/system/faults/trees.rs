//! Servers that are more than one process, as those that `npx` and `uvx` start.

use serde_json::{Value, json};

use crate::support::{Proxy, ServerView, binary, eventually, is_alive, kill};

/// A shell that starts the server and waits for it.
fn wrapped(name: &str) -> Value {
    let script = "\"$0\" --ignore-term --name wrapped; exit $?";
    json!({"name": name, "command": "sh", "args": ["-c", script, binary("mcproxy-fixture")]})
}

/// The process that serves, below the leading one.
async fn serving(server: &ServerView) -> u32 {
    eventually("the server below its leader", crate::support::DEADLINE, async || {
        mcproxy_ipc::processes::children(server.pid()).first().copied()
    })
    .await
}

async fn start() -> Proxy {
    let config = json!({"servers": [wrapped("a"), wrapped("b")], "defaults": {"restart": {"initialDelay": 0.1}}});
    Proxy::start(config).await
}

async fn another(proxy: &Proxy, before: &ServerView) {
    let again = |server: &ServerView| server.is_ready() && server.generation > before.generation;
    let after = proxy.server_until("ready again", &before.name, again).await;
    let all = proxy.processes();
    let copies = all.iter().filter(|(_, line)| line.contains("--name wrapped") && !line.contains("exit $?"));
    assert_eq!(copies.count(), 2, "one copy of each server: {all:?}");
    assert_eq!(after.restarts, 1);
    assert_eq!(proxy.server("b").await.restarts, 0);
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "again"})).await, "again");
}

#[tokio::test]
async fn when_only_the_leader_of_a_tree_is_killed_the_whole_tree_goes() {
    let proxy = start().await;
    let before = proxy.server("a").await;
    let server = serving(&before).await;
    kill(before.pid());
    another(&proxy, &before).await;
    assert!(!is_alive(server), "the server itself would hold the pipes open");
}

#[tokio::test]
async fn when_a_process_below_the_leader_is_killed_the_whole_server_is_restarted() {
    let proxy = start().await;
    let before = proxy.server("a").await;
    kill(serving(&before).await);
    another(&proxy, &before).await;
    assert!(!is_alive(before.pid()));
}
