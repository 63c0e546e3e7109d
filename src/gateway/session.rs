use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet, hash_map::Entry},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{ProtocolVersion, RequestId};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    archive::Archive,
    catalogue::{Changes, View},
    client::{Client, Features},
    event_id::EventId,
    input::Response,
    level::Level,
    link::CallHandle,
    note::Note,
    scope::Scope,
    stream::{Bounds, Reader, Stream},
    streams::{Listened, Streams},
};

/// Messages that may wait for a client to read its stream; a client that lets them pile up loses the stream.
const STREAM_QUEUE: usize = 256;
/// Most questions of servers that one client may have before it.
const MAX_QUESTIONS: usize = 1024;
/// Most resources one session may subscribe to.
pub(crate) const MAX_SUBSCRIPTIONS: usize = 1024;

/// One client of the initialize era, from `initialize` (or `GET /sse`) until it leaves or is forgotten.
pub(crate) struct Session {
    identity: Identity,
    version: Cell<ProtocolVersion>,
    level: Cell<Option<Level>>,
    calls: RefCell<HashMap<RequestId, CallState>>,
    /// What its client can be asked for.
    features: Cell<Features>,
    /// What it was asked and has not answered.
    questions: RefCell<HashMap<RequestId, oneshot::Sender<Response>>>,
    subscriptions: RefCell<HashSet<(ServerName, String)>>,
    stream: RefCell<Option<mpsc::Sender<Bytes>>>,
    missed: Cell<Changes>,
    /// What its lists were when it was last told about them.
    seen: RefCell<Option<Rc<View>>>,
    /// Of Streamable HTTP.
    streams: Streams,
    last_used: Cell<Instant>,
    over: Cell<bool>,
}

/// Which session it is, and whose.
pub(crate) struct Identity {
    /// Its unguessable name.
    pub(crate) id: Box<str>,
    /// Its name among ourselves.
    pub(crate) key: SessionKey,
    /// What it sees.
    pub(crate) scope: Scope,
    /// Who opened it; nobody else may use it.
    pub(crate) principal: Option<String>,
    /// What the client said of itself.
    pub(crate) client: Client,
    /// What ends it.
    pub(crate) life: Life,
}

/// What a session lives through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Streamable HTTP: until it is deleted or idle for too long, over the ends of gateways.
    Durable,
    /// 2024-11-05: as long as its stream.
    OfItsStream,
}

/// Why a request is not taken up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallRefused {
    /// Two answers under one id could not be told apart.
    #[error("the id {0} is in use by a request that is not answered yet")]
    IdInUse(RequestId),
    /// One client must not use up what is there for all.
    #[error("{0} requests of this session are not answered yet (limits.maxCalls)")]
    TooMany(usize),
}

/// How far a request has come.
enum CallState {
    /// It has not reached a server yet.
    Waiting,
    /// It was given up before it did.
    Cancelled,
    /// A server has it.
    Running(CallHandle),
    /// A server had it and waits for the client.
    Resting(Rc<Notify>),
}

impl CallState {
    fn cancel(&mut self, reason: Option<String>) {
        match self {
            Self::Waiting => *self = Self::Cancelled,
            Self::Cancelled => {}
            Self::Running(handle) => handle.cancel(reason),
            Self::Resting(cancelled) => {
                cancelled.notify_one();
                *self = Self::Cancelled;
            }
        }
    }
}

impl Session {
    pub(crate) fn new(identity: Identity, version: ProtocolVersion, now: Instant) -> Self {
        Self {
            features: Cell::new(identity.client.features),
            questions: RefCell::default(),
            identity,
            version: Cell::new(version),
            level: Cell::new(None),
            calls: RefCell::default(),
            subscriptions: RefCell::default(),
            stream: RefCell::default(),
            missed: Cell::default(),
            seen: RefCell::default(),
            streams: Streams::default(),
            last_used: Cell::new(now),
            over: Cell::new(false),
        }
    }

    /// Its unguessable name.
    pub(crate) fn id(&self) -> &str {
        &self.identity.id
    }

    /// Its name among ourselves: the same over the ends of gateways, and no secret.
    pub(crate) fn key(&self) -> SessionKey {
        self.identity.key
    }

    /// What it sees.
    pub(crate) fn scope(&self) -> &Scope {
        &self.identity.scope
    }

    /// Who opened it; nobody else may use it.
    pub(crate) fn principal(&self) -> Option<&str> {
        self.identity.principal.as_deref()
    }

    /// What the client said of itself.
    pub(crate) fn client(&self) -> &Client {
        &self.identity.client
    }

    /// Whether it is one of the 2024-11-05 transport.
    pub(crate) fn ends_with_its_stream(&self) -> bool {
        self.identity.life == Life::OfItsStream
    }

    /// What is to be kept of it for the next gateway, while it lives.
    pub(crate) fn note(&self) -> Option<Note> {
        let keep = self.identity.life == Life::Durable && !self.over.get();
        keep.then(|| Note { level: self.level.get(), subscriptions: self.subscriptions() })
    }

    /// It is over. Whether the next gateway has to be told.
    pub(crate) fn end(&self) -> bool {
        self.identity.life == Life::Durable && !self.over.replace(true)
    }

    /// The negotiated version.
    pub(crate) fn version(&self) -> ProtocolVersion {
        self.version.get()
    }

    /// A session of the 2024-11-05 transport learns its version after it exists.
    pub(crate) fn set_version(&self, version: ProtocolVersion) {
        self.version.set(version);
    }

    /// What its client can be asked for.
    pub(crate) fn features(&self) -> Features {
        self.features.get()
    }

    /// The same as with the version.
    pub(crate) fn set_features(&self, features: Features) {
        self.features.set(features);
    }

    /// How much it wants to hear, once it said so.
    pub(crate) fn level(&self) -> Option<Level> {
        self.level.get()
    }

    pub(crate) fn set_level(&self, level: Level) {
        self.level.set(Some(level));
    }

    /// It is alive.
    pub(crate) fn touch(&self, now: Instant) {
        self.last_used.set(now);
    }

    /// For how long nothing happened; zero while a stream is open or a call under way.
    pub(crate) fn idle(&self, now: Instant) -> Duration {
        if self.streams_read() > 0 || !self.calls.borrow().is_empty() {
            return Duration::ZERO;
        }
        let used = self.last_used.get();
        now.duration_since(self.streams.last_left().map_or(used, |left| left.max(used)))
    }

    // --- its streams ------------------------------------------------------------------------------------------------

    /// Lets its client listen to what belongs to no request, after that event if it is still known.
    pub(crate) fn listen(&self, archive: &Rc<Archive>, bounds: Bounds, after: Option<EventId>) -> Reader {
        let Listened { mut reader, lost } = self.streams.listen(archive, bounds, after, self.can_come_back());
        let missed = self.missed.take();
        self.announce(if lost { Changes::ALL } else { missed });
        // What is said here may push out what was to be read.
        if reader.catch_up() && !lost {
            self.announce(Changes::ALL);
        }
        reader
    }

    /// Opens a stream for what precedes the answer of a call, and the answer.
    pub(crate) fn answer_by_stream(&self, archive: &Rc<Archive>, bounds: Bounds) -> Rc<Stream> {
        self.streams.answer(archive, bounds)
    }

    /// Reads on in such a stream; `None`: it is not kept any more, or never was.
    pub(crate) fn read_on(&self, after: EventId, time: Option<Duration>) -> Option<Reader> {
        self.streams.read_on(after, time)
    }

    /// Forgets streams of calls that were over and left by that moment.
    pub(crate) fn tidy_streams(&self, moment: Instant) {
        self.streams.tidy(moment);
    }

    /// Whether its client knows that a stream may end early, and how to come back.
    pub(crate) fn can_come_back(&self) -> bool {
        self.version() >= ProtocolVersion::V2025_11_25
    }

    /// Opens the one stream of a 2024-11-05 session.
    pub(crate) fn open_stream(&self) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        *self.stream.borrow_mut() = Some(sender);
        let missed = self.missed.take();
        self.announce(missed);
        receiver
    }

    /// Whether somebody listens to what belongs to no request.
    pub(crate) fn has_stream(&self) -> bool {
        self.stream.borrow().as_ref().is_some_and(|s| !s.is_closed())
            || self.streams.listening().is_some_and(|stream| stream.has_reader())
    }

    /// How many of its streams somebody reads.
    pub(crate) fn streams_read(&self) -> usize {
        let one = self.stream.borrow().as_ref().is_some_and(|s| !s.is_closed());
        usize::from(one) + self.streams.read()
    }

    /// Ends the stream for what belongs to no request.
    pub(crate) fn close_stream(&self) {
        self.stream.borrow_mut().take();
        self.streams.stop_listening();
    }

    /// Ends all its streams.
    pub(crate) fn close_streams(&self) {
        self.close_stream();
        self.streams.end();
    }

    /// Puts a message on the stream; whether somebody listens. A client that was cut off finds it there when it comes
    /// back, within the bounds of the stream; one that never listened does not. A client that does not keep up loses the
    /// stream and may open it again.
    pub(crate) fn push(&self, message: Bytes) -> bool {
        if let Some(stream) = self.streams.listening() {
            stream.push(message);
            return stream.has_reader();
        }
        let mut stream = self.stream.borrow_mut();
        let sent = stream.as_ref().is_some_and(|s| s.try_send(message).is_ok());
        if !sent {
            *stream = None;
        }
        sent
    }

    /// Waits for room on the stream: for answers, which must not be dropped while the client lives.
    pub(crate) async fn push_answer(&self, message: Bytes) {
        let stream = self.stream.borrow().clone();
        if let Some(stream) = stream {
            let _ = stream.send(message).await; // the client left: its session ends with its stream
        }
    }

    /// The client said `initialize`, and these are its lists.
    pub(crate) fn begin_lists(&self, view: Rc<View>) {
        *self.seen.borrow_mut() = Some(view);
    }

    /// What its lists were until now. `None` before `initialize`.
    pub(crate) fn replace_lists(&self, view: &Rc<View>) -> Option<Rc<View>> {
        self.seen.borrow_mut().as_mut().map(|seen| std::mem::replace(seen, view.clone()))
    }

    /// Tells the client which lists changed; without a stream it is told when it opens one.
    pub(crate) fn announce(&self, changes: Changes) {
        let mut missed = self.missed.get();
        for (changed, method, missed) in [
            (changes.tools, mcproxy_mcp::method::TOOLS_CHANGED, &mut missed.tools),
            (changes.prompts, mcproxy_mcp::method::PROMPTS_CHANGED, &mut missed.prompts),
            (changes.resources, mcproxy_mcp::method::RESOURCES_CHANGED, &mut missed.resources),
        ] {
            if changed {
                let mut message = Vec::new();
                mcproxy_mcp::write_notification(&mut message, method, "");
                *missed = !(self.has_stream() && self.push(message.into()));
            }
        }
        self.missed.set(missed);
    }

    // --- its calls --------------------------------------------------------------------------------------------------

    /// Takes up a request id, while fewer than `limit` are taken.
    pub(crate) fn begin_call(&self, id: &RequestId, limit: usize) -> Result<(), CallRefused> {
        let mut calls = self.calls.borrow_mut();
        if calls.len() >= limit {
            return Err(CallRefused::TooMany(limit));
        }
        match calls.entry(id.clone()) {
            Entry::Occupied(_) => Err(CallRefused::IdInUse(id.clone())),
            Entry::Vacant(free) => {
                free.insert(CallState::Waiting);
                Ok(())
            }
        }
    }

    /// From now on a cancellation of the request reaches the server.
    pub(crate) fn attach_call(&self, id: &RequestId, handle: CallHandle) {
        if let Some(state) = self.calls.borrow_mut().get_mut(id) {
            *state = CallState::Running(handle);
        }
    }

    /// No server has the request now; what is rung when the client gives it up.
    pub(crate) fn rest_call(&self, id: &RequestId) -> Rc<Notify> {
        let cancelled = Rc::<Notify>::default();
        match self.calls.borrow_mut().get_mut(id) {
            Some(state @ (CallState::Waiting | CallState::Running(_) | CallState::Resting(_))) => {
                *state = CallState::Resting(cancelled.clone());
            }
            Some(CallState::Cancelled) | None => cancelled.notify_one(),
        }
        cancelled
    }

    /// Whether the client gave the request up before it reached a server.
    pub(crate) fn is_cancelled(&self, id: &RequestId) -> bool {
        matches!(self.calls.borrow().get(id), Some(CallState::Cancelled))
    }

    /// Whether it waits for any answer.
    pub(crate) fn has_calls(&self) -> bool {
        !self.calls.borrow().is_empty()
    }

    /// The request is answered.
    pub(crate) fn end_call(&self, id: &RequestId) {
        self.calls.borrow_mut().remove(id);
    }

    /// The client gave a request up.
    pub(crate) fn cancel_call(&self, id: &RequestId, reason: Option<String>) {
        if let Some(state) = self.calls.borrow_mut().get_mut(id) {
            state.cancel(reason);
        }
    }

    /// The client is gone: nobody waits for its calls.
    pub(crate) fn cancel_all(&self, reason: &str) {
        for state in self.calls.borrow_mut().values_mut() {
            state.cancel(Some(reason.to_owned()));
        }
        self.drop_questions();
    }

    // --- what it is asked -------------------------------------------------------------------------------------------

    /// Takes up a question to the client: under which id, and where the answer will be. `None`: it has too many, or is
    /// gone.
    pub(crate) fn ask(&self) -> Option<(RequestId, oneshot::Receiver<Response>)> {
        let mut questions = self.questions.borrow_mut();
        if self.over.get() || questions.len() >= MAX_QUESTIONS {
            return None;
        }
        // An answer to a question of an earlier gateway must find nothing here.
        let mut number = [0; 8];
        getrandom::fill(&mut number).ok()?;
        let text = mcproxy_mcp::json_string(&format!("ask-{:016x}", u64::from_be_bytes(number)));
        let id = RequestId::from_raw(&text).ok()?;
        let (sender, receiver) = oneshot::channel();
        questions.insert(id.clone(), sender);
        Some((id, receiver))
    }

    /// The client answered; to a question that it does not have it may have answered late.
    pub(crate) fn answered(&self, id: &RequestId, response: Response) {
        let asked = self.questions.borrow_mut().remove(id);
        if let Some(asked) = asked {
            let _ = asked.send(response); // nobody waits for it any more
        }
    }

    /// A question is not to be answered any more; whether it was still open.
    pub(crate) fn take_back(&self, id: &RequestId) -> bool {
        self.questions.borrow_mut().remove(id).is_some()
    }

    /// No question will be answered.
    pub(crate) fn drop_questions(&self) {
        self.questions.borrow_mut().clear();
    }

    // --- its subscriptions ------------------------------------------------------------------------------------------

    /// Remembers a subscription; `false` at the limit.
    pub(crate) fn subscribe(&self, server: ServerName, uri: String) -> bool {
        let mut subscriptions = self.subscriptions.borrow_mut();
        if subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return false;
        }
        subscriptions.insert((server, uri));
        true
    }

    /// Forgets a subscription; whether there was one.
    pub(crate) fn unsubscribe(&self, server: &ServerName, uri: &str) -> bool {
        self.subscriptions.borrow_mut().remove(&(server.clone(), uri.to_owned()))
    }

    /// Whether it wants to hear of this resource.
    pub(crate) fn is_subscribed(&self, server: &ServerName, uri: &str) -> bool {
        self.subscriptions.borrow().contains(&(server.clone(), uri.to_owned()))
    }

    /// All of them.
    pub(crate) fn subscriptions(&self) -> Vec<(ServerName, String)> {
        self.subscriptions.borrow().iter().cloned().collect()
    }
}
