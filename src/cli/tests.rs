//! Whole commands against a scripted supervisor: what is printed, and the exit code.

use std::{
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use mcproxy_ipc::{
    ConfigSource, Generation, Listener, LogLevel, LogLine, LogSource, ProcessStatus, ServerState, ServerStatus,
    StatusReport, Verdict,
    control::{OperatorToSupervisor, SupervisorToOperator},
    receive_hello, supervisor_socket,
};

use super::{Console, Exit, run};

/// The output of a command.
#[derive(Clone, Default)]
pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A console that writes into buffers, and what it printed as data.
pub(crate) fn buffers() -> (Console, Page) {
    let (console, out, _) = console();
    (console, out)
}

fn console() -> (Console, Page, Page) {
    let (out, err) = (Page::default(), Page::default());
    let console = Console {
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        input: Box::new(io::empty()),
        width: None,
        err_is_terminal: false,
        style: crate::cli::style::Style::default(),
        input_is_terminal: false,
    };
    (console, out, err)
}

fn mcproxy(dir: &Path, args: &[&str]) -> (Exit, String, String) {
    let (mut console, out, err) = console();
    let mut all = vec!["mcproxy".into(), "--runtime-dir".into(), dir.into()];
    all.extend(args.iter().map(Into::into));
    let exit = run(all, &mut console);
    (exit, out.text(), err.text())
}

/// Answers one connection after the other from the script, then leaves.
fn supervisor(dir: &Path, script: Vec<(OperatorToSupervisor, Vec<SupervisorToOperator>)>) -> JoinHandle<()> {
    let path = supervisor_socket(dir);
    let (bound, ready) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = Listener::bind(&path).expect("a socket");
            bound.send(()).expect("somebody waits");
            for (expected, answers) in script {
                let mut connection = listener.accept().await.expect("a caller");
                receive_hello(&mut connection).await.expect("a hello");
                connection.answer(Verdict::Accepted).await.expect("taken");
                let (mut receiver, mut sender) = connection.control::<OperatorToSupervisor, SupervisorToOperator>();
                let (request, _) = receiver.next().await.expect("a frame").expect("a request");
                assert_eq!(request, expected);
                for answer in answers {
                    sender.send(&answer).await.expect("taken");
                }
            }
        });
    });
    ready.recv_timeout(Duration::from_secs(10)).expect("bound in time");
    thread
}

fn status() -> SupervisorToOperator {
    let server = |name: &str| ServerStatus {
        name: name.try_into().expect("a name"),
        wanted: true,
        state: ServerState::Ready,
        generation: Generation(1),
        since: Duration::from_secs(5),
        restarts: 0,
        retry_in: None,
        stale: false,
        description: None,
        start: None,
        change: None,
        transport: mcproxy_ipc::ServerTransport::Stdio,
        worker_pid: None,
        server_pid: None,
        instances: None,
        list_failures: Vec::new(),
        rss_bytes: 0,
        last_error: None,
        degraded: Vec::new(),
        events: Vec::new(),
    };
    SupervisorToOperator::Status(Box::new(StatusReport {
        version: "0.1.0".into(),
        config_path: "mcp-servers.json".into(),
        config_source: ConfigSource::File,
        config_error: None,
        config_warnings: vec!["f.json:2:3  /inputs: warning: `inputs` is ignored".into()],
        listen: "127.0.0.1:1".into(),
        hardening: mcproxy_confine::Hardening::BestEffort,
        degraded: Vec::new(),
        log_dropped: 0,
        notes_dropped: 0,
        supervisor: ProcessStatus { pid: 1, uptime: Duration::ZERO, rss_bytes: 0, restarts: 0 },
        gateway: None,
        servers: vec![server("playwright"), server("time")],
    }))
}

#[test]
fn without_a_supervisor_one_is_told_how_to_start_it() {
    let dir = tempfile::tempdir().expect("a directory");
    for command in
        [&["status"][..], &["reload"], &["logs"], &["restart", "x"], &["tools"], &["call", "a__b"], &["stop"]]
    {
        let (exit, out, err) = mcproxy(dir.path(), command);
        assert_eq!((exit.code(), out.as_str()), (69, ""), "{command:?}");
        assert!(err.contains("start it with `mcproxy-supervisor --log`"), "{err}");
        assert!(err.contains(&*dir.path().to_string_lossy()), "{err}");
    }
}

#[test]
fn a_mistyped_server_is_a_usage_error_that_names_the_nearest() {
    let dir = tempfile::tempdir().expect("a directory");
    for command in [&["status", "tine"][..], &["restart", "tine"], &["logs", "tine"]] {
        let supervisor = supervisor(dir.path(), vec![(OperatorToSupervisor::Status, vec![status()])]);
        let (exit, out, err) = mcproxy(dir.path(), command);
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{command:?}");
        assert_eq!(err, "mcproxy: there is no server `tine`; did you mean `time`?\n");
        supervisor.join().expect("the script was followed");
    }
}

#[test]
fn status_as_json_is_one_document() {
    let dir = tempfile::tempdir().expect("a directory");
    let supervisor = supervisor(dir.path(), vec![(OperatorToSupervisor::Status, vec![status()])]);
    let (exit, out, _) = mcproxy(dir.path(), &["status", "--json"]);
    supervisor.join().expect("the script was followed");
    assert_eq!(exit, Exit::Ok);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["servers"][1]["name"], "time");
    assert_eq!(json["servers"][1]["state"], "ready");
    assert_eq!(json["gateway"], serde_json::Value::Null);
}

#[test]
fn logs_end_with_the_last_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = |text: &str| {
        let line = LogLine { at_ms: 0, level: LogLevel::Warn, source: LogSource::Own, text: text.into() };
        SupervisorToOperator::Line(line)
    };
    let request = OperatorToSupervisor::Logs { server: None, lines: 7, follow: false };
    let answers = vec![line("a"), line("b"), SupervisorToOperator::End];
    let supervisor = supervisor(dir.path(), vec![(request, answers)]);
    let (exit, out, _) = mcproxy(dir.path(), &["logs", "-n", "7"]);
    supervisor.join().expect("the script was followed");
    assert_eq!(exit, Exit::Ok);
    assert_eq!(out, "1970-01-01T00:00:00.000Z warn  a\n1970-01-01T00:00:00.000Z warn  b\n");
}

#[test]
fn a_refusal_is_told_and_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let refusal = SupervisorToOperator::Failed("the file has mistakes".into());
    let supervisor = supervisor(dir.path(), vec![(OperatorToSupervisor::Reload, vec![refusal])]);
    let (exit, out, err) = mcproxy(dir.path(), &["reload"]);
    supervisor.join().expect("the script was followed");
    assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Failed, "", "mcproxy: the file has mistakes\n"));
}

#[test]
fn stop_returns_when_the_supervisor_is_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let done = SupervisorToOperator::Done("stopping".into());
    let supervisor = supervisor(dir.path(), vec![(OperatorToSupervisor::Stop, vec![done])]);
    assert_eq!(mcproxy(dir.path(), &["stop"]), (Exit::Ok, "stopped\n".into(), String::new()));
    supervisor.join().expect("the script was followed");
}

#[test]
fn a_wrong_command_line_is_a_usage_error_and_help_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(mcproxy(dir.path(), &["statsu"]).0.code(), 64);
    assert_eq!(mcproxy(dir.path(), &[]).0.code(), 64);
    let (exit, out, err) = mcproxy(dir.path(), &["--help"]);
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""));
    assert!(out.contains("Exit codes") && out.contains("mcproxy call"), "{out}");
}

#[test]
fn a_server_of_2026_07_28_alone_is_spoken_to_as_such() {
    let dir = tempfile::tempdir().expect("a directory");
    let (url, seen) = super::modern_server::start();
    let (exit, out, err) = mcproxy(dir.path(), &["tools", "--url", &url]);
    assert_eq!(exit, Exit::Ok, "{err}");
    assert!(out.contains("where") && out.contains("ask"), "{out}");
    assert!(!out.contains("impossible"), "{out}");
    assert!(err.contains("left out: the tool `impossible` cannot be used over HTTP"), "{err}");

    let call = |tool: &str, args: &str| mcproxy(dir.path(), &["call", tool, "--args", args, "--url", &url]);
    assert_eq!(call("where", r#"{"region": "größe"}"#), (Exit::Ok, "größe\n".into(), String::new()));
    assert_eq!(call("wait", "{}").1, "now\n", "what gains time is asked again");
    let (exit, out, err) = call("impossible", "{}");
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert!(err.contains("`impossible` cannot be used over HTTP"), "{err}");
    let (exit, _, err) = call("ask", "{}");
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("asks for `elicitation/create`, which the command line cannot answer"), "{err}");
    let (exit, _, err) = call("undeclared", "{}");
    assert_eq!(exit, Exit::Usage, "it is not in the list: {err}");
    assert_eq!(call("wher", "{}").2, "mcproxy: there is no tool `wher`; did you mean `where`?\n");
    let called = seen.lock().expect("not poisoned").iter().filter(|m| m["params"]["name"] == "impossible").count();
    assert_eq!(called, 0);
}

#[test]
fn what_is_no_endpoint_at_all_is_told_as_what_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let (url, _) = super::modern_server::start();
    let at = |path: &str| mcproxy(dir.path(), &["tools", "--url", &url.replace("/mcp", path)]);
    let (exit, _, err) = at("/else");
    assert_eq!(exit.code(), 76);
    assert!(err.contains("HTTP 404"), "{err}");
    let (exit, _, err) = at("/sse");
    assert_eq!(exit.code(), 76);
    assert!(err.contains("try the path /mcp instead of /sse"), "{err}");
}
