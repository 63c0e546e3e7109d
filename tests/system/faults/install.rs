//! Package runners that install what they start, played by scripts of that name.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{DEADLINE, Proxy, binary, eventually, signal};

/// What `npx` names the entry of this package.
const PACKAGE: &str = "@modelcontextprotocol/server-everything";
const ENTRY: &str = "5b2dd62b9d0bddd4";

/// A cache, and an `npx` that does this before it runs the server. `$entry` is where it installs.
struct Npx(TempDir);

impl Npx {
    fn that(does: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let entry = dir.path().join("cache/_npx").join(ENTRY);
        let server = binary("mcproxy-fixture");
        let script = format!("#!/bin/sh\nentry={}\n{does}\nexec {} --name a\n", entry.display(), server.display());
        let file = dir.path().join("npx");
        fs::write(&file, script).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
        Self(dir)
    }

    fn entry(&self) -> PathBuf {
        self.0.path().join("cache/_npx").join(ENTRY)
    }

    fn server(&self, name: &str) -> Value {
        json!({
            "name": name, "command": self.0.path().join("npx"), "args": ["-y", PACKAGE],
            "env": {"npm_config_cache": self.0.path().join("cache")}, "sandbox": {"write": [self.0.path()]},
            "startTimeout": 2.0, "restart": {"initialDelay": 0.2, "maxDelay": 0.5},
        })
    }
}

/// Five seconds of an installation that goes on, and what npm writes when it is done.
const INSTALL: &str = "mkdir -p $entry/node_modules
i=0; while [ $i -lt 20 ]; do head -c 100000 /dev/zero > $entry/part$i; sleep 0.25; i=$((i+1)); done
echo {} > $entry/node_modules/.package-lock.json";

fn is_installing(server: &crate::support::ServerView) -> bool {
    server.start.as_ref().is_some_and(|start| start["installing"] == true)
}

#[tokio::test]
async fn a_server_that_is_being_installed_is_given_the_time_and_the_status_says_so() {
    let npx = Npx::that(INSTALL);
    let hangs = Npx::that("sleep 1000");
    let proxy = Proxy::launch(json!({"servers": [npx.server("a"), hangs.server("hangs")]})).await;
    proxy.server_until("installing", "a", is_installing).await;
    assert!(proxy.cli(&["status"]).await.stdout.contains("installing"));
    let ready = proxy.server_until("ready", "a", |server| server.is_ready()).await;
    assert_eq!(ready.restarts, 0, "it was not interrupted: {ready:?}");
    // One that does nothing is given up as ever.
    proxy.server_until("given up", "hangs", |server| server.went_through("startTimeout")).await;
}

const FAIL: &str = "echo \"Error: Cannot find module 'zod'\" >&2
echo 'Require stack:' >&2
echo \"- $entry/node_modules/x/index.js\" >&2
exit 1";

#[tokio::test]
async fn a_cache_entry_that_an_interrupted_installation_left_broken_is_removed() {
    let npx = Npx::that(&format!("if [ -e $entry/broken ]; then {FAIL}; fi"));
    let neighbour = npx.entry().with_file_name("0123456789abcdef");
    for folder in [&npx.entry(), &neighbour] {
        fs::create_dir_all(folder).expect("made");
        fs::write(folder.join("broken"), "").expect("written");
    }
    let proxy = Proxy::launch(json!({"servers": [npx.server("a")]})).await;
    let ready = proxy.server_until("ready", "a", |server| server.is_ready()).await;
    assert_eq!(ready.restarts, 0, "{ready:?}");
    proxy.logged(&["broken entry in a package cache", ENTRY]).await;
    assert!(!npx.entry().join("broken").exists() && neighbour.join("broken").exists(), "that entry and no other");
}

#[tokio::test]
async fn a_cache_entry_is_removed_once_and_not_at_each_start() {
    let npx = Npx::that(FAIL);
    let proxy = Proxy::launch(json!({"servers": [npx.server("a")]})).await;
    let server = proxy.server_until("failed again", "a", |server| server.restarts >= 3).await;
    assert!(server.went_through("Cannot find module 'zod' (exit code 1)"), "{server:?}");
    assert_eq!(proxy.log().matches("it was removed").count(), 1);
}

#[tokio::test]
async fn servers_of_one_package_install_it_one_after_the_other() {
    let once = format!(
        "if [ ! -e $entry/node_modules/.package-lock.json ]; then
mkdir $entry/busy || {{ echo 'two at once' >&2; exit 1; }}
{INSTALL}
rmdir $entry/busy
fi"
    );
    let npx = Npx::that(&once);
    let servers: Vec<Value> = ["a", "b", "c"].map(|name| npx.server(name)).into();
    let proxy = Proxy::launch(json!({"servers": servers})).await;
    for name in ["a", "b", "c"] {
        let ready = proxy.server_until("ready", name, |server| server.is_ready()).await;
        assert_eq!(ready.restarts, 0, "{ready:?}");
    }
    assert!(!proxy.log().contains("two at once"), "{}", proxy.log());
}

#[tokio::test]
async fn whoever_is_killed_in_the_middle_of_an_installation_the_next_start_works() {
    // npm takes a package for complete whose folder is there.
    let half = format!(
        "if [ -e $entry/node_modules ] && [ ! -e $entry/node_modules/.package-lock.json ]; then {FAIL}; fi\n{INSTALL}"
    );
    let npx = Npx::that(&half);
    let mut proxy = Proxy::launch(json!({"servers": [npx.server("a")]})).await;
    proxy.server_until("installing", "a", is_installing).await;
    assert!(is_half_full(&npx.entry()));
    signal(proxy.pid(), rustix::process::Signal::KILL);
    proxy.exit_code(DEADLINE).await;
    eventually("everything is gone", Duration::from_secs(15), async || proxy.processes().is_empty().then_some(()))
        .await;
    proxy.start_again().await;
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
}

fn is_half_full(entry: &Path) -> bool {
    entry.join("node_modules").exists() && !entry.join("node_modules/.package-lock.json").exists()
}
