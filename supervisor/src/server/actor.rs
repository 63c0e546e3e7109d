//! The task of one server: feeds the lifecycle machine and does what it says.

use std::{process::ExitStatus, time::Instant};

use mcproxy_config::ServerConfig;
use mcproxy_confine::{Degradation, Hardening, Protection};
use mcproxy_ipc::{
    Activity, EndReason, Generation, LifecycleEvent, LogLevel, LogSource, ServerName, ServerState, WorkerSpec,
    control::WorkerToSupervisor,
};
use slog::{Logger, debug, o, warn};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    Predecessor, ServerCommand, ServerHandle,
    catalogue_keeper::CatalogueKeeper,
    history::History,
    known_catalogue::KnownCatalogue,
    plan,
    slot::Slot,
    snapshot::Snapshot,
    state_record::{StateFacts, StateRecord, is_failure},
    take_snapshot::take_snapshot,
    throttle::PublishThrottle,
    worker::{Worker, WorkerEvent},
    workers::Workers,
};
use crate::{
    backoff::Jitter,
    bounded_text::{MAX_REASON, cut},
    context::{Context, sleep_until},
    degradations,
    lifecycle::{Action, DesiredState, Lifecycle, LifecyclePlan, MachineEvent, MachineState, StopReason},
    log_ring::now_ms,
    logging::{one_line, printable},
    orphans,
    start_place::StartPlace,
    users::ServerUser,
};

/// Commands that may wait.
const QUEUE: usize = 32;

struct Actor {
    context: Context,
    config: ServerConfig,
    log: Logger,
    lifecycle: Lifecycle,
    since: Instant,
    slot: Slot,
    /// As whom its workers are started: found out with each turn to start.
    user: ServerUser,
    workers: Workers,
    known_catalogue: KnownCatalogue,
    catalogue_keeper: CatalogueKeeper,
    history: History,
    /// A broken entry of a package cache was removed for it, and it has not been ready since.
    cache_cleared: bool,
    snapshot: watch::Sender<Snapshot>,
    throttle: PublishThrottle,
    leaving: bool,
}

/// Starts the task of a server; it starts the server if that is enabled, once what was `before` is gone.
pub(crate) fn spawn(
    config: ServerConfig,
    before: Predecessor,
    context: &Context,
    tasks: &mut JoinSet<()>,
) -> ServerHandle {
    let name = config.name.clone();
    let lifecycle = Lifecycle::new(plan(&config, context), before.last, Jitter::random());
    let history = History::new(name.clone(), context.follow.clone());
    let (commands, queue) = mpsc::channel(QUEUE);
    let since = Instant::now();
    let (workers, known_catalogue) = (Workers::default(), KnownCatalogue::kept(&config, context.catalogues.as_deref()));
    let (snapshot, seen) =
        watch::channel(take_snapshot(&config, &lifecycle, since, &workers, &known_catalogue, &history));
    let actor = Actor {
        log: context.log.new(o!("server" => name.to_string())),
        context: context.clone(),
        config,
        lifecycle,
        since,
        slot: Slot::None,
        user: ServerUser::ours(),
        workers,
        known_catalogue,
        catalogue_keeper: CatalogueKeeper::default(),
        history,
        cache_cleared: false,
        snapshot,
        throttle: PublishThrottle::default(),
        leaving: false,
    };
    tasks.spawn(actor.run(queue, before.task));
    ServerHandle { name, commands, snapshot: seen }
}

impl Actor {
    async fn run(mut self, mut commands: mpsc::Receiver<ServerCommand>, predecessor: Option<ServerHandle>) {
        if let Some(mut before) = predecessor {
            // Its snapshots end with its task.
            while before.snapshot.changed().await.is_ok() {}
            let last = before.snapshot.borrow().last_generation;
            self.lifecycle.follow(last);
        }
        self.want_as_configured();
        while !(self.leaving && *self.lifecycle.state() == MachineState::Stopped && self.lifecycle.is_alone()) {
            let look = self.slot.due();
            tokio::select! {
                command = commands.recv() => self.command(command.unwrap_or(ServerCommand::Leave)).await,
                granted = self.slot.granted() => match granted {
                    Ok((place, user)) => {
                        self.user = user;
                        self.slot = Slot::Held(place, StartPlace::taken(Instant::now()));
                        self.step(MachineEvent::SlotGranted);
                    }
                    Err(reason) => {
                        self.slot = Slot::None;
                        self.step(MachineEvent::CannotLaunch(reason));
                    }
                },
                written = self.catalogue_keeper.next() => CatalogueKeeper::report(written, &self.log),
                () = sleep_until(look) => self.look_at_start(),
                () = sleep_until(self.throttle.due()) => self.publish(),
                (generation, news) = self.workers.next() => self.news(generation, news).await,
                () = sleep_until(self.lifecycle.deadline()) => self.step(MachineEvent::Tick),
            }
        }
        self.catalogue_keeper.finish(&self.log).await;
    }

    async fn command(&mut self, command: ServerCommand) {
        match command {
            ServerCommand::Configure { config, renew, reply } => {
                self.config = *config;
                if self.config.catalogue_key() != self.known_catalogue.key {
                    self.known_catalogue = KnownCatalogue::kept(&self.config, self.context.catalogues.as_deref());
                }
                let plan = plan(&self.config, &self.context);
                self.step(MachineEvent::Planned { plan, renew });
                self.want_as_configured();
                self.publish();
                // The caller may have left.
                let _ = reply.send(());
            }
            ServerCommand::Restart(reply) => {
                // The caller may have left.
                let _ = reply.send(self.lifecycle.wanted() == DesiredState::Up);
                self.step(MachineEvent::Restart);
            }
            ServerCommand::Wake => self.step(MachineEvent::Wake),
            ServerCommand::Shown(counts) => {
                self.known_catalogue.shown = Some(counts);
                self.publish();
            }
            ServerCommand::Serve { generation, end } => {
                if let Some(worker) = self.workers.get(generation) {
                    worker.serve(end);
                }
            }
            ServerCommand::Logs { lines, reply } => {
                let _ = reply.send(self.history.ring.last(lines));
            }
            ServerCommand::DescribeWorker(reply) => {
                let spec = self.config.worker_spec(self.lifecycle.last_generation()).map_err(|blocked| {
                    format!("{} cannot be started as it is configured: {blocked}", self.config.name)
                });
                let _ = reply.send(spec.map(|spec| (spec, self.config.run_as.clone()))); // as above
            }
            ServerCommand::Leave => {
                self.leaving = true;
                self.step(MachineEvent::Want(DesiredState::Down));
            }
            ServerCommand::Kill => {
                self.leaving = true;
                self.step(MachineEvent::Kill);
            }
        }
    }

    /// A worker has called: it is told what to run.
    fn attach(&mut self, generation: Generation) {
        let Some(worker) = self.workers.get_mut(generation) else { return };
        match self.config.worker_spec(generation) {
            Ok(mut spec) => {
                if let Err(error) = self.context.place(&mut spec, worker.user()) {
                    warn!(self.log, "there is no place for what the worker keeps"; "error" => %error);
                }
                let catalogue_file = self.known_catalogue.file.clone();
                let era = self.config.era.rule(self.known_catalogue.era());
                worker.run(WorkerSpec { era, may_clear_cache: !self.cache_cleared, ..spec }, catalogue_file);
            }
            // It cannot be started as configured, which the machine knows.
            Err(_) => worker.dismiss(),
        }
    }

    async fn news(&mut self, generation: Generation, news: WorkerEvent) {
        match news {
            WorkerEvent::Hello => self.attach(generation),
            WorkerEvent::Said(message) => self.said(generation, message),
            WorkerEvent::Silent => self.step(MachineEvent::Ended(generation, EndReason::Unresponsive)),
            WorkerEvent::Lost(why) => self.step(MachineEvent::Ended(generation, EndReason::Worker(why))),
            WorkerEvent::Violation(what) => {
                warn!(self.log_of(generation), "worker broke the protocol and is killed"; "reason" => &what);
                self.workers.get(generation).into_iter().for_each(Worker::kill);
                self.step(MachineEvent::Ended(generation, EndReason::Worker(format!("it broke the protocol: {what}"))));
            }
            WorkerEvent::Line(line) => {
                self.history.worker_line(generation, &line);
                let log = self.log_of(generation);
                self.history.note(&log, LogLevel::Warn, "worker stderr", &[("line", line)]);
            }
            WorkerEvent::Exited(status) => self.exited(generation, status).await,
        }
    }

    fn said(&mut self, generation: Generation, message: WorkerToSupervisor) {
        let Some(worker) = self.workers.get_mut(generation) else { return };
        match message {
            WorkerToSupervisor::Spawned { pid } => {
                worker.server_pid = Some(pid);
                self.publish();
            }
            WorkerToSupervisor::Instances(running) => {
                worker.instances = Some(running);
                self.publish();
            }
            WorkerToSupervisor::Ready(description) => {
                let description = description.map_texts(|text| one_line(&text).into_owned());
                self.known_catalogue.ran(&description, &self.log);
                worker.description = Some(description);
                self.cache_cleared = false;
                self.step(MachineEvent::BecameReady(generation));
            }
            WorkerToSupervisor::StartedAgain => self.step(MachineEvent::StartedAgain(generation)),
            WorkerToSupervisor::EraLearned(era) => {
                if let Some(description) = &worker.description {
                    self.known_catalogue.learned(era, description, &self.log);
                }
            }
            WorkerToSupervisor::Installing => {
                worker.installing = Some(Instant::now());
                self.react(MachineEvent::Installing(generation));
                self.publish_soon();
            }
            WorkerToSupervisor::CacheCleared => self.cache_cleared = true,
            WorkerToSupervisor::Log(record) => {
                let starts = record.source == LogSource::Stderr && worker.description.is_none();
                if starts {
                    worker.last_line = Some(cut(printable(record.message.trim()).into_owned(), MAX_REASON));
                }
                let log = self.log_of(generation);
                self.history.record(&log, &record);
                if starts {
                    self.publish_soon();
                }
            }
            WorkerToSupervisor::Counts(counts) => {
                if let Some(description) = &mut worker.description {
                    description.counts = counts;
                }
                self.publish();
            }
            WorkerToSupervisor::WantCatalogueRoom => worker.make_room(),
            WorkerToSupervisor::CatalogueFilled => {
                if let Some(filled) = worker.filled_room() {
                    self.catalogue_keeper.keep(filled);
                }
            }
            WorkerToSupervisor::ListFailures(failures) => {
                worker.list_failures = Some((Instant::now(), failures));
                self.publish();
            }
            WorkerToSupervisor::Degraded(missing) => self.lacks(generation, missing),
            WorkerToSupervisor::Ended(ended) => {
                self.history.ended(generation, &ended);
                self.step(MachineEvent::Ended(generation, ended.reason));
            }
            WorkerToSupervisor::NothingToDo => self.step(MachineEvent::NothingToDo(generation)),
            WorkerToSupervisor::Work => self.step(MachineEvent::Work(generation)),
            // Answered where the pings are counted.
            WorkerToSupervisor::Pong(_) => {}
        }
    }

    /// Protections that cannot be had for this server alone. Where all are demanded, it is not started.
    fn lacks(&mut self, generation: Generation, mut missing: Vec<Degradation>) {
        missing.truncate(Protection::ALL.len());
        let log = self.log_of(generation);
        for Degradation { protection, reason, help } in &mut missing {
            *reason = cut(one_line(reason).into_owned(), MAX_REASON);
            *help = cut(one_line(help).into_owned(), MAX_REASON);
            warn!(log, "a protection is missing"; "protection" => protection.name(), "reason" => &*reason, "help" => &*help);
        }
        if self.context.hardening == Hardening::Strict
            && let Some(first) = missing.first()
        {
            let plan =
                LifecyclePlan { blocked: Some(degradations::blocked(first)), ..plan(&self.config, &self.context) };
            self.step(MachineEvent::Planned { plan, renew: true });
        }
        if let Some(worker) = self.workers.get_mut(generation) {
            worker.degraded.extend(missing);
        }
        self.publish();
    }

    async fn exited(&mut self, generation: Generation, status: ExitStatus) {
        let Some(worker) = self.workers.get_mut(generation) else { return };
        for message in worker.last_words().await {
            self.said(generation, message);
        }
        let log = self.log_of(generation);
        let swept = orphans::sweep_adopted(&self.context.children).await;
        if swept.killed > 0 {
            warn!(log, "processes left behind were killed"; "count" => swept.killed, "left" => swept.left);
        }
        debug!(log, "worker exited"; "status" => %status);
        self.workers.remove(generation); // and with it whatever is in its cgroup
        if self.workers.is_empty() {
            sweep_user(&self.context, &self.config.name, &log).await;
        }
        if self.lifecycle.counts_on(generation) {
            self.step(MachineEvent::Ended(
                generation,
                EndReason::Worker(format!("it ended without a word ({status})")),
            ));
        }
        self.step(MachineEvent::Exited(generation));
    }

    /// The logger of a generation.
    fn log_of(&self, generation: Generation) -> Logger {
        self.log.new(o!("generation" => generation.0))
    }

    fn want_as_configured(&mut self) {
        let wanted = if self.config.enabled && !self.leaving { DesiredState::Up } else { DesiredState::Down };
        self.step(MachineEvent::Want(wanted));
    }

    fn step(&mut self, event: MachineEvent) {
        self.react(event);
        self.publish();
    }

    fn react(&mut self, event: MachineEvent) {
        let actions = self.lifecycle.step(event, Instant::now());
        for action in actions {
            self.act(action);
        }
        if !self.lifecycle.needs_slot() {
            self.slot = Slot::None;
        }
    }

    /// Gives the place back when the heavy part of the start is over.
    fn look_at_start(&mut self) {
        let worker = self.lifecycle.starting().and_then(|starting| self.workers.get(starting));
        let activity = worker.map_or_else(Activity::default, |worker| Activity::below(worker.pid()));
        let Slot::Held(_, place) = &mut self.slot else { return };
        if place.is_over(activity, Instant::now()) {
            debug!(self.log, "server leaves its place among those that start"; "cpu_ms" => activity.cpu.as_millis() as u64);
            self.slot = Slot::None;
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::RequestSlot(rank) => {
                self.slot = Slot::wait(self.context.starts.clone(), self.context.users.clone(), &self.config, rank);
            }
            Action::Spawn(generation) => self.spawn_worker(generation),
            Action::Stop(of) => self.workers.get(of).into_iter().for_each(Worker::stop),
            Action::Drain(of, grace) => self.workers.get(of).into_iter().for_each(|worker| worker.drain(grace)),
            Action::Kill(of) => self.workers.get(of).into_iter().for_each(Worker::kill),
            Action::ChangeFailed { generation, reason } => self.change_failed(generation, &reason),
            Action::Moved { from, to, reason } => self.moved(from, to, one_line(&reason).into_owned()),
        }
    }

    fn spawn_worker(&mut self, generation: Generation) {
        self.history.begin(generation);
        let log = self.log_of(generation);
        if generation != self.lifecycle.generation() {
            let old = self.lifecycle.generation().to_string();
            self.history.note(
                &log,
                LogLevel::Info,
                "changed configuration is tried beside the old one",
                &[("serving", old)],
            );
        }
        if let Some(missing) = self.context.unbounded(&self.config) {
            self.context.degraded.add_unless_known(vec![missing], &log);
        }
        match Worker::spawn(&self.context, &self.config, generation, self.user.clone()) {
            Ok(worker) => {
                debug!(log, "worker spawned"; "pid" => worker.pid());
                self.workers.add(worker);
            }
            Err(error) => self.step(MachineEvent::NotSpawned(generation, format!("cannot start the worker: {error}"))),
        }
    }

    fn change_failed(&mut self, generation: Generation, reason: &str) {
        let error = self.history.change_failed(generation, &one_line(reason));
        let serving = self.lifecycle.generation().to_string();
        let facts = [("serving", serving), ("error", error)];
        let log = self.log_of(generation);
        self.history.note(
            &log,
            LogLevel::Warn,
            "changed configuration does not work, the old one stays in force",
            &facts,
        );
    }

    fn moved(&mut self, from: ServerState, to: ServerState, reason: String) {
        let now = Instant::now();
        self.since = now;
        let generation = self.lifecycle.generation();
        let state = self.lifecycle.state().clone();
        let worker = self.workers.get(generation);
        if matches!(state, MachineState::Stopping { why: StopReason::Rest, .. }) {
            self.known_catalogue.description = worker.and_then(|worker| worker.description.clone());
        }
        let told = match &state {
            failed if is_failure(failed) => self.history.failed(generation, &reason),
            _ => reason.clone(),
        };
        if matches!(state, MachineState::Ready { .. } | MachineState::Resting { .. }) {
            self.history.last_error = None;
        }
        let known = StateFacts {
            tools: worker
                .and_then(|worker| worker.description.as_ref())
                .map_or(0, |description| description.counts.tools),
            running: worker.map(|worker| now.saturating_duration_since(worker.spawned)).unwrap_or_default(),
            error: self.history.last_error.clone().unwrap_or_default(),
            returns: self.lifecycle.returns(),
        };
        let StateRecord { level, message, mut facts } = StateRecord::of(&state, known, now);
        facts.extend([("from", from.to_string()), ("to", to.to_string()), ("reason", reason)]);
        // Its generation begins with its process.
        let log = if worker.is_some() { self.log_of(generation) } else { self.log.clone() };
        self.history.note(&log, level, message, &facts);
        self.history.moved(LifecycleEvent { at_ms: now_ms(), generation, from, to, reason: cut(told, MAX_REASON) });
    }

    /// For what changes no route, and comes up to hundreds of times a second.
    fn publish_soon(&mut self) {
        if self.throttle.may_tell(Instant::now()) {
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.throttle.told(Instant::now());
        let config = &self.config;
        let new =
            take_snapshot(config, &self.lifecycle, self.since, &self.workers, &self.known_catalogue, &self.history);
        let rerouted = self.snapshot.borrow().route != new.route;
        self.snapshot.send_replace(new);
        if rerouted {
            self.context.routes_changed.notify_one();
        }
    }
}

/// Kills what ran as the server's own user and hid where nobody looks.
async fn sweep_user(context: &Context, server: &ServerName, log: &Logger) {
    if context.logins.as_ref().is_some_and(|logins| logins.is_under_way(server)) {
        return;
    }
    match context.users.sweep(server, &context.programs.worker(), &context.children).await {
        Ok(0) => {}
        Ok(count) => warn!(log, "processes left behind were killed, found by their user"; "count" => count),
        Err(error) => warn!(log, "processes of the server's user were left behind"; "error" => %error),
    }
}
