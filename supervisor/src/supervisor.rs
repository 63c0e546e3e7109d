//! The whole: starts the tasks, applies configurations, drains.

use std::{
    collections::VecDeque,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use mcproxy_config::Config;
use mcproxy_confine::{Degradation, Hardening, Kernel};
use mcproxy_ipc::{
    ConfigSource, Listener, LogLevel,
    log::{DroppedRecords, LogThreshold},
};
use slog::{error, info, warn};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, mpsc, watch},
    task::JoinSet,
    time::{sleep_until, timeout_at},
};

use crate::{
    boot_config::BootConfig,
    bounded_text::{MAX_CONFIG_ERROR, cut},
    cgroups::{Cgroups, CgroupsError},
    child::Programs,
    children::Children,
    config_file::{ConfigFile, ConfigReading, Fingerprint},
    config_problems,
    config_watch::ConfigWatch,
    context::{self, Context, Directory, Overview},
    control,
    degradations::{self, Degradations},
    foreground,
    gateway::{GatewayCommand, GatewayParts, GatewaySnapshot, GatewayTask},
    kept_sessions::KeptSessions,
    last_good::{LastGood, LastGoodWriter},
    log_ring,
    logging::Quiet,
    logins::Logins,
    operator::OperatorRequest,
    orphans,
    overrides::Overrides,
    reload::{Cause, ReloadOutcome, gateway_settings},
    removed_servers::RemovedServers,
    runtime_dir::RuntimeDir,
    server::{self, Predecessor, ServerCommand, ServerHandle},
    service_manager::ServiceManager,
    start_queue::StartQueue,
    state_dir::StateDir,
    terminal::Terminal,
    users::Users,
    web_page,
};

/// Time that servers need to stop in order, after the calls in flight had all of `shutdownGrace`.
const SERVERS_GRACE: Duration = Duration::from_secs(9);
/// How long killed processes may take to go.
const KILL_LIMIT: Duration = Duration::from_secs(3);

/// Everything that `main` has prepared.
pub(crate) struct SupervisorParts {
    pub(crate) log: slog::Logger,
    /// At a terminal: how the start goes is shown, and its records are held back until it is over.
    pub(crate) quiet: Option<Quiet>,
    pub(crate) level: LogThreshold,
    /// How many log records the sink was too slow for.
    pub(crate) dropped: DroppedRecords,
    /// The level of the command line, which wins over the file's.
    pub(crate) fixed_level: Option<LogLevel>,
    pub(crate) boot: BootConfig,
    pub(crate) file: ConfigFile,
    /// What the file holds.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) content: Option<Vec<u8>>,
    /// Where a configuration without mistakes is kept for the next start, if it is.
    pub(crate) last_good: Option<LastGood>,
    /// What the command line says in the place of the file.
    pub(crate) overrides: Overrides,
    pub(crate) runtime: RuntimeDir,
    /// Where what outlives us is kept, if there is a place.
    pub(crate) state: Option<StateDir>,
    /// The control groups for servers.
    pub(crate) cgroups: Result<Cgroups, CgroupsError>,
    pub(crate) users: Users,
    /// What was found to be missing before there was a log.
    pub(crate) missing: Vec<Degradation>,
    pub(crate) listener: TcpListener,
    /// What the run before left with the service manager.
    pub(crate) sessions: Option<KeptSessions>,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The operating system refused.
    #[error("cannot start")]
    Os(#[from] std::io::Error),
    /// All protections were demanded, and these cannot be had.
    #[error("{}", degradations::refusal(.0))]
    Degraded(Vec<Degradation>),
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShutdownOutcome {
    /// Everything was drained.
    Drained,
    /// A second signal of this number.
    Cut(i32),
}

/// The running whole.
pub(crate) struct Supervisor {
    pub(super) context: Context,
    pub(super) config: Config,
    pub(super) file: ConfigFile,
    /// Why it is to be read again, in the order in which that is done, and the reading of the first.
    pub(super) causes: VecDeque<Cause>,
    pub(super) readings: JoinSet<ConfigReading>,
    pub(super) fingerprint: Fingerprint,
    /// Keeps the configuration for a start without one.
    pub(super) last_good: LastGoodWriter,
    pub(super) overrides: Overrides,
    pub(super) fixed_level: Option<LogLevel>,
    pub(super) level: LogThreshold,
    pub(super) directory: watch::Sender<Directory>,
    pub(super) overview: watch::Sender<Overview>,
    /// Servers that were removed.
    pub(super) removed_servers: RemovedServers,
    pub(super) servers: JoinSet<()>,
    /// Reloads whose outcome is waited for.
    pub(super) outcomes: JoinSet<ReloadOutcome>,
    /// Looks at the file for the web page.
    pub(super) descriptions: JoinSet<()>,
    pub(super) gateway: mpsc::Sender<GatewayCommand>,
    gateway_task: JoinSet<KeptSessions>,
    control_task: JoinSet<()>,
    requests: mpsc::Receiver<OperatorRequest>,
    watch: ConfigWatch,
    pub(super) service_manager: ServiceManager,
    signals: Signals,
    terminal: Terminal,
    quiet: Option<Quiet>,
    _runtime: RuntimeDir,
    pub(super) state: Option<StateDir>,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    child: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// The next signal.
    async fn next(&mut self) -> SignalNews {
        tokio::select! {
            _ = self.terminate.recv() => SignalNews::Ending(SignalKind::terminate().as_raw_value()),
            _ = self.interrupt.recv() => SignalNews::Ending(SignalKind::interrupt().as_raw_value()),
            _ = self.hangup.recv() => SignalNews::Reload,
            _ = self.child.recv() => SignalNews::Child,
        }
    }

    /// The next request to end, while nothing else counts.
    async fn end(&mut self, children: &Children) -> i32 {
        loop {
            match self.next().await {
                SignalNews::Ending(number) => return number,
                SignalNews::Child => orphans::reap(children),
                SignalNews::Reload => {}
            }
        }
    }
}

/// The request that a signal stands for.
enum SignalNews {
    /// To end; the number of the signal.
    Ending(i32),
    /// To read the configuration again.
    Reload,
    /// To collect a child.
    Child,
}

impl Supervisor {
    /// Starts everything. To be called on the main thread, which lives as long as the process.
    pub(crate) async fn start(prepared: SupervisorParts) -> Result<Self, StartError> {
        let SupervisorParts {
            log,
            quiet,
            level,
            dropped,
            fixed_level,
            boot: BootConfig { config, source, problems },
            file,
            fingerprint,
            content,
            last_good,
            overrides,
            runtime,
            state,
            cgroups,
            users,
            missing,
            listener,
            sessions,
        } = prepared;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(std::io::Error::from)?;
        let terminal = Terminal::at_start();
        let signals = Signals::new()?;
        let control = Listener::bind(&runtime.paths().supervisor())?;
        let listen = listener.local_addr()?;
        let degraded = Degradations::default();
        missing.into_iter().for_each(|missing| degraded.add(missing, &log));
        let hardened = config.hardening.is_on();
        let leftovers = orphans::sweep_leftovers(&runtime.paths().supervisor()).await;
        let (cgroups, missing_bounds) = Cgroups::open(cgroups, hardened);
        if let Some(missing) = &missing_bounds {
            let bounded = config.servers.iter().filter(|server| server.enabled && hardened);
            match missing.degradation(bounded) {
                Some(lacking) => degraded.add(lacking, &log),
                None => info!(log, "no cgroups for servers, or none that bound them"; "reason" => &missing.reason),
            }
        }
        if hardened {
            Kernel::probe().degradations().into_iter().for_each(|missing| degraded.add(missing, &log));
        }
        if config.hardening == Hardening::Strict && !degraded.list().is_empty() {
            return Err(StartError::Degraded(degraded.list()));
        }
        let mut control_task = JoinSet::new();
        let (directory, directory_seen) = watch::channel(Directory::from([]));
        let (gateway_state, gateway_seen) = watch::channel(GatewaySnapshot::default());
        let (overview, overview_seen) = watch::channel(Overview {
            config_path: std::path::absolute(file.path())?.display().to_string(),
            config_source: source,
            config_error: (!problems.is_empty()).then(|| cut(problems.join("\n"), MAX_CONFIG_ERROR)),
            config_warnings: match source {
                ConfigSource::File => config_problems::told(&config.problems),
                // Of another file than the one that is there.
                ConfigSource::LastGood => Vec::new(),
            },
            listen: listen.to_string(),
            started: Instant::now(),
        });
        let context = Context {
            log: log.clone(),
            paths: runtime.paths().clone(),
            programs: Programs::find()?,
            cgroups: cgroups.map(Arc::new),
            missing_bounds: missing_bounds.filter(|_| hardened).map(Arc::new),
            hardening: config.hardening,
            degraded,
            users,
            catalogues: state.as_ref().map(|state| state.catalogues().to_owned()),
            audit: state.as_ref().map(|state| state.path().join("audit")),
            logins: state.as_ref().map(|state| Logins::in_state(state.path())),
            embeddings: state.as_ref().map(StateDir::embeddings),
            children: Children::default(),
            log_dropped: dropped,
            starts: StartQueue::open(&mut control_task),
            follow: log_ring::follow(),
            routes_changed: Arc::new(Notify::new()),
            directory: directory_seen,
            overview: overview_seen,
            gateway: gateway_seen,
        };
        match context.users.sweep_all(&context.programs.worker(), &context.children).await {
            Ok(0) => {}
            Ok(count) => {
                warn!(log, "processes that an earlier run left behind were killed, found by their users"; "count" => count)
            }
            Err(error) => warn!(log, "processes that an earlier run left behind cannot be killed"; "error" => %error),
        }
        if leftovers.killed > 0 {
            warn!(log, "processes that an earlier run left behind were killed"; "count" => leftovers.killed,
                "left" => leftovers.left);
        }
        let enabled = config.servers.iter().filter(|server| server.enabled).count();
        info!(log, "listening"; "url" => format!("http://{listen}/mcp"), "config" => %file.path().display(),
            "servers" => config.servers.len(), "enabled" => enabled, "pid" => std::process::id());
        let mut last_good = LastGoodWriter::new(last_good, log.clone());
        match (source, content) {
            (ConfigSource::LastGood, _) => {
                for problem in &problems {
                    error!(log, "configuration rejected, what was in force before the start is used"; "problem" => problem);
                }
            }
            (ConfigSource::File, Some(content)) if !config_problems::has_mistakes(&config.problems) => {
                last_good.keep(content);
            }
            (ConfigSource::File, _) => {}
        }
        if source == ConfigSource::File {
            config_problems::log(&config.problems, &log);
        }
        if let Some(state) = &state {
            state.keep_only(&config.servers);
        }
        let gone = context.users.homes_without_server(config.servers.iter().map(|server| &server.name));
        if !gone.is_empty() {
            let gone: Vec<String> = gone.iter().map(|home| home.display().to_string()).collect();
            info!(log, "files of servers that are not configured are kept; remove them with their directory"; "homes" => gone.join(" "));
        }
        context.users.expect(&config.servers);
        let mut servers = JoinSet::new();
        let handles = config
            .servers
            .iter()
            .map(|server| server::spawn(server.clone(), Predecessor::default(), &context, &mut servers));
        directory.send_replace(handles.collect());
        if quiet.is_some() {
            let (servers, config) = (context.servers(), file.path().display().to_string());
            control_task.spawn(foreground::show(log.clone(), servers, listen.to_string(), config));
        }
        let mut gateway_task = JoinSet::new();
        let sessions = match sessions {
            Some(kept) => {
                info!(log, "sessions of before the restart are continued"; "count" => kept.snapshots.len());
                kept
            }
            None => KeptSessions::none()?,
        };
        let level_in_force = fixed_level.unwrap_or(config.gateway.log_level);
        let settings = gateway_settings(&config, level_in_force);
        let (asked, requests) = mpsc::channel(8);
        let parts = GatewayParts {
            listener,
            settings,
            audit: config.audit.clone(),
            sessions,
            snapshot: gateway_state,
            requests: asked.clone(),
        };
        let gateway = GatewayTask::spawn(context.clone(), parts, &mut gateway_task);
        control_task.spawn(control::serve(control, context.clone(), gateway.clone(), asked));
        let (watch, error) = ConfigWatch::new(file.path());
        if let Some(error) = error {
            warn!(log, "configuration is not watched, only looked at every few seconds"; "error" => %error);
        }
        Ok(Self {
            context,
            config,
            file,
            causes: VecDeque::new(),
            readings: JoinSet::new(),
            fingerprint,
            last_good,
            overrides,
            fixed_level,
            level,
            directory,
            overview,
            removed_servers: RemovedServers::default(),
            servers,
            outcomes: JoinSet::new(),
            descriptions: JoinSet::new(),
            gateway,
            gateway_task,
            control_task,
            requests,
            watch,
            service_manager: ServiceManager::of_environment(Instant::now()),
            signals,
            terminal,
            quiet,
            _runtime: runtime,
            state,
        })
    }

    /// Runs until a signal or an operator ends it.
    pub(crate) async fn run(mut self) -> ShutdownOutcome {
        let mut gateway = self.context.gateway.clone();
        loop {
            tokio::select! {
                signal = self.signals.next() => match signal {
                    SignalNews::Ending(number) => {
                        info!(self.context.log, "draining"; "signal" => number);
                        return self.drain().await;
                    }
                    SignalNews::Reload if self.terminal.is_gone() => {
                        info!(self.context.log, "draining"; "reason" => "the terminal was closed");
                        return self.drain().await;
                    }
                    SignalNews::Reload => self.read(Cause::Hangup),
                    SignalNews::Child => orphans::reap(&self.context.children),
                },
                request = self.requests.recv() => match request {
                    Some(OperatorRequest::Reload(reply)) => self.read(Cause::Operator(reply)),
                    Some(OperatorRequest::Switch { server, enabled, reply }) => {
                        let _ = reply.send(self.switch(&server, enabled).await); // who asked may have left
                    }
                    Some(OperatorRequest::DescribeFile(reply)) => self.describe_file(reply),
                    Some(OperatorRequest::DescribeEntry { server, reply }) => {
                        let _ = reply.send(web_page::entry(&self.config, &server)); // the same
                    }
                    Some(OperatorRequest::Stop) | None => {
                        info!(self.context.log, "draining"; "reason" => "requested by an operator");
                        return self.drain().await;
                    }
                },
                () = context::sleep_until(self.service_manager.deadline()) => {
                    self.service_manager.look(&self.context, Instant::now());
                }
                Ok(()) = gateway.changed() => self.service_manager.hurry(Instant::now()),
                () = self.watch.changed() => self.read(Cause::FileChanged),
                // A panic ends the process before it is seen here.
                Some(Ok(reading)) = self.readings.join_next() => self.take(reading).await,
                Some(_) = self.descriptions.join_next() => {}
                () = self.last_good.written() => {}
                Some(Ok(outcome)) = self.outcomes.join_next() => self.is_over(outcome),
                Some(_) = self.servers.join_next() => self.removed_servers.look(),
            }
        }
    }

    /// Calls in flight first, which have `shutdownGrace`, then all servers at once; a second signal, or the end of the time that
    /// both may take, cuts it short.
    async fn drain(mut self) -> ShutdownOutcome {
        let grace = self.config.shutdown_grace;
        self.service_manager.stopping(grace + SERVERS_GRACE + KILL_LIMIT);
        if let Some(quiet) = &self.quiet {
            quiet.set(false);
        }
        let deadline = tokio::time::Instant::now() + grace + SERVERS_GRACE;
        let handles: Vec<ServerHandle> =
            self.directory.borrow().iter().chain(self.removed_servers.leaving()).cloned().collect();
        let _ = self.gateway.send(GatewayCommand::Drain { grace }).await;
        let mut sessions = None;
        let Self { gateway_task, servers, signals, context, .. } = &mut self;
        let in_order = async {
            while let Some(ended) = gateway_task.join_next().await {
                sessions = ended.ok();
            }
            for handle in &handles {
                // A task that ended has no server.
                let _ = handle.commands.send(ServerCommand::Leave).await;
            }
            while servers.join_next().await.is_some() {}
        };
        let cut = tokio::select! {
            () = in_order => None,
            number = signals.end(&context.children) => Some(number),
            () = sleep_until(deadline) => {
                warn!(context.log, "servers did not stop in time; what is left is killed"; "grace_ms" => SERVERS_GRACE.as_millis() as u64);
                Some(0)
            }
        };
        if cut.is_some() {
            let left = self.kill_all(&handles).await;
            sessions = sessions.or(left);
        }
        if let Some(Err(error)) = sessions.map(|sessions| self.service_manager.keep(&sessions)) {
            warn!(self.context.log, "sessions are not continued after a restart"; "error" => %error);
        }
        self.control_task.shutdown().await;
        orphans::reap(&self.context.children);
        if timeout_at(tokio::time::Instant::now() + KILL_LIMIT, self.last_good.settle()).await.is_err() {
            warn!(self.context.log, "the configuration in force is not kept for a start without one"; "error" => "the disk does not answer");
        }
        info!(self.context.log, "stopped");
        match cut {
            None | Some(0) => ShutdownOutcome::Drained,
            Some(number) => ShutdownOutcome::Cut(number),
        }
    }

    /// Returns the sessions, if the gateway ended only now.
    async fn kill_all(&mut self, handles: &[ServerHandle]) -> Option<KeptSessions> {
        let limit = tokio::time::Instant::now() + KILL_LIMIT;
        let mut sessions = None;
        let all = async {
            // Ended tasks do not listen any more.
            let _ = self.gateway.send(GatewayCommand::Kill).await;
            for handle in handles {
                let _ = handle.commands.send(ServerCommand::Kill).await;
            }
            while self.servers.join_next().await.is_some() {}
            while let Some(ended) = self.gateway_task.join_next().await {
                sessions = ended.ok();
            }
        };
        if timeout_at(limit, all).await.is_err() {
            warn!(self.context.log, "some processes could not be killed in time");
        }
        sessions
    }
}
