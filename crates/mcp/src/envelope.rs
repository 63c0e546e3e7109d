//! The JSON-RPC envelope: requests, notifications and responses, read shallowly.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{ErrorCode, ObjectError, RawObject, RequestId, RequestIdError, meant_u64};

/// One JSON-RPC message, its payload left raw (JSON-RPC 2.0 §4, §5).
#[derive(Debug, Clone)]
pub enum Message<'a> {
    /// Wants an answer.
    Request {
        /// The sender's id.
        id: RequestId,
        /// The method that it asks for.
        method: Cow<'a, str>,
        /// An object, when present.
        params: Option<&'a RawValue>,
    },
    /// Wants none.
    Notification {
        /// The event that it tells of.
        method: Cow<'a, str>,
        /// An object, when present.
        params: Option<&'a RawValue>,
    },
    /// Answers a request of ours.
    Response {
        /// The id that we gave.
        id: RequestId,
        /// Its outcome.
        outcome: Outcome<'a>,
    },
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// The `result`.
    Result(&'a RawValue),
    /// The `error` object.
    Error(&'a RawValue),
}

impl Outcome<'_> {
    /// Whether a client can read it: a result is an object (MCP), an error has an integer code and a message (JSON-RPC
    /// 2.0, 5.1). `Err` says what is wrong.
    pub fn check(self) -> Result<(), String> {
        let raw = match self {
            Self::Result(raw) if raw.get().starts_with('{') => return Ok(()),
            Self::Result(_) => return Err("`result` is not an object".to_owned()),
            Self::Error(raw) => raw,
        };
        let error = RawObject::from_raw(raw).map_err(|e| format!("`error` cannot be read: {e}"))?;
        let message = error.get_string("message");
        let code = error.get("code").map(RawValue::get).unwrap_or_default();
        let digits = code.strip_prefix('-').unwrap_or(code);
        let why = if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            "`error.code` is not an integer"
        } else if code.parse::<i32>().is_err() {
            "`error.code` is not an integer of 32 bits"
        } else if message.is_none() {
            "`error.message` is not a string"
        } else {
            return Ok(());
        };
        let said = message.map(|message| format!("; its message: {message}")).unwrap_or_default();
        Err(format!("{why}{said}"))
    }
}

/// Why bytes are not a JSON-RPC message.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, not UTF-8, or not an object.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// An object, but no message.
    #[error("not a JSON-RPC 2.0 message: {why}")]
    Shape {
        /// The member that is missing or wrong.
        why: String,
        /// The id, when there is a usable one, so that the error can be addressed.
        id: Option<RequestId>,
    },
}

impl EnvelopeError {
    /// The JSON-RPC code for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Object(ObjectError::Json(e)) if e.is_data() => ErrorCode::INVALID_REQUEST,
            Self::Object(_) => ErrorCode::PARSE_ERROR,
            Self::Shape { .. } => ErrorCode::INVALID_REQUEST,
        }
    }

    /// The id to address the error to.
    pub fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Object(_) => None,
            Self::Shape { id, .. } => id.as_ref(),
        }
    }
}

/// Reads one message. An optional byte order mark and white space around it are allowed.
pub fn parse(bytes: &[u8]) -> Result<Message<'_>, EnvelopeError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    classify(&RawObject::from_slice(bytes)?)
}

fn classify<'a>(object: &RawObject<'a>) -> Result<Message<'a>, EnvelopeError> {
    // Some libraries write the id that a notification does not have.
    let is_told = object.get_string("method").is_some_and(|method| method.starts_with("notifications/"));
    let mut id = object.get("id").filter(|id| !(is_told && id.get() == "null")).map(RequestId::from_raw);
    // An answer has the id that we gave, which is never a fraction, whatever its number looks like now.
    if let (None, Some(Err(_)), Some(number)) = (object.get("method"), &id, object.get("id").and_then(meant_u64)) {
        id = Some(Ok(number.into()));
    }
    let shape = |why: String| EnvelopeError::Shape { why, id: id.clone().and_then(Result::ok) };
    if object.get_string("jsonrpc").as_deref() != Some("2.0") {
        return Err(shape("`jsonrpc` is not \"2.0\"".into()));
    }
    let params = match object.get("params") {
        None => None,
        Some(raw) if raw.get().starts_with('{') => Some(raw),
        Some(raw) if raw.get() == "null" => None,
        Some(_) => return Err(shape("`params` is not an object".into())),
    };
    let wrong_id = |e: &RequestIdError| EnvelopeError::Shape { why: e.to_string(), id: None };
    match (object.get("method"), &id) {
        (Some(_), id) => {
            let Some(method) = object.get_string("method") else {
                return Err(shape("`method` is not a string".into()));
            };
            match id {
                None => Ok(Message::Notification { method, params }),
                Some(Ok(id)) => Ok(Message::Request { id: id.clone(), method, params }),
                Some(Err(e)) => Err(wrong_id(e)),
            }
        }
        (None, Some(Ok(id))) => match result_and_error(object) {
            (Some(result), None) => Ok(Message::Response { id: id.clone(), outcome: Outcome::Result(result) }),
            (None, Some(error)) if error.get().starts_with('{') => {
                Ok(Message::Response { id: id.clone(), outcome: Outcome::Error(error) })
            }
            (None, Some(_)) => Err(shape("`error` is not an object".into())),
            (Some(_), Some(_)) => Err(shape("both `result` and `error`".into())),
            (None, None) => Err(shape("neither `method` nor `result` nor `error`".into())),
        },
        (None, Some(Err(e))) => Err(wrong_id(e)),
        (None, None) => Err(shape("neither `method` nor `id`".into())),
    }
}

/// Many peers write the one that they do not have as null.
fn result_and_error<'a>(object: &RawObject<'a>) -> (Option<&'a RawValue>, Option<&'a RawValue>) {
    let is_null = |raw: &&RawValue| raw.get() == "null";
    match (object.get("result"), object.get("error")) {
        (Some(result), error) if error.as_ref().is_some_and(is_null) => (Some(result), None),
        (result, Some(error)) if result.as_ref().is_some_and(is_null) => (None, Some(error)),
        both => both,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn near_messages_are_a_message_or_an_error(
            members in prop::collection::vec(
                prop::sample::select(vec![
                    "\"jsonrpc\":\"2.0\"", "\"id\":1", "\"id\":null", "\"id\":\"x\"", "\"method\":\"ping\"", "\"method\":3",
                    "\"params\":{}", "\"params\":[]", "\"result\":{}", "\"error\":{}", "\"error\":1", "\"x\":[[{}]]",
                ]),
                0..6,
            ),
        ) {
            let _ = parse(format!("{{{}}}", members.join(",")).as_bytes());
        }
    }

    #[test]
    fn the_three_kinds_are_told_apart() {
        assert!(matches!(parse(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), Ok(Message::Request { .. })));
        assert!(matches!(parse(br#"{"jsonrpc":"2.0","method":"x","params":{}}"#), Ok(Message::Notification { .. })));
        assert!(matches!(parse(br#"{"jsonrpc":"2.0","id":"a","result":{}}"#), Ok(Message::Response { .. })));
    }

    #[test]
    fn a_notification_has_no_id_even_where_it_is_written() {
        let told = parse(br#"{"jsonrpc":"2.0","id":null,"method":"notifications/initialized","params":null}"#);
        assert!(matches!(told, Ok(Message::Notification { params: None, .. })), "{told:?}");
    }

    #[test]
    fn an_answer_may_give_our_number_back_as_a_fraction_without_a_remainder() {
        let id = |text: &str| match parse(text.as_bytes()) {
            Ok(Message::Response { id, .. }) => Some(id.as_json().to_owned()),
            _ => None,
        };
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":7.0,"result":{}}"#).as_deref(), Some("7"));
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":"7.0","result":{}}"#).as_deref(), Some("\"7.0\""));
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":7.5,"result":{}}"#), None);
        assert!(parse(br#"{"jsonrpc":"2.0","id":7.0,"method":"ping"}"#).is_err());
    }

    #[test]
    fn syntax_is_a_parse_error_and_shape_an_invalid_request() {
        assert_eq!(parse(b"{").expect_err("cut").code(), ErrorCode::PARSE_ERROR);
        assert_eq!(parse(b"\xff").expect_err("not UTF-8").code(), ErrorCode::PARSE_ERROR);
        assert_eq!(parse(b"17").expect_err("a number").code(), ErrorCode::INVALID_REQUEST);
        let error = parse(br#"{"id":4,"method":"x"}"#).expect_err("no jsonrpc");
        assert_eq!(error.code(), ErrorCode::INVALID_REQUEST);
        assert_eq!(error.id().expect("addressed").as_json(), "4");
        assert!(parse(br#"{"jsonrpc":"2.0","id":null,"method":"x"}"#).is_err());
    }
}
