//! What lies in the place of the configuration and is no file.

use std::{
    fs::{self, File},
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    time::Duration,
};

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::json;

use crate::support::{Proxy, eventually, supervisor};

/// Puts something in the place of a file.
type Put = fn(&Path);

const KINDS: [(&str, Put); 6] = [
    ("named pipe", |path| mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).expect("a pipe")),
    ("directory", |path| fs::create_dir(path).expect("a directory")),
    ("socket", |path| drop(UnixListener::bind(path).expect("a socket"))),
    ("device", |path| symlink("/dev/zero", path).expect("a link")),
    ("No such file", |path| symlink("/nowhere/at/all", path).expect("a link")),
    ("larger than", |path| {
        let file = File::create(path).expect("a file");
        file.set_len(2 << 30).expect("2 GiB of nothing");
    }),
];

fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir(path).expect("removed");
    } else {
        fs::remove_file(path).expect("removed");
    }
}

#[tokio::test]
async fn whatever_takes_the_place_of_the_configuration_hangs_nothing_and_the_old_one_stays_in_force() {
    let mut proxy = Proxy::of(&["a"]).await;
    let server = proxy.server("a").await;
    let path = proxy.dir().join("mcp-servers.json");
    let good = fs::read_to_string(&path).expect("readable");
    for (what, put) in KINDS {
        remove(&path);
        put(&path);
        eventually(what, Duration::from_secs(15), async || {
            let status = proxy.status().await;
            status.config_error.as_deref().is_some_and(|error| error.contains(what)).then_some(())
        })
        .await;
        assert_ne!(proxy.cli(&["reload"]).await.code, Some(0), "{what}");
        assert_eq!(proxy.session().await.say("a__echo", json!({"text": what})).await, what);
        assert_eq!(proxy.server("a").await.server_pid, server.server_pid);
    }
    remove(&path);
    proxy.write_config(&good);
    eventually("the file is in force again", Duration::from_secs(15), async || {
        proxy.status().await.config_error.is_none().then_some(())
    })
    .await;
    remove(&path);
    KINDS[0].1(&path);
    proxy.terminate();
    assert_eq!(proxy.exit_code(Duration::from_secs(10)).await, Some(0), "with a pipe in its place");
}

#[test]
fn what_is_no_file_is_said_at_once_at_the_first_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("mcp-servers.json");
    for (what, put) in KINDS {
        put(&path);
        let output = supervisor(dir.path()).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{what}: {said}");
        assert!(said.contains(what), "{what}: {said}");
        remove(&path);
    }
}
