use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder, header::AUTHORIZATION};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    answer::{Answer, ask},
    legacy::LegacySession,
    process::{Finished, processes_in, run, terminate},
    session::{self, Session},
    status::{ServerView, SystemView},
    wait::{DEADLINE, eventually},
};

/// Drain (20 s), and a little for the last kill.
const STOP: Duration = Duration::from_secs(25);

/// A free port, whatever the configuration says.
const ANY_PORT: [&str; 2] = ["--port", "0"];

/// How long an unused connection is kept for the next request.
const POOL_IDLE: Duration = Duration::from_secs(5);

/// Runs the tests at another level: those whose configuration has no `hardening`, which are started with the default otherwise.
const HARDENING_VARIABLE: &str = "MCPROXY_TEST_HARDENING";

/// A whole MCProxy in a directory of its own. All its processes work in that directory or below, which is how they are found.
pub(crate) struct Proxy {
    child: Child,
    dir: TempDir,
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
    pub(crate) http: Client,
}

/// A binary of this workspace.
pub(crate) fn binary(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_mcproxy")).with_file_name(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace` first", path.display());
    path
}

/// A client that presents this token with each request.
pub(crate) fn http_client(token: Option<&str>) -> Client {
    mcproxy_http::share_provider();
    let bearer = |token| format!("Bearer {token}").parse().expect("a header");
    let headers = token.map(|token| (AUTHORIZATION, bearer(token))).into_iter().collect();
    // Only ever the gateway: a proxy of the environment has no say.
    // Connections that nobody uses are given back soon: what the gateway holds open is counted.
    let client = Client::builder().no_proxy().pool_idle_timeout(POOL_IDLE).default_headers(headers);
    client.build().expect("an HTTP client")
}

/// The entry of a scripted server. Files that it is told of may be written.
pub(crate) fn fixture(name: &str, flags: &[&str]) -> Value {
    let args = [&["--name", name], flags].concat();
    let files = flags.iter().map(Path::new).filter(|path| path.is_absolute());
    let writable = files.filter_map(|path| if path.exists() { Some(path) } else { path.parent() });
    let mut entry = json!({"name": name, "command": binary("mcproxy-fixture"), "args": args});
    let writable: Vec<&Path> = writable.collect();
    if !writable.is_empty() {
        entry["sandbox"] = json!({"write": writable});
    }
    entry
}

impl Proxy {
    /// Starts the proxy and waits until every server answers.
    pub(crate) async fn start(config: Value) -> Self {
        let proxy = Self::launch(config).await;
        proxy.until_ready().await;
        proxy
    }

    /// Starts the proxy with one server per name, of no special flags.
    pub(crate) async fn of(names: &[&str]) -> Self {
        let servers: Vec<Value> = names.iter().map(|name| fixture(name, &[])).collect();
        Self::start(json!({"servers": servers})).await
    }

    /// Starts the proxy and waits until the gateway answers, whatever the servers do.
    pub(crate) async fn launch(config: Value) -> Self {
        Self::launch_with(config, |_| ()).await
    }

    /// The same, with changes to the supervisor's command.
    pub(crate) async fn launch_with(config: Value, change: impl FnOnce(&mut std::process::Command)) -> Self {
        let change = |command: &mut std::process::Command| {
            command.args(ANY_PORT);
            change(command);
        };
        Self::launch_program(&binary("mcproxy-supervisor"), config, change).await
    }

    /// The same, listening where the configuration says.
    pub(crate) async fn launch_where_configured(config: Value) -> Self {
        Self::launch_program(&binary("mcproxy-supervisor"), config, |_| ()).await
    }

    /// The same, with the binaries that lie beside this supervisor.
    pub(crate) async fn launch_at(program: &Path, config: Value) -> Self {
        Self::launch_program(program, config, |command| {
            command.args(ANY_PORT);
        })
        .await
    }

    /// The same, listening where the configuration or a service manager says, with what that passes.
    pub(crate) async fn launch_passed(
        config: Value,
        passed: &PassedDescriptors,
        change: impl FnOnce(&mut std::process::Command),
    ) -> Self {
        Self::launch_made(|dir| passed.to(&command_of(&binary("mcproxy-supervisor"), dir)), config, change).await
    }

    async fn launch_program(program: &Path, config: Value, change: impl FnOnce(&mut std::process::Command)) -> Self {
        Self::launch_made(|dir| command_of(program, dir), config, change).await
    }

    async fn launch_made(
        make: impl FnOnce(&Path) -> std::process::Command,
        config: Value,
        change: impl FnOnce(&mut std::process::Command),
    ) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // Closed to other users, so that root gives none away: tests beside each other would want the same ones. Those that are
        // about users open it, and have a range each.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
        fs::write(dir.path().join("mcp-servers.json"), config.to_string()).expect("the configuration is written");
        // Not beside the configuration: whatever is written there is looked at.
        fs::create_dir(dir.path().join("out")).expect("a directory for the log");
        let mut command = make(dir.path());
        log_into(&mut command, dir.path());
        change(&mut command);
        let child = command.spawn().expect("the supervisor starts");
        let http = http_client(None);
        let mut proxy = Self { child, dir, base: String::new(), http };
        proxy.until_it_answers().await;
        proxy
    }

    /// Ends everything in order and starts it anew, on another port; waits until the gateway answers.
    pub(crate) async fn start_over(&mut self) {
        self.terminate();
        assert_eq!(self.exit_code(STOP).await, Some(0));
        assert_eq!(self.processes(), []);
        self.start_again().await;
    }

    /// Starts what has ended, on another port; waits until the gateway answers.
    pub(crate) async fn start_again(&mut self) {
        let mut command = supervisor(self.dir());
        log_into(&mut command, self.dir());
        self.child = command.spawn().expect("the supervisor starts");
        self.until_it_answers().await;
    }

    /// Starts what has ended, with what a service manager passes; waits until the gateway answers.
    pub(crate) async fn start_again_passed(
        &mut self,
        passed: &PassedDescriptors,
        change: impl FnOnce(&mut std::process::Command),
    ) {
        let mut command = passed.to(&command_of(&binary("mcproxy-supervisor"), self.dir()));
        log_into(&mut command, self.dir());
        change(&mut command);
        self.child = command.spawn().expect("the supervisor starts");
        self.until_it_answers().await;
    }

    async fn until_it_answers(&mut self) {
        let proxy = self;
        proxy.base = eventually("the supervisor says where it listens", DEADLINE, async || {
            let status = proxy.try_status().await?;
            Some(format!("http://{}", status.listen))
        })
        .await;
        eventually("the gateway answers", DEADLINE, async || {
            let answer = proxy.http.get(proxy.url("/healthz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Waits until every wanted server is ready.
    pub(crate) async fn until_ready(&self) {
        eventually("every server is ready", Duration::from_secs(60), async || {
            let answer = self.http.get(self.url("/readyz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// A URL of the gateway.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The supervisor's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where configuration, log and runtime directory lie.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A session with all servers.
    pub(crate) async fn session(&self) -> Session {
        Session::open(&self.http, &self.url("/mcp")).await
    }

    /// A session at another endpoint.
    pub(crate) async fn session_at(&self, path: &str) -> Session {
        Session::open(&self.http, &self.url(path)).await
    }

    /// A session of 2024-11-05 with all servers.
    pub(crate) async fn legacy_session(&self) -> LegacySession {
        LegacySession::open(&self.http, &self.base, "/sse").await.0
    }

    /// A POST to `path` with the headers that the transport wants, without a session.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        session::post(&self.http, &self.url(path))
    }

    /// A GET of `path`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        ask(self.http.get(self.url(path))).await
    }

    /// Runs `mcproxy` against this proxy.
    pub(crate) async fn cli(&self, args: &[&str]) -> Finished {
        self.cli_with(args, "").await
    }

    /// Runs `mcproxy` with this input.
    pub(crate) async fn cli_with(&self, args: &[&str], input: &str) -> Finished {
        run(&mut self.cli_command(args), input).await
    }

    /// `mcproxy` with these arguments, to be run.
    pub(crate) fn cli_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcproxy"));
        command.args(args).env("MCPROXY_RUNTIME_DIR", self.dir().join("run")).env_remove("MCPROXY_TOKEN");
        command
    }

    /// What `mcproxy status` says.
    pub(crate) async fn status(&self) -> SystemView {
        self.try_status().await.expect("the supervisor answers")
    }

    /// The same, or nothing when it has no answer.
    pub(crate) async fn try_status(&self) -> Option<SystemView> {
        let finished = self.cli(&["status", "--json"]).await;
        (finished.code == Some(0)).then(|| {
            serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.stdout))
        })
    }

    /// One server, now.
    pub(crate) async fn server(&self, name: &str) -> ServerView {
        self.status().await.server(name).clone()
    }

    /// Waits until a server is as it should be.
    pub(crate) async fn server_until(
        &self,
        what: &str,
        name: &str,
        wanted: impl Fn(&ServerView) -> bool,
    ) -> ServerView {
        eventually(&format!("{name}: {what}"), DEADLINE, async || {
            let status = self.try_status().await?;
            status.servers.into_iter().find(|server| server.name == name).filter(|server| wanted(server))
        })
        .await
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir().join("out/log.txt")).unwrap_or_default()).into_owned()
    }

    /// Waits for a line of the log that holds all of these.
    pub(crate) async fn logged(&self, parts: &[&str]) -> String {
        eventually(&format!("a log line with {parts:?}"), DEADLINE, async || {
            self.log().lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
        })
        .await
    }

    /// Replaces the configuration the way editors do.
    pub(crate) fn write_config(&self, config: &str) {
        let new = self.dir().join(".mcp-servers.json.new");
        fs::write(&new, config).expect("the new configuration is written");
        fs::rename(new, self.dir().join("mcp-servers.json")).expect("it replaces the old one");
    }

    /// All processes of this proxy and of its servers.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        processes_in(self.dir())
    }

    /// Waits for the supervisor's exit code; `None` when a signal ended it.
    pub(crate) async fn exit_code(&mut self, deadline: Duration) -> Option<i32> {
        let child = &mut self.child;
        eventually("the supervisor ends", deadline, async || child.try_wait().expect("its state")).await.code()
    }

    /// Stops everything without waiting for anybody.
    pub(crate) async fn cut(mut self) {
        self.terminate();
        self.logged(&["draining"]).await;
        self.terminate();
        self.exit_code(STOP).await;
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        terminate(self.pid());
    }
}

/// What a service manager passes to the supervisor (sd_listen_fds(3)): the port, and a file that the run before left with it.
pub(crate) struct PassedDescriptors {
    pub(crate) port: TcpListener,
    pub(crate) sessions: Option<OwnedFd>,
}

impl PassedDescriptors {
    /// A command that passes them to this one, whose process it becomes.
    fn to(&self, command: &std::process::Command) -> std::process::Command {
        let port = self.port.try_clone().expect("another descriptor of the port");
        let mut passing = std::process::Command::new("sh");
        // What is at the end of a path of /proc is opened anew, as a service manager's copy would be.
        let (count, script) = match &self.sessions {
            Some(file) => {
                let file = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
                ("2", format!(r#"exec "$0" "$@" 3<&0 4<{file} 0</dev/null"#))
            }
            None => ("1", r#"exec "$0" "$@" 3<&0 0</dev/null"#.to_owned()),
        };
        passing.args(["-c", &format!("export LISTEN_PID=$$; {script}")]);
        passing.arg(command.get_program()).args(command.get_args());
        passing.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        passing.env("LISTEN_FDS", count).env("LISTEN_FDNAMES", "mcproxy.socket:mcproxy-sessions");
        passing.current_dir(command.get_current_dir().expect("a directory")).stdin(OwnedFd::from(port));
        passing
    }
}

/// Sends the log of a supervisor to the end of the file in `dir`.
fn log_into(command: &mut std::process::Command, dir: &Path) {
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("out/log.txt")).expect("the log");
    command.stdout(log.try_clone().expect("the log")).stderr(log);
}

/// The supervisor's command for the configuration in `dir`.
pub(crate) fn supervisor(dir: &Path) -> std::process::Command {
    let mut command = command_of(&binary("mcproxy-supervisor"), dir);
    command.args(ANY_PORT);
    command
}

fn command_of(program: &Path, dir: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.args(["--config", "mcp-servers.json", "--log", "--log-level", "debug"]);
    command.args(["--runtime-dir", "run", "--state-dir", "state"]).current_dir(dir).stdin(Stdio::null());
    if let Ok(level) = std::env::var(HARDENING_VARIABLE)
        && !configures_hardening(&dir.join("mcp-servers.json"))
    {
        command.args(["--hardening", &level]);
    }
    // Tests look into its processes, without being root most often.
    command.env(mcproxy_ipc::DUMPABLE_VARIABLE, "1");
    command
}

/// Some tests put a pipe or a device in the place of the file.
fn configures_hardening(path: &Path) -> bool {
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() < 16 << 20);
    let text = is_file.then(|| fs::read_to_string(path).ok()).flatten().unwrap_or_default();
    let configured: Value = serde_json::from_str(&text).unwrap_or_default();
    configured.get("hardening").is_some()
}

impl Drop for Proxy {
    /// Stops the proxy; nothing of it may be left.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            terminate(self.pid());
        }
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < STOP {
            std::thread::sleep(Duration::from_millis(10));
        }
        let stopped = matches!(self.child.try_wait(), Ok(Some(_)));
        if !stopped {
            // What else can be done is said below.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let left = self.processes();
        for (pid, _) in &left {
            if let Some(pid) = i32::try_from(*pid).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(80)..].join("\n");
            // It is only help for the person who reads the failure.
            let _ = writeln!(std::io::stderr().lock(), "--- the end of the proxy's log\n{tail}\n---");
            return;
        }
        assert!(stopped, "the supervisor did not end within {STOP:?} of SIGTERM");
        assert!(left.is_empty(), "processes were left behind: {left:?}");
    }
}
