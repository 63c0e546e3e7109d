//! What comes of a request, and the JSON-RPC response around it.

use std::borrow::Cow;

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RequestId, write_error_response, write_response};

use super::pieces::Pieces;

/// A result of more bytes than this is not copied into its response.
const COPIED: usize = 16 * 1024;

/// What a request comes to: the text of a `result`, or of an `error`.
pub(crate) enum Reply {
    /// `result`
    Result(Bytes),
    /// A `result` that is a page of a list: what is put before it (an object's beginning, or nothing), and the page or its rest,
    /// which all who ask share.
    Page(Bytes, Bytes),
    /// `error`
    Error(Bytes),
}

impl Reply {
    /// How many bytes of JSON it is.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Result(text) | Self::Error(text) => text.len(),
            Self::Page(before, page) => before.len() + page.len(),
        }
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        let Self::Error(text) = self else { return None };
        RawObject::from_slice(text).ok()?.get("code")?.get().parse().ok().map(ErrorCode)
    }

    /// A whole JSON-RPC response.
    pub(crate) fn into_response(self, id: &RequestId) -> Pieces {
        let mut out = Vec::new();
        match self {
            Self::Result(text) if text.len() > COPIED && std::str::from_utf8(&text).is_ok() => {
                begin_result(&mut out, id);
                return Pieces::around(out, text, b"}");
            }
            Self::Result(text) => write_response(&mut out, id, &readable(&text)),
            Self::Page(before, page) => {
                begin_result(&mut out, id);
                out.extend_from_slice(&before);
                if page.len() > COPIED {
                    return Pieces::around_shared(out, page, b"}");
                }
                out.extend_from_slice(&page);
                out.push(b'}');
            }
            Self::Error(text) => write_error_response(&mut out, Some(id), &readable(&text)),
        }
        out.into()
    }
}

/// What comes before a `result`.
pub(crate) fn begin_result(out: &mut Vec<u8>, id: &RequestId) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_json().as_bytes());
    out.extend_from_slice(br#","result":"#);
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
