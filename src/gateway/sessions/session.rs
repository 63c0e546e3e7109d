//! One client that has a session, and what is known of it: its streams, its calls, what it was asked, what it subscribed to.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::SessionKey;
use mcproxy_mcp::{ClientCapabilities, Level, ProtocolVersion, RequestId};
use tokio::sync::oneshot;

use super::{
    approved_tools::ApprovedTools,
    client_requests::{ClientRequests, Response},
    event_id::EventId,
    mailbox::{Mail, Mailbox},
    notice::Notice,
    pending_requests::PendingRequests,
    raised_scopes::RaisedScopes,
    reader::Reader,
    replay_budget::ReplayBudget,
    replay_buffer::Bounds,
    resource_subscriptions::ResourceSubscriptions,
    snapshot::SessionSnapshot,
    stream::Stream,
    streams::{Listened, Streams},
    tasks::Tasks,
    usage::SessionUsage,
};
use crate::gateway::{
    base::{
        budget::{Budget, Purpose},
        client_declaration::Declaration,
        client_info::Client,
        principal::Principal,
        scope::Scope,
    },
    catalogue::{Changes, Outline},
};

/// The session of one client of the legacy era, from `initialize` (or `GET /sse`) until it is deleted or expires.
pub(crate) struct Session {
    identity: Identity,
    raised: RaisedScopes,
    version: Cell<ProtocolVersion>,
    level: Cell<Option<Level>>,
    /// The requests of its client that have no answer yet.
    pub(crate) pending_requests: PendingRequests,
    /// The features of its client.
    features: Cell<ClientCapabilities>,
    /// The declaration of its client for servers; built when it is first needed.
    declaration: RefCell<Option<Rc<Declaration>>>,
    /// The requests to its client that have no answer yet.
    pub(crate) client_requests: ClientRequests,
    /// The tools that its user has agreed to until it ends.
    pub(crate) approved_tools: ApprovedTools,
    /// The tasks that it made (2025-11-25).
    pub(crate) tasks: Tasks,
    pub(crate) subscriptions: ResourceSubscriptions,
    /// The one stream of 2024-11-05.
    stream: RefCell<Option<Rc<Mailbox>>>,
    missed: Cell<Changes>,
    /// Its lists at the last announcement.
    seen: Cell<Option<Outline>>,
    /// How many of its requests wait to know what instances of its own offer; it is told that its lists are other than before
    /// by the answers.
    meetings: Cell<u32>,
    /// The streams of Streamable HTTP.
    streams: Streams,
    last_used: Cell<Instant>,
    /// For the web page.
    pub(crate) usage: SessionUsage,
    over: Cell<bool>,
}

/// The parts of a session that never change.
pub(crate) struct Identity {
    /// Its id, which cannot be guessed.
    pub(crate) id: Box<str>,
    /// Its session key.
    pub(crate) key: SessionKey,
    /// The scope of its endpoint.
    pub(crate) scope: Scope,
    /// The principal that opened it; no other may use it.
    pub(crate) principal: Principal,
    /// Name and version of its client.
    pub(crate) client: Client,
    /// Its end condition.
    pub(crate) life: Life,
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Streamable HTTP: until it is deleted or idle for too long, over the ends of gateways.
    Durable,
    /// 2024-11-05: as long as its stream.
    OfItsStream,
}

impl Session {
    pub(crate) fn new(identity: Identity, version: ProtocolVersion, now: Instant) -> Self {
        Self {
            features: Cell::new(identity.client.features),
            declaration: RefCell::default(),
            client_requests: ClientRequests::default(),
            identity,
            raised: RaisedScopes::default(),
            version: Cell::new(version),
            level: Cell::new(None),
            pending_requests: PendingRequests::default(),
            approved_tools: ApprovedTools::default(),
            tasks: Tasks::default(),
            subscriptions: ResourceSubscriptions::default(),
            stream: RefCell::default(),
            missed: Cell::default(),
            seen: Cell::default(),
            meetings: Cell::default(),
            streams: Streams::default(),
            last_used: Cell::new(now),
            usage: SessionUsage::new(now),
            over: Cell::new(false),
        }
    }

    /// Its id, which cannot be guessed.
    pub(crate) fn id(&self) -> &str {
        &self.identity.id
    }

    /// Its session key.
    pub(crate) fn key(&self) -> SessionKey {
        self.identity.key
    }

    /// The scope of its endpoint.
    pub(crate) fn scope(&self) -> &Scope {
        self.raised.last().map_or(&self.identity.scope, |(scope, _)| scope)
    }

    /// The principal that opened it, or the same person with more scopes since; no other may use it.
    pub(crate) fn principal(&self) -> &Principal {
        self.raised.last().map_or(&self.identity.principal, |(_, principal)| principal)
    }

    /// From now on it is that of the same person with more scopes; `false`: that happened too often.
    pub(crate) fn raise(&self, scope: Scope, principal: Principal) -> bool {
        self.raised.add(scope, principal)
    }

    /// Name and version of its client.
    pub(crate) fn client(&self) -> &Client {
        &self.identity.client
    }

    /// Whether it is one of the 2024-11-05 transport.
    pub(crate) fn ends_with_its_stream(&self) -> bool {
        self.identity.life == Life::OfItsStream
    }

    /// Its snapshot for the next gateway, while it lives.
    pub(crate) fn snapshot(&self) -> Option<SessionSnapshot> {
        let keep = self.identity.life == Life::Durable && !self.over.get();
        keep.then(|| {
            let declaration = self.declaration();
            // The session's id says the rest.
            let is_more = *declaration != Declaration::of(self.client());
            SessionSnapshot {
                level: self.level.get(),
                subscriptions: self.subscriptions.all(),
                declaration: is_more.then(|| Declaration::clone(&declaration)),
            }
        })
    }

    /// Ends it; returns whether the next gateway has to be told.
    pub(crate) fn end(&self) -> bool {
        !self.over.replace(true) && self.identity.life == Life::Durable
    }

    /// Whether it is over, though requests of it may go on.
    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// The negotiated version.
    pub(crate) fn version(&self) -> ProtocolVersion {
        self.version.get()
    }

    /// A session of the 2024-11-05 transport learns its version after it exists.
    pub(crate) fn set_version(&self, version: ProtocolVersion) {
        self.version.set(version);
    }

    /// The features of its client.
    pub(crate) fn features(&self) -> ClientCapabilities {
        self.features.get()
    }

    /// The same as with the version.
    pub(crate) fn set_features(&self, features: ClientCapabilities) {
        self.features.set(features);
    }

    /// The declaration of its client for servers.
    pub(crate) fn declaration(&self) -> Rc<Declaration> {
        let mut declaration = self.declaration.borrow_mut();
        declaration.get_or_insert_with(|| Rc::new(Declaration::of(self.client()))).clone()
    }

    /// The same as with the version.
    pub(crate) fn set_declaration(&self, declaration: Declaration) {
        *self.declaration.borrow_mut() = Some(Rc::new(declaration));
    }

    /// How much it wants to hear, once it said so.
    pub(crate) fn level(&self) -> Option<Level> {
        self.level.get()
    }

    /// Whether the client is to be told a log line of this level. While it has not said how much it wants to hear, it gets a server's
    /// default.
    pub(crate) fn hears(&self, level: Level) -> bool {
        level >= self.level().unwrap_or(Level::Debug)
    }

    pub(crate) fn set_level(&self, level: Level) {
        self.level.set(Some(level));
    }

    /// Records that its client is active.
    pub(crate) fn touch(&self, now: Instant) {
        self.last_used.set(now);
    }

    /// How long it has been idle; zero while a stream is open or a call under way.
    pub(crate) fn idle(&self, now: Instant) -> Duration {
        if self.streams_read() > 0 || !self.pending_requests.is_empty() {
            return Duration::ZERO;
        }
        let used = self.last_used.get();
        now.duration_since(self.streams.last_left().map_or(used, |left| left.max(used)))
    }

    // --- its streams ------------------------------------------------------------------------------------------------

    /// Lets its client listen to what belongs to no request, after that event if it is still known.
    pub(crate) fn listen(&self, replay_budget: &Rc<ReplayBudget>, bounds: Bounds, after: Option<EventId>) -> Reader {
        let Listened { mut reader, lost } = self.streams.listen(replay_budget, bounds, after, self.can_come_back());
        let missed = self.missed.take();
        self.announce(if lost { Changes::ALL } else { missed });
        // A message here may push out one that was to be read.
        if reader.catch_up() && !lost {
            self.announce(Changes::ALL);
        }
        reader
    }

    /// Opens a stream for what precedes the answer of a call, and the answer.
    pub(crate) fn answer_by_stream(&self, replay_budget: &Rc<ReplayBudget>, bounds: Bounds) -> Rc<Stream> {
        self.streams.answer(replay_budget, bounds)
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
    pub(crate) fn open_stream(&self, budget: &Budget) -> Mail {
        let (mailbox, mail) = Mailbox::new(budget, Purpose::Streams);
        *self.stream.borrow_mut() = Some(mailbox);
        let missed = self.missed.take();
        self.announce(missed);
        mail
    }

    /// Whether its client reads a stream for messages that belong to no request.
    pub(crate) fn has_stream(&self) -> bool {
        self.stream.borrow().as_ref().is_some_and(|stream| stream.is_open())
            || self.streams.listening().is_some_and(|stream| stream.has_reader())
    }

    /// How many of its streams have a reader.
    pub(crate) fn streams_read(&self) -> usize {
        let one = self.stream.borrow().as_ref().is_some_and(|stream| stream.is_open());
        usize::from(one) + self.streams.read()
    }

    /// Ends the stream for what belongs to no request.
    pub(crate) fn close_stream(&self) {
        if let Some(stream) = self.stream.take() {
            stream.end();
        }
        self.streams.stop_listening();
    }

    /// Ends all its streams.
    pub(crate) fn close_streams(&self) {
        self.close_stream();
        self.streams.end();
    }

    /// Puts a message on the stream for what belongs to no request, if there is room for it; returns whether that stream has a reader. A client
    /// that was cut off finds it there when it comes back, within the bounds of the stream; one that never listened does not.
    pub(crate) fn notice(&self, notice: Notice) -> bool {
        if let Some(stream) = self.streams.listening() {
            stream.notice(notice);
            return stream.has_reader();
        }
        self.stream.borrow().as_ref().is_some_and(|stream| stream.notice(notice))
    }

    /// Puts what precedes an answer on the one stream of a 2024-11-05 session; waits for room.
    pub(crate) async fn push_event(&self, message: Bytes) {
        let stream = self.stream.borrow().clone();
        if let Some(stream) = stream {
            stream.has_room().await;
            stream.answer(message);
        }
    }

    /// Puts an answer there, in place of notifications if need be. `false`: the client has not read so many of them that it loses
    /// the stream.
    pub(crate) fn push_answer(&self, message: Bytes) -> bool {
        self.stream.borrow().as_ref().is_none_or(|stream| stream.answer(message))
    }

    /// Records the outline of the lists that the client sees from `initialize` on.
    pub(crate) fn begin_lists(&self, outline: Outline) {
        self.seen.set(Some(outline));
    }

    /// Its lists until now. `None` before `initialize`.
    pub(crate) fn replace_lists(&self, outline: Outline) -> Option<Outline> {
        let before = self.seen.get()?;
        self.seen.set(Some(outline));
        Some(before)
    }

    /// A request waits, until the result is dropped, for what instances of its own offer.
    pub(crate) fn meet(&self) -> impl Drop + '_ {
        self.meetings.set(self.meetings.get() + 1);
        Meeting(&self.meetings)
    }

    /// Whether such requests wait.
    pub(crate) fn is_meeting(&self) -> bool {
        self.meetings.get() > 0
    }

    /// Tells the client which lists changed; without a stream it is told when it opens one. Whether it was told something.
    pub(crate) fn announce(&self, changes: Changes) -> bool {
        let mut missed = self.missed.get();
        let mut told = false;
        for (changed, method, missed) in [
            (changes.tools, mcproxy_mcp::method::TOOLS_CHANGED, &mut missed.tools),
            (changes.prompts, mcproxy_mcp::method::PROMPTS_CHANGED, &mut missed.prompts),
            (changes.resources, mcproxy_mcp::method::RESOURCES_CHANGED, &mut missed.resources),
        ] {
            if changed {
                *missed = !(self.has_stream() && self.notice(Notice::of_ourselves(method)));
                told |= !*missed;
            }
        }
        self.missed.set(missed);
        told
    }

    // --- its calls and questions ------------------------------------------------------------------------------------

    /// The client is gone: its calls are cancelled and its questions dropped.
    pub(crate) fn cancel_all(&self, reason: &str) {
        self.pending_requests.cancel_all(reason);
        self.client_requests.drop_all();
    }

    /// Takes up a question to the client: under which id, and where the answer will be. `None`: it has too many, or is
    /// gone.
    pub(crate) fn ask(&self) -> Option<(RequestId, oneshot::Receiver<Response>)> {
        if self.over.get() { None } else { self.client_requests.ask() }
    }
}

/// A request that waits for what instances of its session's own offer.
struct Meeting<'a>(&'a Cell<u32>);

impl Drop for Meeting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Enough of a session's id to tell sessions apart in a log, too little to use it.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
