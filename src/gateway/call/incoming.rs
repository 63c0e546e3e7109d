//! A client's message, taken out of the body that it came in, and the params of a request.

use std::borrow::Cow;

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, ErrorObject, Message, Outcome, RawObject, RawValue, RequestId, meta};

use super::client_headers::ClientHeaders;
use crate::gateway::sessions::client_requests::Response;

/// A client's request that outlives the buffer it came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// As the client wrote it.
    pub(crate) id: RequestId,
    /// The MCP method.
    pub(crate) method: String,
    /// The text of the `params` object; empty when there is none.
    pub(crate) params: Bytes,
    /// What servers may be told of the headers that it came with.
    pub(crate) headers: ClientHeaders,
}

/// A message of a client.
#[derive(Debug, Clone)]
pub(crate) enum Incoming {
    /// A request.
    Request(Request),
    /// A notification.
    Notification {
        /// Its method.
        method: String,
        /// As in [`Request`].
        params: Bytes,
    },
    /// The response to a request of the gateway.
    Response {
        /// The id that the gateway gave.
        id: RequestId,
        /// Its content.
        response: Response,
    },
}

impl Incoming {
    /// Takes a parsed message over, sharing the body it was parsed from.
    pub(crate) fn of(message: Message<'_>, body: &Bytes) -> Self {
        let share =
            |params: Option<&RawValue>| params.map_or_else(Bytes::new, |raw| body.slice_ref(raw.get().as_bytes()));
        match message {
            Message::Request { id, method, params } => {
                let headers = ClientHeaders::default();
                Self::Request(Request { id, method: method.into_owned(), params: share(params), headers })
            }
            Message::Notification { method, params } => {
                Self::Notification { method: method.into_owned(), params: share(params) }
            }
            Message::Response { id, outcome } => {
                let response = match outcome {
                    Outcome::Result(raw) => Response::Result(share(Some(raw))),
                    Outcome::Error(raw) => Response::Error(share(Some(raw))),
                };
                Self::Response { id, response }
            }
        }
    }
}

impl Request {
    /// The same with headers that it came with.
    pub(crate) fn with_headers(self, headers: ClientHeaders) -> Self {
        Self { headers, ..self }
    }
}

/// The params of a request, read once: all that works on the request uses this.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params<'a> {
    /// The members but `_meta`.
    pub(crate) members: RawObject<'a>,
    /// The `_meta`, if it is an object.
    pub(crate) meta: Option<RawObject<'a>>,
}

impl<'a> Params<'a> {
    /// Reads the text of the params shallowly; absent ones are an empty object.
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, ErrorObject> {
        let mut members = read_members(text)?;
        let meta = members.remove("_meta").and_then(|raw| RawObject::from_raw(raw).ok());
        Ok(Self { members, meta })
    }

    /// Params that the gateway writes itself.
    pub(crate) fn of(members: RawObject<'a>) -> Self {
        Self { members, meta: None }
    }

    /// A member that must be a string.
    pub(crate) fn required(&self, key: &str) -> Result<Cow<'a, str>, ErrorObject> {
        self.members
            .get_string(key)
            .ok_or_else(|| ErrorObject::new(ErrorCode::INVALID_PARAMS, format_args!("`params.{key}` must be a string")))
    }

    /// Replaces members of the `_meta`.
    pub(crate) fn set_meta(&mut self, members: &'a [(&'static str, Box<RawValue>)]) {
        if let Some(meta) = &mut self.meta {
            members.iter().for_each(|(key, value)| meta.set(key, value));
        }
    }

    /// The token under which the client wants to hear of progress: a string or a number (MCP, progress).
    pub(crate) fn progress_token(&self) -> Option<&'a RawValue> {
        let is_token =
            |token: &&RawValue| token.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
        self.meta.as_ref()?.get(meta::PROGRESS_TOKEN).filter(is_token)
    }
}

/// Reads the text of params as one object.
pub(crate) fn read_members(params: &[u8]) -> Result<RawObject<'_>, ErrorObject> {
    if params.is_empty() {
        return Ok(RawObject::default());
    }
    RawObject::from_slice(params)
        .map_err(|e| ErrorObject::new(ErrorCode::INVALID_PARAMS, format_args!("cannot read `params`: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meta_of_a_request_is_read_apart_and_one_that_is_no_object_is_none() {
        let text = br#"{"name":"x","_meta":{"progressToken":7,"a":1},"n":1.50}"#;
        let params = Params::read(text).expect("an object");
        assert_eq!(params.members.to_raw().get(), r#"{"name":"x","n":1.50}"#);
        assert_eq!(params.progress_token().map(RawValue::get), Some("7"));
        for (meta, token) in [
            ("3", None),
            ("null", None),
            (r#"{"progressToken":{}}"#, None),
            (r#"{"progressToken":"t"}"#, Some("\"t\"")),
        ] {
            let text = format!(r#"{{"_meta":{meta}}}"#);
            let params = Params::read(text.as_bytes()).expect("an object");
            assert!(params.members.is_empty(), "{meta}");
            assert_eq!(params.progress_token().map(RawValue::get), token, "{meta}");
        }
        assert!(Params::read(b"").expect("none are an empty object").meta.is_none());
        assert!(Params::read(b"[]").is_err() && Params::read(br#"{"a":1,"a":2}"#).is_err());
    }
}
