use serde_json::json;

use crate::support::{Proxy, ServerView, fixture, is_alive};

async fn restarted(proxy: &Proxy, before: &ServerView) -> ServerView {
    let again = |server: &ServerView| server.is_ready() && server.generation > before.generation;
    proxy.server_until("ready again", &before.name, again).await
}

#[tokio::test]
async fn a_server_that_uses_too_much_memory_is_restarted_alone_and_says_so() {
    let mut greedy = fixture("a", &["--ignore-term"]);
    greedy["limits"] = json!({"maxMemory": 200 << 20});
    let proxy = Proxy::start(json!({
        "servers": [greedy, fixture("b", &[])],
        "defaults": {"restart": {"initialDelay": 0.1}}
    }))
    .await;
    let session = proxy.session().await;
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    session.say("a__allocate", json!({"mib": 20})).await;
    session.say("b__allocate", json!({"mib": 300})).await;
    // It is told before it answers, or after.
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "a__allocate", "arguments": {"mib": 300}}});
    let answer = session.post(&body.to_string()).await;
    assert_eq!(answer.messages().len(), 1, "{answer:?}");
    let after = restarted(&proxy, &a).await;
    assert!(after.went_through("memory") && after.went_through("limits.maxMemory allows 200"), "{after:?}");
    assert!(!is_alive(a.pid()));
    assert_eq!(session.say("a__echo", json!({"text": "again"})).await, "again");
    let unharmed = proxy.server("b").await;
    assert_eq!((unharmed.server_pid, unharmed.restarts), (b.server_pid, 0), "it has no such limit");
}

#[tokio::test]
async fn a_server_that_starts_too_many_processes_is_restarted_alone_and_all_of_them_are_gone() {
    let mut bomb = fixture("a", &[]);
    bomb["limits"] = json!({"maxProcesses": 50});
    let proxy = Proxy::start(json!({
        "servers": [bomb, fixture("b", &[])],
        "defaults": {"restart": {"initialDelay": 0.1}}
    }))
    .await;
    let session = proxy.session().await;
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    let root: u32 = session.say("a__respawning_tree", json!({"depth": 6})).await.parse().expect("a pid");
    let after = restarted(&proxy, &a).await;
    assert!(after.went_through("limits.maxProcesses allows 50"), "{after:?}");
    assert!(!is_alive(root));
    let left = proxy.processes().into_iter().filter(|(_, line)| line.contains("sleep 1000") || line.contains("wait"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<(u32, String)>::new());
    assert_eq!(session.say("b__echo", json!({"text": "alive"})).await, "alive");
    assert_eq!((proxy.server("b").await.server_pid, proxy.server("b").await.restarts), (b.server_pid, 0));
}
