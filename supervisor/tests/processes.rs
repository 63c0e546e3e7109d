//! What the supervisor does with processes, shown with workers that are small shell scripts: the real worker has its own
//! tests, and the two together are tested by the root package.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mcproxy_ipc::{
    Receiver, Sender, ServerState, ServerStatus, StatusReport, connect,
    control::{OperatorToSupervisor, SupervisorToOperator},
    introduce, supervisor_socket,
};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(20);

struct Installation {
    dir: TempDir,
    process: Child,
}

impl Installation {
    /// A copy of the supervisor beside a worker that is this script, with one server.
    fn start(worker: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        Self::start_in(dir, worker)
    }

    fn start_in(dir: TempDir, worker: &str) -> Self {
        let binary = dir.path().join("mcproxy-supervisor");
        fs::copy(env!("CARGO_BIN_EXE_mcproxy-supervisor"), &binary).expect("copied");
        script(&dir.path().join("mcproxy-worker"), worker);
        // Not `exec`: the next supervisor knows a gateway that was left by its name.
        script(&dir.path().join("mcproxy-gateway"), "while :; do sleep 1; done");
        let config = dir.path().join("mcp-servers.json");
        fs::write(&config, r#"{"listen": "127.0.0.1:0", "servers": [{"name": "one", "command": "true"}]}"#)
            .expect("written");
        let process = Command::new(binary)
            .args(["--log", "--config"])
            .arg(config)
            .arg("--runtime-dir")
            .arg(dir.path().join("run"))
            .arg("--state-dir")
            .arg(dir.path().join("state"))
            .env("LEAK", "secret")
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        Self { dir, process }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn ask(&self, request: &OperatorToSupervisor) -> Option<SupervisorToOperator> {
        let mut connection = connect(&supervisor_socket(&self.path("run"))).await.ok()?;
        introduce(&mut connection).await.ok()?;
        let (mut receiver, mut sender): (Receiver<SupervisorToOperator>, Sender<OperatorToSupervisor>) =
            connection.control();
        sender.send(request).await.ok()?;
        Some(receiver.next().await.ok()??.0)
    }

    /// The server's status once it looks as wanted.
    async fn eventually(&self, wanted: impl Fn(&ServerStatus) -> bool) -> ServerStatus {
        let started = Instant::now();
        let mut last = None;
        while started.elapsed() < LIMIT {
            if let Some(SupervisorToOperator::Status(report)) = self.ask(&OperatorToSupervisor::Status).await {
                let StatusReport { mut servers, .. } = *report;
                let server = servers.pop().expect("one is configured");
                if wanted(&server) {
                    return server;
                }
                last = Some(server);
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("not within {LIMIT:?}: {last:?}");
    }

    /// The process ids that scripts wrote into a file, once there are `count`.
    async fn pids(&self, file: &str, count: usize) -> Vec<Pid> {
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            let text = fs::read_to_string(self.path(file)).unwrap_or_default();
            let pids: Vec<Pid> = text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect();
            if pids.len() >= count {
                return pids;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("{file} did not fill");
    }

    async fn stop(&mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).expect("a pid")).expect("not zero");
        kill_process(pid, Signal::TERM).expect("it lives");
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            if let Some(status) = self.process.try_wait().expect("ours") {
                return status.code();
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("it did not end");
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\ncd \"$(dirname \"$0\")\"\n{body}\n")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

async fn gone(pid: Pid) {
    let started = Instant::now();
    while test_kill_process(pid).is_ok() {
        assert!(started.elapsed() < LIMIT, "{pid:?} lives on");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_worker_that_dies_waits_for_its_restart_and_its_last_words_are_shown() {
    let mut installation = Installation::start("echo 'panicked at the \u{1b}[31mworker' >&2; exit 101");
    let server = installation.eventually(|server| server.state == ServerState::Backoff).await;
    let error = server.last_error.expect("says why");
    assert!(error.contains("101") && error.contains("panicked at the \\u{1b}[31mworker"), "{error}");
    assert!(server.retry_in.is_some());
    installation.eventually(|server| server.restarts >= 1).await;
    assert_eq!(installation.stop().await, Some(0));
}

#[tokio::test]
async fn what_a_dead_worker_leaves_behind_is_killed_wherever_it_hid() {
    let body = "export MCPROXY_INSTANCE=one.$5\n\
                (setsid sh -c 'echo $$ >> left; exec sleep 1000' &) ; (sh -c 'echo $$ >> left; exec sleep 1000' &)\n\
                while [ $(wc -l < left) -lt 2 ]; do :; done; kill -9 $$";
    let mut installation = Installation::start(body);
    let left = installation.pids("left", 2).await;
    for pid in &left[..2] {
        gone(*pid).await;
    }
    assert_eq!(installation.stop().await, Some(0));
}

#[tokio::test]
async fn what_an_earlier_supervisor_left_running_is_gone_before_another_copy_is_started() {
    let body = "trap '' HUP TERM; for old in $(cat left 2>/dev/null); do\n\
                grep -qs ') [^ZX]' /proc/$old/stat && touch two-copies; done\n\
                env -i setsid sleep 1000 & echo $! >> left; echo $$ >> left; while :; do sleep 1; done";
    let mut first = Installation::start(body);
    let left = first.pids("left", 2).await;
    first.process.kill().expect("ours");
    first.process.wait().expect("ours");
    assert!(left.iter().all(|pid| test_kill_process(*pid).is_ok()), "they were not ended");
    let dir = std::mem::replace(&mut first.dir, tempfile::tempdir().expect("a temp dir"));
    let mut second = Installation::start_in(dir, body);
    let all = second.pids("left", 4).await;
    for pid in left {
        gone(pid).await;
    }
    assert!(!second.path("two-copies").exists());
    assert_eq!(second.stop().await, Some(0));
    for pid in all {
        gone(pid).await;
    }
}

#[tokio::test]
async fn a_worker_sees_none_of_the_supervisors_secrets() {
    let mut installation = Installation::start("env > seen.new; mv seen.new seen; exec sleep 1000");
    installation.eventually(|server| server.worker_pid.is_some()).await;
    let started = Instant::now();
    while !installation.path("seen").exists() {
        assert!(started.elapsed() < LIMIT);
        sleep(Duration::from_millis(20)).await;
    }
    let seen = fs::read_to_string(installation.path("seen")).expect("readable");
    assert!(seen.contains("PATH=") && !seen.contains("LEAK"), "{seen}");
    assert_eq!(installation.stop().await, Some(0));
}

#[tokio::test]
async fn there_is_no_path_at_which_a_worker_could_be_impersonated() {
    let mut installation = Installation::start("exec sleep 1000");
    installation.eventually(|server| server.worker_pid.is_some()).await;
    let mut found: Vec<String> = fs::read_dir(installation.path("run"))
        .expect("there")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, ["supervisor.lock", "supervisor.sock"]);
    let unknown = OperatorToSupervisor::Restart("onee".parse().expect("valid"));
    let Some(SupervisorToOperator::Failed(text)) = installation.ask(&unknown).await else { panic!("no answer") };
    assert!(text.contains("did you mean `one`?"), "{text}");
    assert_eq!(installation.stop().await, Some(0));
}

#[tokio::test]
async fn what_a_server_started_is_refused_at_the_control_socket_even_when_it_hides() {
    // A worker that only listens to its children: it calls the socket from below itself and from a session of its own.
    let body = "python3 - \"$7\" <<'EOF'\n\
                import os, socket, sys, time\n\
                if os.fork() == 0:\n \
                 os.setsid()\n \
                 if os.fork() == 0:\n  \
                  time.sleep(0.2)\n  \
                  k = socket.socket(socket.AF_UNIX); k.connect(sys.argv[1]); k.settimeout(10)\n  \
                  text = b''\n  \
                  try:\n   \
                   while True:\n    \
                    part = k.recv(4096)\n    \
                    if not part: break\n    \
                    text += part\n  \
                  except OSError: pass\n  \
                  open('said.new', 'wb').write(text); os.rename('said.new', 'said')\n \
                 os._exit(0)\n\
                time.sleep(1000)\n\
                EOF";
    let mut installation = Installation::start(body);
    let started = Instant::now();
    while !installation.path("said").exists() {
        assert!(started.elapsed() < LIMIT, "never refused");
        sleep(Duration::from_millis(20)).await;
    }
    let said = fs::read(installation.path("said")).expect("readable");
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("is for operators"), "{said:?}");
    assert_eq!(installation.stop().await, Some(0));
}

#[tokio::test]
async fn a_crowd_of_silent_callers_does_not_keep_an_operator_out() {
    let mut installation = Installation::start("exec sleep 1000");
    installation.eventually(|server| server.worker_pid.is_some()).await;
    let socket = supervisor_socket(&installation.path("run"));
    let crowd: Vec<_> = (0..200).map(|_| UnixStream::connect(&socket).expect("it listens")).collect();
    for _ in 0..20 {
        let asked = installation.ask(&OperatorToSupervisor::Status);
        let answer = tokio::time::timeout(Duration::from_secs(2), asked).await.expect("in time");
        assert!(matches!(answer, Some(SupervisorToOperator::Status(_))), "{answer:?}");
    }
    drop(crowd);
    assert_eq!(installation.stop().await, Some(0));
}
