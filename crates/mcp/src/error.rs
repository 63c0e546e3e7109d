//! Error codes and error objects.

use std::fmt::Display;

use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// A JSON-RPC error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ErrorCode(pub i64);

impl ErrorCode {
    /// The body is not JSON (JSON-RPC 2.0 §5.1).
    pub const PARSE_ERROR: Self = Self(-32700);
    /// The body is no JSON-RPC message.
    pub const INVALID_REQUEST: Self = Self(-32600);
    /// There is no such method.
    pub const METHOD_NOT_FOUND: Self = Self(-32601);
    /// The method's parameters are wrong; also an unknown tool or prompt.
    pub const INVALID_PARAMS: Self = Self(-32602);
    /// Our own failure.
    pub const INTERNAL_ERROR: Self = Self(-32603);
    /// No such resource (MCP up to 2025-11-25, server/resources).
    pub const RESOURCE_NOT_FOUND: Self = Self(-32002);
    /// The HTTP headers do not say what the body says (2026-07-28, transports).
    pub const HEADER_MISMATCH: Self = Self(-32020);
    /// The server needs something that the client did not declare (2026-07-28).
    pub const MISSING_CLIENT_CAPABILITY: Self = Self(-32021);
    /// The user has to visit pages before the call can be made (MCP 2025-11-25, elicitation).
    pub const URL_ELICITATION_REQUIRED: Self = Self(-32042);
    /// The request is made in a version that is not spoken (2026-07-28, versioning).
    pub const UNSUPPORTED_VERSION: Self = Self(-32022);
    /// Ours: a call took longer than its timeout. The server was told to cancel it.
    pub const TIMEOUT: Self = Self(31001);
    /// Ours: the server is not there. The call was not sent.
    pub const SERVER_UNAVAILABLE: Self = Self(31002);
    /// Ours: the server ended during the call. It is never sent again by us.
    pub const SERVER_ENDED: Self = Self(31003);
}

/// A JSON-RPC error that we make ourselves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorObject {
    /// Which kind.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// For programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl ErrorObject {
    /// An error without data.
    pub fn new(code: ErrorCode, message: impl Display) -> Self {
        Self { code, message: message.to_string(), data: None }
    }

    /// An error about a server: 31001 … 31003 carry its name and a reason in `data`.
    pub fn about_server(code: ErrorCode, message: impl Display, server: &str, reason: &str) -> Self {
        let data = serde_json::json!({"server": server, "reason": reason});
        Self { code, message: message.to_string(), data: Some(data) }
    }

    /// The same error with one more fact in `data`.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(map) = self.data.get_or_insert_with(|| Value::Object(serde_json::Map::new())) {
            map.insert(key.to_owned(), value.into());
        }
        self
    }

    /// As JSON.
    pub fn to_raw(&self) -> Box<RawValue> {
        serde_json::value::to_raw_value(self).expect("numbers, strings and values are JSON")
    }
}

/// An error object as JSON, for one-liners.
pub fn error_object(code: ErrorCode, message: impl Display) -> Box<RawValue> {
    ErrorObject::new(code, message).to_raw()
}
