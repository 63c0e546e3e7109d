//! The connection to the supervisor: made at the start, served until the end.

use std::{
    collections::HashMap,
    net::TcpListener,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mcproxy_confine::Degradation;
use mcproxy_ipc::{
    ApprovalRule, DataEnd, DescriptorHalf, Inherited, LogRecord, Receiver, Route, Sender,
    control::{ActOutcome, Answer, GatewaySettings, GatewayToSupervisor, Question, SupervisorToGateway},
    log::{DroppedRecords, LogThreshold},
};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::{
    CatalogueFileError, ConnectError, ControlError, HoldDecision, RestoreState, SupervisorHandle, Wanted, WantedAct,
    WantedCatalogue,
};
use crate::gateway::base::audit::AuditProgress;

/// Questions that may wait; each belongs to a request of a client.
const QUESTIONS: usize = 64;
/// Notices about sessions that may wait; a supervisor that takes none for so long keeps less for the next gateway.
const NOTICES: usize = 4096;
/// Questions about sessions that come back, at once: each answer is a snapshot, and they must not fill the supervisor's queue.
const STORED_SESSION_QUESTIONS: usize = 32;
/// Connections to workers that are asked for at once: however many servers there are, their answers fit into the queue of the
/// supervisor, which ends a gateway that does not read.
const CONNECTS: usize = 32;
/// Files with what servers offered last that are asked for at once; for the same reason, and each is a descriptor.
const CATALOGUES: usize = 16;
/// Messages that may wait for the supervisor to read them.
const QUEUE: usize = 256;
/// Decisions on calls that wait; a person makes them one by one.
const DECISIONS: usize = 64;

type SupervisorReceiver = Receiver<SupervisorToGateway, DescriptorHalf>;

/// The connection itself. [`SupervisorConnection::serve`] is its task.
pub(crate) struct SupervisorConnection {
    receiver: SupervisorReceiver,
    sender: Sender<GatewayToSupervisor>,
    questions: mpsc::Receiver<(Question, oneshot::Sender<Answer>)>,
    acts: mpsc::Receiver<WantedAct>,
    wanted: mpsc::Receiver<Wanted>,
    catalogues: mpsc::Receiver<WantedCatalogue>,
    notices: mpsc::Receiver<GatewayToSupervisor>,
    snapshot_bytes: Arc<AtomicUsize>,
    logs: mpsc::Receiver<LogRecord>,
    threshold: LogThreshold,
    settings: watch::Sender<GatewaySettings>,
    routes: watch::Sender<Vec<Route>>,
    listener: watch::Sender<Option<Arc<TcpListener>>>,
    drain: watch::Sender<Option<Duration>>,
    audited: watch::Sender<AuditProgress>,
    approvals: watch::Sender<u64>,
    approval_rules: watch::Sender<Vec<ApprovalRule>>,
    decisions: mpsc::Sender<HoldDecision>,
}

impl SupervisorConnection {
    /// Says hello on the connection to the supervisor and waits for what belongs to the start: where to listen, the
    /// first settings and routes.
    pub(crate) async fn open(
        socket: OwnedFd,
        logs: mpsc::Receiver<LogRecord>,
        (threshold, dropped): (LogThreshold, DroppedRecords),
    ) -> Result<(Self, SupervisorHandle, TcpListener), ControlError> {
        let connection = Inherited::new(socket).map_err(ControlError::Connect)?;
        let (mut receiver, sender) = connection.introduce().await?;
        let SupervisorToGateway::Listen = next(&mut receiver).await? else { return Err(ControlError::Order) };
        let first_listener = listening(&mut receiver)?;
        let restore_state = receive_restore_state(&mut receiver).await?;
        let SupervisorToGateway::Configure(first_settings) = next(&mut receiver).await? else {
            return Err(ControlError::Order);
        };
        let SupervisorToGateway::ApprovalRules(first_rules) = next(&mut receiver).await? else {
            return Err(ControlError::Order);
        };
        let SupervisorToGateway::Routes(first_routes) = next(&mut receiver).await? else {
            return Err(ControlError::Order);
        };
        threshold.set(first_settings.log_level);
        let (questions_to, questions) = mpsc::channel(QUESTIONS);
        let (acts_to, acts) = mpsc::channel(QUESTIONS);
        let (wanted_to, wanted) = mpsc::channel(QUESTIONS);
        let (catalogues_to, catalogues) = mpsc::channel(QUESTIONS);
        let (notices_to, notices) = mpsc::channel(NOTICES);
        let (settings, settings_seen) = watch::channel(*first_settings);
        let (routes, routes_seen) = watch::channel(first_routes);
        let (listener, listener_seen) = watch::channel(None);
        let (drain, drain_seen) = watch::channel(None);
        let (approvals, approvals_seen) = watch::channel(0);
        let (approval_rules, approval_rules_seen) = watch::channel(first_rules);
        let (decisions, decisions_taken) = mpsc::channel(DECISIONS);
        let (audited, audited_seen) = watch::channel(AuditProgress::default());
        let snapshot_bytes = Arc::<AtomicUsize>::default();
        let supervisor = SupervisorHandle {
            questions: questions_to,
            acts: acts_to,
            wanted: wanted_to,
            catalogues: catalogues_to,
            catalogue_places: Arc::new(Semaphore::new(CATALOGUES)),
            connects: Arc::new(Semaphore::new(CONNECTS)),
            notices: notices_to,
            restore_state: Arc::new(Mutex::new(Some(restore_state))),
            stored_session_questions: Arc::new(Semaphore::new(STORED_SESSION_QUESTIONS)),
            snapshot_bytes: snapshot_bytes.clone(),
            settings: settings_seen,
            routes: routes_seen,
            listener: listener_seen,
            drain: drain_seen,
            approvals: approvals_seen,
            approval_rules: approval_rules_seen,
            decisions: Arc::new(Mutex::new(Some(decisions_taken))),
            audited: audited_seen,
            dropped,
        };
        let connection = Self {
            receiver,
            sender,
            questions,
            acts,
            wanted,
            catalogues,
            notices,
            snapshot_bytes,
            logs,
            threshold,
            settings,
            routes,
            listener,
            drain,
            audited,
            approvals,
            approval_rules,
            decisions,
        };
        Ok((connection, supervisor, first_listener))
    }

    /// Serves the connection until it ends, which means the end of the gateway; `missing` of its confinement is what it could not get.
    pub(crate) async fn serve(self, missing: Vec<Degradation>) -> ControlError {
        let Self {
            mut receiver,
            sender,
            mut questions,
            mut acts,
            mut wanted,
            mut catalogues,
            mut notices,
            mut logs,
            ..
        } = self;
        let Self {
            snapshot_bytes,
            threshold,
            settings,
            routes,
            listener,
            drain,
            audited,
            approvals,
            approval_rules,
            decisions,
            ..
        } = self;
        let (out, queue) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(sender.drain(queue));
        let mut waiting: HashMap<u64, oneshot::Sender<Answer>> = HashMap::new();
        let mut acting: HashMap<u64, oneshot::Sender<ActOutcome>> = HashMap::new();
        let mut connecting: HashMap<u64, oneshot::Sender<Result<DataEnd, ConnectError>>> = HashMap::new();
        let mut opening: HashMap<u64, oneshot::Sender<Result<Option<OwnedFd>, CatalogueFileError>>> = HashMap::new();
        let mut next_id = 0u64;
        if out.send((GatewayToSupervisor::Listening { missing }, Vec::new())).await.is_err() {
            return ControlError::Closed;
        }
        let end = loop {
            let message = tokio::select! {
                message = next(&mut receiver) => match message {
                    Ok(SupervisorToGateway::Configure(new)) => {
                        threshold.set(new.log_level);
                        settings.send_replace(*new);
                        continue;
                    }
                    Ok(SupervisorToGateway::Routes(new)) => { routes.send_replace(new); continue }
                    Ok(SupervisorToGateway::Listen) => match listening(&mut receiver) {
                        Ok(new) => { listener.send_replace(Some(Arc::new(new))); continue }
                        // The next gateway begins with it.
                        Err(error) => break error,
                    },
                    Ok(SupervisorToGateway::Connected { id }) => {
                        let end = receiver.descriptors().map(DataEnd::from_descriptors);
                        if let Some(to) = connecting.remove(&id) {
                            // The asking task may have given up: the dropped end closes the connection at the worker, too.
                            let _ = to.send(end.map_err(|error| ConnectError::Refused(error.to_string())));
                        }
                        continue;
                    }
                    Ok(SupervisorToGateway::NotConnected { id, reason }) => {
                        if let Some(to) = connecting.remove(&id) {
                            let _ = to.send(Err(ConnectError::Refused(reason))); // as above
                        }
                        continue;
                    }
                    Ok(SupervisorToGateway::Catalogue { id }) => {
                        let file = receiver.descriptors().map(|[file]| Some(file));
                        if let Some(to) = opening.remove(&id) {
                            let _ = to.send(file.map_err(|error| CatalogueFileError::Refused(error.to_string()))); // as above
                        }
                        continue;
                    }
                    Ok(SupervisorToGateway::NoCatalogue { id, reason }) => {
                        if let Some(to) = opening.remove(&id) {
                            let _ = to.send(reason.map_or(Ok(None), |reason| Err(CatalogueFileError::Refused(reason)))); // as above
                        }
                        continue;
                    }
                    Ok(SupervisorToGateway::Approved(_)) => {
                        approvals.send_modify(|count| *count += 1);
                        continue;
                    }
                    Ok(SupervisorToGateway::ApprovalRules(rules)) => { approval_rules.send_replace(rules); continue }
                    Ok(SupervisorToGateway::Decide { id, decision, by }) => {
                        // One that finds no room is as good as none: the supervisor gets no answer, and says so.
                        let _ = decisions.try_send(HoldDecision { id, decision, by });
                        continue;
                    }
                    Ok(SupervisorToGateway::Audited { written, error }) => {
                        audited.send_modify(|progress| {
                            progress.written = progress.written.saturating_add(written);
                            progress.error = error;
                        });
                        continue;
                    }
                    Ok(SupervisorToGateway::Drain { grace }) => { drain.send_replace(Some(grace)); continue }
                    Ok(SupervisorToGateway::Answer { id, answer }) => {
                        if let Some(to) = waiting.remove(&id) {
                            let _ = to.send(*answer); // the asking task may have given up
                        }
                        continue;
                    }
                    Ok(SupervisorToGateway::Acted { id, outcome }) => {
                        if let Some(to) = acting.remove(&id) {
                            let _ = to.send(outcome); // as above
                        }
                        continue;
                    }
                    Ok(SupervisorToGateway::Ping(number)) => GatewayToSupervisor::Pong(number),
                    // It belongs to the start.
                    Ok(SupervisorToGateway::RestoreState { .. }) => break ControlError::Order,
                    Err(error) => break error,
                },
                Some(message) = notices.recv() => {
                    if let GatewayToSupervisor::StoreSnapshot { snapshot, .. } = &message {
                        snapshot_bytes.fetch_sub(snapshot.len(), Ordering::Relaxed);
                    }
                    message
                }
                Some((question, to)) = questions.recv() => {
                    waiting.retain(|_, to| !to.is_closed());
                    next_id += 1;
                    waiting.insert(next_id, to);
                    GatewayToSupervisor::Ask { id: next_id, question }
                }
                Some((act, by, to)) = acts.recv() => {
                    acting.retain(|_, to| !to.is_closed());
                    next_id += 1;
                    acting.insert(next_id, to);
                    GatewayToSupervisor::Act { id: next_id, act, by }
                }
                Some(Wanted { server, generation, to }) = wanted.recv() => {
                    connecting.retain(|_, to| !to.is_closed());
                    next_id += 1;
                    connecting.insert(next_id, to);
                    GatewayToSupervisor::Connect { id: next_id, server, generation }
                }
                Some(WantedCatalogue { server, key, to }) = catalogues.recv() => {
                    opening.retain(|_, to| !to.is_closed());
                    next_id += 1;
                    opening.insert(next_id, to);
                    match key {
                        Some(key) => GatewayToSupervisor::OpenCatalogue { id: next_id, server, key },
                        None => GatewayToSupervisor::OpenPins { id: next_id, server },
                    }
                }
                Some(record) = logs.recv() => GatewayToSupervisor::Log(record),
            };
            if out.send((message, Vec::new())).await.is_err() {
                break ControlError::Closed;
            }
        };
        writer.abort();
        end
    }
}

async fn next(receiver: &mut SupervisorReceiver) -> Result<SupervisorToGateway, ControlError> {
    receiver.next().await?.map(|(message, _)| message).ok_or(ControlError::Closed)
}

/// The socket that came with `Listen`.
fn listening(receiver: &mut SupervisorReceiver) -> Result<TcpListener, ControlError> {
    let [socket] = receiver.descriptors().map_err(ControlError::Listener)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true).map_err(ControlError::Listener)?;
    Ok(listener)
}

async fn receive_restore_state(receiver: &mut SupervisorReceiver) -> Result<RestoreState, ControlError> {
    let SupervisorToGateway::RestoreState { seal, generation } = next(receiver).await? else {
        return Err(ControlError::Order);
    };
    Ok(RestoreState { seal, generation })
}
