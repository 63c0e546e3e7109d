//! The command line of the real binary: exit codes and what it says to the person who has to act.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(20);

struct Place(TempDir);

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().expect("a temp dir"));
        fs::write(place.config(), config).expect("written");
        place
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("mcp-servers.json")
    }

    fn command(&self) -> Command {
        let mut command = supervisor();
        command.arg("--config").arg(self.config()).arg("--runtime-dir").arg(self.0.path().join("run"));
        command.arg("--state-dir").arg(self.0.path().join("state"));
        command
    }

    fn start(&self) -> Running {
        let mut command = self.command();
        command.args(["--log", "--log-format", "json"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary exists");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut running = Running { child, lines };
        running.until("listening");
        running
    }
}

struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    /// The next record with this message. The binary's end ends the wait, and the test runner's limit bounds it.
    fn until(&mut self, message: &str) -> serde_json::Value {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).expect("readable"), 0, "no {message:?} in:\n{seen}");
            let record: serde_json::Value = serde_json::from_str(&line).expect("each line is one JSON object");
            if record["msg"] == message {
                return record;
            }
            seen.push_str(&line);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("it lives");
    }

    fn end(mut self) -> Option<i32> {
        let started = Instant::now();
        // No one reads any more; it must not wait for that.
        while started.elapsed() < LIMIT {
            if let Some(status) = self.child.try_wait().expect("ours") {
                return status.code();
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("it did not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn supervisor() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mcproxy-supervisor"))
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary exists");
    (status.code(), String::from_utf8_lossy(&stdout).into(), String::from_utf8_lossy(&stderr).into())
}

const EMPTY: &str = r#"{"listen": "127.0.0.1:0", "servers": []}"#;

#[test]
fn help_explains_the_exit_codes() {
    let (code, text, _) = run(supervisor().arg("--help"));
    assert_eq!(code, Some(0));
    for word in ["Exit codes", "64", "75", "78", "SIGHUP", "--log-format"] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for args in [&["--prot", "1"][..], &["--port", "many"], &["--host", "example.org"], &["surplus"]] {
        let (code, _, text) = run(supervisor().args(args));
        assert_eq!(code, Some(64), "{args:?}: {text}");
    }
}

#[test]
fn all_mistakes_of_a_configuration_are_printed_at_once() {
    let place =
        Place::new(r#"{"servers": [{"name": "a__b", "command": "x"}, {"name": "c", "comand": "y"}], "listn": 1}"#);
    let (code, _, text) = run(&mut place.command());
    assert_eq!(code, Some(78), "{text}");
    for word in ["a__b", "comand", "listn", "mcp-servers.json:1:"] {
        assert!(text.contains(word) || word == "a__b" && text.contains("`__`"), "{word} is missing in:\n{text}");
    }
    assert!(!place.0.path().join("run").exists(), "nothing was touched");
}

#[test]
fn a_missing_configuration_is_named() {
    let (code, _, text) = run(supervisor().args(["--config", "/nowhere/mcp-servers.json"]));
    assert_eq!(code, Some(78));
    assert!(text.contains("/nowhere/mcp-servers.json") && text.contains("No such file"), "{text}");
}

#[test]
fn an_open_address_without_auth_is_refused() {
    let place = Place::new(EMPTY);
    let (code, _, text) = run(place.command().args(["--host", "0.0.0.0"]));
    assert_eq!(code, Some(78));
    assert!(text.contains("auth"), "{text}");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let place = Place::new(EMPTY);
    let (code, _, text) = run(place.command().args(["--port", &port]));
    assert_eq!(code, Some(71));
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("in use"), "{text}");
}

#[test]
fn a_second_supervisor_is_told_the_pid_of_the_first_and_a_third_elsewhere_is_welcome() {
    let place = Place::new(EMPTY);
    let first = place.start();
    let (code, _, text) = run(&mut place.command());
    assert_eq!(code, Some(75));
    assert!(text.contains(&format!("already running (pid {})", first.child.id())), "{text}");
    let elsewhere = Place::new(EMPTY).start();
    elsewhere.signal(Signal::TERM);
    assert_eq!(elsewhere.end(), Some(0));
    first.signal(Signal::INT);
    assert_eq!(first.end(), Some(0));
}

#[test]
fn a_changed_file_is_read_and_a_broken_one_changes_nothing() {
    let place = Place::new(EMPTY);
    let mut running = place.start();
    let with_server = r#"{"listen": "127.0.0.1:0", "servers": [{"name": "off", "command": "x", "enabled": false}]}"#;
    fs::write(place.config(), "{\"servers\": 7").expect("written");
    let record = running.until("configuration rejected, the old one stays in force");
    assert!(record["problem"].as_str().is_some_and(|text| text.contains("mcp-servers.json:1:")), "{record}");
    replace(&place.config(), with_server);
    let record = running.until("configuration read again");
    assert_eq!(record["changes"], "added off");
    replace(&place.config(), EMPTY);
    running.signal(Signal::HUP);
    assert_eq!(running.until("configuration read again")["changes"], "removed off");
    running.signal(Signal::TERM);
    running.until("stopped");
    assert_eq!(running.end(), Some(0));
}

#[test]
fn the_end_does_not_wait_for_a_log_reader() {
    let place = Place::new(EMPTY);
    let mut running = place.start();
    let mut rest = Vec::new();
    running.signal(Signal::TERM);
    running.lines.read_to_end(&mut rest).expect("it ends");
    assert!(String::from_utf8_lossy(&rest).contains("stopped"), "the last record is written");
    assert_eq!(running.end(), Some(0));
    assert!(!place.0.path().join("run/supervisor.sock").exists());
}

fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::rename(new, path).expect("replaced");
}
