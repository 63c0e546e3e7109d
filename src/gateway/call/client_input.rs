//! A call whose server wants something from the client first: its requests go to the client of a session on the call's own
//! stream, and the call goes on with the answers.

use std::{future::pending, pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use mcproxy_ipc::{ServerName, data::CallContext, frame::MAX_PAYLOAD};
use mcproxy_mcp::{ErrorCode, RequestId, error_object, json_string, method, write_notification};
use slog::warn;
use tokio::time::{sleep, timeout};

use super::{
    input_requests::{InputRequest, InputRequests, to_answers, to_responses},
    request_context::RequestContext,
};
use crate::gateway::{
    base::{
        budget::{Full, Purpose},
        web_pages::NoWebPage,
    },
    downstream::retry::Retry,
    sessions::{client_requests::Response, session::Session},
    upstream::connection::{Call, Continuation, InputRequired, ParkedCall, ParkedEvent},
};

/// How often a server that forgets its calls may ask within one.
const ROUNDS_AGAIN: u32 = 8;
/// The same, of one that waits within the call: those were made for dialogues.
const ROUNDS_PARKED: u32 = 64;
/// Before a call is made again without anything that was asked.
const PACE: Duration = Duration::from_secs(1);

/// Why a call does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InputError {
    /// The client gave the call up.
    #[error("the client gave the call up")]
    Cancelled,
    /// The client cannot give it.
    #[error("it asks the client for `{0}`, which the client has not declared")]
    Missing(String),
    /// The client did not want to.
    #[error("the client answered `{0}` with an error")]
    Refused(String),
    /// The user did not want to.
    #[error("the user did not agree to visit the page that it needs visited first")]
    Declined,
    /// It took the client too long.
    #[error("the client did not answer in time (inputTimeout)")]
    Late,
    /// The session ended, or we are being stopped.
    #[error("its client can no longer be asked")]
    Gone,
    /// Server and client turn in circles.
    #[error("it asked the client {0} times, and again")]
    Endless(u32),
    /// Too many others wait.
    #[error("too many calls wait for their clients to come back")]
    Crowded,
    /// The server's requests cannot be read.
    #[error("what it asks for cannot be read")]
    Unreadable,
    /// The client's answers do not fit into one message to the worker.
    #[error("the client's answers are {0} bytes together, more than the {MAX_PAYLOAD} that fit")]
    TooLarge(usize),
    /// All questions together take too much.
    #[error(transparent)]
    NoRoom(#[from] Full),
}

/// How a call continues.
pub(crate) enum Next {
    /// The server has it again.
    Resumed(Call),
    /// It is to be made again, with this among its params.
    Again(Retry),
    /// The worker is gone.
    Lost,
}

/// One call and its rounds of questions.
pub(crate) struct ClientInput<'a> {
    context: &'a RequestContext,
    session: &'a Session,
    server: &'a ServerName,
    rounds: u32,
    time: Duration,
}

impl<'a> ClientInput<'a> {
    /// `time`: what the client has for each round.
    pub(crate) fn new(
        context: &'a RequestContext,
        session: &'a Session,
        server: &'a ServerName,
        time: Duration,
    ) -> Self {
        Self { context, session, server, rounds: 0, time }
    }

    /// Asks the client for what the server needs, and says how the call goes on. Dropping a parked call gives it up.
    pub(crate) async fn round(&mut self, need: InputRequired, call_context: CallContext) -> Result<Next, InputError> {
        let requests = InputRequests::read(&need.payload).ok_or(InputError::Unreadable)?;
        self.rounds += 1;
        let most = match need.continuation {
            Continuation::Parked(_) => ROUNDS_PARKED,
            Continuation::Again => ROUNDS_AGAIN,
        };
        if self.rounds > most {
            return Err(InputError::Endless(most));
        }
        // The questions are kept once more, and written out for the client.
        let _room = self.context.gateway.budget.take(Purpose::Questions, 2 * need.payload.len())?;
        match need.continuation {
            Continuation::Parked(park) => {
                let answers = self.ask_parked(&requests.wanted, &park).await?;
                let answers = to_answers(&answers);
                if answers.len() > MAX_PAYLOAD {
                    return Err(InputError::TooLarge(answers.len()));
                }
                Ok(park.resume(&answers, call_context).await.map_or(Next::Lost, Next::Resumed))
            }
            Continuation::Again => {
                let features = self.session.features();
                if let Some(wanted) = requests.wanted.iter().find(|wanted| !wanted.is_in(features)) {
                    return Err(InputError::Missing(wanted.method.clone()));
                }
                let answers = self.ask_all(&requests.wanted).await?;
                if answers.is_empty() {
                    let pause = async {
                        sleep(PACE).await;
                        Ok(())
                    };
                    self.unless_cancelled(pause).await?;
                }
                let responses = to_responses(&answers).map_err(InputError::Refused)?;
                let state = requests.state.and_then(|json| mcproxy_mcp::RawValue::from_string(json).ok());
                Ok(Next::Again(Retry::of((!answers.is_empty()).then_some(responses), state)))
            }
        }
    }

    /// Asks something of our own, for as long as the caller waits; dropped before, it is taken back.
    pub(crate) async fn ask_of_ours(&self, wanted: &InputRequest) -> Result<Response, InputError> {
        self.ask(wanted, |_| Response::Result(Bytes::from_static(b"{}")))?.answer().await
    }

    /// Everything at once; the answers are in the order of the questions.
    async fn ask_all(&self, wanted: &[InputRequest]) -> Result<Vec<(String, Response)>, InputError> {
        // It has forgotten the call, so it is told as its user would: not now.
        let cancel = |_: &NoWebPage| Response::Result(Bytes::from_static(br#"{"action":"cancel"}"#));
        let asked: Vec<ClientQuestion<'_>> =
            wanted.iter().map(|wanted| self.ask(wanted, cancel)).collect::<Result<_, _>>()?;
        let answers = join_all(asked.into_iter().map(ClientQuestion::answer));
        let answers = self
            .unless_cancelled(async { timeout(self.time, answers).await.map_err(|_| InputError::Late) })
            .await?
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        Ok(wanted.iter().map(|wanted| wanted.key.clone()).zip(answers).collect())
    }

    /// The same for a server that waits within the call, and may stop to: what it takes back the client is told of, and once
    /// it has answered the call nothing is waited for.
    async fn ask_parked(
        &self,
        wanted: &[InputRequest],
        park: &ParkedCall,
    ) -> Result<Vec<(String, Response)>, InputError> {
        let refuse = |page: &NoWebPage| error_of(ErrorCode::INVALID_PARAMS, &page.to_string());
        let asked: Vec<ClientQuestion<'_>> =
            wanted.iter().map(|wanted| self.ask(wanted, refuse)).collect::<Result<_, _>>()?;
        let ids: Vec<Option<RequestId>> = asked.iter().map(|question| question.id.clone()).collect();
        for (wanted, id) in wanted.iter().zip(&ids) {
            if let Some(id) = id {
                self.session.client_requests.watch(id, park.reporter(&wanted.key));
            }
        }
        let mut withdrawn = vec![false; ids.len()];
        let answers = join_all(asked.into_iter().map(ClientQuestion::answer));
        let work = async {
            let mut answers = pin!(timeout(self.time, answers));
            loop {
                let event = tokio::select! {
                    biased;
                    answers = &mut answers => return answers.map(Some).map_err(|_| InputError::Late),
                    event = park.next_event() => event,
                };
                let (key, reason) = match event {
                    // Dropping the questions withdraws those that are open.
                    ParkedEvent::Done => return Ok(None),
                    ParkedEvent::Withdrawn { key, reason } => (key, reason),
                };
                let Some(at) = wanted.iter().position(|wanted| wanted.key == key) else { continue };
                withdrawn[at] = true;
                if let Some(id) = ids[at].as_ref().filter(|id| self.session.client_requests.take_back(id)) {
                    self.context.related.push_last(cancelled(id, reason.as_deref()));
                }
            }
        };
        let answers = self.unless_cancelled(work).await?.unwrap_or_default();
        let kept = wanted.iter().zip(answers).zip(withdrawn).filter(|(_, withdrawn)| !withdrawn);
        kept.map(|((wanted, answer), _)| Ok((wanted.key.clone(), answer?))).collect()
    }

    /// `refuse`: what the server is told instead of an answer when it wants a page visited that is none of the web.
    fn ask(
        &self,
        wanted: &InputRequest,
        refuse: impl Fn(&NoWebPage) -> Response,
    ) -> Result<ClientQuestion<'_>, InputError> {
        let answered = |known| Ok(ClientQuestion { input: self, id: None, answer: None, known: Some(known) });
        if !wanted.is_in(self.session.features()) {
            let why = "the client has not declared that capability";
            return answered(error_of(ErrorCode::METHOD_NOT_FOUND, why));
        }
        if let Some(page) = wanted.no_web_page() {
            warn!(self.context.gateway.log, "a question of a server is refused"; "server" => %self.server,
                "reason" => %page);
            return answered(refuse(&page));
        }
        let (id, answer) = self.session.ask().ok_or(InputError::Gone)?;
        if let Some(page) = wanted.page_id() {
            self.context.gateway.url_elicitations.remember(self.server, &page, self.session.key());
        }
        // Bounded by what a worker passes on at once; it must not be dropped like progress.
        self.context.related.push_last(wanted.to_request(&id));
        Ok(ClientQuestion { input: self, id: Some(id), answer: Some(answer), known: None })
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T, InputError>>) -> Result<T, InputError> {
        let cancelled = self.context.may_be_cancelled();
        let over = async {
            match &cancelled {
                Some(cancelled) => cancelled.notified().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = over => Err(InputError::Cancelled),
            result = work => result,
        }
    }
}

fn error_of(code: ErrorCode, why: &str) -> Response {
    Response::Error(Bytes::copy_from_slice(error_object(code, why).get().as_bytes()))
}

/// A question on its way; dropped without an answer, it is taken back.
struct ClientQuestion<'a> {
    input: &'a ClientInput<'a>,
    id: Option<RequestId>,
    answer: Option<tokio::sync::oneshot::Receiver<Response>>,
    known: Option<Response>,
}

impl ClientQuestion<'_> {
    async fn answer(mut self) -> Result<Response, InputError> {
        if let Some(known) = self.known.take() {
            return Ok(known);
        }
        let Some(answer) = &mut self.answer else { return Err(InputError::Gone) };
        let answer = answer.await;
        self.id = None;
        answer.map_err(|_| InputError::Gone)
    }
}

impl Drop for ClientQuestion<'_> {
    fn drop(&mut self) {
        let Some(id) = &self.id else { return };
        if self.input.session.client_requests.take_back(id) {
            self.input.context.related.push_last(cancelled(id, Some("the call goes on without it")));
        }
    }
}

/// A `notifications/cancelled` for a question, under the id that the client knows.
fn cancelled(id: &RequestId, reason: Option<&str>) -> Bytes {
    let reason = reason.map(|reason| format!(",\"reason\":{}", json_string(reason).get())).unwrap_or_default();
    let params = format!("{{\"requestId\":{}{reason}}}", id.as_json());
    let mut out = Vec::new();
    write_notification(&mut out, method::CANCELLED, &params);
    out.into()
}
