//! The supervisor, as the rest of the gateway sees it.

use std::{
    net::TcpListener,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mcproxy_ipc::{
    ApprovalRule, AuditRecord, CatalogueCounts, CatalogueKey, DataEnd, Generation, Route, ServerName, SessionKey,
    StoredSession,
    control::{Act, ActOutcome, ActingCaller, Answer, GatewaySettings, GatewayToSupervisor, Question},
    log::DroppedRecords,
};
use tokio::{
    sync::{Semaphore, mpsc, mpsc::error::TrySendError, oneshot, watch},
    time::timeout,
};

use super::{CatalogueFileError, ConnectError, HoldDecision, RestoreState, Wanted, WantedAct, WantedCatalogue};
use crate::gateway::base::audit::AuditProgress;

/// Bytes of snapshots that may wait; the same. A snapshot that finds no room is not stored; the one before it stays.
const SNAPSHOT_BYTES: usize = 4 * 1024 * 1024;
/// Longest that a session which returns waits for its snapshot.
const STORED_SESSION_TIMEOUT: Duration = Duration::from_secs(1);
/// The most ended sessions in one message.
const FORGET: usize = 4096;
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for something that is done.
const ACT_TIMEOUT: Duration = Duration::from_secs(12);

/// The supervisor, as the rest of the gateway sees it.
#[derive(Clone)]
pub(crate) struct SupervisorHandle {
    pub(super) questions: mpsc::Sender<(Question, oneshot::Sender<Answer>)>,
    pub(super) acts: mpsc::Sender<WantedAct>,
    pub(super) wanted: mpsc::Sender<Wanted>,
    pub(super) catalogues: mpsc::Sender<WantedCatalogue>,
    /// Limits the open requests for those.
    pub(super) catalogue_places: Arc<Semaphore>,
    /// Limits the open requests for connections.
    pub(super) connects: Arc<Semaphore>,
    pub(super) notices: mpsc::Sender<GatewayToSupervisor>,
    pub(super) restore_state: Arc<Mutex<Option<RestoreState>>>,
    /// Limits the open questions about sessions that return.
    pub(super) stored_session_questions: Arc<Semaphore>,
    /// Bytes of snapshots on their way.
    pub(super) snapshot_bytes: Arc<AtomicUsize>,
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
    pub(super) decisions: Arc<Mutex<Option<mpsc::Receiver<HoldDecision>>>>,
    /// How far it has come with records of calls.
    pub(crate) audited: watch::Receiver<AuditProgress>,
    pub(super) dropped: DroppedRecords,
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
        match timeout(STORED_SESSION_TIMEOUT, answer).await.ok()?? {
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
        let wanted = |to| Wanted { server, generation, to };
        asked(&self.wanted, ANSWER_TIMEOUT, wanted).await.ok_or(ConnectError::Silent)?
    }

    /// The file in which the supervisor keeps what a server offered last, or without a key when it was pinned; `None`: there is none.
    pub(crate) async fn catalogue_file(
        &self,
        server: ServerName,
        key: Option<CatalogueKey>,
    ) -> Result<Option<OwnedFd>, CatalogueFileError> {
        let silent = || CatalogueFileError::Silent;
        let _place = self.catalogue_places.acquire().await.map_err(|_| silent())?;
        let wanted = |to| WantedCatalogue { server, key, to };
        asked(&self.catalogues, ANSWER_TIMEOUT, wanted).await.ok_or_else(silent)?
    }

    /// Asks for something that a person does on the web page; `None` when the supervisor is busy or gone.
    pub(crate) async fn act(&self, act: Act, by: ActingCaller) -> Option<ActOutcome> {
        asked(&self.acts, ACT_TIMEOUT, |to| (act, by, to)).await
    }

    /// Asks; `None` when the supervisor is busy or gone.
    pub(crate) async fn ask(&self, question: Question) -> Option<Answer> {
        asked(&self.questions, ANSWER_TIMEOUT, |to| (question, to)).await
    }
}

/// Hands over what carries the way of its answer, and waits for that. `None`: there is none within the limit.
async fn asked<M, T>(
    to: &mpsc::Sender<M>,
    limit: Duration,
    message: impl FnOnce(oneshot::Sender<T>) -> M,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    let ask = async {
        to.send(message(reply)).await.ok()?;
        answer.await.ok()
    };
    timeout(limit, ask).await.ok().flatten()
}
