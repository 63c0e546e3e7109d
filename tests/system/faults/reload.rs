use std::{fs, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Proxy, eventually, fixture, is_alive, signal};

#[tokio::test]
async fn a_server_that_is_added_or_removed_leaves_the_others_alone() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    proxy.write_config(&json!({"servers": [fixture("a", &[]), fixture("c", &[])]}).to_string());
    eventually("c is there and b is not", Duration::from_secs(15), async || {
        let status = proxy.status().await;
        let ready = status.servers.iter().any(|server| server.name == "c" && server.is_ready());
        (ready && status.servers.iter().all(|server| server.name != "b")).then_some(())
    })
    .await;
    stream.notification("notifications/tools/list_changed").await;
    eventually("the list is the new one", Duration::from_secs(10), async || {
        let tools = session.tools().await;
        (tools.contains(&"c__echo".to_owned()) && !tools.contains(&"b__echo".to_owned())).then_some(())
    })
    .await;
    eventually("b has ended", Duration::from_secs(10), async || (!is_alive(b.pid())).then_some(())).await;
    let after = proxy.server("a").await;
    assert_eq!((after.server_pid, after.generation), (a.server_pid, a.generation));
    assert_eq!(session.say("a__echo", json!({"text": "same"})).await, "same");
    assert_eq!(session.say("c__echo", json!({"text": "new"})).await, "new");
}

#[tokio::test]
async fn a_changed_server_is_started_anew_and_its_neighbour_is_not() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    proxy.write_config(&json!({"servers": [fixture("a", &["--tools", "2"]), fixture("b", &[])]}).to_string());
    proxy.server_until("another", "a", |server| server.is_ready() && server.generation > a.generation).await;
    let session = proxy.session().await;
    eventually("the new tools are listed", Duration::from_secs(10), async || {
        session.tools().await.contains(&"a__tool_0001".to_owned()).then_some(())
    })
    .await;
    assert_eq!(proxy.server("b").await.server_pid, b.server_pid);
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_says_so_until_it_is_mended() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    for (broken, named) in
        [("{\"servers\": [", "not JSON"), ("{\"servers\": [{\"name\": \"a\", \"comand\": \"x\"}]}", "comand")]
    {
        proxy.write_config(broken);
        eventually(named, Duration::from_secs(15), async || {
            proxy.status().await.config_error.filter(|error| error.contains(named))
        })
        .await;
    }
    let reload = proxy.cli(&["reload"]).await;
    assert_ne!(reload.code, Some(0), "{reload:?}");
    assert!(proxy.cli(&["status"]).await.stdout.contains("comand"));
    let after = proxy.server("a").await;
    assert_eq!((after.server_pid, after.generation), (before.server_pid, before.generation));
    proxy.write_config(&json!({"servers": [fixture("a", &[]), fixture("b", &[])]}).to_string());
    eventually("mended", Duration::from_secs(15), async || proxy.status().await.config_error.is_none().then_some(()))
        .await;
    proxy.server_until("ready", "b", |server| server.is_ready()).await;
    assert_eq!(proxy.server("a").await.server_pid, before.server_pid);
}

#[tokio::test]
async fn a_file_that_is_touched_or_gone_changes_nothing() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    let file = proxy.dir().join("mcp-servers.json");
    let text = fs::read_to_string(&file).expect("the file");
    for _ in 0..50 {
        fs::write(&file, &text).expect("written");
    }
    fs::remove_file(&file).expect("removed");
    // The command is refused, so the removal was looked at.
    assert_ne!(proxy.cli(&["reload"]).await.code, Some(0));
    fs::write(&file, &text).expect("written");
    assert_eq!(proxy.cli(&["reload"]).await.code, Some(0));
    let after = proxy.server("a").await;
    assert_eq!((after.server_pid, after.generation, after.restarts), (before.server_pid, before.generation, 0));
}

#[tokio::test]
async fn settings_of_the_gateway_change_without_a_restart() {
    let proxy = Proxy::of(&["a"]).await;
    let (server, gateway) = (proxy.server("a").await, proxy.status().await.gateway_pid());
    proxy.write_config(&json!({"servers": [fixture("a", &[])], "groups": {"all": {"servers": ["a"]}}}).to_string());
    eventually("the group is there", Duration::from_secs(15), async || {
        let hello = crate::support::initialize("2025-11-25").to_string();
        let answer = proxy.post("/groups/all/mcp").body(hello).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    assert_eq!(proxy.server("a").await.server_pid, server.server_pid);
    assert_eq!(proxy.status().await.gateway_pid(), gateway);
}

#[tokio::test]
async fn sighup_reads_the_file_again() {
    let proxy = Proxy::of(&["a"]).await;
    proxy.write_config(&json!({"servers": [fixture("a", &[]), fixture("b", &[])]}).to_string());
    signal(proxy.pid(), Signal::HUP);
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    eventually("b is there", Duration::from_secs(15), async || {
        proxy.status().await.servers.iter().any(|server| server.name == "b" && server.is_ready()).then_some(())
    })
    .await;
}
