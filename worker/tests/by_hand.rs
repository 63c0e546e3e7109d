//! The worker in a person's terminal, with the scripted server of `tests/fixture`.

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use support::fixture;

/// Longest run of one command.
const DEADLINE: Duration = Duration::from_secs(30);

const TOKEN: &str = "very-secret-token";

struct ByHand {
    dir: tempfile::TempDir,
}

impl ByHand {
    /// A configuration with a server `scripted`, unless the fixture is not built.
    fn new(extra_args: &[&str]) -> Option<Self> {
        let fixture = fixture()?;
        let mut args = vec!["--stderr", "hello ${BY_HAND_TOKEN}"];
        args.extend(extra_args);
        let config = serde_json::json!({"mcpServers": {
            "scripted": {"command": fixture, "args": args, "env": {"SECRET": "${BY_HAND_TOKEN}"}},
            "missing": {"command": "no-such-program-anywhere"},
        }});
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("mcp-servers.json"), config.to_string()).expect("written");
        Some(Self { dir })
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcproxy-worker"));
        with_deadline(command.args(args).current_dir(self.dir.path()).env("BY_HAND_TOKEN", TOKEN).env("UNRELATED", "x"))
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command to its end; it is killed when it takes too long.
fn with_deadline(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawns");
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let out = std::thread::spawn(move || {
        let mut all = Vec::new();
        out.read_to_end(&mut all).map(|_| all)
    });
    let err = std::thread::spawn(move || {
        let mut all = Vec::new();
        err.read_to_end(&mut all).map(|_| all)
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("waits") {
            break status;
        }
        if start.elapsed() > DEADLINE {
            child.kill().expect("killed");
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(5)); // between looks, within the deadline
    };
    let stdout = out.join().expect("joined").expect("read");
    let stderr = err.join().expect("joined").expect("read");
    Output { status, stdout, stderr }
}

#[test]
fn list_shows_what_the_server_offers_and_leaves_nothing_running() {
    let Some(hand) = ByHand::new(&["--page-size", "3"]) else { return };
    let output = hand.run(&["--server", "scripted", "--list"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(shown.contains("  echo ") && shown.contains("fixture://static/text"), "{shown}");
    let told = stderr(&output);
    assert!(told.contains("ready after") && told.contains("MCP 2025-11-25"), "{told}");
    let pid = told.split("process ").nth(1).and_then(|rest| rest.lines().next()).expect("its process id");
    assert!(!std::path::Path::new("/proc").join(pid).exists(), "the server is still there");
}

#[test]
fn call_prints_the_result_and_nothing_else_on_stdout() {
    let Some(hand) = ByHand::new(&[]) else { return };
    let output = hand.run(&["--server", "scripted", "--call", "echo", "--args", r#"{"text":"hi"}"#]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "hi\n"), "{}", stderr(&output));
}

#[test]
fn a_failed_call_has_its_own_exit_code_and_a_mistyped_tool_a_hint() {
    let Some(hand) = ByHand::new(&[]) else { return };
    let output = hand.run(&["--server", "scripted", "--call", "fail"]);
    assert_eq!(output.status.code(), Some(1));
    let output = hand.run(&["--server", "scripted", "--call", "ehco", "--args", "{}"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("did you mean `echo`?"), "{}", stderr(&output));
}

#[test]
fn secrets_are_masked_in_everything_that_is_printed() {
    let Some(hand) = ByHand::new(&[]) else { return };
    let output = hand.run(&["--server", "scripted", "--trace", "--call", "env", "--args", r#"{"name":"SECRET"}"#]);
    let (shown, told) = (stdout(&output), stderr(&output));
    assert_eq!(shown, "***\n");
    assert!(told.contains("→ ") && told.contains("← ") && told.contains("stderr | hello ***"), "{told}");
    assert!(!told.contains(TOKEN), "{told}");
}

#[test]
fn a_log_record_that_quotes_the_server_is_masked_too() {
    let Some(hand) = ByHand::new(&[]) else { return };
    let config = serde_json::json!({"mcpServers": {"babbler": {
        "command": "sh",
        "args": ["-c", "echo \"token $SECRET\"; sleep 0.2"],
        "env": {"SECRET": "${BY_HAND_TOKEN}"},
    }}});
    std::fs::write(hand.dir.path().join("babbler.json"), config.to_string()).expect("written");
    let output = hand.run(&["--server", "babbler", "--config", "babbler.json", "--list"]);
    let told = stderr(&output);
    assert!(told.contains("token ***") && !told.contains(TOKEN), "{told}");
}

#[test]
fn ctrl_c_ends_the_server_too() {
    let Some(hand) = ByHand::new(&[]) else { return };
    let mut child = Command::new(env!("CARGO_BIN_EXE_mcproxy-worker"))
        .args(["--server", "scripted"])
        .current_dir(hand.dir.path())
        .env("BY_HAND_TOKEN", TOKEN)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spawned");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map(|line| line.expect("read"));
    let started = lines.find(|line| line.starts_with("started, process ")).expect("started");
    let server = started.rsplit(' ').next().expect("a process id").to_owned();
    assert!(lines.any(|line| line == "Ctrl-C ends it"));
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::INT).expect("signalled");
    assert!(lines.any(|line| line.starts_with("stopping")));
    assert_eq!(lines.count(), 0, "it ends without further words");
    assert_eq!(child.wait().expect("waited").code(), Some(0));
    assert!(!std::path::Path::new("/proc").join(server).exists());
}

#[test]
fn a_server_sees_its_entry_and_the_list_and_nothing_else_of_our_environment() {
    let Some(hand) = ByHand::new(&[]) else { return };
    let output = hand.run(&["--server", "scripted", "--call", "env_names"]);
    let names = stdout(&output);
    assert!(names.contains("SECRET") && names.contains("PATH") && names.contains("MCPROXY_INSTANCE"), "{names}");
    assert!(!names.contains("UNRELATED") && !names.contains("BY_HAND_TOKEN"), "{names}");
}

#[test]
fn mistakes_are_explained_with_their_own_exit_codes() {
    let Some(hand) = ByHand::new(&["--exit-before-init", "3"]) else { return };
    let unknown = hand.run(&["--server", "scriptde"]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(stderr(&unknown).contains("did you mean `scripted`?"), "{}", stderr(&unknown));
    let missing = hand.run(&["--server", "missing", "--list"]);
    assert_eq!(missing.status.code(), Some(69));
    assert!(stderr(&missing).contains("command not found: no-such-program-anywhere"), "{}", stderr(&missing));
    let early = hand.run(&["--server", "scripted", "--list"]);
    assert_eq!(early.status.code(), Some(69));
    assert!(stderr(&early).contains("exited with code 3"), "{}", stderr(&early));
    let config = hand.run(&["--server", "scripted", "--config", "absent.json"]);
    assert_eq!(config.status.code(), Some(78));
    let args = hand.run(&["--server", "scripted", "--call", "echo", "--args", "[1]"]);
    assert_eq!(args.status.code(), Some(64));
}
