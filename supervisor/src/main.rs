//! `mcproxy-supervisor`: reads the configuration, holds the listening port, and keeps the gateway and one worker for each
//! server alive. It parses neither HTTP nor MCP.
//!
//! Theory of operation: each server has a task (`server`) that owns a pure state machine (`lifecycle`) and the worker's
//! process; the gateway has one too (`gateway`). Tasks see each other as handles and snapshots (`context`). Workers and
//! the gateway inherit a control connection (`link`); people call at the control socket (`control`). All runs on the main
//! thread, because children ask the kernel to be killed when the thread that forked them ends.

mod ancestry;
mod approvals;
mod args;
mod ask;
mod audit;
mod backoff;
mod boot_config;
mod bounded_text;
mod callers;
mod cgroups;
mod child;
mod children;
mod config_file;
mod config_problems;
mod config_watch;
mod context;
mod control;
mod datagram;
mod degradations;
mod fd_reserve;
mod foreground;
mod gateway;
mod heartbeat;
mod kept_sessions;
mod last_good;
mod lifecycle;
mod lines;
mod link;
mod listen;
mod log_ring;
mod logging;
mod login;
mod logins;
mod operator;
mod orphans;
mod overrides;
mod passed;
mod phases;
mod pins;
mod privileges;
mod reload;
mod reload_report;
mod removed_servers;
mod respawn;
mod runtime_dir;
mod sentences;
mod server;
mod service_manager;
mod snapshot_store;
mod start_place;
mod start_queue;
mod state_dir;
mod status;
mod supervisor;
mod terminal;
mod users;
mod web_page;
mod worker_dir;

use std::{io::Write as _, path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use slog::{Logger, warn};

use crate::{
    args::Args,
    boot_config::BootConfig,
    cgroups::Cgroups,
    config_file::{ConfigFile, ConfigReading},
    kept_sessions::KeptSessions,
    last_good::LastGood,
    logging::Logging,
    overrides::Overrides,
    passed::Passed,
    runtime_dir::{RuntimeDir, RuntimeDirError, io_error},
    service_manager::ServiceManager,
    state_dir::StateDir,
    supervisor::{ShutdownOutcome, StartError, Supervisor, SupervisorParts},
};

const USAGE: u8 = 64;
const OS: u8 = 71;
const ALREADY_RUNNING: u8 = 75;
const CONFIG: u8 = 78;

fn main() -> ExitCode {
    // Before anything is opened.
    let passed = Passed::take();
    // A kernel without this has what our parent left open in our children, too.
    let _ = mcproxy_confine::close_on_exec();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(asked_or_wrong) => {
            // A closed terminal is nothing to report to itself.
            let _ = asked_or_wrong.print();
            return if asked_or_wrong.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    if let Err(error) = mcproxy_ipc::keep_memory_private() {
        let _ = writeln!(std::io::stderr().lock(), "cannot keep other processes out of this one's memory: {error}");
        return OS.into();
    }
    let passed = passed.map_err(|error| (CONFIG, with_source(&error)));
    match passed.and_then(|passed| run(args, passed)) {
        Ok(code) => code,
        Err((code, text)) => {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
            code.into()
        }
    }
}

fn run(args: Args, mut passed: Passed) -> Result<ExitCode, (u8, String)> {
    let ConfigReading { fingerprint, content, config } = ConfigReading::first(&args.config);
    let socket = passed.listener.take().map(listen::adopt).transpose().map_err(os)?;
    let overrides = Overrides::of(&args, socket.as_ref().map(|(_, address)| *address));
    let overrides = overrides.map_err(|error| (USAGE, error.to_string()))?;
    let config = overrides.applied(config);
    let state = open_state(&args, config.is_ok());
    let state_path = state.as_ref().ok().and_then(Option::as_ref).map(StateDir::path);
    let last_good = state_path.map(|state| place_of_last_good(&args, state)).transpose();
    let copy = || {
        let place = last_good.as_ref().ok()?.as_ref()?.as_ref()?;
        overrides.applied(config_file::parsed(&place.read()?, &args.config)).ok()
    };
    let boot = boot_config::choose(config, copy).map_err(|problems| (CONFIG, problems.join("\n")))?;
    let dir = args.runtime_dir.clone().unwrap_or_else(mcproxy_ipc::default_runtime_dir);
    let runtime = RuntimeDir::open(&dir).map_err(|error| match error {
        RuntimeDirError::AlreadyRunning { .. } => (ALREADY_RUNNING, error.to_string()),
        RuntimeDirError::Untrusted { .. } | RuntimeDirError::TooLong { .. } | RuntimeDirError::Io { .. } => os(error),
    })?;
    let BootConfig { config, .. } = &boot;
    let listener = match socket {
        Some((listener, _)) => listener,
        None => listen::bind(config.listen).map_err(os)?,
    };
    let cgroups = Cgroups::make(&runtime.paths().identity().map_err(os)?);
    // Capabilities are those of a thread, and the log is about to start one.
    let (users, missing) =
        privileges::limit(config, &args.config, state.as_ref().ok().and_then(Option::as_ref), runtime.paths())
            .map_err(os)?;

    let fixed_level = args.log_level();
    let logging = Logging::open(args.log_target(), fixed_level.unwrap_or(config.gateway.log_level));
    // A person who names a level wants the records.
    let quiet = logging.quiet.clone().filter(|_| fixed_level.is_none());
    if let Some(quiet) = &quiet {
        quiet.set(true);
    }
    if let Some(error) = &logging.sink_error {
        warn!(logging.log, "logging to standard error (`--log` logs to standard output)"; "error" => with_source(error));
    }
    let state = or_none(state, "what servers offer is not kept for the next start", &logging.log);
    let unkept = "the configuration in force is not kept for a start without one";
    let last_good = or_none(last_good.map(Option::flatten), unkept, &logging.log);
    let sessions = sessions_of(passed, &logging.log);
    let prepared = SupervisorParts {
        log: logging.log.clone(),
        quiet,
        level: logging.level.clone(),
        dropped: logging.dropped.clone(),
        fixed_level,
        boot,
        content,
        last_good,
        file: ConfigFile::new(args.config),
        fingerprint,
        overrides,
        runtime,
        state,
        cgroups,
        users,
        missing,
        listener,
        sessions,
    };
    let end = serve(prepared);
    logging.finish();
    Ok(match end? {
        ShutdownOutcome::Drained => ExitCode::SUCCESS,
        ShutdownOutcome::Cut(signal) => u8::try_from(128 + signal).map_or(ExitCode::FAILURE, ExitCode::from),
    })
}

/// What is worth a warning, and no reason not to start.
fn or_none<T>(opened: Result<Option<T>, RuntimeDirError>, without: &'static str, log: &Logger) -> Option<T> {
    opened.unwrap_or_else(|error| {
        warn!(log, "{}", without; "error" => format!("{:#}", anyhow::Error::from(error)));
        None
    })
}

/// What the run before left with the service manager, which is told to forget it.
fn sessions_of(passed: Passed, log: &Logger) -> Option<KeptSessions> {
    if !passed.strangers.is_empty() {
        warn!(log, "the service manager passes what MCProxy does not know"; "names" => passed.strangers.join(" "));
    }
    let file = passed.sessions?;
    ServiceManager::forget_sessions();
    let sessions = KeptSessions::of_file(file);
    sessions.map_err(|error| warn!(log, "sessions of before the restart are not continued"; "error" => %error)).ok()
}

/// Where what outlives us is kept. For the sake of a wrong configuration no directory is made.
fn open_state(args: &Args, is_good: bool) -> Result<Option<StateDir>, RuntimeDirError> {
    let dir = args.state_dir.clone().or_else(mcproxy_ipc::default_state_dir);
    dir.filter(|dir| is_good || dir.exists()).map(|dir| StateDir::open(&dir)).transpose()
}

/// Where the last good configuration is kept, if it is to be; else no copy is left.
fn place_of_last_good(args: &Args, state: &Path) -> Result<Option<LastGood>, RuntimeDirError> {
    if args.no_last_good {
        LastGood::remove(state).map_err(io_error("remove the copy of the configuration from", state))?;
        return Ok(None);
    }
    let config = std::path::absolute(&args.config).map_err(io_error("find", &args.config))?;
    LastGood::open(state, &config).map(Some)
}

fn serve(prepared: SupervisorParts) -> Result<ShutdownOutcome, (u8, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(os)?;
    let end = runtime.block_on(async { Ok(Supervisor::start(prepared).await?.run().await) });
    // A status that is being collected must not delay the end.
    runtime.shutdown_background();
    end.map_err(|error| match error {
        StartError::Os(_) => os(error),
        StartError::Degraded(_) => (CONFIG, error.to_string()),
    })
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// The whole chain of an error on one line.
fn os(error: impl Into<anyhow::Error>) -> (u8, String) {
    (OS, format!("{:#}", error.into()))
}
