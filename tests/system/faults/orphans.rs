use std::time::Duration;

use serde_json::json;

use crate::support::{Proxy, eventually, fixture, is_alive, kill, supervisor};

#[tokio::test]
async fn nothing_outlives_a_killed_supervisor_and_the_next_one_sweeps_and_starts() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &["--ignore-term"]), fixture("b", &[])]})).await;
    let daemon: u32 = proxy.session().await.say("a__double_fork", json!({})).await.parse().expect("a pid");
    let status = proxy.status().await;
    let mut ours = vec![status.gateway_pid()];
    for server in &status.servers {
        ours.extend([server.pid(), server.worker_pid.expect("a worker")]);
    }
    kill(proxy.pid());
    eventually("gateway, workers and servers are gone", Duration::from_secs(5), async || {
        ours.iter().all(|pid| !is_alive(*pid)).then_some(())
    })
    .await;

    let log = std::fs::File::create(proxy.dir().join("second.txt")).expect("a log");
    let mut second =
        supervisor(proxy.dir()).stdout(log.try_clone().expect("the log")).stderr(log).spawn().expect("it starts");
    // Whatever the assertions say, it must not be left behind.
    let checked = async {
        proxy.server_until("ready", "a", |server| server.is_ready()).await;
        proxy.server_until("ready", "b", |server| server.is_ready()).await;
        eventually("what the first run left is gone", Duration::from_secs(5), async || {
            (!is_alive(daemon)).then_some(())
        })
        .await;
    };
    let outcome = tokio::time::timeout(Duration::from_secs(15), checked).await;
    crate::support::terminate(second.id());
    let code =
        eventually("the second ends", Duration::from_secs(15), async || second.try_wait().expect("its state")).await;
    outcome.expect("the second supervisor runs everything");
    assert_eq!(code.code(), Some(0));
}
