//! What a client sends, taken out of the body that it came in.

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, ErrorObject, Message, Outcome, RawObject, RequestId};

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
        /// What it says.
        response: Response,
    },
}

impl Incoming {
    /// Takes a parsed message over, sharing the body it was parsed from.
    pub(crate) fn of(message: Message<'_>, body: &Bytes) -> Self {
        let share = |params: Option<&mcproxy_mcp::RawValue>| {
            params.map_or_else(Bytes::new, |raw| body.slice_ref(raw.get().as_bytes()))
        };
        match message {
            Message::Request { id, method, params } => {
                Self::Request(Request { id, method: method.into_owned(), params: share(params) })
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

/// Reads `params` shallowly; absent ones are an empty object.
pub(crate) fn read_params(params: &[u8]) -> Result<RawObject<'_>, ErrorObject> {
    if params.is_empty() {
        return Ok(RawObject::default());
    }
    RawObject::from_slice(params)
        .map_err(|e| ErrorObject::new(ErrorCode::INVALID_PARAMS, format_args!("cannot read `params`: {e}")))
}

/// A string among the params that must be there.
pub(crate) fn required<'a>(params: &RawObject<'a>, key: &str) -> Result<std::borrow::Cow<'a, str>, ErrorObject> {
    params
        .get_string(key)
        .ok_or_else(|| ErrorObject::new(ErrorCode::INVALID_PARAMS, format_args!("`params.{key}` must be a string")))
}
