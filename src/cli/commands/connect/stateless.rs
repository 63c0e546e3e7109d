//! Requests of 2026-07-28: each is carried for itself, without a session, and says in headers what it is.

use std::cell::RefCell;

use mcproxy_mcp::{
    Message, Mirror, Outcome, RawObject, RawValue, RequestId, json_string, meta, method, parse, without, write_request,
    write_response,
};

use super::relay::{MessageKind, Relay};
use crate::cli::{
    endpoint::{EndpointError, HttpReply, MessageStream},
    modern::is_mismatch,
};

/// Most pages of tools that are read to find out what calls have to repeat.
const MAX_PAGES: usize = 100;

/// State between one request and the next.
#[derive(Debug, Default)]
pub(super) struct Stateless(RefCell<Mirror>);

/// Whether a request is of this revision: it says so, or asks who speaks it.
pub(super) fn is_stateless(request: &str, params: Option<&RawValue>) -> bool {
    let claims = || {
        let params = RawObject::from_raw(params?).ok()?;
        params.get_object("_meta")?.get(meta::PROTOCOL_VERSION).map(|_| ())
    };
    request == method::DISCOVER || claims().is_some()
}

impl Stateless {
    /// Sends a request and passes on all that comes back, its answer last. Dropping it closes the connection, which gives
    /// the request up.
    pub(super) async fn request(&self, relay: &Relay, id: &RequestId, text: &[u8]) {
        if let Err(error) = self.try_request(relay, id, text).await {
            relay.fail(id, &error).await;
        }
    }

    async fn try_request(&self, relay: &Relay, id: &RequestId, text: &[u8]) -> Result<(), EndpointError> {
        let Ok(Message::Request { method, params, .. }) = parse(text) else { return Ok(()) };
        let params = params.and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
        let answer = self.exchange(relay, id, &method, &params, text).await?;
        match parse(answer.as_bytes()) {
            Ok(Message::Response { outcome: Outcome::Result(result), .. }) if method == method::TOOLS_LIST => {
                let mut message = Vec::new();
                write_response(&mut message, id, self.usable(relay, result).get());
                relay.output.line(&String::from_utf8_lossy(&message)).await;
            }
            _ => relay.output.line(&answer).await,
        }
        Ok(())
    }

    /// Sends a request and passes on what comes back before its answer, which is returned.
    pub(super) async fn exchange(
        &self,
        relay: &Relay,
        id: &RequestId,
        method: &str,
        params: &RawObject<'_>,
        text: &[u8],
    ) -> Result<String, EndpointError> {
        let mut stream = match self.post(relay, method, params, text).await {
            // It was not accepted. The tool may repeat arguments that we do not know of (transports, client behavior).
            Err(error) if method == method::TOOLS_CALL && is_mismatch(&error) => {
                self.look_again(relay, params).await?;
                self.post(relay, method, params, text).await?
            }
            other => other?,
        };
        while let Some(message) = stream.next().await? {
            match MessageKind::of(&message, id) {
                MessageKind::EmulatedAnswer => return Ok(message),
                MessageKind::Other => relay.output.line(&message).await,
                MessageKind::Foreign => {}
            }
        }
        Err(EndpointError::NoAnswer)
    }

    /// The result of a `tools/list` without the tools that cannot be called over HTTP; notes what calls of the others
    /// have to repeat.
    pub(super) fn usable(&self, relay: &Relay, result: &RawValue) -> Box<RawValue> {
        let bad = self.0.borrow_mut().learn(result).bad;
        if bad.is_empty() {
            return result.to_owned();
        }
        bad.iter().for_each(|bad| relay.remark(&format!("left out: {bad}")));
        without(result, &bad)
    }

    /// Sends a request with the headers that it needs.
    pub(super) async fn post(
        &self,
        relay: &Relay,
        method: &str,
        params: &RawObject<'_>,
        text: &[u8],
    ) -> Result<MessageStream, EndpointError> {
        let headers = self.0.borrow().headers(method, params);
        match relay.with_retries(async || relay.endpoint.post_with(&headers, text.to_vec()).await).await? {
            HttpReply::Messages(stream) => Ok(*stream),
            HttpReply::Accepted => Err(EndpointError::NoAnswer),
        }
    }

    /// Lists the tools in the name of this request, for what their calls repeat.
    async fn look_again(&self, relay: &Relay, params: &RawObject<'_>) -> Result<(), EndpointError> {
        let id = RequestId::from_raw(&json_string("mcproxy-connect-tools")).expect("a short string");
        let meta = params.get_object("_meta").map(|mut meta| {
            meta.remove("progressToken");
            meta.to_raw()
        });
        let mut cursor: Option<Box<RawValue>> = None;
        for _ in 0..MAX_PAGES {
            let mut list = RawObject::default();
            if let Some(meta) = &meta {
                list.set("_meta", meta);
            }
            if let Some(cursor) = &cursor {
                list.set("cursor", cursor);
            }
            let mut text = Vec::new();
            write_request(&mut text, &id, method::TOOLS_LIST, list.to_raw().get());
            let mut stream = self.post(relay, method::TOOLS_LIST, &list, &text).await?;
            let answer = loop {
                let message = stream.next().await?.ok_or(EndpointError::NoAnswer)?;
                if MessageKind::of(&message, &id) == MessageKind::EmulatedAnswer {
                    break message;
                }
            };
            cursor = self.learn(&answer);
            if cursor.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn learn(&self, answer: &str) -> Option<Box<RawValue>> {
        match parse(answer.as_bytes()) {
            Ok(Message::Response { outcome: Outcome::Result(result), .. }) => self.0.borrow_mut().learn(result).next,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_of_this_revision_when_it_says_so_or_asks_for_it() {
        let is = |method: &str, params: &str| {
            is_stateless(method, Some(&RawValue::from_string(params.to_owned()).expect("JSON")))
        };
        assert!(is("tools/list", r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"1900-01-01"}}"#));
        assert!(is_stateless(method::DISCOVER, None));
        assert!(!is("tools/list", r#"{"_meta":{"progressToken":1}}"#) && !is("tools/list", "[]"));
        assert!(!is_stateless("tools/list", None));
    }
}
