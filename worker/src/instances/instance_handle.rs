//! The handle of one instance: a runner whose gateway link leads to the host.

use std::{cell::Cell, rc::Rc, time::Duration};

use mcproxy_ipc::{Ended, LogRecord, WorkerSpec, control::WorkerToSupervisor};
use slog::{Logger, o};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::pool::Number;
use crate::{
    launch::Launcher,
    link::{Envelope, GatewayLink, Handed, LocalEnd},
    runner::{self, Order, Ports, Reaches},
    stderr,
};

/// Reports that wait for the host; a run has a handful.
const REPORTS: usize = 16;
/// How long the last words of an instance may take to reach the host, which reads none while the gateway reads none.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A message of an instance.
pub(super) enum InstanceEvent {
    /// To the gateway.
    Said(Envelope),
    /// To the supervisor.
    Reported(WorkerToSupervisor),
}

/// Which instance said what.
pub(super) type InstanceReport = (Number, InstanceEvent);

/// The host's side of an instance.
pub(super) struct InstanceHandle {
    pub(super) calls: mpsc::Sender<Handed>,
    order: mpsc::Sender<Order>,
    given_up: Rc<Cell<bool>>,
}

impl InstanceHandle {
    /// Ends it in order.
    pub(super) fn stop(&self) {
        // A full queue holds a stop already; without a reader it has ended.
        let _ = self.order.try_send(Order::Stop);
    }

    /// Ends it at once.
    pub(super) fn kill(&self) {
        // It has room for a stop and for this; the end of the process does the rest.
        let _ = self.order.try_send(Order::Kill);
    }

    /// Whether no further call has a chance.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.get()
    }
}

/// Starts an instance; its task ends with it and says how.
pub(super) fn spawn(
    number: Number,
    spec: WorkerSpec,
    host: mpsc::Sender<InstanceReport>,
    records: mpsc::Sender<LogRecord>,
    (launcher, reaches, log): (Launcher, Reaches, &Logger),
    tasks: &mut JoinSet<(Number, Ended)>,
) -> InstanceHandle {
    // As many calls as may be in flight, and as many cancellations.
    let (link, gateway) = GatewayLink::local(2 * spec.limits.concurrent_calls);
    let (order, orders) = mpsc::channel(4);
    let (reports, reported) = mpsc::channel(REPORTS);
    let given_up = Rc::<Cell<bool>>::default();
    let ports = Ports {
        orders: (order.clone(), orders),
        reports,
        catalogue: None,
        link: Some(link),
        stderr: stderr::to_log(records, Some(number)),
        trace: None,
        launcher,
        reaches,
        instance: Some(number),
        given_up: given_up.clone(),
        log: log.new(o!("instance" => number)),
    };
    let LocalEnd { calls, events } = gateway;
    tasks.spawn_local(async move {
        let run = runner::run(spec, ports);
        let mut pass_on = std::pin::pin!(pass_on(number, events, reported, host));
        tokio::pin!(run);
        let ended = tokio::select! {
            ended = &mut run => ended,
            // It ends after the run, which holds the other ends.
            () = &mut pass_on => return (number, run.await),
        };
        // A host that reads nothing answers for it.
        let _ = timeout(LAST_WORDS, pass_on).await;
        (number, ended)
    });
    InstanceHandle { calls, order, given_up }
}

/// Brings everything to the host until the run is over.
async fn pass_on(
    number: Number,
    mut events: mpsc::Receiver<Envelope>,
    mut reports: mpsc::Receiver<WorkerToSupervisor>,
    host: mpsc::Sender<InstanceReport>,
) {
    loop {
        let events = tokio::select! {
            biased;
            Some(report) = reports.recv() => InstanceEvent::Reported(report),
            Some(event) = events.recv() => InstanceEvent::Said(event),
            else => return,
        };
        if host.send((number, events)).await.is_err() {
            return;
        }
    }
}
