//! A process that may open nothing any more: what is open goes on, and the rest waits.

use std::{fs, path::Path, time::Duration};

use serde_json::json;

use crate::support::{
    DEADLINE, Proxy, Raw, descriptors, eventually, fixture, is_alive, kill, limit_descriptors, within,
};

#[tokio::test]
async fn a_gateway_without_descriptors_serves_who_is_there_and_later_those_who_waited() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    assert_eq!(session.say("a__echo", json!({"text": "before"})).await, "before");
    let gateway = proxy.status().await.gateway_pid();
    let few = descriptors(gateway) + 16;
    let before = limit_descriptors(gateway, u64::try_from(few).ok());
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let mut raw = Raw::connect(&proxy).await;
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        waiting.push(raw);
    }
    proxy.logged(&["cannot accept connections"]).await;
    // Over the connections that there are already.
    assert_eq!(session.say("a__echo", json!({"text": "meanwhile"})).await, "meanwhile");
    session.say("a__add_tool", json!({"name": "fresh"})).await;
    stream.notification("notifications/tools/list_changed").await;
    limit_descriptors(gateway, before);
    for raw in &mut waiting {
        let answer = raw.some().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(proxy.status().await.gateway_pid(), gateway);
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "after"})).await, "after");
}

/// The highest number among the descriptors that are kept for such times: open files that mean nothing.
fn reserved_up_to(pid: u32) -> u64 {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
    let spare = entries.filter(|entry| fs::read_link(entry.path()).is_ok_and(|to| to == Path::new("/dev/null")));
    spare.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).max().expect("some are kept")
}

#[tokio::test]
async fn a_supervisor_without_descriptors_ends_orphans_backs_off_and_recovers() {
    let config = json!({
        "servers": [fixture("a", &[]), fixture("b", &[])],
        "defaults": {"restart": {"initialDelay": 0.2, "maxDelay": 0.5}}
    });
    let proxy = Proxy::start(config).await;
    let session = proxy.session().await;
    let orphan: u32 = session.say("a__double_fork", json!({})).await.parse().expect("a pid");
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    assert!(is_alive(orphan));
    // Numbers below its reserve are in use for good: whatever it opens has to come out of that.
    let before = limit_descriptors(proxy.pid(), Some(reserved_up_to(proxy.pid()) + 1));
    kill(a.worker_pid.expect("a worker"));
    eventually("the orphan was ended", DEADLINE, async || (!is_alive(orphan)).then_some(())).await;
    proxy.logged(&["server failed and will be started again", "cannot start the worker"]).await;
    assert!(is_alive(proxy.pid()), "the supervisor lives");
    assert_eq!(session.say("b__echo", json!({"text": "meanwhile"})).await, "meanwhile");
    limit_descriptors(proxy.pid(), before);
    let after = proxy.server_until("ready again", "a", |server| server.is_ready()).await;
    assert!(after.generation > a.generation);
    assert_eq!(proxy.server("b").await.server_pid, b.server_pid);
    within("an answer", Duration::from_secs(20), session.say("a__echo", json!({"text": "after"}))).await;
}
