//! One run of one server, from spawn to the last report: the shell around the session.
//!
//! One loop on one thread owns everything. It reads what is ready, lets the session decide, and writes what came of it:
//! one write for all lines that a batch of calls became, one queue operation per message to the gateway.
//!
//! Backpressure: while the gateway does not take messages, the server's stdout is not read; while the server does not
//! read its stdin, the gateway's calls are not read. Neither stops the other direction, timeouts or the supervisor.

mod ending;
mod finish;
mod installing;
mod messages;
mod ports;
mod reaches;
mod restart_after_probe;
mod stage;
mod wait;

use std::{cell::Cell, pin::Pin, rc::Rc, time::Instant};

use mcproxy_ipc::{EndReason, Ended, REMOTE_WORKER, Reach, WorkerSpec, control::WorkerToSupervisor};
use slog::{Logger, debug, warn};
use tokio::{sync::mpsc, task::JoinHandle};

pub(crate) use self::{
    ports::{Order, Ports},
    reaches::Reaches,
};
use self::{reaches::RunStart, stage::RunStage, wait::Woke};
use crate::{
    catalogue_writer::CatalogueWriter,
    cgroup::ServerCgroup,
    install::{INSTALL_LIMIT, InstallLock},
    link::GatewayPort,
    permission_hints::PermissionHints,
    secrets,
    session::{Session, SessionEvent},
    stderr::Stderr,
    timer::Timer,
    transport::{AuthorityTransport, Embeddings, Http, Stdio, Transport, TransportEvent},
    usage::Watch,
};

/// Bytes that wait for the server's stdin before the gateway has to wait as well.
const BACKLOG: usize = 1024 * 1024;

/// Starts the server, serves until it ends or is told to, and leaves nothing of it behind.
pub(crate) async fn run(spec: WorkerSpec, mut ports: Ports) -> Ended {
    let timer = match Timer::new() {
        Ok(timer) => timer,
        Err(error) => {
            return nothing_said(EndReason::Worker(format!("cannot make a timer: {error}")));
        }
    };
    let until = Instant::now() + INSTALL_LIMIT;
    let lock = match installing::wait_for_lock(&spec, until, &mut ports.orders.1, &ports.reports, &ports.log).await {
        Ok(lock) => lock,
        Err(reason) => return nothing_said(reason),
    };
    let start = RunStart { lock, timer };
    match &spec.reach {
        Reach::Command(launch) => {
            let place = (ports.launcher.clone(), ports.instance);
            match Stdio::start(&spec, launch, place, ports.trace.take(), ports.log.clone()) {
                Ok(transport) => Runner::new(spec, transport, ports).run(start).await,
                Err(reason) => nothing_said(reason),
            }
        }
        Reach::Http(_) | Reach::Embeddings(_) | Reach::Authority(_) => match ports.reaches.network {
            Some(run) => run(spec, ports, start).await,
            None => {
                nothing_said(EndReason::Worker(format!("this program starts commands; `{REMOTE_WORKER}` connects")))
            }
        },
    }
}

/// The same over the network. Named by the one program that does it, and therefore not linked into the other.
pub(crate) fn run_remote(spec: WorkerSpec, mut ports: Ports, start: RunStart) -> Pin<Box<dyn Future<Output = Ended>>> {
    Box::pin(async move {
        let (trace, log) = (ports.trace.take(), ports.log.clone());
        match &spec.reach {
            Reach::Http(http) => match Http::start(&spec, http, trace, log) {
                Ok(transport) => Runner::new(spec, transport, ports).run(start).await,
                Err(reason) => nothing_said(reason),
            },
            Reach::Embeddings(embeddings) => match Embeddings::start(&spec, embeddings, trace, log) {
                Ok(transport) => Runner::new(spec, transport, ports).run(start).await,
                Err(reason) => nothing_said(reason),
            },
            Reach::Authority(authority) => match AuthorityTransport::start(&spec, authority, trace, log) {
                Ok(transport) => Runner::new(spec, transport, ports).run(start).await,
                Err(reason) => nothing_said(reason),
            },
            Reach::Command(_) => {
                nothing_said(EndReason::Worker("a command is not reached over the network".to_owned()))
            }
        }
    })
}

fn nothing_said(reason: EndReason) -> Ended {
    Ended { reason, stderr_tail: String::new() }
}

fn report(reports: &mpsc::Sender<WorkerToSupervisor>, log: &Logger, message: WorkerToSupervisor) {
    // The queue is longer than a run has reports, unless the supervisor hangs; then a count more or less is no matter.
    if reports.try_send(message).is_err() {
        debug!(log, "report dropped");
    }
}

struct Runner<T> {
    spec: WorkerSpec,
    session: Session,
    stage: RunStage,
    transport: T,
    /// Ends the run at that time, unless the server moves or exits before.
    suspicion: Option<(Instant, EndReason)>,
    /// It was being asked what it speaks when that was looked at last.
    asking: bool,
    /// It hung up when it was asked what it speaks, and we killed it for that.
    hung_up: bool,
    stderr: Stderr,
    permission_hints: PermissionHints,
    gateway: GatewayPort,
    /// Told to end once the gateway has let go, and by then at the latest.
    drained_by: Option<Instant>,
    catalogue_writer: Option<CatalogueWriter>,
    instance: Option<u32>,
    /// Watches what the server uses.
    usage: Option<JoinHandle<()>>,
    /// Watches a package runner until the server is ready.
    install: Option<JoinHandle<()>>,
    /// To install, until the watch has it.
    lock: Option<InstallLock>,
    /// No installation may go on beyond that.
    install_by: Instant,
    ports_orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    reports: mpsc::Sender<WorkerToSupervisor>,
    given_up: Rc<Cell<bool>>,
    log: Logger,
}

impl<T: Transport> Runner<T> {
    fn new(spec: WorkerSpec, transport: T, ports: Ports) -> Self {
        let now = Instant::now();
        let session = Session::new(&spec, ports.link.is_some(), ports.log.clone(), now);
        Self {
            session,
            stage: RunStage::Running,
            transport,
            suspicion: None,
            asking: false,
            hung_up: false,
            stderr: Stderr::new(spec.limits.stderr_lines, secrets::mask(&spec.reach), ports.stderr, now),
            permission_hints: PermissionHints::of(&spec),
            gateway: GatewayPort::new(ports.link),
            drained_by: None,
            catalogue_writer: ports.catalogue.map(|port| CatalogueWriter::start(port, ports.log.clone())),
            instance: ports.instance,
            usage: None,
            install: None,
            lock: None,
            install_by: now + spec.start_timeout.max(INSTALL_LIMIT),
            ports_orders: ports.orders,
            reports: ports.reports,
            given_up: ports.given_up,
            log: ports.log,
            spec,
        }
    }

    /// From the first message to the last report.
    async fn run(mut self, RunStart { lock, timer }: RunStart) -> Ended {
        self.lock = lock;
        self.begun();
        self.serve(timer).await;
        let clean_up = self.transport.clean_up(&self.spec);
        let ended = self.finish().await;
        clean_up.await;
        ended
    }

    /// The server's process is there.
    fn begun(&mut self) {
        let Some(pid) = self.transport.pid() else { return };
        report(&self.reports, &self.log, WorkerToSupervisor::Spawned { pid });
        let root = if self.instance.is_some() { pid } else { std::process::id() };
        let watch = Watch {
            root,
            limits: self.spec.limits,
            cgroup: self.spec.cgroup.as_deref().map(ServerCgroup::at),
            orders: self.ports_orders.0.clone(),
            log: self.log.clone(),
        };
        if let Some(before) = self.usage.replace(tokio::spawn(watch.run())) {
            before.abort();
        }
        self.watch_install(root);
    }

    async fn serve(&mut self, mut timer: Timer) {
        loop {
            let now = Instant::now();
            self.read_messages(now);
            self.look_at_server(now);
            self.session.tick(self.gateway.backpressured, now);
            self.sort_diagnostics(now);
            self.heed_events(now);
            self.advance(now);
            match self.stage {
                RunStage::Over(_) => return,
                RunStage::RestartAfterProbe => {
                    self.restart_after_probe().await;
                    continue;
                }
                RunStage::Broken { .. } => {
                    self.start_from_clear_cache().await;
                    continue;
                }
                RunStage::Running | RunStage::Replacing(_) | RunStage::Ending(..) | RunStage::Exited { .. } => {}
            }
            self.write_server(now);
            let was_backpressured = self.gateway.backpressured;
            self.write_gateway();
            if was_backpressured && !self.gateway.backpressured {
                continue; // no event tells of lines that were left
            }
            match self.wait(&mut timer, now).await {
                Woke::Order(Some(Order::Serve(link))) => {
                    self.session.link_up(Instant::now());
                    self.gateway = GatewayPort::new(Some(*link));
                }
                Woke::Order(Some(Order::Stop) | None) => self.end(EndReason::Stopped, Instant::now()),
                Woke::Order(Some(Order::Drain(grace))) => self.drained_by = Some(Instant::now() + grace),
                Woke::Order(Some(Order::Installing)) => self.goes_on_installing(Instant::now()),
                Woke::Order(Some(Order::Kill)) => self.kill(EndReason::Stopped, Instant::now()),
                Woke::Order(Some(Order::Exceeded(what))) => self.kill(EndReason::Limit(what), Instant::now()),
                Woke::Frame(Ok(Some((message, payload)))) => self.take_frames(message, &payload, Instant::now()).await,
                Woke::Frame(Ok(None)) => self.unlink(),
                Woke::Frame(Err(error)) => {
                    debug!(self.log, "gateway connection failed"; "error" => %error);
                    self.unlink();
                }
                Woke::Transport(TransportEvent::Received | TransportEvent::Writable) | Woke::Look => {}
                Woke::Transport(TransportEvent::ReceiveClosed) => self.receive_closed(Instant::now()),
                Woke::Transport(TransportEvent::Diagnostics) => self.take_diagnostics(Instant::now()),
                Woke::Transport(TransportEvent::Ended) => self.ended(Instant::now()),
            }
        }
    }

    fn heed_events(&mut self, now: Instant) {
        for event in std::mem::take(&mut self.session.context.out.events) {
            match event {
                SessionEvent::Ready(description) => {
                    self.install.take().inspect(JoinHandle::abort);
                    report(&self.reports, &self.log, WorkerToSupervisor::Ready(description));
                    self.keep_catalogue();
                }
                SessionEvent::Counts(counts) => {
                    report(&self.reports, &self.log, WorkerToSupervisor::Counts(counts));
                    self.keep_catalogue();
                }
                SessionEvent::ListFailures(failures) => {
                    report(&self.reports, &self.log, WorkerToSupervisor::ListFailures(failures));
                }
                SessionEvent::NothingToDo => report(&self.reports, &self.log, WorkerToSupervisor::NothingToDo),
                SessionEvent::Work => report(&self.reports, &self.log, WorkerToSupervisor::Work),
                SessionEvent::Left => self.end(EndReason::Stopped, now),
                SessionEvent::Broken(reason) => self.end(reason, now),
                SessionEvent::StartAgain => self.replace(now),
                SessionEvent::PermissionLacking(complaint) => self.give_hint(&complaint),
                SessionEvent::EraLearned(era) => report(&self.reports, &self.log, WorkerToSupervisor::EraLearned(era)),
            }
        }
    }

    /// What would allow what the server complains of, in the log and among its last words.
    fn give_hint(&mut self, complaint: &str) {
        if let Some(hint) = self.permission_hints.hint(complaint) {
            warn!(self.log, "the server lacks a permission"; "help" => &hint);
            self.stderr.add_to_tail(&hint);
        }
    }

    fn keep_catalogue(&self) {
        if let (Some(writer), Some(catalogue)) = (&self.catalogue_writer, self.session.catalogue_to_keep()) {
            writer.keep(catalogue);
        }
    }
}
