//! The task of one server: feeds the lifecycle machine and does what it says.

use std::{future::Future, pin::Pin, process::ExitStatus, time::Instant};

use mcproxy_config::ServerConfig;
use mcproxy_ipc::{
    EndReason, Generation, LifecycleEvent, LogLevel, Route, ServerDescription, ServerState, control::WorkerToSupervisor,
};
use slog::{Logger, debug, o, warn};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    task::JoinSet,
};

use super::{
    Command, ServerHandle, Snapshot,
    history::History,
    plan,
    worker::{News, Worker, turn_away},
};
use crate::{
    backoff::Jitter,
    context::{Context, sleep_until},
    lifecycle::{Action, Event, Lifecycle, State, Wanted, Why},
    log_ring::now_ms,
    logging::one_line,
    orphans,
    status::{MAX_REASON, cut},
};

/// Commands that may wait.
const QUEUE: usize = 32;

/// One of the few places for servers in their start.
enum Slot {
    None,
    Waiting(Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>),
    Held(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>),
}

struct Actor {
    context: Context,
    config: ServerConfig,
    log: Logger,
    lifecycle: Lifecycle,
    since: Instant,
    slot: Slot,
    worker: Option<Worker>,
    description: Option<ServerDescription>,
    history: History,
    snapshot: watch::Sender<Snapshot>,
    leaving: bool,
}

/// Starts the task of a server; it starts the server if that is enabled. `predecessor`: a task of the same name that is
/// being left and has to be gone first, so that there are never two copies of a server.
pub(crate) fn spawn(
    config: ServerConfig,
    predecessor: Option<ServerHandle>,
    context: &Context,
    tasks: &mut JoinSet<()>,
) -> ServerHandle {
    let name = config.name.clone();
    let last = predecessor.as_ref().map(|handle| handle.snapshot.borrow().route.generation).unwrap_or_default();
    let lifecycle = Lifecycle::new(plan(&config), last, Jitter::random());
    let history = History::new(name.clone(), context.follow.clone());
    let (commands, queue) = mpsc::channel(QUEUE);
    let since = Instant::now();
    let (snapshot, seen) = watch::channel(snapshot_of(&config, &lifecycle, since, None, None, &history, context));
    let actor = Actor {
        log: context.log.new(o!("server" => name.to_string())),
        context: context.clone(),
        config,
        lifecycle,
        since,
        slot: Slot::None,
        worker: None,
        description: None,
        history,
        snapshot,
        leaving: false,
    };
    tasks.spawn(actor.run(queue, predecessor));
    ServerHandle { name, commands, snapshot: seen }
}

impl Actor {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, predecessor: Option<ServerHandle>) {
        if let Some(mut before) = predecessor {
            // Its snapshots end with its task.
            while before.snapshot.changed().await.is_ok() {}
        }
        self.want_as_configured();
        while !(self.leaving && *self.lifecycle.state() == State::Stopped) {
            tokio::select! {
                command = commands.recv() => self.command(command.unwrap_or(Command::Leave)).await,
                permit = granted(&mut self.slot) => {
                    self.slot = Slot::Held(permit);
                    self.step(Event::SlotGranted);
                }
                news = news(&mut self.worker) => self.news(news).await,
                () = sleep_until(self.lifecycle.deadline()) => self.step(Event::Tick),
            }
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Configure { config, renew } => {
                self.config = *config;
                let plan = plan(&self.config);
                self.step(Event::Planned { plan, renew });
                self.want_as_configured();
                self.publish();
            }
            Command::Restart(reply) => {
                // Who asked may have left.
                let _ = reply.send(self.lifecycle.wanted() == Wanted::Up);
                self.step(Event::Restart);
            }
            Command::Attach { connection, generation } => self.attach(*connection, generation).await,
            Command::Logs { lines, reply } => {
                let _ = reply.send(self.history.ring.last(lines));
            }
            Command::Leave => {
                self.leaving = true;
                self.step(Event::Want(Wanted::Down));
            }
            Command::Kill => {
                self.leaving = true;
                self.step(Event::Kill);
            }
        }
    }

    async fn attach(&mut self, connection: mcproxy_ipc::Connection, generation: Generation) {
        let peer = connection.peer();
        let verdict = match &self.worker {
            Some(worker) => worker.is(peer, generation),
            None => Err("no worker is expected"),
        };
        let socket = self.context.paths.worker(&self.config.name, generation);
        match (verdict, &mut self.worker, self.config.worker_spec(generation, Some(socket))) {
            (Ok(()), Some(worker), Ok(spec)) => worker.attach(connection, spec).await,
            (Err(reason), _, _) => {
                warn!(self.log, "worker connection refused"; "reason" => reason, "pid" => peer.pid, "generation" => generation.0);
                turn_away(connection, reason).await;
            }
            (Ok(()), _, _) => turn_away(connection, "it cannot be started as configured").await,
        }
    }

    async fn news(&mut self, news: News) {
        let Some(generation) = self.worker.as_ref().map(|worker| worker.generation) else { return };
        match news {
            News::Said(message) => self.said(generation, message),
            News::Silent => self.step(Event::Ended(generation, EndReason::Unresponsive)),
            News::Lost(why) => self.step(Event::Ended(generation, EndReason::Worker(why))),
            News::Line(line) => {
                self.history.worker_line(&line);
                self.history.note(&self.log, LogLevel::Warn, "worker stderr", &[("line", line)]);
            }
            News::Exited(status) => self.exited(generation, status).await,
        }
    }

    fn said(&mut self, generation: Generation, message: WorkerToSupervisor) {
        match message {
            WorkerToSupervisor::Spawned { pid } => {
                if let Some(worker) = &mut self.worker {
                    worker.server_pid = Some(pid);
                }
                self.publish();
            }
            WorkerToSupervisor::Ready(description) => {
                self.description = Some(escaped(description));
                self.step(Event::BecameReady(generation));
            }
            WorkerToSupervisor::Log(record) => self.history.record(&self.log, &record),
            WorkerToSupervisor::Counts(counts) => {
                if let Some(description) = &mut self.description {
                    description.counts = counts;
                }
                self.publish();
            }
            WorkerToSupervisor::Ended(ended) => {
                self.history.ended(&ended);
                self.step(Event::Ended(generation, ended.reason));
            }
            // Answered where the pings are counted.
            WorkerToSupervisor::Pong(_) => {}
        }
    }

    async fn exited(&mut self, generation: Generation, status: ExitStatus) {
        let Some(mut worker) = self.worker.take() else { return };
        for message in worker.last_words().await {
            self.said(generation, message);
        }
        let swept = orphans::sweep_adopted(&self.context.children).await;
        if swept.killed > 0 {
            warn!(self.log, "processes left behind were killed"; "count" => swept.killed, "left" => swept.left);
        }
        // The worker removes its socket unless it was killed.
        let _ = std::fs::remove_file(self.context.paths.worker(&self.config.name, generation));
        debug!(self.log, "worker exited"; "status" => %status);
        if matches!(self.lifecycle.state(), State::Starting { .. } | State::Ready { .. }) {
            self.step(Event::Ended(generation, EndReason::Worker(format!("it ended without a word ({status})"))));
        }
        self.step(Event::Exited(generation));
    }

    fn want_as_configured(&mut self) {
        let wanted = if self.config.enabled && !self.leaving { Wanted::Up } else { Wanted::Down };
        self.step(Event::Want(wanted));
    }

    fn step(&mut self, event: Event) {
        let actions = self.lifecycle.step(event, Instant::now());
        for action in actions {
            self.act(action);
        }
        if !self.lifecycle.needs_slot() {
            self.slot = Slot::None;
        }
        self.publish();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::RequestSlot => {
                let slots = self.context.start_slots.clone();
                self.slot = Slot::Waiting(Box::pin(async move { slots.acquire_owned().await.ok() }));
            }
            Action::Spawn(generation) => self.spawn_worker(generation),
            Action::Stop => self.worker.iter().for_each(Worker::stop),
            Action::Kill => self.worker.iter().for_each(Worker::kill),
            Action::Moved { from, to, reason } => self.moved(from, to, one_line(&reason).into_owned()),
        }
    }

    fn spawn_worker(&mut self, generation: Generation) {
        self.history.begin();
        self.description = None;
        self.log = self.context.log.new(o!("server" => self.config.name.to_string(), "generation" => generation.0));
        match Worker::spawn(&self.context, &self.config.name, generation) {
            Ok(worker) => {
                debug!(self.log, "worker spawned"; "pid" => worker.pid());
                self.worker = Some(worker);
            }
            Err(error) => self.step(Event::NotSpawned(generation, format!("cannot start the worker: {error}"))),
        }
    }

    fn moved(&mut self, from: ServerState, to: ServerState, reason: String) {
        let now = Instant::now();
        self.since = now;
        let generation = self.lifecycle.generation();
        let state = self.lifecycle.state().clone();
        if !matches!(state, State::Ready { .. }) {
            self.description = None;
        }
        let (level, message, mut facts) = match state {
            State::Queued | State::Starting { .. } => {
                // Its generation begins with its process.
                self.log = self.context.log.new(o!("server" => self.config.name.to_string()));
                (LogLevel::Info, "server is starting", vec![])
            }
            State::Ready { .. } => {
                let start = self.worker.as_ref().map(|worker| now.saturating_duration_since(worker.spawned));
                let ms = start.unwrap_or_default().as_millis().to_string();
                let tools = self.description.as_ref().map_or(0, |description| description.counts.tools);
                (LogLevel::Info, "server is ready", vec![("tools", tools.to_string()), ("start_ms", ms)])
            }
            State::Stopping { why: Why::Fault { .. }, .. } => {
                self.history.failed(&reason);
                (LogLevel::Debug, "server is being cleared away", vec![])
            }
            State::Stopping { why: Why::Unwanted | Why::Renew, .. } => (LogLevel::Info, "server is stopping", vec![]),
            State::Stopped => (LogLevel::Info, "server is stopped", vec![]),
            State::Backoff { until } => {
                self.history.failed(&reason);
                let delay = until.saturating_duration_since(now).as_millis().to_string();
                let error = self.history.last_error.clone().unwrap_or_default();
                (LogLevel::Warn, "server failed and will be started again", vec![("delay_ms", delay), ("error", error)])
            }
            State::Blocked => {
                self.history.failed(&reason);
                (LogLevel::Warn, "server is blocked", vec![])
            }
            State::Failed => {
                self.history.failed(&reason);
                let error = self.history.last_error.clone().unwrap_or_default();
                (LogLevel::Error, "server failed and will not be started again", vec![("error", error)])
            }
        };
        facts.extend([("from", from.to_string()), ("to", to.to_string()), ("reason", reason.clone())]);
        self.history.note(&self.log, level, message, &facts);
        self.history.moved(LifecycleEvent { at_ms: now_ms(), generation, from, to, reason: cut(reason, MAX_REASON) });
    }

    fn publish(&mut self) {
        let worker = self.worker.as_ref();
        let description = self.description.clone();
        let (config, context) = (&self.config, &self.context);
        let new = snapshot_of(config, &self.lifecycle, self.since, worker, description, &self.history, context);
        let rerouted = self.snapshot.borrow().route != new.route;
        self.snapshot.send_replace(new);
        if rerouted {
            self.context.routes_changed.notify_one();
        }
    }
}

fn snapshot_of(
    config: &ServerConfig,
    lifecycle: &Lifecycle,
    since: Instant,
    worker: Option<&Worker>,
    description: Option<ServerDescription>,
    history: &History,
    context: &Context,
) -> Snapshot {
    let generation = lifecycle.generation();
    let state = lifecycle.state();
    let ready = matches!(state, State::Ready { .. });
    let route = Route {
        server: config.name.clone(),
        state: state.public(),
        generation,
        socket: ready.then(|| context.paths.worker(&config.name, generation)),
        settled: lifecycle.settled(),
        last_error: history.last_error.clone().filter(|_| !ready),
        timeouts: config.timeouts,
        tools: config.tools.clone(),
    };
    Snapshot {
        route,
        wanted: lifecycle.wanted() == Wanted::Up,
        since,
        restarts: lifecycle.restarts(),
        retry_at: match state {
            State::Backoff { until } => Some(*until),
            State::Stopped
            | State::Queued
            | State::Starting { .. }
            | State::Ready { .. }
            | State::Stopping { .. }
            | State::Blocked
            | State::Failed => None,
        },
        description,
        worker_pid: worker.map(Worker::pid),
        server_pid: worker.and_then(|worker| worker.server_pid),
        last_error: history.last_error.clone(),
        events: history.events.iter().cloned().collect(),
    }
}

/// A server's words about itself, fit for a terminal.
fn escaped(description: ServerDescription) -> ServerDescription {
    let clean = |text: &str| one_line(text).into_owned();
    ServerDescription {
        era: clean(&description.era),
        protocol_version: clean(&description.protocol_version),
        name: clean(&description.name),
        version: clean(&description.version),
        counts: description.counts,
    }
}

async fn granted(slot: &mut Slot) -> Option<OwnedSemaphorePermit> {
    match slot {
        Slot::Waiting(permit) => permit.await,
        Slot::None | Slot::Held(_) => std::future::pending().await,
    }
}

async fn news(worker: &mut Option<Worker>) -> News {
    match worker {
        Some(worker) => worker.next().await,
        None => std::future::pending().await,
    }
}
