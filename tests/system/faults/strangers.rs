//! Processes of the same user that are none of ours, servers most of all: what they can reach, and what they cannot.

use std::{
    fs,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

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
                  \"$1\" $what >> said 2>&1; echo \"exit $?\" >> said; done; \
                  (setsid sh -c '\"$1\" stop > hidden.new 2>&1; mv hidden.new hidden' sh \"$1\" &)";
    let proxy = Proxy::start(json!({"servers": [after(script, "sly"), fixture("victim", &[])]})).await;
    let victim = proxy.server("victim").await;
    let said = fs::read_to_string(proxy.dir().join("said")).expect("it ran");
    assert_eq!(said.matches("is for operators").count(), 5, "{said}");
    assert!(!said.contains("exit 0"), "{said}");
    let hidden = eventually("what hid was answered", Duration::from_secs(20), async || {
        fs::read_to_string(proxy.dir().join("hidden")).ok()
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

#[tokio::test]
async fn a_server_inherits_nothing_but_its_three_streams() {
    let proxy = Proxy::start(json!({"servers": [after("ls -1 /proc/$$/fd > descriptors", "a")]})).await;
    let open = fs::read_to_string(proxy.dir().join("descriptors")).expect("it ran");
    // What whoever started us left open is passed on to everybody (open(2), O_CLOEXEC is 0o2000000).
    let left_open = |number: &str| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("02000000");
        u32::from_str_radix(flags.trim(), 8).is_ok_and(|flags| flags & 0o2_000_000 == 0)
    };
    let ours: Vec<&str> = open.split_whitespace().filter(|number| !left_open(number) || number.len() == 1).collect();
    assert_eq!(ours, ["0", "1", "2"], "{open}");
}

#[tokio::test]
async fn a_crowd_of_silent_callers_keeps_neither_operators_nor_a_new_gateway_out() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.status().await;
    let server = proxy.server("a").await;
    let socket = mcproxy_ipc::supervisor_socket(&proxy.dir().join("run"));
    let over = Arc::new(AtomicBool::new(false));
    let crowd: Vec<_> = (0..20)
        .map(|_| {
            let (socket, over) = (socket.clone(), over.clone());
            std::thread::spawn(move || {
                let mut held: Vec<UnixStream> = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    held.extend(UnixStream::connect(&socket));
                    if held.len() > 10 {
                        held.remove(0);
                    }
                    std::thread::park_timeout(Duration::from_millis(2));
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
    if rustix::process::geteuid().is_root() {
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
