//! An MCP client of the legacy era: a session, and requests within it.

use std::time::Duration;

use mcproxy_mcp::{
    BadTool, ErrorCode, LATEST, Message, Mirror, Outcome, RawArray, RawObject, RawValue, RequestId, error_object,
    is_among, method, parse, write_error_response, write_notification, write_request, write_response,
};
use tokio::time::timeout;

use super::{
    conversation::Conversation,
    endpoint::{Endpoint, EndpointError, HttpReply, SessionHeaders},
    error::CliError,
    modern::{self, ClientMeta, ResultKind, code_of, may_be_modern},
};

const INITIALIZE_TIMEOUT: Duration = Duration::from_secs(30);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A list may wait for servers in their first start (`listWait`), but not for ever.
const LIST_TIMEOUT: Duration = Duration::from_secs(300);
/// A server that hands out cursors without end is stopped here.
const MAX_PAGES: usize = 1000;

/// A server that has a request made again and again only to gain time is stopped here.
const MAX_ROUNDS: usize = 1000;
/// Wait before that.
const PACE: Duration = Duration::from_secs(1);

/// The connection of `tools` and `call`: an MCP session, or requests of 2026-07-28 where the other side speaks nothing
/// else. It announces no capabilities.
pub(crate) struct Session {
    endpoint: Endpoint,
    dialect: Dialect,
    next_id: u64,
}

/// Which era the other side speaks.
enum Dialect {
    /// A session that `initialize` opened.
    Legacy(SessionHeaders),
    /// No session.
    Modern(Box<Modern>),
}

/// State between one request of 2026-07-28 and the next.
struct Modern {
    claim: ClientMeta,
    mirror: Mirror,
    bad: Vec<BadTool>,
}

impl Session {
    /// Shakes hands. The legacy era is tried first, because every gateway and nearly every server speaks it; one that
    /// refuses it is asked whether it speaks 2026-07-28 (docs/decisions/0103).
    pub(crate) async fn open(endpoint: Endpoint) -> Result<Self, CliError> {
        let refusal = match Self::initialize(endpoint.clone()).await {
            Ok(session) => return Ok(session),
            Err(refusal) => refusal,
        };
        let is_open = match &refusal {
            CliError::Endpoint(refusal) => may_be_modern(refusal),
            CliError::Rpc { .. } | CliError::Answer { .. } => true,
            _ => false,
        };
        if !is_open {
            return Err(refusal);
        }
        let claim = ClientMeta::own();
        match timeout(INITIALIZE_TIMEOUT, modern::discover(&endpoint, &claim)).await {
            Ok(Some(_)) => {
                let modern = Modern { claim, mirror: Mirror::default(), bad: Vec::new() };
                Ok(Self { endpoint, dialect: Dialect::Modern(Box::new(modern)), next_id: 1 })
            }
            _ => Err(refusal),
        }
    }

    async fn initialize(endpoint: Endpoint) -> Result<Self, CliError> {
        let mut session = Self { endpoint, dialect: Dialect::Legacy(SessionHeaders::default()), next_id: 1 };
        let params = serde_json::json!({
            "protocolVersion": LATEST.as_str(),
            "capabilities": {},
            "clientInfo": {"name": "mcproxy-cli", "version": env!("CARGO_PKG_VERSION")},
        })
        .to_string();
        let mut ignore = |_: &str, _: Option<&RawValue>| {};
        let shake = session.request(method::INITIALIZE, &params, &mut ignore);
        let result = timeout(INITIALIZE_TIMEOUT, shake).await.map_err(|_| late(method::INITIALIZE))??;
        let object = RawObject::from_raw(&result).map_err(|e| wrong(method::INITIALIZE, e))?;
        let version = object.get_string("protocolVersion");
        let version = version.ok_or_else(|| wrong(method::INITIALIZE, "no protocolVersion"))?;
        let version = version.into_owned();
        if let Dialect::Legacy(key) = &mut session.dialect {
            key.version = Some(version);
            let mut body = Vec::new();
            write_notification(&mut body, method::INITIALIZED, "");
            session.endpoint.post(key, body).await?;
        }
        Ok(session)
    }

    /// Asks and waits for the result. `notified` sees the notifications that arrive meanwhile.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        params: &str,
        notified: &mut dyn FnMut(&str, Option<&RawValue>),
    ) -> Result<Box<RawValue>, CliError> {
        let id = RequestId::from(self.next_id);
        self.next_id += 1;
        let key = match &mut self.dialect {
            Dialect::Legacy(key) => key,
            Dialect::Modern(modern) => {
                return modern.request(&self.endpoint, &mut self.next_id, method, params, notified).await;
            }
        };
        let mut body = Vec::new();
        write_request(&mut body, &id, method, params);
        let HttpReply::Messages(stream) = self.endpoint.post(key, body).await? else {
            return Err(EndpointError::NoAnswer.into());
        };
        let mut conversation = Conversation::new(self.endpoint.clone(), key.clone(), *stream);
        if method == method::INITIALIZE {
            key.id = conversation.session().map(str::to_owned);
        }
        loop {
            let text = conversation.next().await?;
            match parse(text.as_bytes()).map_err(|e| wrong(method, e))? {
                Message::Response { id: answered, outcome } if answered == id => {
                    return match outcome {
                        Outcome::Result(result) => Ok(result.to_owned()),
                        Outcome::Error(error) => Err(rpc_error(method, error)),
                    };
                }
                Message::Response { .. } => {}
                Message::Notification { method, params } => notified(&method, params),
                Message::Request { id, method, .. } => refuse(&self.endpoint, key, &id, &method).await?,
            }
        }
    }

    /// All elements of a paged list, as the server sent them.
    pub(crate) async fn list(&mut self, method: &str, member: &str) -> Result<Vec<Box<RawValue>>, CliError> {
        timeout(LIST_TIMEOUT, self.list_pages(method, member)).await.map_err(|_| late(method))?
    }

    async fn list_pages(&mut self, method: &str, member: &str) -> Result<Vec<Box<RawValue>>, CliError> {
        let mut all = Vec::new();
        let mut params = String::from("{}");
        for _ in 0..MAX_PAGES {
            let page = self.request(method, &params, &mut |_, _| {}).await?;
            let page = RawObject::from_raw(&page).map_err(|e| wrong(method, e))?;
            let elements = page.get(member).ok_or_else(|| wrong(method, format!("no `{member}`")))?;
            let elements = RawArray::from_raw(elements).map_err(|e| wrong(method, e))?;
            let usable = elements.0.into_iter().filter(|element| !self.is_bad(element));
            all.extend(usable.map(ToOwned::to_owned));
            match page.get("nextCursor") {
                Some(cursor) if cursor.get() != "null" => params = format!("{{\"cursor\":{}}}", cursor.get()),
                _ => return Ok(all),
            }
        }
        Err(wrong(method, "pages without end"))
    }

    /// The tools that were left out of what [`Self::list`] gave.
    pub(crate) fn left_out(&self) -> &[BadTool] {
        match &self.dialect {
            Dialect::Legacy(_) => &[],
            Dialect::Modern(modern) => &modern.bad,
        }
    }

    fn is_bad(&self, tool: &RawValue) -> bool {
        is_among(tool, self.left_out())
    }

    /// Gets to know a tool before it is called: calls of 2026-07-28 repeat in headers what its schema says. A tool that
    /// asks for impossible ones must not be called.
    pub(crate) async fn look_up(&mut self, tool: &str) -> Result<(), CliError> {
        if matches!(self.dialect, Dialect::Legacy(_)) {
            return Ok(());
        }
        self.list(method::TOOLS_LIST, "tools").await?;
        match self.left_out().iter().find(|bad| bad.name == tool) {
            Some(bad) => Err(CliError::Refused(bad.to_string())),
            None => Ok(()),
        }
    }

    /// Tells the server that the last request is given up. One without a session knows it from the
    /// connection, which is closed.
    pub(crate) async fn cancel_last(&self, endpoint_reason: &str) {
        let Dialect::Legacy(key) = &self.dialect else { return };
        let params = serde_json::json!({"requestId": self.next_id - 1, "reason": endpoint_reason}).to_string();
        let mut body = Vec::new();
        write_notification(&mut body, method::CANCELLED, &params);
        let _ = timeout(CLOSE_TIMEOUT, self.endpoint.post(key, body)).await;
    }

    /// Says good-bye. The server forgets an idle session anyway, so nothing depends on it.
    pub(crate) async fn close(self) {
        if let Dialect::Legacy(key) = &self.dialect
            && key.id.is_some()
        {
            let _ = timeout(CLOSE_TIMEOUT, self.endpoint.delete(key)).await;
        }
    }
}

/// Answers a request of the server: a ping, or something that we never said we can do.
async fn refuse(endpoint: &Endpoint, key: &SessionHeaders, id: &RequestId, method: &str) -> Result<(), CliError> {
    let mut body = Vec::new();
    if method == method::PING {
        write_response(&mut body, id, "{}");
    } else {
        let error = error_object(ErrorCode::METHOD_NOT_FOUND, "the command line cannot answer that");
        write_error_response(&mut body, Some(id), error.get());
    }
    endpoint.post(key, body).await?;
    Ok(())
}

impl Modern {
    async fn request(
        &mut self,
        endpoint: &Endpoint,
        next_id: &mut u64,
        method: &str,
        params: &str,
        notified: &mut dyn FnMut(&str, Option<&RawValue>),
    ) -> Result<Box<RawValue>, CliError> {
        let mut params = RawValue::from_string(params.to_owned()).map_err(|e| wrong(method, e))?;
        for _ in 0..MAX_ROUNDS {
            let id = RequestId::from(*next_id);
            *next_id += 1;
            let stamped = self.claim.stamp(Some(&params));
            let mut stream = match modern::post(endpoint, &self.mirror, &id, method, &stamped).await {
                Ok(stream) => stream,
                Err(error) => return Err(own_words(method, error)),
            };
            let result = loop {
                let text = stream.next().await?.ok_or(EndpointError::NoAnswer)?;
                match parse(text.as_bytes()).map_err(|e| wrong(method, e))? {
                    Message::Response { id: answered, outcome } if answered == id => match outcome {
                        Outcome::Result(result) => break result.to_owned(),
                        Outcome::Error(error) => return Err(rpc_error(method, error)),
                    },
                    Message::Notification { method, params } => notified(&method, params),
                    Message::Response { .. } | Message::Request { .. } => {}
                }
            };
            let object = RawObject::from_raw(&result).map_err(|e| wrong(method, e))?;
            match ResultKind::of(&object) {
                ResultKind::Complete => {
                    if method == method::TOOLS_LIST {
                        let bad = self.mirror.learn(&result).bad;
                        self.bad.extend(bad.into_iter().filter(|bad| !self.bad.contains(bad)).collect::<Vec<_>>());
                    }
                    return Ok(result);
                }
                ResultKind::InputRequired => params = again(method, &params, &object)?,
                ResultKind::Other(kind) => return Err(wrong(method, format!("the result is of type `{kind}`"))),
            }
            tokio::time::sleep(PACE).await;
        }
        Err(wrong(method, "it never ends"))
    }
}

/// The params of a request that is to be made once more.
fn again(method: &str, params: &RawValue, result: &RawObject<'_>) -> Result<Box<RawValue>, CliError> {
    let asked = result.get_object("inputRequests").unwrap_or_default();
    if let Some((_, request)) = asked.iter().next() {
        let what = RawObject::from_raw(request).ok().and_then(|r| r.get_string("method").map(|m| m.into_owned()));
        let what = super::human::one_line(&what.unwrap_or_default());
        return Err(CliError::Refused(format!("the server asks for `{what}`, which the command line cannot answer")));
    }
    let mut params = RawObject::from_raw(params).unwrap_or_default();
    let state = result.get("requestState").ok_or_else(|| wrong(method, "it requires no input that it names"))?;
    params.set("requestState", state);
    Ok(params.to_raw())
}

/// The JSON-RPC error that an HTTP error carries, else that one.
fn own_words(method: &str, error: EndpointError) -> CliError {
    let is_status = matches!(error, EndpointError::Status { .. });
    let body = error.body().filter(|_| is_status).and_then(|body| RawObject::from_text(body).ok());
    match body.as_ref().and_then(|body| body.get("error")).filter(|_| code_of(&error).is_some()) {
        Some(words) => rpc_error(method, words),
        None => error.into(),
    }
}

fn rpc_error(method: &str, error: &RawValue) -> CliError {
    let object = RawObject::from_raw(error).unwrap_or_default();
    CliError::Rpc {
        method: method.to_owned(),
        code: object.get("code").and_then(|c| c.get().parse().ok()).unwrap_or_default(),
        message: object.get_string("message").map(|m| super::human::one_line(&m)).unwrap_or_default(),
        raw: error.get().to_owned(),
    }
}

fn wrong(method: &str, why: impl ToString) -> CliError {
    CliError::Answer { method: method.to_owned(), why: why.to_string() }
}

fn late(method: &str) -> CliError {
    wrong(method, "no answer in time")
}
