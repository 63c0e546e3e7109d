//! Messages between the client and a session at the endpoint, which is opened anew when the endpoint forgets it.

use std::{cell::RefCell, io::Write, time::Duration};

use mcproxy_mcp::{
    Message, Outcome, RawObject, RawValue, RequestId, json_string, method, parse, write_notification, write_request,
};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep, timeout},
};

use super::{failure, link::SessionLink, output::LineWriter};
use crate::cli::{
    conversation::Conversation,
    endpoint::{Endpoint, EndpointError, HttpReply, MessageStream, SessionHeaders},
};

/// How long a message is retried while the gateway refuses connections, for example during its restart.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(100);
pub(super) const INITIALIZE_TIMEOUT: Duration = Duration::from_secs(60);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Carries messages from the client to the endpoint and the answers back.
pub(super) struct Relay {
    pub(super) endpoint: Endpoint,
    pub(super) output: LineWriter,
    link: watch::Sender<SessionLink>,
    /// Held while a lost session is replaced, so that several losers make one new session.
    renewing: Mutex<()>,
    err: RefCell<Box<dyn Write + Send>>,
}

impl Relay {
    pub(super) fn new(endpoint: Endpoint, output: LineWriter, err: Box<dyn Write + Send>) -> Self {
        let link = watch::Sender::new(SessionLink::default());
        Self { endpoint, output, link, renewing: Mutex::new(()), err: RefCell::new(err) }
    }

    /// Something for the person who reads stderr.
    pub(super) fn remark(&self, text: &str) {
        let _ = writeln!(self.err.borrow_mut(), "mcproxy connect: {text}");
    }

    /// Changes of the session.
    pub(super) fn links(&self) -> watch::Receiver<SessionLink> {
        self.link.subscribe()
    }

    /// The server may speak by itself from now on.
    pub(super) fn client_is_ready(&self) {
        self.link.send_modify(|link| link.ready = true);
    }

    /// Keeps the session that the client's `initialize` opened, and tells the client what the server answered.
    pub(super) async fn begin_session(&self, key: SessionHeaders, initialize: Vec<u8>, answer: &str) {
        self.link.send_modify(|link| {
            *link = SessionLink { key, initialize: Some(initialize), generation: link.generation + 1, ready: false };
        });
        self.output.line(answer).await;
    }

    /// Sends a request and passes on all that comes back, its answer last.
    pub(super) async fn request(&self, id: &RequestId, text: Vec<u8>) {
        if let Err(error) = self.try_request(id, &text).await {
            self.fail(id, &error).await;
        }
    }

    async fn try_request(&self, id: &RequestId, text: &[u8]) -> Result<(), EndpointError> {
        let (key, reply) = self.post(text).await?;
        let HttpReply::Messages(stream) = reply else { return Err(EndpointError::NoAnswer) };
        let mut conversation = Conversation::new(self.endpoint.clone(), key, *stream);
        loop {
            let message = conversation.next().await?;
            let kind = MessageKind::of(&message, id);
            if kind != MessageKind::Foreign {
                self.output.line(&message).await;
            }
            if kind == MessageKind::EmulatedAnswer {
                return Ok(());
            }
        }
    }

    /// Sends a notification or a response.
    pub(super) async fn tell(&self, text: Vec<u8>) {
        match self.post(&text).await {
            Ok((_, HttpReply::Accepted)) => {}
            Ok((_, HttpReply::Messages(stream))) => self.pass_on(*stream).await,
            Err(error) => self.remark(&failure::chain(&error)),
        }
    }

    /// Sends a batch (2025-03-26); which answers belong to it is the server's affair.
    pub(super) async fn batch(&self, text: Vec<u8>) {
        self.tell(text).await;
    }

    async fn pass_on(&self, mut stream: MessageStream) {
        while let Ok(Some(message)) = stream.next().await {
            self.output.line(&message).await;
        }
    }

    /// Says good-bye.
    pub(super) async fn close(&self) {
        let key = self.link.borrow().key.clone();
        if key.id.is_some() {
            let _ = timeout(CLOSE_TIMEOUT, self.endpoint.delete(&key)).await;
        }
    }

    /// Sends a message on the current session. When the other side has forgotten the session, the message was not
    /// accepted, so it is sent once more on a new one.
    async fn post(&self, text: &[u8]) -> Result<(SessionHeaders, HttpReply), EndpointError> {
        let link = self.link.borrow().clone();
        match self.post_with_retries(&link.key, text).await {
            Err(error) if is_lost(&error) && link.can_be_lost() => {
                self.renew(link.generation).await?;
                let key = self.link.borrow().key.clone();
                let reply = self.post_with_retries(&key, text).await?;
                Ok((key, reply))
            }
            other => Ok((link.key, other?)),
        }
    }

    async fn post_with_retries(&self, key: &SessionHeaders, text: &[u8]) -> Result<HttpReply, EndpointError> {
        self.with_retries(async || self.endpoint.post(key, text.to_vec()).await).await
    }

    /// A connection that was refused has carried nothing, so the message can be tried again.
    pub(super) async fn with_retries(
        &self,
        post: impl AsyncFn() -> Result<HttpReply, EndpointError>,
    ) -> Result<HttpReply, EndpointError> {
        let give_up = Instant::now() + RETRY_TIMEOUT;
        let mut wait = FIRST_RETRY;
        loop {
            match post().await {
                Err(EndpointError::Connect { .. }) if Instant::now() + wait < give_up => sleep(wait).await,
                other => return other,
            }
            wait *= 2;
        }
    }

    /// Replaces the session of this generation, unless another request has done so already.
    pub(super) async fn renew(&self, generation: u64) -> Result<(), EndpointError> {
        let _turn = self.renewing.lock().await;
        let link = self.link.borrow().clone();
        if link.generation != generation {
            return Ok(());
        }
        let Some(initialize) = &link.initialize else { return Err(EndpointError::NoAnswer) };
        let id = RequestId::from_raw(&json_string(&format!("mcproxy-connect-{generation}"))).expect("a short string");
        let mut again = Vec::new();
        write_request(&mut again, &id, method::INITIALIZE, params_of(initialize));
        let shake = self.shake_hands(&id, again);
        let (key, _) = timeout(INITIALIZE_TIMEOUT, shake).await.unwrap_or(Err(EndpointError::NoAnswer))?;
        if key.version != link.key.version {
            self.remark("the new session speaks another version of MCP than the client was told");
        }
        let mut initialized = Vec::new();
        write_notification(&mut initialized, method::INITIALIZED, "");
        self.post_with_retries(&key, &initialized).await?;
        self.remark("the other side had forgotten the session; opened a new one");
        self.link.send_modify(|link| {
            link.key = key;
            link.generation += 1;
        });
        Ok(())
    }

    /// The new session and the answer to `initialize`.
    pub(super) async fn shake_hands(
        &self,
        id: &RequestId,
        text: Vec<u8>,
    ) -> Result<(SessionHeaders, String), EndpointError> {
        let none = SessionHeaders::default();
        let HttpReply::Messages(stream) = self.post_with_retries(&none, &text).await? else {
            return Err(EndpointError::NoAnswer);
        };
        let mut key = SessionHeaders { id: stream.session().map(str::to_owned), version: None };
        let mut conversation = Conversation::new(self.endpoint.clone(), key.clone(), *stream);
        loop {
            let message = conversation.next().await?;
            if MessageKind::of(&message, id) == MessageKind::EmulatedAnswer {
                key.version = negotiated_version(&message);
                return Ok((key, message));
            }
            self.output.line(&message).await;
        }
    }

    /// Tells the client that its request failed on the way.
    pub(super) async fn fail(&self, id: &RequestId, error: &EndpointError) {
        self.remark(&failure::chain(error));
        self.output.line(&failure::response(id, error)).await;
    }
}

/// The meaning of a message for the request whose answer is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageKind {
    EmulatedAnswer,
    /// To be passed on.
    Other,
    /// No JSON-RPC at all: a client would break on it.
    Foreign,
}

impl MessageKind {
    pub(super) fn of(message: &str, id: &RequestId) -> Self {
        match parse(message.as_bytes()) {
            Ok(Message::Response { id: answered, .. }) if answered == *id => Self::EmulatedAnswer,
            Ok(_) => Self::Other,
            Err(_) => Self::Foreign,
        }
    }
}

/// Whether the session is not known at the other end.
pub(super) fn is_lost(error: &EndpointError) -> bool {
    error.status() == Some(mcproxy_http::StatusCode::NOT_FOUND)
}

fn negotiated_version(answer: &str) -> Option<String> {
    match parse(answer.as_bytes()) {
        Ok(Message::Response { outcome: Outcome::Result(result), .. }) => {
            RawObject::from_raw(result).ok()?.get_string("protocolVersion").map(|v| v.into_owned())
        }
        _ => None,
    }
}

pub(super) fn params_of(request: &[u8]) -> &str {
    match parse(request) {
        Ok(Message::Request { params, .. }) => params.map_or("{}", RawValue::get),
        _ => "{}",
    }
}
