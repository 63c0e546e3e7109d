//! The state directory is a help: what lies in it, or that nothing can, stops nobody.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::{Value, json};

use crate::support::{DEADLINE, Proxy, eventually, fixture, skip};

/// What is put in the place of a kept file; each has a server of that name.
const STRANGE: [&str; 5] = ["garbage", "pipe", "device", "dangling", "folder"];

/// The file of that server with this ending, once it is there.
async fn kept(proxy: &Proxy, server: &str, ending: &str) -> std::path::PathBuf {
    eventually(&format!("{server} has a kept {ending}"), DEADLINE, async || {
        let entries = fs::read_dir(proxy.dir().join("state/catalogues")).ok()?;
        entries.flatten().map(|entry| entry.path()).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&format!("{server}.")) && name.ends_with(ending)
        })
    })
    .await
}

fn put(what: &str, at: &Path) {
    fs::remove_file(at).expect("removed");
    match what {
        "garbage" => fs::write(at, b"modern\xff\0").expect("written"),
        "pipe" => mknodat(CWD, at, FileType::Fifo, 0o600.into(), 0).expect("a pipe"),
        "device" => symlink("/dev/zero", at).expect("a link"),
        "dangling" => symlink("nowhere", at).expect("a link"),
        _ => fs::create_dir(at).expect("a folder"),
    }
}

#[tokio::test]
async fn what_lies_in_the_place_of_kept_files_delays_no_start_no_list_and_no_end() {
    let servers: Vec<Value> = STRANGE.iter().map(|name| fixture(name, &["--era", "dual"])).collect();
    let mut proxy = Proxy::start(json!({"servers": servers})).await;
    for name in STRANGE {
        for ending in [".json", ".era"] {
            put(name, &kept(&proxy, name, ending).await);
        }
    }
    // Twice: each start reads what the one before it may have written.
    for _ in 0..2 {
        proxy.start_over().await;
        proxy.until_ready().await;
        let session = proxy.session().await;
        let tools = session.tools().await;
        for name in STRANGE {
            assert!(tools.contains(&format!("{name}__echo")), "{name}: {tools:?}");
            assert_eq!(session.say(&format!("{name}__echo"), json!({"text": name})).await, name);
        }
    }
    for name in STRANGE.iter().filter(|name| **name != "folder") {
        for ending in [".json", ".era"] {
            let file = kept(&proxy, name, ending).await;
            eventually(&format!("{name}: its {ending} is a file again"), DEADLINE, async || {
                fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file() && meta.len() > 10).then_some(())
            })
            .await;
        }
    }
}

/// The same command in a mount namespace, where `state` can be read and no more.
fn on_a_disk_that_is_read_only(command: &mut Command) {
    let mut wrapped = Command::new("unshare");
    let script = "mount -t tmpfs -o ro none state && exec \"$@\" >out/log.txt 2>&1";
    wrapped.args(["-m", "sh", "-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    let dir = command.get_current_dir().expect("a directory").to_owned();
    fs::create_dir(dir.join("state")).expect("a place for the disk");
    wrapped.current_dir(dir).stdin(std::process::Stdio::null());
    *command = wrapped;
}

#[tokio::test]
async fn a_state_directory_that_is_read_only_is_said_once_and_stops_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let probe =
        Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "-o", "ro", "none"]).arg(dir.path()).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return skip("no disk can be mounted here");
    }
    let config = json!({"servers": [fixture("a", &["--era", "modern"]), fixture("b", &[])]});
    let proxy = Proxy::launch_with(config, on_a_disk_that_is_read_only).await;
    proxy.until_ready().await;
    proxy.logged(&["what servers offer is not kept for the next start", "WARN"]).await;
    let session = proxy.session().await;
    assert_eq!(session.say("a__echo", json!({"text": "one"})).await, "one");
    crate::support::kill(proxy.server("b").await.pid());
    proxy.server_until("ready again", "b", |server| server.is_ready() && server.restarts == 1).await;
    assert_eq!(session.say("b__echo", json!({"text": "two"})).await, "two");
}
