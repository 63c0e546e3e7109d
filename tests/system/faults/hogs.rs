//! A server that takes all it can get of the machine: processes, memory, room on a disk. It alone is restarted, says why, and
//! the calls of others hardly notice. Everything here has a bound of its own, so that the machine is in no danger.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Proxy, ServerView, Session, fixture, is_alive, skip, within};

/// Calls that are measured before and, one after the other, while the hog is at work.
const CALLS: usize = 300;
/// Other tests run beside this one, on as few processors as two: below that no wait says anything.
const NOISE: Duration = Duration::from_secs(1);

async fn time_of_call(session: &Session) -> Duration {
    let begun = Instant::now();
    assert_eq!(session.say("quiet__echo", json!({"text": "x"})).await, "x");
    begun.elapsed()
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

fn say(times: &str) {
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr().lock(), "p99 of the other server: {times}");
}

async fn with_limits(limits: Value) -> Proxy {
    let mut hog = fixture("hog", &[]);
    hog["limits"] = limits;
    Proxy::start(json!({
        "hardening": "best-effort",
        "servers": [hog, fixture("quiet", &[])],
        "defaults": {"restart": {"initialDelay": 0.1}}
    }))
    .await
}

/// Calls the quiet server before, and while the other does its worst until that is ready again; what it then looks like.
async fn suffer(proxy: &Proxy, tool: &str, arguments: Value) -> ServerView {
    let session = proxy.session().await;
    let (hog, quiet) = (proxy.server("hog").await, proxy.server("quiet").await);
    let mut before = Vec::new();
    for _ in 0..CALLS {
        before.push(time_of_call(&session).await);
    }
    let worst = proxy.session().await;
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
    let attack = async {
        worst.post(&body.to_string()).await;
        let again = |server: &ServerView| server.is_ready() && server.generation > hog.generation;
        proxy.server_until("ready again", "hog", again).await
    };
    let mut during = Vec::new();
    let measure = async {
        loop {
            during.push(time_of_call(&session).await);
        }
    };
    let after = tokio::select! {
        after = within("the hog is ready again", Duration::from_secs(60), attack) => after,
        () = measure => unreachable!("it has no end"),
    };
    let (before, calls, during) = (p99(before), during.len(), p99(during));
    say(&format!("{before:?} before, {during:?} of {calls} calls meanwhile"));
    assert!(during <= (3 * before).max(NOISE), "p99 {before:?} before, {during:?} of {calls} calls meanwhile");
    assert!(!is_alive(hog.pid()));
    let unharmed = proxy.server("quiet").await;
    assert_eq!((unharmed.server_pid, unharmed.restarts), (quiet.server_pid, 0));
    assert_eq!(session.say("hog__echo", json!({"text": "again"})).await, "again");
    after
}

#[tokio::test]
async fn a_fork_bomb_costs_its_own_server_and_no_call_of_another() {
    let proxy = with_limits(json!({"maxProcesses": 50})).await;
    let after = suffer(&proxy, "hog__fork_bomb", json!({"depth": 9})).await;
    assert!(after.went_through("limits.maxProcesses allows 50"), "{after:?}");
    let left = proxy.processes().into_iter().filter(|(_, line)| line.contains("sleep 60") || line.contains("NODE"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<(u32, String)>::new());
}

#[tokio::test]
async fn a_server_that_takes_all_memory_costs_itself_and_no_call_of_another() {
    let proxy = with_limits(json!({"maxMemory": 200 << 20})).await;
    let after = suffer(&proxy, "hog__allocate", json!({"mib": 1000})).await;
    assert!(after.went_through("memory") && after.went_through("limits.maxMemory allows 200"), "{after:?}");
}

/// The same command in a mount namespace where HOME, and the state directory with TMPDIR, are disks of 4 MiB.
fn on_a_small_disk(command: &mut Command) {
    let dir = command.get_current_dir().expect("a directory").to_owned();
    fs::create_dir(dir.join("disk")).expect("a place for the disk");
    let script = "mkdir -p state && for disk in disk state; do mount -t tmpfs -o size=4m,mode=0700 none $disk || exit; done; \
        exec env HOME=\"$PWD/disk\" \"$@\" >>out/log.txt 2>&1";
    let mut wrapped = Command::new("unshare");
    wrapped.args(["-m", "sh", "-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    wrapped.current_dir(&dir).stdin(Stdio::null());
    *command = wrapped;
}

#[tokio::test]
async fn a_server_that_fills_the_disk_finds_it_full_and_all_others_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let probe = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none"]).arg(dir.path()).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return skip("no disk can be mounted here");
    }
    let config = json!({"servers": [fixture("hog", &[]), fixture("quiet", &[])]});
    let proxy = Proxy::launch_with(config, on_a_small_disk).await;
    proxy.until_ready().await;
    let session = proxy.session().await;
    let (mut before, mut full) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        before.push(time_of_call(&session).await);
    }
    for home in [false, true] {
        let said = session.say("hog__fill_disk", json!({"mib": 64, "home": home})).await;
        assert!(said.contains("No space left on device"), "{said}");
    }
    for _ in 0..CALLS {
        full.push(time_of_call(&session).await);
    }
    let (before, full) = (p99(before), p99(full));
    say(&format!("{before:?} before, {full:?} on a full disk"));
    assert!(full <= (3 * before).max(NOISE), "p99 {before:?} before, {full:?} on a full disk");
    for name in ["hog", "quiet"] {
        assert_eq!(proxy.server(name).await.restarts, 0, "{name}");
        assert_eq!(proxy.cli(&["restart", name]).await.code, Some(0));
        let again = |server: &ServerView| server.is_ready() && server.generation > 1;
        proxy.server_until("ready again on a full disk", name, again).await;
    }
}
