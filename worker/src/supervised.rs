//! A worker under its supervisor: says hello on the connection that it inherited, is told what to run, reports, and obeys.

use std::{io, os::fd::OwnedFd, rc::Rc, time::Duration};

use anyhow::{Context, bail};
use mcproxy_confine::Hardening;
use mcproxy_ipc::{
    DataEnd, DescriptorHalf, Ended, Inherited, Instances, LogRecord, Receiver, Sender, WorkerSpec,
    control::{SupervisorToWorker, WorkerToSupervisor},
    keep_memory_private,
    log::ControlDrain,
};
use slog::{Drain, Logger, o, warn};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::timeout,
};

use crate::{
    catalogue_writer::CataloguePort,
    confinement::{self, Confined},
    instances::{self, HostPorts},
    launch::{Launcher, LauncherProgram},
    link::GatewayLink,
    mask::Mask,
    runner::{self, Order, Ports, Reaches},
    secrets, stderr,
    tree::Tree,
};

/// Log records on their way to the supervisor; more are dropped and counted.
const LOG_QUEUE: usize = 256;
/// Reports on their way; a run has a handful, and catalogue counts that may be dropped.
const REPORT_QUEUE: usize = 64;
/// Longest wait for the first order, and for room for the last report.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// The supervisor's messages, with descriptors among them.
type Orders = Receiver<SupervisorToWorker, DescriptorHalf>;

/// The whole life of such a worker.
pub(crate) async fn run(hardening: Hardening, launcher: LauncherProgram, reaches: Reaches) -> anyhow::Result<()> {
    let connection = Inherited::from_stdin().context("started with --supervised, but not by a supervisor")?;
    keep_memory_private().context("cannot keep other processes out of this one's memory")?;
    let (mut orders, sender) = connection.introduce().await.context("cannot reach the supervisor")?;
    let spec = match timeout(CONTROL_TIMEOUT, orders.next()).await.context("the supervisor says nothing")?? {
        Some((SupervisorToWorker::Run(mut spec), _)) => {
            spec.confinement.hardening = hardening;
            *spec
        }
        Some(_) => bail!("the supervisor's first message is not what to run"),
        None => bail!("the supervisor hung up"),
    };
    serve(spec, (launcher, reaches), orders, sender).await
}

async fn serve(
    mut spec: WorkerSpec,
    (program, reaches): (LauncherProgram, Reaches),
    supervisor: Orders,
    sender: Sender<WorkerToSupervisor>,
) -> anyhow::Result<()> {
    let (reports, report_queue) = mpsc::channel(REPORT_QUEUE);
    let (records, log_queue) = mpsc::channel(LOG_QUEUE);
    // No `server` or `generation` here: the supervisor knows whose records these are and adds them.
    let log = Logger::root(ControlDrain::new(records.clone()).fuse(), o!());
    // Before anything of strangers is read or started, and before there is a second thread.
    let confined = confinement::complete(&mut spec, &program);
    let writer = tokio::spawn(write(sender, report_queue, log_queue, secrets::mask(&spec.reach)));
    let (order, run_orders) = mpsc::channel(4);
    let tree = Tree::become_subreaper().context("cannot become the reaper of the server's processes")?;
    let launcher = Launcher { program, tree };
    let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    // A suspended worker whose supervisor ends is sent this one and continued (setpgid(2), orphaned process groups).
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let (to_catalogue, rooms) = mpsc::channel(1);
    let catalogue = spec.keeps_catalogue.then(|| CataloguePort { reports: reports.clone(), rooms });
    let shell = Obedience { order: order.clone(), reports: reports.clone(), rooms: to_catalogue, log: log.clone() };
    // A task of its own, so that a call wakes the run and nothing else.
    let obedience = tokio::spawn(shell.obey(supervisor, [terminate, hangup]));
    let orders = (order, run_orders);
    let (run_reports, run_log) = (reports.clone(), log.clone());
    let (tmp, refused) = match confined {
        Ok(Confined { missing, tmp }) => {
            let refused = confinement::refusal(spec.confinement.hardening, &missing);
            if !missing.is_empty() {
                // The queue is empty.
                let _ = reports.try_send(WorkerToSupervisor::Degraded(missing));
            }
            (tmp, refused)
        }
        Err(reason) => (None, Some(reason)),
    };
    let ended = match (refused, spec.instances) {
        (Some(reason), _) => Ended { reason, stderr_tail: String::new() },
        (None, Instances::Shared | Instances::SingleClient) => {
            let ports = Ports {
                orders,
                reports: run_reports,
                catalogue,
                link: None,
                stderr: stderr::to_log(records, None),
                trace: None,
                launcher,
                reaches,
                instance: None,
                given_up: Rc::default(),
                log: run_log,
            };
            runner::run(spec, ports).await
        }
        (None, Instances::PerSession(rules)) => {
            let ports = HostPorts { orders, reports: run_reports, catalogue, records, launcher, reaches, log: run_log };
            instances::run(spec, rules, ports).await
        }
    };
    obedience.abort();
    drop(tmp);
    say_last_word(&reports, ended).await;
    drop((reports, log));
    // A supervisor that does not read its last report learns it from the exit.
    let _ = timeout(CONTROL_TIMEOUT, writer).await;
    Ok(())
}

/// Whom the supervisor's orders are for.
struct Obedience {
    order: mpsc::Sender<Order>,
    reports: mpsc::Sender<WorkerToSupervisor>,
    /// Answers to who keeps the catalogue.
    rooms: mpsc::Sender<io::Result<OwnedFd>>,
    log: Logger,
}

impl Obedience {
    /// Answers the supervisor's pings and passes its orders on, for as long as the run lasts.
    async fn obey(self, mut supervisor: Orders, [mut terminate, mut hangup]: [Signal; 2]) {
        let mut connected = true;
        loop {
            let wanted = tokio::select! {
                message = supervisor.next(), if connected => match message {
                    Ok(Some((message, _))) => self.wanted(message, &mut supervisor),
                    // Without its supervisor a worker has no business, and the next one may be starting the same server.
                    Ok(None) | Err(_) => {
                        connected = false;
                        Some(Order::Kill)
                    }
                },
                _ = terminate.recv() => Some(Order::Stop),
                _ = hangup.recv() => Some(Order::Stop),
            };
            if let Some(wanted) = wanted {
                // The run takes its orders at all times, and when it is over there is no one to tell.
                let _ = self.order.send(wanted).await;
            }
        }
    }

    /// What a message of the supervisor wants of the run.
    fn wanted(&self, message: SupervisorToWorker, supervisor: &mut Orders) -> Option<Order> {
        match message {
            SupervisorToWorker::Ping(number) => {
                // A full queue means that the supervisor does not read; then it does not wait for this either.
                let _ = self.reports.try_send(WorkerToSupervisor::Pong(number));
                None
            }
            SupervisorToWorker::Stop => Some(Order::Stop),
            SupervisorToWorker::Drain { grace } => Some(Order::Drain(grace)),
            SupervisorToWorker::Serve => match link(supervisor) {
                Ok(link) => Some(Order::Serve(Box::new(link))),
                Err(error) => {
                    // The other end is closed with it, and the gateway asks for another.
                    warn!(self.log, "the connection to the gateway did not arrive"; "error" => %error);
                    None
                }
            },
            SupervisorToWorker::CatalogueRoom => {
                // One at a time was asked for; at the end of the run nobody takes it.
                let _ = self.rooms.try_send(supervisor.descriptors().map(|[room]| room));
                None
            }
            SupervisorToWorker::NoCatalogueRoom => {
                let _ = self.rooms.try_send(Err(io::Error::other("the supervisor has no room for it"))); // as above
                None
            }
            SupervisorToWorker::Run(_) => {
                warn!(self.log, "the supervisor asked this worker to run a second server; ignored");
                None
            }
        }
    }
}

/// The gateway's calls, which the message before it announced.
fn link(supervisor: &mut Orders) -> io::Result<GatewayLink> {
    GatewayLink::open(DataEnd::from_descriptors(supervisor.descriptors()?))
}

async fn say_last_word(reports: &mpsc::Sender<WorkerToSupervisor>, ended: Ended) {
    // The same.
    let _ = timeout(CONTROL_TIMEOUT, reports.send(WorkerToSupervisor::Ended(ended))).await;
}

/// What the server said is in records in other ways as well: lines on stdout that are none of its protocol, say.
fn masked(record: LogRecord, mask: &Mask) -> LogRecord {
    if mask.is_empty() {
        return record;
    }
    let apply = |text: String| mask.apply(&text).into_owned();
    let fields = record.fields.into_iter().map(|(key, value)| (key, apply(value))).collect();
    LogRecord { message: apply(record.message), fields, ..record }
}

/// Writes reports and log records, without secrets, until the last report, which comes after all records.
async fn write(
    mut sender: Sender<WorkerToSupervisor>,
    mut reports: mpsc::Receiver<WorkerToSupervisor>,
    mut records: mpsc::Receiver<LogRecord>,
    mask: Mask,
) {
    loop {
        let message = tokio::select! {
            biased;
            report = reports.recv() => match report {
                Some(report) => report,
                None => return,
            },
            Some(record) = records.recv() => WorkerToSupervisor::Log(masked(record, &mask)),
        };
        let message = match message {
            WorkerToSupervisor::Ended(Ended { reason, stderr_tail }) => WorkerToSupervisor::Ended(Ended {
                reason: reason.map_text(|text| mask.apply(text).into_owned()),
                stderr_tail,
            }),
            other => other,
        };
        let is_last = matches!(message, WorkerToSupervisor::Ended(_));
        if is_last {
            while let Ok(record) = records.try_recv() {
                if sender.send(&WorkerToSupervisor::Log(masked(record, &mask))).await.is_err() {
                    return;
                }
            }
        }
        // An error means that the supervisor is gone, which the reading half reports.
        if sender.send(&message).await.is_err() || is_last {
            return;
        }
    }
}
