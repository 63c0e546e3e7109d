//! The test's side of a worker: its supervisor and its gateway.

use std::{
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use bytes::Bytes;
use mcproxy_ipc::{
    CallTimeouts, ChildConnection, DataEnd, Ended, EraRule, Generation, Instances, LaunchSpec, Reach, Receiver, Secret,
    Sender, ServerDescription, ServerLimits, ServerName, WorkerSpec,
    control::{SupervisorToWorker, WorkerToSupervisor},
    data::{CallContext, GatewayToWorker, Outcome, ServerEra, WorkerToGateway},
};
use tokio::time::timeout;

pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// A worker of ours, and our end of its control connection.
pub(crate) struct Worker {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) process: Child,
    pub(crate) from: Receiver<WorkerToSupervisor>,
    pub(crate) to: Sender<SupervisorToWorker>,
}

/// A connection to the worker, as its supervisor makes it for the gateway.
pub(crate) struct Gateway {
    pub(crate) from: Receiver<WorkerToGateway>,
    pub(crate) to: Sender<GatewayToWorker>,
}

pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { timeout(Duration::from_secs(150), test).await.expect("in time") });
}

impl Worker {
    pub(crate) async fn start(program: &Path, args: &[&str], change: impl FnOnce(&mut WorkerSpec)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut connection, theirs) = ChildConnection::pair().expect("a pair");
        let process = Command::new(env!("CARGO_BIN_EXE_mcproxy-worker"))
            .args(["--supervised", "--server", "fixture", "--generation", "5"])
            .stdin(theirs)
            .spawn()
            .expect("spawned");
        timeout(DEADLINE, connection.hello()).await.expect("in time").expect("a hello");
        let server = ServerName::try_from("fixture").expect("a name");
        let (from, mut to) = connection.control();
        let mut spec = WorkerSpec {
            server,
            generation: Generation(5),
            reach: Reach::Command(LaunchSpec {
                program: program.display().to_string(),
                args: args.iter().map(|arg| Secret::new(*arg)).collect(),
                env: Vec::new(),
                cwd: None,
                looked_up: Vec::new(),
            }),
            start_timeout: DEADLINE,
            timeouts: CallTimeouts { idle: DEADLINE, total: DEADLINE, input: DEADLINE },
            era: EraRule::Auto { known: Some(ServerEra::Legacy) },
            features: None,
            extensions: Vec::new(),
            client: None,
            limits: ServerLimits {
                line_bytes: 4 << 20,
                tools: 2000,
                catalogue_bytes: 8 << 20,
                concurrent_calls: 200,
                memory_bytes: None,
                processes: None,
                cpu_millis: None,
                pages: 100,
                garbage_lines: 1000,
                stderr_lines: 200,
                write_timeout: Duration::from_secs(10),
            },
            instances: Instances::Shared,
            cgroup: None,
            confinement: Default::default(),
            idle_timeout: None,
            list_ttl: None,
            keeps_catalogue: false,
            may_clear_cache: false,
        };
        change(&mut spec);
        to.send(&SupervisorToWorker::Run(Box::new(spec))).await.expect("sent");
        Self { dir, process, from, to }
    }

    /// The next report that is no log record; `None` at the end of the connection.
    pub(crate) async fn report(&mut self) -> Option<WorkerToSupervisor> {
        loop {
            match timeout(DEADLINE, self.from.next()).await.expect("in time").expect("a frame")?.0 {
                WorkerToSupervisor::Log(_) => {}
                other => return Some(other),
            }
        }
    }

    pub(crate) async fn spawned(&mut self) -> u32 {
        match self.report().await {
            Some(WorkerToSupervisor::Spawned { pid }) => pid,
            other => panic!("not spawned: {other:?}"),
        }
    }

    pub(crate) async fn ready(&mut self) -> (u32, ServerDescription) {
        let pid = self.spawned().await;
        match self.report().await {
            Some(WorkerToSupervisor::Ready(description)) => (pid, description),
            other => panic!("not ready: {other:?}"),
        }
    }

    /// Its last word, after which the connection and the process end.
    pub(crate) async fn ended(mut self) -> Ended {
        let ended = loop {
            match self.report().await {
                Some(WorkerToSupervisor::Ended(ended)) => break ended,
                Some(_) => {}
                None => panic!("no last word"),
            }
        };
        assert_eq!(self.report().await, None);
        assert!(self.process.wait().expect("waited").success());
        ended
    }

    pub(crate) async fn gateway(&mut self) -> Gateway {
        let (ours, theirs) = DataEnd::pair().expect("pipes");
        self.to.send_along(&SupervisorToWorker::Serve, &theirs.into_descriptors()).await.expect("handed over");
        let (from, to) = ours.open().expect("opened");
        Gateway { from, to }
    }
}

impl Gateway {
    pub(crate) async fn call(&mut self, id: u64, tool: &str, arguments: &str) {
        let params = format!("{{\"name\":\"{tool}\",\"arguments\":{arguments}}}");
        let context = CallContext { wants_progress: true, ..CallContext::default() };
        let call = GatewayToWorker::Call { id, method: "tools/call".into(), meta_at: params.len(), context };
        self.to.send_with(&call, params.as_bytes()).await.expect("sent");
    }

    pub(crate) async fn next(&mut self) -> Option<(WorkerToGateway, Bytes)> {
        timeout(DEADLINE, self.from.next()).await.expect("in time").expect("a frame")
    }

    /// The next final answer.
    pub(crate) async fn done(&mut self) -> (u64, Outcome, String) {
        loop {
            if let (WorkerToGateway::Done { id, outcome, .. }, payload) = self.next().await.expect("not the end") {
                return (id, outcome, String::from_utf8(payload.to_vec()).expect("UTF-8"));
            }
        }
    }

    /// The text of a call's result.
    pub(crate) async fn text(&mut self, id: u64, tool: &str, arguments: &str) -> String {
        self.call(id, tool, arguments).await;
        let (answered, outcome, payload) = self.done().await;
        assert_eq!((answered, outcome), (id, Outcome::Result), "{payload}");
        let result: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
        result["content"][0]["text"].as_str().expect("a text").to_owned()
    }
}

/// Whether a process runs (a zombie does not).
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
}
