//! A worker in a person's terminal: the same run, fed and watched by this module instead of a supervisor and a gateway.

mod print;

use std::{
    cell::RefCell,
    io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    rc::Rc,
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use mcproxy_config::{Config, LoadError, nearest};
use mcproxy_confine::Degradation;
use mcproxy_ipc::{
    Ended, Generation, REMOTE_WORKER, Reach, WorkerSpec,
    control::WorkerToSupervisor,
    data::{CallContext, GatewayToWorker, Outcome, WorkerToGateway},
    default_state_dir,
    environment::is_passed_on,
    our_program, runtime_dirs,
};
use mcproxy_mcp::{RawObject, json_string, method};
use slog::{Drain, Level, LevelFilter, Logger, o};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::timeout,
};

use self::print::Printer;
use crate::{
    args::ByHand,
    confinement::{self, Confined},
    launch::{Launcher, LauncherProgram},
    link::{GatewayLink, Handed, LocalEnd},
    login,
    mask::Mask,
    runner::{self, Order, Ports, Reaches},
    transport::{LineDirection, Trace},
    tree::Tree,
};

/// `EX_USAGE`.
const USAGE: u8 = 64;
/// `EX_UNAVAILABLE`: the server did not start, or ended.
const UNAVAILABLE: u8 = 69;
/// `EX_CONFIG`.
const CONFIG: u8 = 78;
/// The call itself failed.
const FAILED: u8 = 1;
/// Longest wait for an answer beyond the call's own hard limit, which the session keeps.
const MARGIN: Duration = Duration::from_secs(30);

/// Why nothing was run.
enum CannotRun {
    TreeUsage(String),
    Config(String),
    Unavailable(String),
}

/// Does what was asked for on the command line.
pub(crate) async fn run(wish: ByHand, reaches: Reaches) -> anyhow::Result<ExitCode> {
    if let Err(error) = RawObject::from_text(&wish.args) {
        return Ok(refuse(CannotRun::TreeUsage(format!(
            "--args must be a JSON object, like {{\"key\":\"value\"}}: {error}"
        ))));
    }
    match prepare(&wish) {
        Ok((spec, _)) if spec.reach.http().is_some() && reaches.network.is_none() => {
            Ok(refuse(CannotRun::Unavailable(become_remote_worker().to_string())))
        }
        Ok((spec, mask)) => HandRun::start((wish, reaches), spec, mask).await,
        Err(refusal) => Ok(refuse(refusal)),
    }
}

/// This process becomes the program that reaches servers over the network, with the same arguments; else: why it does not.
fn become_remote_worker() -> io::Error {
    match our_program(REMOTE_WORKER) {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).exec(),
        Err(error) => error,
    }
}

fn refuse(refusal: CannotRun) -> ExitCode {
    let (code, text) = match refusal {
        CannotRun::TreeUsage(text) => (USAGE, text),
        CannotRun::Config(text) => (CONFIG, text),
        CannotRun::Unavailable(text) => (UNAVAILABLE, text),
    };
    crate::complain(&text);
    ExitCode::from(code)
}

/// Reads the configuration, and notes what must not be printed: all that came out of the environment.
fn prepare(wish: &ByHand) -> Result<(WorkerSpec, Mask), CannotRun> {
    let looked_up = RefCell::new(Vec::new());
    let lookup = |name: &str| {
        let value = std::env::var(name).ok()?;
        if !is_passed_on(name) {
            looked_up.borrow_mut().push(value.clone());
        }
        Some(value)
    };
    let config = Config::load(&wish.config, &lookup).map_err(|error| match error {
        LoadError::Read { ref path, ref source } => CannotRun::Config(format!(
            "cannot read {}: {source}; name the configuration with --config FILE{}",
            path.display(),
            error.help().map(|help| format!(", or {help}")).unwrap_or_default()
        )),
        LoadError::Invalid(problems) => CannotRun::Config(format!("the configuration has mistakes\n{problems}")),
    })?;
    let server = config.server(&wish.server).ok_or_else(|| CannotRun::TreeUsage(unknown(&wish.server, &config)))?;
    let mut spec = server
        .worker_spec(Generation(0))
        .map_err(|blocked| CannotRun::Unavailable(format!("`{}` cannot be started: {blocked}", wish.server)))?;
    spec.confinement.hardening = config.hardening;
    // What MCProxy hides from a server that it runs itself.
    let state_dir = default_state_dir();
    spec.confinement.tmp = state_dir.as_ref().map(|dir| dir.join("tmp-by-hand").join(&wish.server));
    if let (Some(state_dir), Reach::Http(http)) = (&state_dir, &mut spec.reach)
        && let Some(oauth) = &mut http.oauth
    {
        oauth.place = login::kept_place(state_dir, &spec.server);
    }
    spec.confinement.hidden = [wish.config.clone()].into_iter().chain(state_dir).chain(runtime_dirs()).collect();
    let named = spec.reach.named_values().iter().map(|(_, value)| value);
    let entry = named.chain(spec.reach.looked_up()).map(|value| value.expose().to_owned());
    let mask = Mask::new(looked_up.into_inner().into_iter().chain(entry));
    Ok((spec, mask))
}

fn unknown(name: &str, config: &Config) -> String {
    let names: Vec<&str> = config.servers.iter().map(|server| server.name.as_str()).collect();
    let near = nearest(name, names.iter().copied());
    let mut listed: Vec<&str> = near.into_iter().collect();
    listed.extend(names.iter().filter(|name| Some(**name) != near));
    let shown = name.escape_debug();
    match (near, listed.is_empty()) {
        (_, true) => format!("there is no server `{shown}`: the configuration has none at all"),
        (Some(near), _) => {
            format!("there is no server `{shown}`; did you mean `{near}`? Configured: {}", listed.join(", "))
        }
        (None, _) => format!("there is no server `{shown}`. Configured: {}", listed.join(", ")),
    }
}

/// One run and the person's side of it.
struct HandRun {
    wish: ByHand,
    printer: Rc<Printer>,
    order: mpsc::Sender<Order>,
    reports: mpsc::Receiver<WorkerToSupervisor>,
    gateway: LocalEnd,
    started: Instant,
    answer_timeout: Duration,
}

impl HandRun {
    async fn start((wish, reaches): (ByHand, Reaches), mut spec: WorkerSpec, mask: Mask) -> anyhow::Result<ExitCode> {
        let printer = Rc::new(Printer::new(mask));
        let program = LauncherProgram::find();
        let Confined { missing, tmp: _until_the_end } = confinement::by_hand(&mut spec, &program)?;
        for Degradation { protection, reason, .. } in missing {
            printer.note(&format!("without `{}`: {reason}", protection.name()));
        }
        printer.reach(&spec.reach);
        let (order, orders) = mpsc::channel(4);
        let (reports, report_queue) = mpsc::channel(64);
        let (link, gateway) = GatewayLink::local(1);
        let tree = Tree::become_subreaper().context("cannot become the reaper of the server's processes")?;
        let (stderr_printer, trace_printer) = (Rc::clone(&printer), Rc::clone(&printer));
        let ports = Ports {
            orders: (order.clone(), orders),
            reports,
            catalogue: None,
            link: Some(link),
            stderr: Box::new(move |line, dropped| stderr_printer.server_stderr(&line, dropped)),
            trace: wish.trace.then(|| -> Trace {
                Box::new(move |way, line| {
                    trace_printer.traced(if way == LineDirection::ToServer { "→" } else { "←" }, line)
                })
            }),
            launcher: Launcher { program, tree },
            reaches,
            instance: None,
            given_up: Rc::default(),
            log: terminal_log(&printer),
        };
        let answer_timeout = spec.timeouts.total + MARGIN;
        let mut session =
            Self { wish, printer, order, reports: report_queue, gateway, started: Instant::now(), answer_timeout };
        let mut run = std::pin::pin!(runner::run(spec, ports));
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let early = tokio::select! {
            ended = &mut run => Some(ended),
            code = session.follow() => {
                session.stop();
                run.await;
                return Ok(code);
            }
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
        };
        match early {
            Some(ended) => Ok(session.ended_early(&ended)),
            None => {
                session.stop();
                session.printer.note("stopping the server …");
                tokio::select! {
                    _ = &mut run => return Ok(ExitCode::SUCCESS),
                    _ = interrupt.recv() => {}
                }
                // The run takes its orders at all times.
                let _ = session.order.send(Order::Kill).await;
                run.await;
                Ok(ExitCode::from(130))
            }
        }
    }

    fn stop(&self) {
        // A full queue holds a stop already.
        let _ = self.order.try_send(Order::Stop);
    }

    fn ended_early(&self, ended: &Ended) -> ExitCode {
        self.printer.note(&format!("{}", ended.reason));
        ExitCode::from(UNAVAILABLE)
    }

    /// Prints what happens, and does the task once the server is ready. Without a task it never returns.
    async fn follow(&mut self) -> ExitCode {
        loop {
            match self.reports.recv().await {
                Some(WorkerToSupervisor::Spawned { pid }) => self.printer.note(&format!("started, process {pid}")),
                Some(WorkerToSupervisor::Ready(description)) => {
                    self.printer.ready(&description, self.started.elapsed());
                    break;
                }
                Some(_) => {}
                None => std::future::pending().await, // the run is over, and the caller knows
            }
        }
        match (self.wish.call.clone(), self.wish.list) {
            (Some(tool), _) => self.call(&tool).await,
            (None, true) => {
                self.show_next_catalogue().await;
                ExitCode::SUCCESS
            }
            (None, false) => {
                self.show_next_catalogue().await;
                self.printer.note("Ctrl-C ends it");
                loop {
                    self.show_next_catalogue().await;
                }
            }
        }
    }

    async fn show_next_catalogue(&mut self) {
        loop {
            match self.gateway.events.recv().await {
                Some((WorkerToGateway::Catalogue { .. }, payload)) => return self.printer.catalogue(&payload),
                Some((WorkerToGateway::Log { .. }, payload)) => self.printer.server_log(&payload),
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    async fn call(&mut self, tool: &str) -> ExitCode {
        let params = format!("{{\"name\":{},\"arguments\":{}}}", json_string(tool).get(), self.wish.args);
        let call = GatewayToWorker::Call {
            id: 1,
            method: method::TOOLS_CALL.into(),
            meta_at: params.len(),
            context: CallContext { wants_progress: true, ..CallContext::default() },
        };
        // The run holds the other end; when it is over this future is dropped.
        let _ = self.gateway.calls.send(Handed { message: call, payload: Bytes::from(params), room: None }).await;
        let answer = timeout(self.answer_timeout, self.answer(tool)).await;
        answer.unwrap_or_else(|_| {
            self.printer.note("no answer");
            ExitCode::from(FAILED)
        })
    }

    async fn answer(&mut self, tool: &str) -> ExitCode {
        let mut tools = Vec::new();
        loop {
            match self.gateway.events.recv().await {
                Some((WorkerToGateway::Catalogue { .. }, payload)) => tools = print::tool_names(&payload),
                Some((WorkerToGateway::Log { .. }, payload)) => self.printer.server_log(&payload),
                Some((WorkerToGateway::Progress { .. }, payload)) => self.printer.progress(&payload),
                Some((WorkerToGateway::Done { outcome: Outcome::Result, .. }, payload)) => {
                    return if self.printer.result(&payload) { ExitCode::SUCCESS } else { self.failed(tool, &tools) };
                }
                Some((WorkerToGateway::Done { outcome: Outcome::Error, .. }, payload)) => {
                    self.printer.error(&payload);
                    return self.failed(tool, &tools);
                }
                Some((WorkerToGateway::NeedsInput { .. }, payload)) => {
                    self.printer.needs_input(&payload);
                    return ExitCode::from(FAILED);
                }
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    fn failed(&self, tool: &str, tools: &[String]) -> ExitCode {
        if !tools.iter().any(|name| name == tool) {
            let near = nearest(tool, tools.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            self.printer.note(&format!("the server lists no tool `{tool}`{hint} (--list shows all)"));
        }
        ExitCode::from(FAILED)
    }
}

fn terminal_log(printer: &Printer) -> Logger {
    let decorator = slog_term::PlainSyncDecorator::new(printer.masked_stderr());
    let drain = LevelFilter::new(slog_term::FullFormat::new(decorator).build(), Level::Info);
    Logger::root(Mutex::new(drain).map(slog::Fuse), o!())
}
