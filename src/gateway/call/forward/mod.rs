//! One call on its way to a server: wait for the server if it is starting, hand the call over, bring events and the
//! answer back under the client's names.

mod approved;
mod input_rounds;
mod wait_ready;

use std::{
    borrow::Cow,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::{ServerName, data::CallContext};
use mcproxy_mcp::{ErrorCode, ErrorObject, Level, RawValue, meta, method};
use slog::{Drain as _, debug, info, o, warn};

pub(crate) use self::wait_ready::wait_for;
use self::wait_ready::{NotPlaced, unavailable};
use crate::gateway::{
    base::{
        budget::{Full, Purpose},
        calls::{self, CallEnding, CallWaits, NewCall, OpenCall},
        metrics::OutcomeLabel,
        rates::{RateExceeded, RateTicket},
        reply::Reply,
        web_pages::{self, NoWebPage},
    },
    call::{
        approval::NeededApproval,
        audit::{AuditedCall, AuditedRequest, Called},
        client_input::InputError,
        incoming::Params,
        progress,
        request_context::RequestContext,
    },
    downstream::{
        InputRoute,
        retry::{Retry, RetryUse},
    },
    notify::{custom_notifications, log::log_notification},
    rewrite::{self, ResultRewrite, downgrade::Downgraded},
    upstream::{
        connection::{Call, CallEnd, CallEvent, CallOutcome, CancelOnDrop, HasSlots as _, WorkerConnection},
        servers::{Destination, RateRefusal},
    },
};

/// The most generations of a server that one call is sent to; all but the last ended before they received it.
const TRIES: u32 = 3;
/// Room for what most calls send.
const PAYLOAD: usize = 512;

/// One call on its way to one server.
pub(crate) struct Forward<'a> {
    context: &'a RequestContext,
    method: Cow<'static, str>,
    server: ServerName,
    /// The tool's or prompt's own name there, for the log.
    name: String,
    /// The params, and from `meta_at` on the `_meta`.
    payload: Vec<u8>,
    meta_at: usize,
    /// The client's token, as the client wrote it.
    progress_token: Option<Box<RawValue>>,
    /// The additions of a client that repeats its request; of sessions there are none.
    retry: Option<Retry>,
    /// Its answer is of no use once it is dropped.
    until_dropped: bool,
    /// What is recorded of it.
    audited: Option<AuditedRequest>,
    /// The digest of the definition of the tool that is called.
    definition: Option<[u8; 32]>,
    /// Whether a person has to agree to it.
    approval: Option<NeededApproval>,
}

impl<'a> Forward<'a> {
    /// `params` are the client's, with the server's own name or URI in place.
    pub(crate) fn new(
        context: &'a RequestContext,
        method: impl Into<Cow<'static, str>>,
        server: ServerName,
        params: Params<'_>,
    ) -> Self {
        let token = params.progress_token();
        let Params { members: mut params, meta } = params;
        let method = method.into();
        let audited = AuditedRequest::of(context, &method, &params);
        let mut meta = meta.unwrap_or_default();
        meta.remove(meta::PROGRESS_TOKEN);
        let retry = context.downstream.take_own(&mut params, &mut meta);
        if params.get("task").is_some() && !context.downstream.makes_tasks_at(&server, &context.view()) {
            params.remove("task");
        }
        let mut forward = Self {
            context,
            method,
            server,
            name: String::new(),
            payload: Vec::with_capacity(PAYLOAD),
            meta_at: 0,
            progress_token: token.map(ToOwned::to_owned),
            retry,
            until_dropped: false,
            audited,
            definition: None,
            approval: None,
        };
        params.write(&mut forward.payload);
        forward.meta_at = forward.payload.len();
        if !meta.is_empty() {
            meta.write(&mut forward.payload);
        }
        forward
    }

    /// Says what is called, for the log.
    pub(crate) fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Says which definition the tool has that is called.
    pub(crate) fn defined(self, definition: Option<[u8; 32]>) -> Self {
        Self { definition, ..self }
    }

    /// Says whose agreement it needs.
    pub(crate) fn needing(self, approval: Option<NeededApproval>) -> Self {
        Self { approval, ..self }
    }

    /// Gives the call up when it is dropped, as it is when its time is over; others go on, for a client that may come back.
    pub(crate) fn until_dropped(self) -> Self {
        Self { until_dropped: true, ..self }
    }

    /// Hands the call over and waits for its answer. `None`: the client cancelled it.
    pub(crate) async fn run(&mut self, rewrite: ResultRewrite) -> Option<Reply> {
        let record = self.record();
        let called = Called {
            server: self.server.as_str(),
            method: self.method.clone(),
            name: &self.name,
            definition: self.definition,
        };
        let (audited, (outcome, reply)) = match AuditedCall::begin(self.context, self.audited.take(), called) {
            Ok(mut audited) => match self.begin() {
                Ok(tickets) => match self.approval.take() {
                    None => {
                        let _tickets = tickets;
                        (audited, self.attempt(rewrite).await)
                    }
                    // In a box of its own: calls that never need it must not carry its state.
                    Some(needed) => {
                        let attempt =
                            Box::pin(self.attempt_approved(&needed, tickets, rewrite, audited.as_mut())).await;
                        (audited, attempt)
                    }
                },
                Err(error) => (audited, self.turned_away(error)),
            },
            Err(error) => (None, self.turned_away(error)),
        };
        if let Some(audited) = audited {
            audited.end(outcome.as_str(), reply.as_ref());
        }
        let took = self.context.elapsed();
        let ending = CallEnding::of(outcome, reply.as_ref(), took, self.context.waits.clone());
        record.end(ending, reply.as_ref().and_then(Reply::single));
        self.log(outcome, reply.as_ref(), took);
        reply
    }

    /// Whether the server may be called once more.
    fn begin(&self) -> Result<Vec<RateTicket>, ErrorObject> {
        // How a task stands is asked for again and again.
        if self.method.starts_with("tasks/") {
            return Ok(Vec::new());
        }
        let tool = (self.method == method::TOOLS_CALL).then_some(&*self.name);
        self.context
            .gateway
            .servers
            .begin_call(self.server.as_str(), tool)
            .map_err(|RateRefusal { of, exceeded }| self.rate_error(of.as_deref(), exceeded))
    }

    /// The answer to a call that is too much; `of`: for the rate of tools that fit this pattern.
    fn rate_error(&self, of: Option<&str>, exceeded: RateExceeded) -> ErrorObject {
        let what = of.map_or_else(String::new, |pattern| format!(" for its tools {pattern:?}"));
        let message = format!(
            "server `{}` has {exceeded}{what}; try again in {:.1} s",
            self.server,
            exceeded.wait().as_secs_f64()
        );
        let server = self.server.as_str();
        exceeded.tell(ErrorObject::about_server(ErrorCode::SERVER_UNAVAILABLE, message, server, "rate_limited"))
    }

    /// Remembers it for the web page.
    fn record(&self) -> OpenCall<'a> {
        let downstream = &self.context.downstream;
        let call = NewCall {
            begun: self.context.begun,
            principal: downstream.principal().clone(),
            client: downstream.calls(),
            version: downstream.version(),
            scope: downstream.scope().clone(),
            server: self.server.clone(),
            method: self.method.clone(),
            name: calls::cut(&self.name).into(),
            argument_bytes: self.payload.len(),
            is_replay: downstream.is_replay(),
        };
        self.context.gateway.calls.begin(call, &self.payload[..self.meta_at])
    }

    /// Tries again with the next generation while the one before ended before it was told of the call. What was written to a
    /// server is never sent again.
    async fn attempt(&self, rewrite: ResultRewrite) -> (OutcomeLabel, Option<Reply>) {
        for _ in 1..TRIES {
            if let Some(end) = self.attempt_once(rewrite).await {
                return end;
            }
        }
        let gone = || self.turned_away(unavailable(&self.server, "worker_gone", None));
        self.attempt_once(rewrite).await.unwrap_or_else(gone)
    }

    /// `None`: no server has received the call.
    async fn attempt_once(&self, rewrite: ResultRewrite) -> Option<(OutcomeLabel, Option<Reply>)> {
        let connection = match self.connection().await {
            Ok(connection) => connection,
            Err(error) => return Some(self.turned_away(error)),
        };
        if self.context.is_cancelled() {
            return Some((OutcomeLabel::Cancelled, None));
        }
        if let Some(level) = self.context.downstream.level_before_call() {
            connection.ensure_log_level(level).await;
        }
        let (connection, call) = match Retry::at(self.retry.as_ref(), connection.traits()) {
            RetryUse::Redeem(retry) => match Box::pin(self.come_back(&connection, retry)).await {
                Ok(call) => (connection, call),
                Err(reply) => return Some((OutcomeLabel::Error, Some(reply))),
            },
            retry @ (RetryUse::PassOn(_) | RetryUse::Nothing) => {
                match self.hand_over(connection, retry.passed_on()).await {
                    Ok(handed) => handed,
                    Err(NotSent::Cancelled) => return Some((OutcomeLabel::Cancelled, None)),
                    Err(NotSent::Unavailable(error)) => return Some(self.turned_away(error)),
                    Err(NotSent::Unseen(connection)) => {
                        self.unsent(&connection);
                        return None;
                    }
                }
            }
        };
        self.context.attach(call.handle());
        let _cancel = self.until_dropped.then(|| CancelOnDrop::new(call.handle()));
        let handed_over = Instant::now();
        let answer = call.wait(|event| self.pass_on(event)).await;
        CallWaits::add(&self.context.waits.server, handed_over.elapsed());
        let (outcome, reply) = match answer {
            CallOutcome::NeedsInput(need) => match self.context.downstream.input_route() {
                // In a box of its own: calls that never need it must not carry its state.
                InputRoute::Ask(session) => match Box::pin(self.ask(connection.clone(), session, need)).await {
                    Ok(answer) => self.answered(answer, rewrite),
                    Err(InputError::Cancelled) => (OutcomeLabel::Cancelled, None),
                    Err(stuck) => (OutcomeLabel::Error, Some(self.stuck(&stuck))),
                },
                InputRoute::SendAway => match web_pages::of_input_requests(&need.payload) {
                    // Dropping what was asked tells the server that the call is given up.
                    Some(page) => (OutcomeLabel::Error, Some(self.no_web_page(&page))),
                    None => self.send_away(need),
                },
            },
            CallOutcome::Over(CallEnd::Unsent) if !self.is_resumption(&connection) => {
                self.unsent(&connection);
                return None;
            }
            CallOutcome::Over(answer) => self.answered(answer, rewrite),
        };
        let (outcome, reply) = match reply {
            Some(reply) => self.ended(&connection, outcome, reply),
            None => (outcome, None),
        };
        connection.metrics().ended(outcome, self.context.elapsed());
        Some((outcome, reply))
    }

    /// Whether it goes on with what a server of before 2026-07-28 asked: that server's end is the end of it.
    fn is_resumption(&self, connection: &WorkerConnection) -> bool {
        matches!(Retry::at(self.retry.as_ref(), connection.traits()), RetryUse::Redeem(_))
    }

    /// The server behind this connection has ended. (Of one with an instance for each session it is one of them, and the worker has
    /// another for the next call.)
    fn unsent(&self, connection: &Rc<WorkerConnection>) {
        if !connection.is_per_session() {
            self.context.gateway.servers.ended(&self.server, connection);
        }
    }

    /// The connection that calls go to at this moment; waits for a server that is starting.
    async fn connection(&self) -> Result<Rc<WorkerConnection>, ErrorObject> {
        if let Destination::Connected(connection) = self.context.gateway.servers.destination(self.server.as_str()) {
            return Ok(connection);
        }
        // In a box of its own: calls that never wait must not carry its state.
        Box::pin(wait_for(self.context, &self.server, self.progress_token.as_deref())).await
    }

    /// Hands the call over, at once where there is a place for it, else when it is its turn; and where calls go then, which may be
    /// another connection. `retry`: what the client brings.
    async fn hand_over(
        &self,
        mut connection: Rc<WorkerConnection>,
        retry: Option<&Retry>,
    ) -> Result<(Rc<WorkerConnection>, Call), NotSent> {
        while !connection.has_place() {
            // In a box of its own: calls that never wait must not carry its state.
            match Box::pin(self.wait_for_place(&connection)).await {
                Ok(promise) => {
                    promise.take();
                    break;
                }
                Err(NotPlaced::Moved) => connection = self.connection().await.map_err(NotSent::Unavailable)?,
                Err(NotPlaced::Cancelled) => return Err(NotSent::Cancelled),
                Err(NotPlaced::Refused(error)) => return Err(NotSent::Unavailable(error)),
            }
        }
        let (payload, meta_at) = self.payload_with(retry);
        let call = connection.call(self.method.clone(), &payload, meta_at, self.call_context(&connection)).await;
        match call {
            Some(call) => Ok((connection, call)),
            None => Err(NotSent::Unseen(connection)),
        }
    }

    fn answered(&self, answer: CallEnd, rewrite: ResultRewrite) -> (OutcomeLabel, Option<Reply>) {
        let needs_downgrade = |era| self.context.downstream.needs_downgrade(era);
        let (outcome, reply) = match answer {
            CallEnd::Result(result, era) => {
                // A task's status holds the requests that it waits for (2026-07-28).
                let of_task =
                    self.method.starts_with("tasks/").then(|| web_pages::of_input_requests(&result)).flatten();
                if let Some(page) = of_task {
                    return (OutcomeLabel::Error, Some(self.no_web_page(&page)));
                }
                let result = self.outbound(result, rewrite);
                let result =
                    if needs_downgrade(era) { result.and_then(|result| self.downgraded(result)) } else { result };
                (OutcomeLabel::Result, result.map(Reply::Result))
            }
            CallEnd::Error(error, era) => {
                if let Some(page) = web_pages::of_error(&error) {
                    return (OutcomeLabel::Error, Some(self.no_web_page(&page)));
                }
                let error = self.outbound(error, rewrite::error);
                let downgraded =
                    |error| if needs_downgrade(era) { self.downgraded_error(error) } else { Reply::error(error) };
                (OutcomeLabel::Error, error.map(downgraded))
            }
            CallEnd::Cancelled => return (OutcomeLabel::Cancelled, None),
            CallEnd::Abandoned => (OutcomeLabel::Lost, Ok(self.failed(Failure::Stopping))),
            CallEnd::Lost | CallEnd::Unsent => (OutcomeLabel::Lost, Ok(self.failed(Failure::WorkerEnded))),
        };
        match reply {
            Ok(reply) => (outcome, Some(reply)),
            Err(full) => (OutcomeLabel::Error, Some(ErrorObject::new(ErrorCode::INTERNAL_ERROR, full).into())),
        }
    }

    /// The facts about the client that the server may know.
    fn call_context(&self, connection: &WorkerConnection) -> CallContext {
        let mut context = self.context.downstream.call_context(connection, self.progress_token.is_some());
        let forwarding = &self.context.gateway.settings().forwarding;
        context.headers = self.context.headers.for_server(forwarding, &self.server);
        context
    }

    /// The payload, and where its `_meta` begins: what a server of 2026-07-28 asked a client to bring is part of it.
    fn payload_with(&self, retry: Option<&Retry>) -> (Cow<'_, [u8]>, usize) {
        match retry {
            Some(retry) => {
                let (params, meta) = self.payload.split_at(self.meta_at);
                let params = retry.put_back(params);
                let meta_at = params.len();
                (Cow::Owned([&params, meta].concat()), meta_at)
            }
            None => (Cow::Borrowed(&self.payload), self.meta_at),
        }
    }

    fn turned_away(&self, error: ErrorObject) -> (OutcomeLabel, Option<Reply>) {
        self.context.gateway.metrics.turned_away(self.server.as_str());
        (OutcomeLabel::Unavailable, Some(error.into()))
    }

    /// One record for each call, at the level that `logging.calls` names: what was called and how it went, never what was said.
    fn log(&self, outcome: OutcomeLabel, reply: Option<&Reply>, took: Duration) {
        let gateway = &self.context.gateway;
        let reason = match reply {
            Some(Reply::Error(error)) => {
                gateway.metrics.failed(self.server.as_str(), error.reason);
                error.reason
            }
            Some(Reply::Result(_) | Reply::Page(..)) | None => "",
        };
        let Some(level) = gateway.call_level().filter(|level| gateway.log.is_enabled(*level)) else { return };
        let facts = o!("server" => self.server.to_string(), "method" => self.method.to_string(), "name" => self.name.clone(),
            "session" => self.context.downstream.in_log().to_owned(), "request_bytes" => self.payload.len(),
            "response_bytes" => reply.map_or(0, Reply::len), "outcome" => outcome.as_str(), "reason" => reason,
            "duration_us" => took.as_micros() as u64);
        let log = self.context.downstream.principal().log(&gateway.log).new(facts);
        if level == slog::Level::Info { info!(log, "call") } else { debug!(log, "call") }
    }

    /// The server asks for a visit that no client is asked for.
    fn no_web_page(&self, page: &NoWebPage) -> Reply {
        warn!(self.context.gateway.log, "a call is refused for what its server asks"; "server" => %self.server,
            "reason" => %page);
        page.to_error(self.server.as_str()).into()
    }

    /// An answer of our own where the server gave none.
    fn failed(&self, failure: Failure) -> Reply {
        let server = &self.server;
        let (message, reason) = match failure {
            Failure::Stopping => {
                (format!("MCProxy is being stopped, and server `{server}` did not answer in time"), "stopping")
            }
            Failure::WorkerEnded => (format!("the worker of server `{server}` ended during the call"), "worker_ended"),
        };
        ErrorObject::about_server(ErrorCode::SERVER_ENDED, message, server.as_str(), reason).into()
    }

    /// Passes an event before the answer on to the request's own stream. A client that reads too slowly misses progress,
    /// nothing else.
    fn pass_on(&self, event: CallEvent) {
        match event {
            CallEvent::Progress(params) => {
                let token = self.progress_token.as_deref().filter(|_| self.context.progress.admits(&params));
                if let Some(token) = token {
                    let params = String::from_utf8_lossy(&params);
                    self.context.tell(progress::notification(token, &params));
                }
            }
            CallEvent::Starting(message) => {
                if let (Some(token), Ok(message)) = (self.progress_token.as_deref(), std::str::from_utf8(&message)) {
                    self.context.sign_of_life(token, message);
                }
            }
            CallEvent::Notification(method, params) => {
                self.context.tell(custom_notifications::message(&method, &params))
            }
            CallEvent::Log(params) => self.pass_on_log(&params),
        }
    }

    fn pass_on_log(&self, params: &Bytes) {
        if self.context.downstream.hears(Level::of_message(params)) {
            self.context.tell(log_notification(params));
        }
    }

    /// An error of a server of 2026-07-28, for a client of before that.
    fn downgraded_error(&self, error: Bytes) -> Reply {
        let Ok(text) = std::str::from_utf8(&error) else { return Reply::error(error) };
        match rewrite::downgrade::error(&self.method, text) {
            Downgraded::Error(Cow::Borrowed(_)) => Reply::error(error),
            Downgraded::Error(Cow::Owned(text)) => Reply::error(text.into()),
            Downgraded::Result(text) => Reply::Result(text.into()),
        }
    }

    /// Puts the names and URIs of an answer under the client's naming and version; mostly that changes nothing.
    fn outbound(&self, answer: Bytes, rewrite: ResultRewrite) -> Result<Bytes, Full> {
        let Ok(text) = std::str::from_utf8(&answer) else { return Ok(answer) };
        match rewrite(self.context.naming(), self.server.as_str(), text, self.context.downstream.version()) {
            Cow::Borrowed(_) => Ok(answer),
            Cow::Owned(text) => self.rewritten(text),
        }
    }

    /// Makes a result of 2026-07-28 one of before that.
    fn downgraded(&self, result: Bytes) -> Result<Bytes, Full> {
        let Ok(text) = std::str::from_utf8(&result) else { return Ok(result) };
        match rewrite::downgrade::result(text) {
            Cow::Borrowed(_) => Ok(result),
            Cow::Owned(text) => self.rewritten(text),
        }
    }

    /// An answer that is not the one that the worker sent, and so not counted with it.
    fn rewritten(&self, text: String) -> Result<Bytes, Full> {
        self.context.gateway.budget.guard_large(Purpose::Answers, text.into())
    }
}

/// Why a call was not handed over.
enum NotSent {
    /// The client gave it up.
    Cancelled,
    /// There is no server for it, or it has too many calls.
    Unavailable(ErrorObject),
    /// The worker behind this connection is gone, and has not seen it.
    Unseen(Rc<WorkerConnection>),
}

/// Why a call that was handed over has no answer of the server's.
enum Failure {
    Stopping,
    WorkerEnded,
}
