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

/// The wall clock jumps, the monotonic one does not. Whoever waits or measures uses the latter; these ask for the time of day, each
/// for a reason.
const WALL_CLOCK: &[(&str, &str)] = &[
    ("src/cli/commands/approvals.rs", "people read until when a call waits"),
    ("src/cli/commands/doctor/general/environment.rs", "it says when the clock is wrong"),
    ("src/cli/commands/token/new.rs", "a token's end is a date in the file"),
    ("src/gateway/background/settings.rs", "tokens end at a date; the clock is looked at anew twice a minute"),
    ("src/gateway/base/calls/mod.rs", "people read when a call was"),
    (
        "src/gateway/call/approval/mod.rs",
        "people read since when a call waits, and until when; the wait itself has a clock of its own",
    ),
    ("src/gateway/call/audit.rs", "people read when a call was"),
    ("src/gateway/http/auth_service.rs", "people read when a token was last used"),
    ("src/gateway/http/bearer.rs", "tokens end at a date"),
    ("src/gateway/http/ui/about.rs", "a browser measures its own clock by it"),
    ("src/gateway/sessions/registry.rs", "the next gateway counts a session's idle time on"),
    ("src/gateway/state/mod.rs", "tokens end at a date"),
    ("supervisor/src/audit/file.rs", "the age of a file outlives a process"),
    ("supervisor/src/log_ring.rs", "people read when a line was"),
    (
        "worker/src/login/credentials.rs",
        "when a token ends is kept on disk; a server refuses it where the clock was wrong",
    ),
    ("worker/src/transport/http/retry_after.rs", "its tests"),
    ("worker/src/transport/http/wire.rs", "a server may say by a date when to come back"),
];

#[test]
fn nothing_that_waits_looks_at_the_wall_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<PathBuf> = ["src", "supervisor/src", "worker/src", "launcher/src", "crates"]
        .iter()
        .flat_map(|folder| sources_that_name(folder, "SystemTime::now"))
        .collect();
    found.sort();
    let known: Vec<PathBuf> = WALL_CLOCK.iter().map(|(file, _)| root.join(file)).collect();
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
