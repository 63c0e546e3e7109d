//! The gateway's side of its control connection: settings and routes come in, questions and log records go out.

use std::{
    collections::HashMap,
    io,
    net::TcpListener,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mcproxy_confine::Degradation;
use mcproxy_ipc::{
    ApprovalDecision, ApprovalRule, AuditRecord, CatalogueCounts, CatalogueKey, DataEnd, DescriptorHalf, FrameError,
    Generation, Inherited, LogRecord, Receiver, Route, SealKey, Sender, ServerName, SessionKey, StoredSession,
    control::{
        Act, ActOutcome, ActingCaller, Answer, GatewaySettings, GatewayToSupervisor, Question, SupervisorToGateway,
    },
    log::{DroppedRecords, LogThreshold},
};
use tokio::sync::{Semaphore, mpsc, mpsc::error::TrySendError, oneshot, watch};

use super::audit::AuditProgress;

/// Questions that may wait; each belongs to a request of a client.
const QUESTIONS: usize = 64;
/// Notices about sessions that may wait; a supervisor that takes none for so long keeps less for the next gateway.
const NOTICES: usize = 4096;
/// Bytes of snapshots that may wait; the same. A snapshot that finds no room is not stored; the one before it stays.
const SNAPSHOT_BYTES: usize = 4 * 1024 * 1024;
/// Questions about sessions that come back, at once: each answer is a snapshot, and they must not fill the supervisor's queue.
const STORED_SESSION_QUESTIONS: usize = 32;
/// Longest that a session which returns waits for its snapshot.
const STORED_SESSION_TIMEOUT: Duration = Duration::from_secs(1);
/// The most ended sessions in one message.
const FORGET: usize = 4096;
/// Connections to workers that are asked for at once: however many servers there are, their answers fit into the queue of the
/// supervisor, which ends a gateway that does not read.
const CONNECTS: usize = 32;
/// Files with what servers offered last that are asked for at once; for the same reason, and each is a descriptor.
const CATALOGUES: usize = 16;
/// Messages that may wait for the supervisor to read them.
const QUEUE: usize = 256;
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for something that is done.
const ACT_TIMEOUT: Duration = Duration::from_secs(12);

/// Why the control connection could not be made or ended.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The runtime does not take it.
    #[error("the connection to the supervisor cannot be used")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the control connection failed")]
    Frame(#[from] FrameError),
    /// It did not hand over where we are to listen.
    #[error("the supervisor did not hand over its listening socket")]
    Listener(#[source] io::Error),
    /// It said something else first.
    #[error("the supervisor did not begin with what belongs to the start")]
    Order,
    /// The supervisor ended.
    #[error("the supervisor closed the control connection")]
    Closed,
}

/// Why there is no connection to a worker now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The supervisor has a reason.
    #[error("the supervisor makes no connection to the worker: {0}")]
    Refused(String),
    /// It is busy or gone.
    #[error("the supervisor does not answer")]
    Silent,
}

/// Why what a server offered last cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueFileError {
    /// The supervisor has a reason.
    #[error("the supervisor cannot open it: {0}")]
    Refused(String),
    /// It is busy or gone.
    #[error("the supervisor does not answer")]
    Silent,
}

/// A request for the file in which the supervisor keeps what a server offered last, or when it was pinned.
struct WantedCatalogue {
    server: ServerName,
    /// `None`: its pins.
    key: Option<CatalogueKey>,
    to: oneshot::Sender<Result<Option<OwnedFd>, CatalogueFileError>>,
}

/// Decisions on calls that wait; a person makes them one by one.
const DECISIONS: usize = 64;

/// Somebody's decision on a call that waits.
#[derive(Debug)]
pub(crate) struct HoldDecision {
    /// Which one.
    pub(crate) id: String,
    /// What.
    pub(crate) decision: ApprovalDecision,
    /// Who, for the audit.
    pub(crate) by: String,
}

/// An act of a person, for whom, and where to say how it ended.
type WantedAct = (Act, ActingCaller, oneshot::Sender<ActOutcome>);

/// A request for a connection to one generation of a server, and where to send it.
struct Wanted {
    server: ServerName,
    generation: Generation,
    to: oneshot::Sender<Result<DataEnd, ConnectError>>,
}

type SupervisorReceiver = Receiver<SupervisorToGateway, DescriptorHalf>;

/// The state that one gateway's process passes to the next through the supervisor.
pub(crate) struct RestoreState {
    /// The key of session ids.
    pub(crate) seal: SealKey,
    /// Which gateway this is.
    pub(crate) generation: Generation,
}

/// The supervisor, as the rest of the gateway sees it.
#[derive(Clone)]
pub(crate) struct SupervisorHandle {
    questions: mpsc::Sender<(Question, oneshot::Sender<Answer>)>,
    acts: mpsc::Sender<WantedAct>,
    wanted: mpsc::Sender<Wanted>,
    catalogues: mpsc::Sender<WantedCatalogue>,
    /// Limits the open requests for those.
    catalogue_places: Arc<Semaphore>,
    /// Limits the open requests for connections.
    connects: Arc<Semaphore>,
    notices: mpsc::Sender<GatewayToSupervisor>,
    restore_state: Arc<Mutex<Option<RestoreState>>>,
    /// Limits the open questions about sessions that return.
    stored_session_questions: Arc<Semaphore>,
    /// Bytes of snapshots on their way.
    snapshot_bytes: Arc<AtomicUsize>,
    /// The settings in force.
    pub(crate) settings: watch::Receiver<GatewaySettings>,
    /// Every server, in the order of the file.
    pub(crate) routes: watch::Receiver<Vec<Route>>,
    /// The listener that replaces the first one, after a change of the address.
    pub(crate) listener: watch::Receiver<Option<Arc<TcpListener>>>,
    /// How long to finish in, once the supervisor wants us to go.
    pub(crate) drain: watch::Receiver<Option<Duration>>,
    /// Counts approvals of tools.
    pub(crate) approvals: watch::Receiver<u64>,
    /// The answers to calls that waited which are kept.
    pub(crate) approval_rules: watch::Receiver<Vec<ApprovalRule>>,
    decisions: Arc<Mutex<Option<mpsc::Receiver<HoldDecision>>>>,
    /// How far it has come with records of calls.
    pub(crate) audited: watch::Receiver<AuditProgress>,
    dropped: DroppedRecords,
}

impl SupervisorHandle {
    /// How many log records found no room on their way to it.
    pub(crate) fn dropped_records(&self) -> u64 {
        self.dropped.count()
    }

    /// The restore state of earlier gateways; can be taken once.
    pub(crate) fn take_restore_state(&self) -> Option<RestoreState> {
        self.restore_state.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stores the snapshot of a session at the supervisor for the next gateway; `false`: the queue is full.
    pub(crate) fn store_snapshot(&self, key: SessionKey, snapshot: Vec<u8>) -> bool {
        let size = snapshot.len();
        if self.snapshot_bytes.fetch_add(size, Ordering::Relaxed) + size <= SNAPSHOT_BYTES
            && self.notices.try_send(GatewayToSupervisor::StoreSnapshot { key, snapshot }).is_ok()
        {
            return true;
        }
        self.snapshot_bytes.fetch_sub(size, Ordering::Relaxed);
        false
    }

    /// Asks for the snapshot of a session of an earlier gateway; `None`: the supervisor does not answer, and the session is restored by its
    /// id alone.
    pub(crate) async fn stored_session(&self, key: SessionKey) -> Option<StoredSession> {
        let answer = async {
            let _place = self.stored_session_questions.acquire().await.ok()?;
            self.ask(Question::StoredSession(key)).await
        };
        match tokio::time::timeout(STORED_SESSION_TIMEOUT, answer).await.ok()?? {
            Answer::StoredSession(left) => Some(left),
            _ => None,
        }
    }

    /// Which sessions earlier gateways left, those after `after` in the order of their keys, and whether there are more.
    pub(crate) async fn restorable(&self, after: Option<SessionKey>) -> Option<(Vec<SessionKey>, bool)> {
        match self.ask(Question::SessionKeys { after }).await? {
            Answer::SessionKeys { keys, more } => Some((keys, more)),
            _ => None,
        }
    }

    /// Tells the supervisor that these sessions have ended and must not be restored; `false`: not all were reported.
    pub(crate) fn forget(&self, keys: &[SessionKey]) -> bool {
        let tell = |part: &[SessionKey]| self.notices.try_send(GatewayToSupervisor::Forget(part.to_vec())).is_ok();
        keys.chunks(FORGET).all(tell)
    }

    /// Sends records of calls; what the supervisor cannot be sent now comes back.
    pub(crate) fn audit(&self, records: Vec<AuditRecord>, dropped: u64) -> Result<(), (Vec<AuditRecord>, u64)> {
        match self.notices.try_send(GatewayToSupervisor::Audit { records, dropped }) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(message) | TrySendError::Closed(message)) => match message {
                GatewayToSupervisor::Audit { records, dropped } => Err((records, dropped)),
                _ => Ok(()),
            },
        }
    }

    /// Decisions on calls that wait; can be taken once.
    pub(crate) fn take_decisions(&self) -> Option<mpsc::Receiver<HoldDecision>> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tells it something of calls that wait; `false`: it was not told.
    pub(crate) fn tell_of_held(&self, message: GatewayToSupervisor) -> bool {
        self.notices.try_send(message).is_ok()
    }

    /// Says which tokens were used, by their hashes, and when; `false`: the supervisor was not told.
    pub(crate) fn tokens_used(&self, used: Vec<([u8; 32], u64)>) -> bool {
        self.notices.try_send(GatewayToSupervisor::TokensUsed(used)).is_ok()
    }

    /// Asks for a server at rest to be started; `false`: the supervisor was not told.
    pub(crate) fn wake(&self, server: &ServerName) -> bool {
        self.notices.try_send(GatewayToSupervisor::Wake(server.clone())).is_ok()
    }

    /// Says how much of a server's offer clients see; `false`: the supervisor was not told.
    pub(crate) fn shown(&self, server: &ServerName, counts: CatalogueCounts) -> bool {
        self.notices.try_send(GatewayToSupervisor::Shown { server: server.clone(), counts }).is_ok()
    }

    /// A new connection to the worker of one generation. The supervisor makes it and hands the other end to that worker, so the
    /// gateway needs no proof who is at it.
    pub(crate) async fn connect(&self, server: ServerName, generation: Generation) -> Result<DataEnd, ConnectError> {
        let _place = self.connects.acquire().await.map_err(|_| ConnectError::Silent)?;
        let (to, made) = oneshot::channel();
        let asked = async {
            self.wanted.send(Wanted { server, generation, to }).await.map_err(|_| ConnectError::Silent)?;
            made.await.map_err(|_| ConnectError::Silent)?
        };
        tokio::time::timeout(ANSWER_TIMEOUT, asked).await.map_err(|_| ConnectError::Silent)?
    }

    /// The file in which the supervisor keeps what a server offered last, or without a key when it was pinned; `None`: there is none.
    pub(crate) async fn catalogue_file(
        &self,
        server: ServerName,
        key: Option<CatalogueKey>,
    ) -> Result<Option<OwnedFd>, CatalogueFileError> {
        let silent = || CatalogueFileError::Silent;
        let _place = self.catalogue_places.acquire().await.map_err(|_| silent())?;
        let (to, opened) = oneshot::channel();
        let asked = async {
            self.catalogues.send(WantedCatalogue { server, key, to }).await.map_err(|_| silent())?;
            opened.await.map_err(|_| silent())?
        };
        tokio::time::timeout(ANSWER_TIMEOUT, asked).await.map_err(|_| silent())?
    }

    /// Asks for something that a person does on the web page; `None` when the supervisor is busy or gone.
    pub(crate) async fn act(&self, act: Act, by: ActingCaller) -> Option<ActOutcome> {
        let (to, outcome) = oneshot::channel();
        let asked = async {
            self.acts.send((act, by, to)).await.ok()?;
            outcome.await.ok()
        };
        tokio::time::timeout(ACT_TIMEOUT, asked).await.ok()?
    }

    /// Asks; `None` when the supervisor is busy or gone.
    pub(crate) async fn ask(&self, question: Question) -> Option<Answer> {
        let (to, answer) = oneshot::channel();
        let asked = async {
            self.questions.send((question, to)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok()?
    }
}

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
