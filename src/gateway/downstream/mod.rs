//! The client of a request, as a call sees it: everything in a call that depends on the client's dialect, or on the server's era, is
//! decided here, and the call does what is decided.

pub(crate) mod header_value;
pub(crate) mod input_required;
pub(crate) mod json_number;
pub(crate) mod missing_capability;
pub(crate) mod param_headers;
pub(crate) mod request_meta;
pub(crate) mod retry;
pub(crate) mod stateless_client;
pub(crate) mod tasks;

use std::{rc::Rc, time::Instant};

use bytes::Bytes;
use mcproxy_ipc::{
    ServerName, SessionKey,
    data::{CallContext, ServerEra, ServerTraits},
};
use mcproxy_mcp::{
    ErrorCode, ErrorObject, Level, ProtocolVersion, RawObject, RawValue, RequestId, mirrored::MirroredParam,
};
use tokio::sync::Notify;

use self::{retry::Retry, stateless_client::StatelessClient};
use crate::gateway::{
    base::{principal::Principal, reply::Reply, scope::Scope},
    catalogue::{Readers, View},
    sessions::{
        approved_tools::ApprovedTools,
        pending_requests::RequestRefused,
        session::{Session, short},
        tasks::TaskOwners,
    },
    upstream::connection::{CallHandle, WorkerConnection},
};

/// The client of a request.
pub(crate) enum Downstream {
    /// A client that began with `initialize`.
    Session(Rc<Session>),
    /// A client of 2026-07-28, whose every request stands for itself.
    Stateless(StatelessClient),
}

/// How a call goes on whose server wants something of the client first.
pub(crate) enum InputRoute<'d> {
    /// The client is asked, while the call waits.
    Ask(&'d Rc<Session>),
    /// The client is sent away with what is wanted, and comes back with it.
    SendAway,
}

/// The form in which a client gets the reply to its call.
pub(crate) enum Ending {
    /// The client gets it.
    Unchanged,
    /// It does, and its user may be asked there to visit pages: the session is told when they have served their purpose.
    NoteRefusal(SessionKey),
    /// The server wants these pages visited first (the payload of a `NeedsInput`), and has forgotten the call.
    AskForPages(Bytes),
    /// It gets this instead.
    Error(ErrorObject),
}

impl Downstream {
    /// Takes out of a request what it says to us and not to its server; and what its client brings that makes it once more.
    pub(crate) fn take_own(&self, params: &mut RawObject<'_>, meta: &mut RawObject<'_>) -> Option<Retry> {
        match self {
            Self::Session(_) => None,
            Self::Stateless(_) => {
                request_meta::take_request_meta(meta);
                Retry::take(params)
            }
        }
    }

    /// Refuses a call whose headers say something else than its arguments.
    pub(crate) fn check_headers(
        &self,
        mirrored: &[MirroredParam],
        arguments: Option<&RawValue>,
    ) -> Result<(), ErrorObject> {
        match self {
            Self::Session(_) => Ok(()),
            Self::Stateless(client) => client.param_headers().check(mirrored, arguments),
        }
    }

    /// The level of log lines that a server which all share has to be asked for before this call. The level of a session was
    /// passed on when it was stated.
    pub(crate) fn level_before_call(&self) -> Option<Level> {
        match self {
            Self::Session(_) => None,
            Self::Stateless(client) => client.level(),
        }
    }

    /// The facts about the client of a call that its server may know.
    pub(crate) fn call_context(&self, connection: &WorkerConnection, wants_progress: bool) -> CallContext {
        let per_session = connection.is_per_session();
        let ServerTraits { era, asks } = connection.traits();
        let mut context = CallContext {
            wants_progress,
            principal: self.principal().name().map(str::to_owned),
            client: self.asked_session(),
            ..CallContext::default()
        };
        if per_session {
            context.session = Some(self.key());
        }
        // A server that all share was told the level that suffices for all; one of 2026-07-28 hears it with each call.
        if per_session || era == ServerEra::Modern || self.level_before_call().is_some() {
            context.log_level = self.level().map(|level| level.as_str().to_owned());
        }
        if asks || per_session {
            context.client_capabilities = Some(self.capabilities());
        }
        // One of before that learned once, from MCProxy, with whom it talks.
        if per_session || era == ServerEra::Modern {
            context.client_info = self.info();
        }
        context
    }

    /// How it is asked for something.
    pub(crate) fn input_route(&self) -> InputRoute<'_> {
        match self {
            Self::Session(session) => InputRoute::Ask(session),
            Self::Stateless(_) => InputRoute::SendAway,
        }
    }

    /// Whether it is sent away with what a server wants, and comes back with the same request.
    pub(crate) fn comes_back(&self) -> bool {
        matches!(self.input_route(), InputRoute::SendAway)
    }

    /// Whether its user can be asked to fill in a form.
    pub(crate) fn fills_forms(&self) -> bool {
        match self {
            Self::Session(session) => session.features().has_forms(),
            Self::Stateless(client) => client.fills_forms(),
        }
    }

    /// The tools that its user has agreed to for as long as it is here; of a client whose requests stand for themselves there are none.
    pub(crate) fn approved_tools(&self) -> Option<&ApprovedTools> {
        self.session().map(|session| &session.approved_tools)
    }

    /// Whether what a server of this era answers has to be put in older words for it. (Of a server of both eras, the instance
    /// of each session has its own.)
    pub(crate) fn needs_downgrade(&self, server: ServerEra) -> bool {
        match self {
            Self::Session(_) => server == ServerEra::Modern,
            Self::Stateless(_) => false,
        }
    }

    /// How a reply that is all but ready reaches the client. Servers of the legacy era answer some things that 2026-07-28 has other
    /// words for.
    pub(crate) fn ending(&self, server: ServerTraits, reply: &Reply) -> Ending {
        match (self, reply) {
            (Self::Session(session), Reply::Error(error))
                if error.code == Some(ErrorCode::URL_ELICITATION_REQUIRED) =>
            {
                Ending::NoteRefusal(session.key())
            }
            (Self::Session(_), _) => Ending::Unchanged,
            (Self::Stateless(client), reply) => client.ending(server, reply),
        }
    }

    /// In which form it reads lists.
    pub(crate) fn readers(&self) -> Readers {
        match self {
            Self::Session(_) => Readers::Sessions,
            Self::Stateless(_) => Readers::Stateless,
        }
    }

    /// Whether it is told for how long a result is true.
    pub(crate) fn reads_cache_hints(&self) -> bool {
        matches!(self, Self::Stateless(_))
    }

    /// Whether it may only ask for tasks that it made; else for all that there are.
    pub(crate) fn owns_tasks(&self) -> bool {
        matches!(self, Self::Session(_))
    }

    /// Whether it may want a call to become a task: a session that was offered tasks. In 2026-07-28 the server decides on a task, and
    /// the member means nothing any more.
    pub(crate) fn may_want_task(&self, view: &View) -> bool {
        match self {
            Self::Session(session) => tasks::may_be_asked_about(session, view),
            Self::Stateless(_) => true,
        }
    }

    /// Whether a call of it may be made as a task at this server. Elsewhere the member is dropped, as 2025-11-25 wants it.
    pub(crate) fn makes_tasks_at(&self, server: &ServerName, view: &View) -> bool {
        match self {
            Self::Session(session) => tasks::are_offered(session, view) && view.runs_tasks_of(server),
            Self::Stateless(_) => false,
        }
    }

    /// Remembers the task that a call of it has become. An error for one whose id is too long to be kept.
    pub(crate) fn remember_task(
        &self,
        owners: &TaskOwners,
        server: &ServerName,
        result: &Bytes,
    ) -> Result<(), ErrorObject> {
        match self {
            Self::Session(session) => tasks::remember(owners, session, server, result),
            Self::Stateless(_) => Ok(()),
        }
    }

    /// The session whose own instances add to the lists that the client sees. In 2026-07-28 lists must not depend on the client (caching).
    pub(crate) fn own_lists(&self) -> Option<SessionKey> {
        self.session().map(|session| session.key())
    }

    /// It waits, until the result is dropped, for what instances of its own offer.
    pub(crate) fn meet(&self) -> Option<impl Drop + '_> {
        self.session().map(|session| session.meet())
    }

    /// The facts that an instance of its own may know before its first call.
    pub(crate) fn instance_context(&self) -> CallContext {
        CallContext {
            client_capabilities: Some(self.capabilities()),
            client_info: self.info(),
            principal: self.principal().name().map(str::to_owned),
            session: Some(self.key()),
            client: self.asked_session(),
            ..CallContext::default()
        }
    }

    /// Whether it has left for good, as far as can be known.
    pub(crate) fn is_over(&self) -> bool {
        self.session().is_some_and(|session| session.is_over())
    }

    /// The session whose client servers may ask during its calls.
    pub(crate) fn asked_session(&self) -> Option<SessionKey> {
        self.session().map(|session| session.key())
    }

    /// Notified when the client cancels a request that no server has at this moment. Only a session can cancel.
    pub(crate) fn cancellation(&self, id: &RequestId) -> Option<Rc<Notify>> {
        self.session().map(|session| session.pending_requests.rest(id))
    }

    /// Its scope.
    pub(crate) fn scope(&self) -> &Scope {
        match self {
            Self::Session(session) => session.scope(),
            Self::Stateless(client) => client.scope(),
        }
    }

    /// Its principal.
    pub(crate) fn principal(&self) -> &Principal {
        match self {
            Self::Session(session) => session.principal(),
            Self::Stateless(client) => client.principal(),
        }
    }

    /// The protocol version that it is spoken to in.
    pub(crate) fn version(&self) -> ProtocolVersion {
        match self {
            Self::Session(session) => session.version(),
            Self::Stateless(_) => ProtocolVersion::V2026_07_28,
        }
    }

    /// Whose instance it calls, of a server that has one for each session.
    pub(crate) fn key(&self) -> SessionKey {
        match self {
            Self::Session(session) => session.key(),
            Self::Stateless(client) => client.key(),
        }
    }

    /// As whom it waits where callers take turns: its token, where there are tokens, else its session. Requests with neither
    /// wait as one: that they come from one address, or from several, says nothing behind a proxy and on one machine.
    pub(crate) fn party(&self) -> SessionKey {
        let principal = self.principal();
        if principal.is_anonymous() { self.key() } else { principal.key() }
    }

    /// How much it wants to hear, once it said so.
    pub(crate) fn level(&self) -> Option<Level> {
        match self {
            Self::Session(session) => session.level(),
            Self::Stateless(client) => client.level(),
        }
    }

    /// Whether it is to be told a log line of this level that belongs to its call.
    pub(crate) fn hears(&self, level: Level) -> bool {
        match self {
            Self::Session(session) => session.hears(level),
            // Without a level it hears nothing (2026-07-28, logging).
            Self::Stateless(client) => client.level().is_some_and(|wanted| level >= wanted),
        }
    }

    /// Its capabilities, as a JSON object.
    pub(crate) fn capabilities(&self) -> String {
        match self {
            Self::Session(session) => session.declaration().capabilities.to_string(),
            Self::Stateless(client) => client.capabilities().to_owned(),
        }
    }

    /// Its `clientInfo`, as a JSON object, if it stated it once for all its requests.
    pub(crate) fn info(&self) -> Option<String> {
        self.session().map(|session| session.declaration().info.to_string())
    }

    /// Its name and version, if it stated them, with this request or before.
    pub(crate) fn client_label(&self) -> Option<Rc<str>> {
        match self {
            Self::Session(session) => session.usage.label_of(session.client()),
            Self::Stateless(client) => client.client_label(),
        }
    }

    /// It makes a call: its name and version, if it stated them.
    pub(crate) fn calls(&self) -> Option<Rc<str>> {
        match self {
            Self::Session(session) => session.usage.called_by(session.client()),
            Self::Stateless(client) => client.client_label(),
        }
    }

    /// Whether the web page makes a call again that was made before.
    pub(crate) fn is_replay(&self) -> bool {
        match self {
            Self::Session(_) => false,
            Self::Stateless(client) => client.is_replay(),
        }
    }

    /// The session, where there is one.
    fn session(&self) -> Option<&Rc<Session>> {
        match self {
            Self::Session(session) => Some(session),
            Self::Stateless(_) => None,
        }
    }

    /// Its name in the log.
    pub(crate) fn in_log(&self) -> &str {
        match self {
            Self::Session(session) => short(session.id()),
            Self::Stateless(_) => "none",
        }
    }

    /// Notes that it is alive.
    pub(crate) fn touch(&self, now: Instant) {
        if let Self::Session(session) = self {
            session.touch(now);
        }
    }

    /// A request begins. In a session no other may have its id, and there may not be too many.
    pub(crate) fn begin_call(&self, id: &RequestId, limit: usize) -> Result<(), RequestRefused> {
        match self {
            Self::Session(session) => session.pending_requests.begin(id, limit),
            Self::Stateless(_) => Ok(()),
        }
    }

    /// Whether it gave this request up before that reached a server.
    pub(crate) fn is_cancelled(&self, id: &RequestId) -> bool {
        match self {
            Self::Session(session) => session.pending_requests.is_cancelled(id),
            // A client of this dialect cancels by closing the stream; then it cannot be asked.
            Self::Stateless(_) => false,
        }
    }

    /// From now on a cancellation of the request reaches the server.
    pub(crate) fn attach_call(&self, id: &RequestId, handle: CallHandle) {
        match self {
            Self::Session(session) => session.pending_requests.attach(id, handle),
            Self::Stateless(client) => client.attach_call(handle),
        }
    }

    /// Ends a request that is answered or cancelled.
    pub(crate) fn end_call(&self, id: &RequestId) {
        match self {
            Self::Session(session) => session.pending_requests.end(id),
            Self::Stateless(client) => client.end_call(),
        }
    }
}
