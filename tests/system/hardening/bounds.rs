//! Limits that the kernel keeps of each process and each user (setrlimit(2)), which need neither cgroups nor a look of the worker.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::users::{is_root, processes_of, range, user_of};
use crate::support::{Proxy, ServerView, eventually, fixture, signal};

/// Of servers that run `sh` on request.
const SHELL: [&str; 2] = ["--tool-name", "sh"];

fn hog(limits: Value) -> Value {
    let mut hog = fixture("hog", &SHELL);
    hog["limits"] = limits;
    hog
}

/// With users of their own where there is a range.
async fn launch(servers: Value, range: Option<(u32, u32)>) -> Proxy {
    let uids = range.map_or(json!("off"), |(first, last)| json!(format!("{first}-{last}")));
    let config = json!({
        "hardening": "best-effort", "isolation": {"uids": uids}, "servers": servers,
        "defaults": {"restart": {"initialDelay": 0.1}}
    });
    let proxy = Proxy::launch_with(config, |command| {
        let dir = command.get_current_dir().expect("a directory");
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
    })
    .await;
    proxy.until_ready().await;
    proxy
}

/// Soft and hard limit of a process, as the kernel has them.
fn limit(pid: u32, name: &str) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it lives");
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel knows it");
    let mut values = line.split_whitespace().map(str::to_owned);
    (values.next().expect("a soft one"), values.next().expect("a hard one"))
}

async fn sh(proxy: &Proxy, script: &str) -> String {
    proxy.session().await.say("hog__sh", json!({"script": script})).await
}

#[tokio::test]
async fn a_fork_bomb_of_a_server_with_a_user_of_its_own_stops_at_the_bound_of_that_user() {
    if !is_root() {
        return;
    }
    let proxy = launch(json!([hog(json!({"maxProcesses": 8})), fixture("quiet", &SHELL)]), Some(range())).await;
    let view = proxy.status().await;
    let (hog, quiet) = (view.server("hog").clone(), view.server("quiet").clone());
    let (user, worker) = (user_of(&view, "hog"), hog.worker_pid.expect("a worker"));
    // Threads count, and those of the next worker, too: 2 × 256.
    let bound = || ("512".to_owned(), "512".to_owned());
    assert_eq!(limit(hog.pid(), "Max processes"), bound());
    assert_ne!(limit(quiet.pid(), "Max processes"), bound(), "it has no such limit");
    // More than a thousand, if it were allowed; and nobody looks.
    let bomb = "n() { if [ $1 -gt 0 ]; then n $(($1 - 1)) & n $(($1 - 1)) & wait; else exec sleep 60; fi; }; \
        (sleep 0.5; n 9) </dev/null >/dev/null 2>$HOME/refused &";
    sh(&proxy, bomb).await;
    signal(worker, Signal::STOP);
    let refusals = proxy.dir().join("state/homes/hog/refused");
    eventually("the kernel refuses it a process", Duration::from_secs(30), async || {
        let running = processes_of(user).len();
        assert!(running <= 512, "{running} processes");
        fs::read_to_string(&refusals).ok().filter(|said| said.contains("fork"))
    })
    .await;
    assert_eq!(proxy.session().await.say("quiet__sh", json!({"script": "echo alive"})).await, "alive");
    signal(worker, Signal::CONT);
    let again = |server: &ServerView| server.is_ready() && server.generation > hog.generation;
    let after = proxy.server_until("ready again", "hog", again).await;
    let most = processes_of(user).len();
    assert!(most < 8, "{most} processes are left of the bomb and the server");
    assert!(after.restarts > 0 && proxy.server("quiet").await.server_pid == quiet.server_pid);
}

/// What a server of this proxy is refused when it writes more than a mebibyte, and what it is not.
async fn files_are_bounded(proxy: &Proxy, home: &Path) {
    let hog = proxy.server("hog").await;
    let mebibyte = || ("1048576".to_owned(), "1048576".to_owned());
    assert_eq!(limit(hog.pid(), "Max file size"), mebibyte());
    // By a child, which the kernel ends for it (SIGXFSZ), and by one that asks not to be ended.
    for (write, refusal) in [
        ("head -c 3000000 /dev/zero > $HOME/big; echo $?", "153"),
        ("trap '' XFSZ; head -c 3000000 /dev/zero 2>&1 > $HOME/big", "File too large"),
    ] {
        let said = sh(proxy, write).await;
        assert!(said.contains(refusal), "{said}");
        assert_eq!(fs::metadata(home.join("big")).expect("it was begun").size(), 1 << 20);
    }
    let raised = sh(proxy, "ulimit -f unlimited 2>&1 || echo refused").await;
    assert!(raised.contains("refused"), "{raised}");
    assert_eq!(sh(proxy, "head -c 1000000 /dev/zero > $HOME/small && echo fits").await, "fits");
    assert_eq!(sh(proxy, "head -c 3000000 /dev/zero | wc -c").await, "3000000", "a pipe is no file");
    let after = proxy.server("hog").await;
    assert_eq!((after.server_pid, after.restarts), (hog.server_pid, 0), "the server goes on");
}

#[tokio::test]
async fn no_file_of_a_server_grows_beyond_its_limit_and_the_server_goes_on() {
    let home = tempfile::tempdir().expect("a directory");
    let mut server = hog(json!({"maxFileSize": 1 << 20}));
    server["env"] = json!({"HOME": home.path()});
    files_are_bounded(&launch(json!([server]), None).await, home.path()).await;
}

#[tokio::test]
async fn no_file_of_a_server_with_a_user_of_its_own_grows_beyond_its_limit() {
    if !is_root() {
        return;
    }
    let proxy = launch(json!([hog(json!({"maxFileSize": 1 << 20}))]), Some(range())).await;
    files_are_bounded(&proxy, &proxy.dir().join("state/homes/hog")).await;
}
