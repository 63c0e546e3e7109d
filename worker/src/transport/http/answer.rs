//! Whether a message answers a request, and the answers that do not say so. Pure.

use bytes::Bytes;
use mcproxy_mcp::{Message, Outcome, RawArray, RawObject, RequestId, parse, write_error_response, write_response};

/// What a whole JSON body says to the request that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JsonAnswer {
    /// These messages, the answer among them.
    Messages(Vec<Bytes>),
    /// Nothing of JSON-RPC.
    None,
}

/// The messages of a JSON body. A response in it is to the request with this id, whatever id it has: servers that cannot read a
/// request answer with `null`.
pub(super) fn of_json(body: &Bytes, id: &RequestId) -> JsonAnswer {
    if body.trim_ascii_start().starts_with(b"[") {
        return of_batch(body, id);
    }
    match addressed(body, id) {
        Some(line) => JsonAnswer::Messages(vec![line]),
        None => JsonAnswer::None,
    }
}

/// Older revisions allow several messages in one body.
fn of_batch(body: &Bytes, id: &RequestId) -> JsonAnswer {
    let Some(elements) = std::str::from_utf8(body).ok().and_then(|text| RawArray::from_text(text).ok()) else {
        return JsonAnswer::None;
    };
    let lines: Vec<Bytes> = elements.0.iter().map(|element| body.slice_ref(element.get().as_bytes())).collect();
    if lines.iter().any(|line| answers(line, id)) { JsonAnswer::Messages(lines) } else { JsonAnswer::None }
}

/// The response as one to the request with this id.
fn addressed(body: &Bytes, id: &RequestId) -> Option<Bytes> {
    if answers(body, id) {
        return Some(body.clone());
    }
    let object = RawObject::from_slice(body).ok()?;
    let mut line = Vec::new();
    match (object.get("method"), object.get("error"), object.get("result")) {
        (None, Some(error), _) if error.get().starts_with('{') => {
            write_error_response(&mut line, Some(id), error.get());
        }
        (None, _, Some(result)) => write_response(&mut line, id, result.get()),
        _ => return None,
    }
    Some(line.into())
}

/// The error of JSON-RPC in an answer that says no, as one to this request.
pub(super) fn error_of(body: &Bytes, id: &RequestId) -> Option<Bytes> {
    let object = RawObject::from_slice(body).ok()?;
    let error = object.get("error").filter(|_| object.get("jsonrpc").is_some())?;
    Outcome::Error(error).check().ok()?;
    addressed(body, id)
}

/// Whether a message is the response to the request with this id.
pub(super) fn answers(line: &[u8], id: &RequestId) -> bool {
    matches!(parse(line), Ok(Message::Response { id: of, .. })
        if of == *id || (id.as_u64().is_some() && of.meant_u64() == id.as_u64()))
}

/// What the answer to `initialize` agrees on.
pub(super) fn agreed_version(line: &[u8]) -> Option<String> {
    let Ok(Message::Response { outcome: Outcome::Result(result), .. }) = parse(line) else { return None };
    RawObject::from_raw(result).ok()?.get_string("protocolVersion").map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(body: &str) -> Vec<String> {
        match of_json(&Bytes::from(body.to_owned()), &7.into()) {
            JsonAnswer::Messages(lines) => {
                lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
            }
            JsonAnswer::None => Vec::new(),
        }
    }

    #[test]
    fn an_answer_is_to_the_request_that_it_came_for() {
        let right = r#"{"jsonrpc":"2.0","id":7,"result":{"a":1.50}}"#;
        assert_eq!(of(right), [right], "as it is");
        assert_eq!(of(r#"{"jsonrpc":"2.0","id":"7","result":{}}"#).len(), 1);
        let null = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#;
        assert_eq!(of(null), [r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32700,"message":"no"}}"#]);
        assert_eq!(
            of(r#"{"jsonrpc":"2.0","id":8,"result":{"a":1}}"#),
            [r#"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#]
        );
        let notice = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
        assert_eq!(of(&format!("[{notice},{right}]")), [notice, right]);
        for none in ["", "{}", "[]", "[1]", "3", "<html>", notice, r#"{"detail":"Not Found"}"#] {
            assert_eq!(of(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn an_error_of_json_rpc_in_a_refusal_is_the_answer() {
        let error = |body: &str| error_of(&Bytes::from(body.to_owned()), &7.into()).is_some();
        assert!(error(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"no"}}"#));
        assert!(!error(r#"{"error":"invalid_token"}"#));
        assert!(!error(r#"{"error":{"code":1,"message":"of something else"}}"#));
        assert!(!error("<html>"));
    }

    proptest! {
        #[test]
        fn any_body_is_an_answer_or_none(body in prop::collection::vec(any::<u8>(), 0..100)) {
            if let JsonAnswer::Messages(lines) = of_json(&body.into(), &7.into()) {
                prop_assert!(lines.iter().any(|line| answers(line, &7.into())));
            }
        }
    }
}
