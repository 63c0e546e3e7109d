use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    edges::sources_that_name,
    support::{Proxy, signal},
};

/// Longer than any heartbeat of ours waits for its answer.
const SUSPENDED: Duration = Duration::from_secs(21);

/// The wall clock jumps, the monotonic one does not. Whoever waits or measures uses the latter; these stamp what people
/// read, or what outlives a process.
const WALL_CLOCK: &[&str] = &[
    "src/gateway/sessions/registry.rs",
    "supervisor/src/log_ring.rs",
    // When a token expires is kept on disk; where the clock was wrong, its server refuses it, and it is refreshed then.
    "worker/src/login/credentials.rs",
    // A server may say by a date when to come back; the wait that follows from it is bounded.
    "worker/src/transport/http/retry_after.rs",
    "worker/src/transport/http/wire.rs",
];

#[test]
fn nothing_that_waits_looks_at_the_wall_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<PathBuf> = ["src", "supervisor/src", "worker/src", "launcher/src", "crates"]
        .iter()
        .flat_map(|folder| sources_that_name(folder, "SystemTime"))
        .collect();
    found.sort();
    let known: Vec<PathBuf> = WALL_CLOCK.iter().map(|file| root.join(file)).collect();
    assert_eq!(found, known, "a file that asks for the time of day needs its line in WALL_CLOCK, and a reason");
}

#[tokio::test]
async fn a_machine_that_was_suspended_goes_on_as_if_nothing_had_been() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    let before = proxy.status().await;
    // The supervisor last: it must find everybody well who slept as long as itself, whoever wakes up first.
    let mut all: Vec<u32> =
        proxy.processes().into_iter().map(|(pid, _)| pid).filter(|pid| *pid != proxy.pid()).collect();
    all.insert(0, proxy.pid());
    for pid in &all {
        signal(*pid, Signal::STOP);
    }
    // This is the fault itself: time that passes while nobody runs.
    tokio::time::sleep(SUSPENDED).await;
    for pid in &all {
        signal(*pid, Signal::CONT);
    }
    for server in ["a", "b"] {
        assert_eq!(session.say(&format!("{server}__echo"), serde_json::json!({"text": "awake"})).await, "awake");
    }
    // Were anybody declared dead for the time asleep, it would be on the next beat.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let after = proxy.status().await;
    assert_eq!(after.gateway_pid(), before.gateway_pid());
    for server in &before.servers {
        let now = after.server(&server.name);
        assert_eq!((now.worker_pid, now.server_pid, now.restarts), (server.worker_pid, server.server_pid, 0));
    }
}
