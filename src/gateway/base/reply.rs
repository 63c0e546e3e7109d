//! The reply to a request, and the JSON-RPC response around it.

use std::borrow::Cow;

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, ErrorObject, RequestId, write_error_response, write_response};

use super::{error_reason, pieces::Pieces};

/// A result of more bytes than this is not copied into its response.
const COPIED: usize = 16 * 1024;

/// The reply to a request: the text of a `result`, or of an `error`.
pub(crate) enum Reply {
    /// `result`
    Result(Bytes),
    /// A `result` that is a page of a list: what is put before it (an object's beginning, or nothing), and the page or its rest,
    /// which all who ask share.
    Page(Bytes, Bytes),
    /// `error`
    Error(ReplyError),
}

/// An error, of which what is asked more than once is read once.
#[derive(Debug)]
pub(crate) struct ReplyError {
    /// Its code; `None`: it has none that can be read.
    pub(crate) code: Option<ErrorCode>,
    /// Why the call failed, in one word, for counters and the log.
    pub(crate) reason: &'static str,
    /// The whole error object.
    pub(crate) raw: Bytes,
}

impl ReplyError {
    /// Of an error object.
    pub(crate) fn read(raw: Bytes) -> Self {
        let (code, reason) = error_reason::of_error(&raw);
        Self { code, reason, raw }
    }
}

impl Reply {
    /// How many bytes of JSON it is.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Result(text) => text.len(),
            Self::Error(error) => error.raw.len(),
            Self::Page(before, page) => before.len() + page.len(),
        }
    }

    /// The text, where it is one.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        match self {
            Self::Result(text) => Some(text),
            Self::Error(error) => Some(&error.raw),
            Self::Page(..) => None,
        }
    }

    /// The error of a server, or one of ours about it.
    pub(crate) fn error(raw: Bytes) -> Self {
        Self::Error(ReplyError::read(raw))
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Error(error) => error.code,
            Self::Result(_) | Self::Page(..) => None,
        }
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
            Self::Error(error) => write_error_response(&mut out, Some(id), &readable(&error.raw)),
        }
        out.into()
    }
}

/// Writes the members before a `result`.
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
        let raw = Bytes::from(error.to_raw().get().to_owned());
        let said = error.data.as_ref().and_then(|data| data["reason"].as_str());
        Self::Error(ReplyError { code: Some(error.code), reason: error_reason::of(Some(error.code), said), raw })
    }
}

impl From<&'static str> for Reply {
    fn from(result: &'static str) -> Self {
        Self::Result(Bytes::from_static(result.as_bytes()))
    }
}
