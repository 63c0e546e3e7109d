//! The session's messages, as far as they have to be understood. Pure.

use mcproxy_ipc::{EMBED_METHOD, EmbedParams, MAX_EMBED_TEXT, MAX_EMBED_TEXTS};
use mcproxy_mcp::{ErrorCode, Message, RawObject, RawValue, RequestId, method, parse};

/// A message of the session.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SessionMessage {
    Initialize(RequestId),
    Ping(RequestId),
    ListTools(RequestId),
    Embed(RequestId, EmbedParams),
    /// A request that is answered with this error.
    Refused(RequestId, ErrorCode, &'static str),
    /// Gives a request up.
    Cancel(RequestId),
    /// Nothing has to be done.
    Nothing,
}

/// What the session wrote.
pub(super) fn read(line: &[u8]) -> SessionMessage {
    match parse(line) {
        Ok(Message::Request { id, method, params }) => match &*method {
            method::INITIALIZE => SessionMessage::Initialize(id),
            method::PING => SessionMessage::Ping(id),
            // It is asked of every server, whatever that declares.
            method::TOOLS_LIST => SessionMessage::ListTools(id),
            EMBED_METHOD => match params.map(RawValue::get).map(serde_json::from_str) {
                Some(Ok(params)) if fits(&params) => SessionMessage::Embed(id, params),
                Some(_) | None => SessionMessage::Refused(id, ErrorCode::INVALID_PARAMS, "too many texts, or too long"),
            },
            _ => SessionMessage::Refused(id, ErrorCode::METHOD_NOT_FOUND, "texts are embedded here, and nothing else"),
        },
        Ok(Message::Notification { method, params }) if method == method::CANCELLED => {
            let params = params.and_then(|params| RawObject::from_raw(params).ok());
            let request = params.and_then(|params| RequestId::from_raw(params.get("requestId")?).ok());
            request.map_or(SessionMessage::Nothing, SessionMessage::Cancel)
        }
        Ok(Message::Notification { .. } | Message::Response { .. }) | Err(_) => SessionMessage::Nothing,
    }
}

fn fits(params: &EmbedParams) -> bool {
    (1..=MAX_EMBED_TEXTS).contains(&params.texts.len()) && params.texts.iter().all(|text| text.len() <= MAX_EMBED_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embed(texts: &str) -> SessionMessage {
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":3,"method":"mcproxy/embed","params":{{"texts":{texts},"keep":true,"_meta":{{}}}}}}"#
        );
        read(line.as_bytes())
    }

    #[test]
    fn calls_are_bounded_and_other_requests_refused() {
        let params = EmbedParams { texts: vec!["a".into(), "b".into()], keep: true };
        assert_eq!(embed(r#"["a","b"]"#), SessionMessage::Embed(3.into(), params));
        for texts in
            ["[]", "4", &format!("[{:?}]", "x".repeat(MAX_EMBED_TEXT + 1)), &format!("[{}1]", "\"a\",".repeat(40))]
        {
            assert!(matches!(embed(texts), SessionMessage::Refused(_, ErrorCode::INVALID_PARAMS, _)), "{texts}");
        }
        let other = read(br#"{"jsonrpc":"2.0","id":3,"method":"prompts/list"}"#);
        assert!(matches!(other, SessionMessage::Refused(_, ErrorCode::METHOD_NOT_FOUND, _)));
        let cancel = read(br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#);
        assert_eq!(cancel, SessionMessage::Cancel(7.into()));
        assert_eq!(read(b"nothing"), SessionMessage::Nothing);
    }
}
