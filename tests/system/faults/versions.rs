use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    time::Duration,
};

use mcproxy_ipc::frame::WIRE_VERSION;
use serde_json::json;

use crate::support::{Proxy, binary, fixture};

/// A hello as another build would send it: only the version in the header matters.
pub(super) fn hello_of_version(version: u16) -> Vec<u8> {
    [&b"MP"[..], &version.to_be_bytes(), &3u32.to_be_bytes(), &0u32.to_be_bytes(), &[2, 0, 0]].concat()
}

/// A binary beside others, under the same name: `/proc/self/exe` must say this directory.
fn put(binary: &Path, dir: &Path) {
    let to = dir.join(binary.file_name().expect("a name"));
    if fs::hard_link(binary, &to).is_err() {
        fs::copy(binary, &to).expect("copied");
    }
}

#[tokio::test]
async fn somebody_of_another_build_is_told_so_and_harms_nobody() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    for version in [0, WIRE_VERSION + 1, u16::MAX] {
        let mut caller = UnixStream::connect(proxy.dir().join("run/supervisor.sock")).expect("it listens");
        caller.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        caller.write_all(&hello_of_version(version)).expect("written");
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).expect("an answer, then the end");
        // From the header the caller's own reader tells which version speaks here.
        assert_eq!(answer.get(..4), Some(&[&b"MP"[..], &WIRE_VERSION.to_be_bytes()].concat()[..]), "{answer:?}");
        proxy.logged(&["another build", &format!("speaks wire version {version}")]).await;
    }
    let after = proxy.server("a").await;
    assert_eq!((after.worker_pid, after.restarts), (before.worker_pid, 0));
}

#[tokio::test]
async fn a_worker_of_another_build_is_refused_by_name_and_the_right_one_is_taken() {
    let bin = tempfile::tempdir().expect("a directory");
    for name in ["mcproxy-supervisor", "mcproxy-gateway", "mcproxy-launch"] {
        put(&binary(name), bin.path());
    }
    // It speaks on the connection that it inherits, in a version of its own, and ends as a worker would.
    let worker = bin.path().join("mcproxy-worker");
    let fixture_path = binary("mcproxy-fixture");
    let script = format!("#!/bin/sh\nexec {} --hello-of-version 999\n", fixture_path.display());
    fs::write(&worker, script).expect("written");
    fs::set_permissions(&worker, fs::Permissions::from_mode(0o755)).expect("executable");

    let proxy = Proxy::launch_at(&bin.path().join("mcproxy-supervisor"), json!({"servers": [fixture("a", &[])]})).await;
    proxy.logged(&["another build", "speaks wire version 999"]).await;
    let server = proxy.server_until("refused", "a", |server| server.last_error.is_some() && !server.is_ready()).await;
    assert!(server.last_error.as_deref().is_some_and(|error| error.contains("wire version")), "{server:?}");

    // The upgrade is completed.
    fs::remove_file(&worker).expect("removed");
    put(&binary("mcproxy-worker"), bin.path());
    assert_eq!(proxy.cli(&["restart", "a"]).await.code, Some(0));
    proxy.until_ready().await;
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "same build"})).await, "same build");
}
