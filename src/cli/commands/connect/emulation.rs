//! A session for a client that begins with `initialize`, where the endpoint speaks 2026-07-28 and has none.

use std::cell::{Cell, RefCell};

use mcproxy_mcp::{
    ErrorCode, ErrorObject, Message, Outcome, ProtocolVersion, RawObject, RawValue, RequestId, error_object,
    json_string, meta, method, parse, write_error_response, write_request, write_response,
};

use super::{
    changes::{ChangeSubscription, Kinds},
    failure,
    open_questions::OpenQuestions,
    relay::Relay,
    stateless::Stateless,
};
use crate::{
    cli::{
        endpoint::{Endpoint, EndpointError},
        modern::{self, ClientMeta, ResultKind, empty},
    },
    gateway::rewrite::downgrade::{self, Downgraded},
};

/// So often a request is made again for what the server wants first.
const MAX_ROUNDS: usize = 100;
/// Wait before that, where it wants nothing but time.
const PACE: std::time::Duration = std::time::Duration::from_secs(1);

/// The emulated session of a client that begins with `initialize`, where the other side speaks 2026-07-28 and
/// has none.
pub(super) struct Emulation {
    claim: RefCell<ClientMeta>,
    stateless: Stateless,
    pub(super) open_questions: OpenQuestions,
    pub(super) wanted: ChangeSubscription,
    last_id: Cell<u64>,
    /// The result of `initialize`.
    introduction: String,
    subscribes: bool,
}

impl Emulation {
    /// Asks the other side what it speaks; `None` when it is not 2026-07-28. `params`: of the client's `initialize`.
    pub(super) async fn begin(endpoint: &Endpoint, params: &str) -> Option<Self> {
        let params = RawObject::from_text(params).unwrap_or_default();
        let member = |key: &str| params.get_object(key).map_or_else(empty, |object| object.to_raw());
        let claim = ClientMeta { info: member("clientInfo"), capabilities: member("capabilities"), log_level: None };
        let discovery = modern::discover(endpoint, &claim).await?;
        let discovery = RawObject::from_raw(&discovery).ok()?;
        let version = ProtocolVersion::negotiate(&params.get_string("protocolVersion").unwrap_or_default());
        let capabilities = discovery.get_object("capabilities").unwrap_or_default();
        let resources = capabilities.get_object("resources").unwrap_or_default();
        Some(Self {
            wanted: ChangeSubscription::new(Kinds::of(&capabilities)),
            subscribes: resources.get("subscribe").is_some_and(|raw| raw.get() == "true"),
            introduction: introduction(version, &discovery),
            claim: RefCell::new(claim),
            stateless: Stateless::default(),
            open_questions: OpenQuestions::default(),
            last_id: Cell::new(0),
        })
    }

    /// The answer to the client's `initialize`.
    pub(super) fn introduction(&self, id: &RequestId) -> String {
        response(id, &self.introduction)
    }

    /// The client has said `initialized`.
    pub(super) fn client_is_ready(&self) {
        self.wanted.client_is_ready();
    }

    /// Answers a request of the client.
    pub(super) async fn request(&self, relay: &Relay, id: &RequestId, text: &[u8]) {
        let Ok(Message::Request { method, params, .. }) = parse(text) else { return };
        let answer = match &*method {
            method::PING => response(id, "{}"),
            method::SET_LEVEL => {
                let level = params.and_then(|raw| RawObject::from_raw(raw).ok()?.get("level").map(ToOwned::to_owned));
                self.claim.borrow_mut().log_level = level;
                response(id, "{}")
            }
            method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE => self.subscribe(id, &method, params),
            _ => match self.carry(relay, &method, params).await {
                Ok(answer) => answer.under(id),
                Err(error) => match failure::own_words(&error) {
                    Some(words) => EmulatedAnswer::failed(&method, &words).under(id),
                    None => return relay.fail(id, &error).await,
                },
            },
        };
        relay.output.line(&answer).await;
    }

    fn subscribe(&self, id: &RequestId, of: &str, params: Option<&RawValue>) -> String {
        let uri = params.and_then(|raw| RawObject::from_raw(raw).ok()?.get_string("uri").map(|uri| uri.into_owned()));
        let refusal = match uri {
            _ if !self.subscribes => error_object(ErrorCode::METHOD_NOT_FOUND, "the server has no subscriptions"),
            None => error_object(ErrorCode::INVALID_PARAMS, "`uri` is missing"),
            Some(uri) => match self.wanted.subscribe(uri, of == method::RESOURCES_SUBSCRIBE) {
                true => return response(id, "{}"),
                false => error_object(ErrorCode::INTERNAL_ERROR, "there are too many subscriptions"),
            },
        };
        error_response(id, refusal.get())
    }

    /// Makes a request of 2026-07-28 of it, again and again until its result is complete.
    async fn carry(&self, relay: &Relay, of: &str, params: Option<&RawValue>) -> Result<EmulatedAnswer, EndpointError> {
        let mut params = params.map_or_else(empty, ToOwned::to_owned);
        for _ in 0..MAX_ROUNDS {
            let (id, stamped) = (self.next_id(), self.claim.borrow().stamp(Some(&params)));
            let mut text = Vec::new();
            write_request(&mut text, &id, of, stamped.get());
            let members = RawObject::from_raw(&stamped).unwrap_or_default();
            let message = self.stateless.exchange(relay, &id, of, &members, &text).await?;
            let result = match parse(message.as_bytes()) {
                Ok(Message::Response { outcome: Outcome::Result(result), .. }) => result,
                Ok(Message::Response { outcome: Outcome::Error(error), .. }) => {
                    return Ok(EmulatedAnswer::failed(of, error.get()));
                }
                _ => return Err(EndpointError::NoAnswer),
            };
            let object = RawObject::from_raw(result).unwrap_or_default();
            if ResultKind::of(&object) != ResultKind::InputRequired {
                let usable = (of == method::TOOLS_LIST).then(|| self.stateless.usable(relay, result));
                return Ok(EmulatedAnswer::Result(
                    downgrade::result(usable.as_deref().unwrap_or(result).get()).into_owned(),
                ));
            }
            let asked = object.get_object("inputRequests").unwrap_or_default();
            let mut again = RawObject::from_raw(&params).unwrap_or_default();
            let responses;
            if asked.is_empty() {
                tokio::time::sleep(PACE).await;
            } else {
                match self.open_questions.ask(&asked, &relay.output).await {
                    Ok(answers) => {
                        responses = answers;
                        again.set("inputResponses", &responses);
                    }
                    Err(why) => return Ok(EmulatedAnswer::without_input(of, &why)),
                }
            }
            match object.get("requestState") {
                Some(state) => again.set("requestState", state),
                None => drop(again.remove("requestState")),
            }
            params = again.to_raw();
        }
        Ok(EmulatedAnswer::without_input(of, "the server asks again and again"))
    }

    /// The id of a request that is not the client's own.
    pub(super) fn next_id(&self) -> RequestId {
        self.last_id.set(self.last_id.get() + 1);
        RequestId::from_raw(&json_string(&format!("mcproxy-connect-{}", self.last_id.get()))).expect("a short string")
    }

    /// Params in the name of the client.
    pub(super) fn stamp(&self, params: &RawValue) -> Box<RawValue> {
        self.claim.borrow().stamp(Some(params))
    }

    /// The part that knows the headers of its requests.
    pub(super) fn stateless(&self) -> &Stateless {
        &self.stateless
    }
}

/// The answer to the client.
enum EmulatedAnswer {
    Result(String),
    Error(String),
}

impl EmulatedAnswer {
    /// An error of the server, in terms that the client knows.
    fn failed(of: &str, error: &str) -> Self {
        match downgrade::error(of, error) {
            Downgraded::Error(error) => Self::Error(error.into_owned()),
            Downgraded::Result(result) => Self::Result(result),
        }
    }

    /// The server did not get what it needs.
    fn without_input(of: &str, why: &str) -> Self {
        let why = format!("the server needs something of the client and did not get it: {why}");
        if of == method::TOOLS_CALL {
            let text = json_string(&why);
            let content = format!("[{{\"type\":\"text\",\"text\":{}}}]", text.get());
            return Self::Result(format!("{{\"content\":{content},\"isError\":true}}"));
        }
        Self::Error(ErrorObject::new(ErrorCode::INTERNAL_ERROR, why).to_raw().get().to_owned())
    }

    fn under(&self, id: &RequestId) -> String {
        match self {
            Self::Result(result) => response(id, result),
            Self::Error(error) => error_response(id, error),
        }
    }
}

/// The result of `initialize` for a server that described itself in `server/discover`.
fn introduction(version: ProtocolVersion, discovery: &RawObject<'_>) -> String {
    let info = discovery.get_object("_meta").and_then(|meta| meta.get(meta::SERVER_INFO)).map(ToOwned::to_owned);
    let info = info.unwrap_or_else(|| {
        RawValue::from_string(r#"{"name":"unknown","version":"0"}"#.to_owned()).expect("two strings are JSON")
    });
    let (version, none) = (json_string(version.as_str()), empty());
    let mut result = RawObject::default();
    result.set("protocolVersion", &version);
    result.set("capabilities", discovery.get("capabilities").unwrap_or(&none));
    result.set("serverInfo", &info);
    if let Some(instructions) = discovery.get("instructions") {
        result.set("instructions", instructions);
    }
    result.to_raw().get().to_owned()
}

fn response(id: &RequestId, result: &str) -> String {
    let mut message = Vec::new();
    write_response(&mut message, id, result);
    String::from_utf8_lossy(&message).into_owned()
}

fn error_response(id: &RequestId, error: &str) -> String {
    let mut message = Vec::new();
    write_error_response(&mut message, Some(id), error);
    String::from_utf8_lossy(&message).into_owned()
}
