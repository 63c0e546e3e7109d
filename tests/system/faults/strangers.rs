//! Processes of the same user that are none of ours, servers most of all: what they can reach, and what they cannot.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mcproxy_ipc::frame::WIRE_VERSION;
use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_res_gid, set_thread_res_uid},
};
use serde_json::{Value, json};

use super::versions::hello_of_version;
use crate::support::{Proxy, binary, cannot, eventually, fixture, kill};

/// A server that runs a shell script first, with `mcproxy` as `$1`.
fn after(script: &str, name: &str) -> Value {
    let script = format!("export MCPROXY_RUNTIME_DIR=run; {script}; exec \"$2\" --name {name}");
    json!({
        "name": name,
        "command": "sh",
        "args": ["-c", script, "sh", env!("CARGO_BIN_EXE_mcproxy"), binary("mcproxy-fixture")],
    })
}

#[tokio::test]
async fn a_server_may_say_nothing_at_the_control_socket_and_finds_no_other() {
    let script = "for what in stop reload status 'logs victim' 'restart victim'; do \
                  \"$1\" $what >> out/said 2>&1; echo \"exit $?\" >> out/said; done; \
                  (setsid sh -c '\"$1\" stop > out/hidden.new 2>&1; mv out/hidden.new out/hidden' sh \"$1\" &)";
    let proxy = Proxy::start(json!({"servers": [after(script, "sly"), fixture("victim", &[])]})).await;
    let victim = proxy.server("victim").await;
    let said = fs::read_to_string(proxy.dir().join("out/said")).expect("it ran");
    assert_eq!(said.matches("is for operators").count(), 5, "{said}");
    assert!(!said.contains("exit 0"), "{said}");
    let hidden = eventually("what hid was answered", Duration::from_secs(20), async || {
        fs::read_to_string(proxy.dir().join("out/hidden")).ok()
    })
    .await;
    assert!(hidden.contains("is for operators"), "{hidden}");
    proxy.logged(&["a server called the control socket and was refused", "sly"]).await;
    let mut found: Vec<_> =
        fs::read_dir(proxy.dir().join("run")).expect("there").flatten().map(|entry| entry.file_name()).collect();
    found.sort();
    assert_eq!(found, ["supervisor.lock", "supervisor.sock"]);
    assert_eq!(proxy.session().await.say("victim__echo", json!({"text": "unharmed"})).await, "unharmed");
    assert_eq!(proxy.server("victim").await.generation, victim.generation);
    assert_eq!(proxy.cli(&["restart", "victim"]).await.code, Some(0), "an operator may");
}

/// What the descriptors of a process lead to, by their numbers.
fn descriptors(pid: u32) -> Vec<(u32, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
    let of = |entry: fs::DirEntry| {
        let to = fs::read_link(entry.path()).ok()?.display().to_string();
        Some((entry.file_name().to_str()?.parse().ok()?, to))
    };
    entries.filter_map(of).collect()
}

#[tokio::test]
async fn a_server_inherits_nothing_but_its_three_streams() {
    let proxy = Proxy::of(&["a"]).await;
    let status = proxy.status().await;
    let server = status.server("a");
    // What whoever started us left open is passed on to everybody.
    let left_open = descriptors(std::process::id());
    let of_ours = [proxy.pid(), status.gateway_pid(), server.worker_pid.expect("it runs")].map(descriptors).concat();
    let (streams, others): (Vec<_>, Vec<_>) =
        descriptors(server.pid()).into_iter().partition(|(number, _)| *number < 3);
    for (number, to) in others.into_iter().filter(|(_, to)| streams.iter().all(|(_, stream)| stream != to)) {
        let is_ours =
            of_ours.iter().any(|(_, ours)| *ours == to) && !to.starts_with("anon_inode:") && to != "/dev/null";
        assert!(!is_ours || left_open.iter().any(|(_, open)| *open == to), "{number} leads to {to}");
    }
}

#[tokio::test]
async fn a_crowd_of_silent_callers_keeps_neither_operators_nor_a_new_gateway_out() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.status().await;
    let server = proxy.server("a").await;
    let socket = mcproxy_ipc::supervisor_socket(&proxy.dir().join("run"));
    let over = Arc::new(AtomicBool::new(false));
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            let (socket, over) = (socket.clone(), over.clone());
            std::thread::spawn(move || {
                let mut held: Vec<UnixStream> = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    held.extend(UnixStream::connect(&socket));
                    if held.len() > 10 {
                        held.remove(0);
                    }
                    std::thread::park_timeout(Duration::from_millis(5));
                }
            })
        })
        .collect();
    kill(before.gateway_pid());
    eventually("another gateway serves", Duration::from_secs(3), async || {
        let answer = proxy.http.get(proxy.url("/healthz")).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    for _ in 0..5 {
        let status = tokio::time::timeout(Duration::from_secs(5), proxy.status()).await.expect("in time");
        assert_eq!(status.server("a").server_pid, server.server_pid);
    }
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "in"})).await, "in");
    over.store(true, Ordering::Relaxed);
    crowd.into_iter().for_each(|thread| thread.join().expect("it ended"));
}

#[tokio::test]
async fn our_processes_keep_their_memory_and_descriptors_to_themselves() {
    if geteuid().is_root() {
        return cannot("root may look into every process");
    }
    let proxy = Proxy::launch_with(json!({"servers": [fixture("a", &[])]}), |command| {
        command.env_remove(mcproxy_ipc::DUMPABLE_VARIABLE);
    })
    .await;
    proxy.until_ready().await;
    let status = proxy.status().await;
    let server = status.server("a");
    for pid in [proxy.pid(), status.gateway_pid(), server.worker_pid.expect("it runs")] {
        assert!(fs::read_dir(format!("/proc/{pid}/fd")).is_err(), "{pid}: descriptors");
        assert!(fs::read(format!("/proc/{pid}/environ")).is_err(), "{pid}: environment");
        assert!(fs::File::open(format!("/proc/{pid}/mem")).is_err(), "{pid}: memory");
    }
    assert!(fs::read_dir(format!("/proc/{}/fd", server.pid())).is_ok(), "a server is as any process is");
}

/// What the control socket answers to a hello of this user.
fn hello_of_user(socket: std::path::PathBuf, user: u32) -> String {
    let deed = move || {
        let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
        // Of this thread alone.
        set_thread_res_gid(gid, gid, gid).expect("root may");
        set_thread_res_uid(uid, uid, uid).expect("root may");
        let mut caller = UnixStream::connect(socket).expect("modes of files let it in");
        caller.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        caller.write_all(&hello_of_version(WIRE_VERSION)).expect("written");
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).expect("an answer, then the end");
        String::from_utf8_lossy(&answer).into_owned()
    };
    std::thread::spawn(deed).join().expect("no panic")
}

#[tokio::test]
async fn another_user_is_refused_at_the_control_socket_though_modes_of_files_let_it_in() {
    if !geteuid().is_root() {
        return cannot("only root can be another user");
    }
    let proxy = Proxy::of(&["a"]).await;
    // As somebody does who wants a script to work.
    for (path, mode) in [("", 0o755), ("run", 0o755), ("run/supervisor.sock", 0o666)] {
        let path = proxy.dir().join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let answer = hello_of_user(proxy.dir().join("run/supervisor.sock"), 65_534);
    assert!(answer.contains("another user"), "{answer:?}");
    proxy.logged(&["control connection of another user refused", "65534"]).await;
    assert_eq!(proxy.cli(&["restart", "a"]).await.code, Some(0), "an operator may");
}
