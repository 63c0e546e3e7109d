use std::borrow::Cow;

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RequestId, write_error_response, write_response};

/// What a request comes to: the text of a `result`, or of an `error`.
pub(crate) enum Reply {
    /// `result`
    Result(Bytes),
    /// `error`
    Error(Bytes),
}

impl Reply {
    /// How many bytes of JSON it is.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Result(text) | Self::Error(text) => text.len(),
        }
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        let Self::Error(text) = self else { return None };
        RawObject::from_slice(text).ok()?.get("code")?.get().parse().ok().map(ErrorCode)
    }

    /// A whole JSON-RPC response.
    pub(crate) fn to_response(&self, id: &RequestId) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::Result(text) => write_response(&mut out, id, &readable(text)),
            Self::Error(text) => write_error_response(&mut out, Some(id), &readable(text)),
        }
        out.into()
    }
}

/// The text, which is UTF-8 unless a server is broken. Looks at many bytes at once, as `from_utf8_lossy` does not.
fn readable(text: &Bytes) -> Cow<'_, str> {
    std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed)
}

impl From<ErrorObject> for Reply {
    fn from(error: ErrorObject) -> Self {
        Self::Error(Bytes::from(error.to_raw().get().to_owned()))
    }
}

impl From<&'static str> for Reply {
    fn from(result: &'static str) -> Self {
        Self::Result(Bytes::from_static(result.as_bytes()))
    }
}
