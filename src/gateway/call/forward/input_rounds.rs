//! Calls whose servers want something of the client: those of sessions ask, the others are sent away and come back.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::frame::MAX_PAYLOAD;
use mcproxy_mcp::{ErrorCode, ErrorObject, json_string, method};

use super::{Forward, NotSent, wait_ready::unavailable};
use crate::gateway::{
    base::{metrics::OutcomeLabel, reply::Reply},
    call::client_input::{ClientInput, InputError, Next},
    downstream::{
        Ending,
        input_required::{self, input_required},
        retry::Retry,
    },
    sessions::session::Session,
    state::request_state::{Redeemed, RequestBinding},
    upstream::{
        connection::{Call, CallEnd, CallOutcome, Continuation, InputRequired, WorkerConnection},
        servers::Destination,
    },
};

impl Forward<'_> {
    /// The reply in the form in which the client gets it.
    pub(super) fn ended(
        &self,
        connection: &WorkerConnection,
        outcome: OutcomeLabel,
        reply: Reply,
    ) -> (OutcomeLabel, Option<Reply>) {
        match self.context.downstream.ending(connection.traits(), &reply) {
            Ending::Unchanged => (outcome, Some(reply)),
            Ending::NoteRefusal(session) => {
                if let Reply::Error(error) = &reply {
                    self.context.gateway.url_elicitations.remember_refusal(&self.server, &error.raw, session);
                }
                (outcome, Some(reply))
            }
            // The server forgot the call, so it is made again.
            Ending::AskForPages(wanted) => self.send_away_for(wanted, Continuation::Again),
            Ending::Error(error) => (OutcomeLabel::Error, Some(error.into())),
        }
    }

    /// Answers a client without a session with the server's requests; the client sends the request again with its answers.
    pub(super) fn send_away(&self, need: InputRequired) -> (OutcomeLabel, Option<Reply>) {
        match need.continuation {
            Continuation::Again => match input_required(&need.payload, None) {
                Some(reply) => (OutcomeLabel::Result, Some(reply)),
                None => (OutcomeLabel::Error, Some(self.stuck(&InputError::Unreadable))),
            },
            parked @ Continuation::Parked(_) => self.send_away_for(need.payload, parked),
        }
    }

    /// The same, with a request state of our own.
    fn send_away_for(&self, wanted: Bytes, continuation: Continuation) -> (OutcomeLabel, Option<Reply>) {
        let now = Instant::now();
        let gateway = &self.context.gateway;
        let time = gateway.servers.timeouts(self.server.as_str()).map_or(Duration::ZERO, |times| times.input);
        let state = gateway.request_states.issue(continuation, wanted.clone(), self.binding(), now + time, now);
        match state.as_deref().and_then(|state| input_required(&wanted, Some(state))) {
            Some(reply) => (OutcomeLabel::Result, Some(reply)),
            None => (OutcomeLabel::Error, Some(self.stuck(&InputError::Crowded))),
        }
    }

    /// Continues the call of a client that came back with the answers.
    pub(super) async fn come_back(&self, connection: &Rc<WorkerConnection>, retry: &Retry) -> Result<Call, Reply> {
        let request_states = &self.context.gateway.request_states;
        let state = retry.state().unwrap_or_default();
        let is_done = |continuation: &Continuation| match continuation {
            Continuation::Parked(park) => park.is_done(),
            Continuation::Again => false,
        };
        match request_states.redeem(&state, &self.binding(), &retry.responses(), is_done, Instant::now()) {
            Redeemed::Complete(Continuation::Parked(park), answers) => {
                park.resume(&answers, self.call_context(connection)).await.ok_or_else(|| self.no_such_state())
            }
            Redeemed::Complete(Continuation::Again, answers) if input_required::agreed(&answers) => {
                match self.hand_over(connection.clone(), None).await {
                    Ok((_, call)) => Ok(call),
                    Err(NotSent::Unavailable(error)) => Err(error.into()),
                    Err(NotSent::Unseen(_)) => Err(unavailable(&self.server, "worker_gone", None).into()),
                    Err(NotSent::Cancelled) => Err(self.stuck(&InputError::Cancelled)),
                }
            }
            Redeemed::Complete(Continuation::Again, _) => Err(self.stuck(&InputError::Declined)),
            Redeemed::Incomplete(wanted) => {
                Err(input_required(&wanted, Some(&state)).unwrap_or_else(|| self.no_such_state()))
            }
            Redeemed::Unknown => Err(self.no_such_state()),
        }
    }

    fn no_such_state(&self) -> Reply {
        let message = "the requestState is not, or no longer, good for this request: make it anew, without one";
        ErrorObject::about_server(ErrorCode::INVALID_PARAMS, message.to_owned(), self.server.as_str(), "request_state")
            .into()
    }

    /// Identifies this request, also when the client repeats it.
    pub(super) fn binding(&self) -> RequestBinding {
        let downstream = &self.context.downstream;
        let params = &self.payload[..self.meta_at];
        RequestBinding::new(downstream.scope(), downstream.principal(), &self.server, &self.method, params)
    }

    /// Asks the client for what the server needs, as often as it needs something.
    pub(super) async fn ask(
        &self,
        mut connection: Rc<WorkerConnection>,
        session: &Session,
        mut need: InputRequired,
    ) -> Result<CallEnd, InputError> {
        let servers = &self.context.gateway.servers;
        let time = servers.timeouts(self.server.as_str()).map_or(Duration::ZERO, |timeouts| timeouts.input);
        let mut input = ClientInput::new(self.context, session, &self.server, time);
        loop {
            let call = match input.round(need, self.call_context(&connection)).await? {
                Next::Resumed(call) => Some(call),
                Next::Lost => None,
                Next::Again(retry) => {
                    self.context.progress.begin_run();
                    // It is a call like any other, so it goes where calls go now.
                    if let Destination::Connected(now) = servers.destination(self.server.as_str()) {
                        connection = now;
                    }
                    let (payload, _) = self.payload_with(Some(&retry));
                    if payload.len() > MAX_PAYLOAD {
                        return Err(InputError::TooLarge(payload.len()));
                    }
                    match self.hand_over(connection.clone(), Some(&retry)).await {
                        Ok((now, call)) => {
                            connection = now;
                            Some(call)
                        }
                        Err(NotSent::Cancelled) => return Err(InputError::Cancelled),
                        Err(NotSent::Unavailable(_) | NotSent::Unseen(_)) => None,
                    }
                }
            };
            let Some(call) = call else { return Ok(CallEnd::Lost) };
            if self.context.is_cancelled() {
                call.handle().cancel(None);
                return Err(InputError::Cancelled);
            }
            self.context.attach(call.handle());
            match call.wait(|event| self.pass_on(event)).await {
                CallOutcome::NeedsInput(more) => need = more,
                CallOutcome::Over(answer) => return Ok(answer),
            }
        }
    }

    /// The answer to a call that does not go on: what a tool answers that failed, as a server would have to.
    pub(super) fn stuck(&self, stuck: &InputError) -> Reply {
        let message = format!("server `{}` cannot go on: {stuck}", self.server);
        if self.method == method::TOOLS_CALL {
            let text = json_string(&message);
            let result = format!("{{\"content\":[{{\"type\":\"text\",\"text\":{}}}],\"isError\":true}}", text.get());
            return Reply::Result(result.into());
        }
        ErrorObject::about_server(ErrorCode::INTERNAL_ERROR, message, self.server.as_str(), "needs_input").into()
    }
}
