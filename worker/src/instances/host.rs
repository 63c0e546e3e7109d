//! The loop around all instances.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use mcproxy_ipc::{
    CatalogueCounts, ClientDeclaration, ClientFeatures, EndReason, Ended, InstanceRules, Instances, LogRecord,
    RunningInstances, ServerDescription, WorkerSpec, control::WorkerToSupervisor, frame::MAX_PAYLOAD,
};
use slog::{Logger, debug, warn};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::sleep_until,
};

use super::{
    client_profile::{ClientProfile, Eras},
    instance_handle::{self, InstanceHandle, InstanceReport},
    list_waits::ListWait,
    offers::Offers,
    parked::Parked,
    pool::{InstanceEnd, Number, Pool, PoolAction},
    ports::HostPorts,
    subscription_memory::SubscriptionMemory,
    waiting::WaitingCalls,
};
use crate::{
    catalogue_writer::CatalogueWriter,
    dialect::legacy,
    launch::Launcher,
    link::{Envelope, GatewayPort, next_frame, room},
    runner::{Order, Reaches},
    session::{Idle, features_of},
};

/// Events of instances that wait for the host, which reads none while the gateway reads none.
const EVENTS: usize = 64;
/// Bytes of calls that no instance has read yet, in units of [`UNIT`]: one of the largest always fits.
const ROOM: usize = MAX_PAYLOAD / UNIT + 1;
/// A multiple of the least that a message takes in memory.
pub(super) const UNIT: usize = 1024;

/// An instance that runs, as the host sees it.
pub(super) struct RunningInstance {
    pub(super) handle: InstanceHandle,
    pub(super) pid: Option<u32>,
    /// The numbers of its calls in flight.
    pub(super) flights: BTreeSet<u64>,
    /// A session has called it: from then on it is no measure of what the server offers.
    pub(super) touched: bool,
    /// Its catalogue, once it has sent one.
    pub(super) catalogue: Option<Bytes>,
    /// The log level it was told.
    pub(super) level: Option<String>,
}

/// The server's catalogue and description.
#[derive(Default)]
pub(super) struct SharedOffer {
    pub(super) catalogue: Option<Bytes>,
    pub(super) revision: u64,
    pub(super) description: Option<ServerDescription>,
    pub(super) counts: CatalogueCounts,
}

/// All instances, and the two connections that they share.
pub(super) struct InstanceHost {
    pub(super) spec: WorkerSpec,
    pub(super) pool: Pool,
    pub(super) running: BTreeMap<Number, RunningInstance>,
    /// Which instance has a call, by the number that the instance knows.
    pub(super) flights: HashMap<u64, Number>,
    pub(super) parked: Parked,
    pub(super) waiting: WaitingCalls,
    pub(super) subscription_memory: SubscriptionMemory,
    pub(super) offer: SharedOffer,
    /// Offers to single sessions.
    pub(super) offers: Offers,
    /// Sessions that wait to know what they are offered.
    pub(super) list_waits: Vec<ListWait>,
    /// The connections of the gateway are counted, so that answers to an earlier one are told apart.
    pub(super) epoch: u16,
    pub(super) room: Arc<Semaphore>,
    pub(super) log: Logger,
    pub(super) rules: InstanceRules,
    reports: mpsc::Sender<WorkerToSupervisor>,
    records: mpsc::Sender<LogRecord>,
    launcher: Launcher,
    reaches: Reaches,
    orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    pub(super) events: (mpsc::Sender<InstanceReport>, mpsc::Receiver<InstanceReport>),
    tasks: JoinSet<(Number, Ended)>,
    /// The server counts as ready.
    open: bool,
    pub(super) gateway: GatewayPort,
    pub(super) out: VecDeque<Envelope>,
    drained_by: Option<Instant>,
    /// Of a server that is started by its calls: whether there have been none for long.
    pub(super) idle: Option<Idle>,
    pub(super) catalogue_writer: Option<CatalogueWriter>,
    /// Why it ends, once that is certain.
    end: Option<Ended>,
}

impl InstanceHost {
    /// With its first instance.
    pub(super) fn new(spec: WorkerSpec, rules: InstanceRules, ports: HostPorts) -> Self {
        let now = Instant::now();
        let full = legacy::declaration(spec.features.unwrap_or(ClientFeatures::LISTED), &spec.extensions);
        let (pool, first, client_profile) = Pool::new(rules, Eras::new(spec.era, full), now);
        let idle = spec.idle_timeout.map(|after| Idle::new(after, now));
        let catalogue_writer = ports.catalogue.map(|port| CatalogueWriter::start(port, ports.log.clone()));
        let mut host = Self {
            spec,
            pool,
            running: BTreeMap::new(),
            flights: HashMap::new(),
            parked: Parked::default(),
            waiting: WaitingCalls::default(),
            subscription_memory: SubscriptionMemory::default(),
            offer: SharedOffer::default(),
            offers: Offers::default(),
            list_waits: Vec::new(),
            epoch: 0,
            room: Arc::new(Semaphore::new(ROOM)),
            log: ports.log,
            rules,
            reports: ports.reports,
            records: ports.records,
            launcher: ports.launcher,
            reaches: ports.reaches,
            orders: ports.orders,
            events: mpsc::channel(EVENTS),
            tasks: JoinSet::new(),
            open: false,
            gateway: GatewayPort::default(),
            out: VecDeque::new(),
            drained_by: None,
            idle,
            catalogue_writer,
            end: None,
        };
        host.start(first, &client_profile);
        host
    }

    /// Serves until everything has ended.
    pub(super) async fn serve(mut self) -> Ended {
        loop {
            let now = Instant::now();
            self.settle(now);
            self.answer_due(now);
            self.answer_list_waits();
            self.advance(now);
            self.write_gateway(now);
            if self.tasks.is_empty() && self.end.is_some() {
                return self.finish().await;
            }
            let deadline = self.deadline(now);
            let writing = self.gateway.is_writing();
            let Self { orders, tasks, events, gateway: GatewayPort { incoming, outgoing, backpressured }, .. } =
                &mut self;
            tokio::select! {
                biased;
                order = orders.1.recv() => match order {
                    Some(Order::Serve(link)) => self.link_up(*link, Instant::now()),
                    Some(Order::Drain(grace)) => self.drained_by = Some(Instant::now() + grace),
                    // An instance's own.
                    Some(Order::Installing) => {}
                    // Bounds on what is used are each instance's own.
                    Some(Order::Kill | Order::Exceeded(_)) => {
                        self.stop(EndReason::Stopped, String::new());
                        self.running.values().for_each(|running| running.handle.kill());
                    }
                    Some(Order::Stop) | None => self.stop(EndReason::Stopped, String::new()),
                },
                Some(ended) = tasks.join_next() => match ended {
                    Ok((number, ended)) => self.ended(number, ended, Instant::now()),
                    // A panic ends the process before this is seen.
                    Err(error) => self.stop(EndReason::Worker(format!("an instance's task failed: {error}")), String::new()),
                },
                Some((number, event)) = events.1.recv(), if !*backpressured => self.take_events(number, event, Instant::now()),
                frame = next_frame(incoming), if incoming.is_some() => self.take_frames(frame, Instant::now()).await,
                () = room(outgoing), if writing => {}
                () = sleep_until(deadline.unwrap_or(now).into()), if deadline.is_some() => {}
            }
        }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let drained = self.drained_by.map(|by| if self.gateway.is_linked() { by } else { now });
        let idle = self.idle.as_ref().filter(|_| self.is_linked()).map(Idle::deadline);
        [self.pool.deadline(), self.waiting.deadline(), drained, idle].into_iter().flatten().min()
    }

    fn advance(&mut self, now: Instant) {
        let busy = self.pool.is_used();
        if self.is_linked() && !self.is_ending() && self.idle.as_mut().is_some_and(|idle| idle.check(busy, now)) {
            self.report(WorkerToSupervisor::NothingToDo);
        }
        // Calls are in flight only as long as the gateway that waits for them is there.
        if self.drained_by.is_some_and(|by| !self.gateway.is_linked() || by <= now) {
            self.drained_by = None;
            self.stop(EndReason::Stopped, String::new());
        }
    }

    /// Lets the pool decide, and does it.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut actions = Vec::new();
        self.pool.settle(now, &mut actions);
        self.perform(actions);
    }

    pub(super) fn perform(&mut self, actions: Vec<PoolAction>) {
        for action in actions {
            match action {
                PoolAction::Start(number, client_profile) => self.start(number, &client_profile),
                PoolAction::Bound(number, session) => {
                    debug!(self.log, "instance belongs to a session"; "instance" => number);
                    let catalogue = self.running.get(&number).and_then(|running| running.catalogue.clone());
                    if let Some(catalogue) = catalogue {
                        self.show_to(session, &catalogue);
                    }
                    self.hand_over(number, session);
                }
                PoolAction::Stop(number) => {
                    if let Some(running) = self.running.get(&number) {
                        debug!(self.log, "instance is not needed any more"; "instance" => number);
                        running.handle.stop();
                    }
                }
            }
        }
    }

    fn start(&mut self, number: Number, client_profile: &ClientProfile) {
        // The host looks after what concerns the server as a whole.
        let own = WorkerSpec { idle_timeout: None, ..self.spec.clone() };
        let client = ClientDeclaration::clone(&self.pool.eras().told(client_profile));
        let spec = WorkerSpec {
            instances: Instances::SingleClient,
            features: Some(features_of(&client.capabilities)),
            client: Some(client),
            era: self.pool.eras().rule(client_profile),
            ..own
        };
        let (events, records) = (self.events.0.clone(), self.records.clone());
        let handle = instance_handle::spawn(
            number,
            spec,
            events,
            records,
            (self.launcher.clone(), self.reaches, &self.log),
            &mut self.tasks,
        );
        let running = RunningInstance {
            handle,
            pid: None,
            flights: BTreeSet::new(),
            touched: false,
            catalogue: None,
            level: None,
        };
        self.running.insert(number, running);
    }

    // --- the end ----------------------------------------------------------------------------------------------------

    /// Ends everything. The first reason counts.
    pub(super) fn stop(&mut self, reason: EndReason, stderr_tail: String) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(Ended { reason, stderr_tail });
        let mut actions = Vec::new();
        self.pool.close(&mut actions);
        self.perform(actions);
        self.refuse_all_waiting();
    }

    pub(super) fn is_ending(&self) -> bool {
        self.end.is_some()
    }

    /// An instance's task is over. What it said before waits in the queue, which holds a bounded number.
    fn ended(&mut self, number: Number, ended: Ended, now: Instant) {
        for _ in 0..EVENTS {
            let Ok((number, event)) = self.events.1.try_recv() else { break };
            self.take_events(number, event, now);
        }
        let end = self.pool.ended(number, now);
        if let Some(running) = self.running.remove(&number) {
            self.answer_for(&running, &ended);
            self.parked.forget(number);
        }
        if ended.reason != EndReason::Stopped {
            warn!(self.log, "instance ended"; "instance" => number, "error" => %ended.reason);
        }
        if let InstanceEnd::Fault { was_ready: false, owner: Some(session) } = end {
            self.refuse_waiting(session, &ended);
        }
        self.report_instances();
        if !self.is_ending() && (!self.is_open() || self.pool.is_hopeless()) {
            self.stop(ended.reason, ended.stderr_tail);
        }
    }

    /// The last answers, then the last word.
    async fn finish(mut self) -> Ended {
        self.gateway.flush(std::mem::take(&mut self.out)).await;
        if let Some(catalogue_writer) = self.catalogue_writer.take() {
            catalogue_writer.finish().await;
        }
        self.end.unwrap_or(Ended { reason: EndReason::Stopped, stderr_tail: String::new() })
    }

    // --- the supervisor ---------------------------------------------------------------------------------------------

    pub(super) fn report(&self, message: WorkerToSupervisor) {
        // As in a run: what is dropped here is no matter.
        if self.reports.try_send(message).is_err() {
            debug!(self.log, "report dropped");
        }
    }

    pub(super) fn report_instances(&self) {
        let pids: Vec<u32> = self.running.values().filter_map(|running| running.pid).collect();
        let running = if self.spec.reach.command().is_some() { pids.len() } else { self.running.len() };
        self.report(WorkerToSupervisor::Instances(RunningInstances { running, pids, max: self.rules.max }));
    }

    /// Whether the server counts as ready.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// How many instances there may be.
    pub(super) fn max(&self) -> usize {
        self.rules.max
    }

    /// With the first instance that is ready and has said what it offers, the server is.
    pub(super) fn become_ready(&mut self) {
        if self.is_open() || self.offer.catalogue.is_none() || self.is_ending() {
            return;
        }
        let Some(mut description) = self.offer.description.take() else { return };
        self.open = true;
        description.counts = self.offer.counts;
        self.report(WorkerToSupervisor::Ready(description));
    }
}
