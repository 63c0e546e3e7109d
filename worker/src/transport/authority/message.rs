//! The session's messages, as far as they have to be understood. Pure.

use mcproxy_ipc::{INTROSPECT_METHOD, IntrospectParams, KEYS_METHOD, MAX_INTROSPECTED};
use mcproxy_mcp::{ErrorCode, Message, RawObject, RawValue, RequestId, method, parse};

/// A message of the session.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AuthorityMessage {
    Initialize(RequestId),
    Ping(RequestId),
    ListTools(RequestId),
    Keys(RequestId),
    Introspect(RequestId, IntrospectParams),
    /// A request that is answered with this error.
    Refused(RequestId, ErrorCode, &'static str),
    /// Gives a request up.
    Cancel(RequestId),
    /// Nothing has to be done.
    Nothing,
}

/// What the session wrote.
pub(super) fn read(line: &[u8]) -> AuthorityMessage {
    match parse(line) {
        Ok(Message::Request { id, method, params }) => match &*method {
            method::INITIALIZE => AuthorityMessage::Initialize(id),
            method::PING => AuthorityMessage::Ping(id),
            // It is asked of every server, whatever that declares.
            method::TOOLS_LIST => AuthorityMessage::ListTools(id),
            KEYS_METHOD => AuthorityMessage::Keys(id),
            INTROSPECT_METHOD => match params.map(RawValue::get).map(serde_json::from_str::<IntrospectParams>) {
                Some(Ok(params)) if (1..=MAX_INTROSPECTED).contains(&params.token.len()) => {
                    AuthorityMessage::Introspect(id, params)
                }
                Some(_) | None => AuthorityMessage::Refused(id, ErrorCode::INVALID_PARAMS, "no token, or too long"),
            },
            _ => AuthorityMessage::Refused(id, ErrorCode::METHOD_NOT_FOUND, "an authorization server is asked here"),
        },
        Ok(Message::Notification { method, params }) if method == method::CANCELLED => {
            let params = params.and_then(|params| RawObject::from_raw(params).ok());
            let request = params.and_then(|params| RequestId::from_raw(params.get("requestId")?).ok());
            request.map_or(AuthorityMessage::Nothing, AuthorityMessage::Cancel)
        }
        Ok(Message::Notification { .. } | Message::Response { .. }) | Err(_) => AuthorityMessage::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_bounded_and_other_requests_refused() {
        let ask = |method: &str, params: &str| {
            read(format!(r#"{{"jsonrpc":"2.0","id":3,"method":"{method}","params":{params}}}"#).as_bytes())
        };
        assert_eq!(ask(KEYS_METHOD, "{}"), AuthorityMessage::Keys(3.into()));
        let params = IntrospectParams { token: "t".into() };
        assert_eq!(ask(INTROSPECT_METHOD, r#"{"token":"t"}"#), AuthorityMessage::Introspect(3.into(), params));
        let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(MAX_INTROSPECTED + 1));
        for params in ["{}", r#"{"token":""}"#, r#"{"token":4}"#, &long] {
            let refused = ask(INTROSPECT_METHOD, params);
            assert!(matches!(refused, AuthorityMessage::Refused(_, ErrorCode::INVALID_PARAMS, _)));
        }
        assert!(matches!(ask("tools/call", "{}"), AuthorityMessage::Refused(_, ErrorCode::METHOD_NOT_FOUND, _)));
        let cancel = read(br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#);
        assert_eq!(cancel, AuthorityMessage::Cancel(7.into()));
        assert_eq!(read(b"nothing"), AuthorityMessage::Nothing);
    }
}
