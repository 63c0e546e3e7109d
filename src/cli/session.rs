use std::time::Duration;

use mcproxy_mcp::{
    ErrorCode, LATEST, Message, Outcome, RawArray, RawObject, RawValue, RequestId, error_object, method, parse,
    write_error_response, write_notification, write_request, write_response,
};
use tokio::time::timeout;

use super::{
    conversation::Conversation,
    endpoint::{Endpoint, EndpointError, Reply, SessionKey},
    error::CliError,
};

const INITIALIZE_TIMEOUT: Duration = Duration::from_secs(30);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A list may wait for servers in their first start (`listWait`), but not for ever.
const LIST_TIMEOUT: Duration = Duration::from_secs(300);
/// A server that hands out cursors without end is stopped here.
const MAX_PAGES: usize = 1000;

/// An MCP session of our own: what `tools` and `call` speak through. It announces no capabilities.
pub(crate) struct Session {
    endpoint: Endpoint,
    key: SessionKey,
    next_id: u64,
}

impl Session {
    /// Shakes hands.
    pub(crate) async fn open(endpoint: Endpoint) -> Result<Self, CliError> {
        let mut session = Self { endpoint, key: SessionKey::default(), next_id: 1 };
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
        session.key.version = Some(version.into_owned());
        let mut body = Vec::new();
        write_notification(&mut body, method::INITIALIZED, "");
        session.endpoint.post(&session.key, body).await?;
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
        let mut body = Vec::new();
        write_request(&mut body, &id, method, params);
        let Reply::Messages(stream) = self.endpoint.post(&self.key, body).await? else {
            return Err(EndpointError::NoAnswer.into());
        };
        let mut conversation = Conversation::new(self.endpoint.clone(), self.key.clone(), *stream);
        if method == method::INITIALIZE {
            self.key.id = conversation.session().map(str::to_owned);
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
                Message::Request { id, method, .. } => self.refuse(&id, &method).await?,
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
            all.extend(elements.0.into_iter().map(ToOwned::to_owned));
            match page.get("nextCursor") {
                Some(cursor) if cursor.get() != "null" => params = format!("{{\"cursor\":{}}}", cursor.get()),
                _ => return Ok(all),
            }
        }
        Err(wrong(method, "pages without end"))
    }

    /// Tells the server that nobody waits for the last request any more.
    pub(crate) async fn cancel_last(&self, endpoint_reason: &str) {
        let params = serde_json::json!({"requestId": self.next_id - 1, "reason": endpoint_reason}).to_string();
        let mut body = Vec::new();
        write_notification(&mut body, method::CANCELLED, &params);
        let _ = timeout(CLOSE_TIMEOUT, self.endpoint.post(&self.key, body)).await;
    }

    /// Says good-bye. The server forgets an idle session anyway, so nothing depends on it.
    pub(crate) async fn close(self) {
        if self.key.id.is_some() {
            let _ = timeout(CLOSE_TIMEOUT, self.endpoint.delete(&self.key)).await;
        }
    }

    /// Answers a request of the server: a ping, or something that we never said we can do.
    async fn refuse(&self, id: &RequestId, method: &str) -> Result<(), CliError> {
        let mut body = Vec::new();
        if method == method::PING {
            write_response(&mut body, id, "{}");
        } else {
            let error = error_object(ErrorCode::METHOD_NOT_FOUND, "the command line cannot answer that");
            write_error_response(&mut body, Some(id), error.get());
        }
        self.endpoint.post(&self.key, body).await?;
        Ok(())
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
