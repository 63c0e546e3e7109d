//! Whether a server's answer to a call can be given to its client. A client that cannot read a message takes it for
//! nothing and waits for ever, so such an answer ends here: mended where its meaning is clear, else as a failure that says
//! what is wrong where.

use std::{borrow::Cow, sync::LazyLock};

use bytes::Bytes;
use mcproxy_ipc::data::Outcome;
use mcproxy_mcp::{EnvelopeError, ErrorCode, ObjectError, RawObject, RawValue, error_object, i_json, meta};
use memchr::memmem::Finder;

use super::oversize;

/// How much of either end of a line is searched for its id.
const ENDS: usize = 256;
/// How much of a server's own message is repeated.
const REPEATED: usize = 500;

/// An answer as its client can read it; `line` is what it came in.
pub(super) fn for_client(line: &Bytes, outcome: mcproxy_mcp::Outcome<'_>) -> (Outcome, Bytes) {
    checked(line, outcome).unwrap_or_else(|why| {
        let text = format!("the server's answer is no JSON-RPC response: {why}");
        (Outcome::Error, error_object(ErrorCode::INTERNAL_ERROR, text).get().to_owned().into())
    })
}

fn checked(line: &Bytes, outcome: mcproxy_mcp::Outcome<'_>) -> Result<(Outcome, Bytes), String> {
    outcome.check()?;
    let (kind, raw) = match outcome {
        mcproxy_mcp::Outcome::Result(raw) => (Outcome::Result, raw),
        mcproxy_mcp::Outcome::Error(raw) => (Outcome::Error, raw),
    };
    let payload = match i_json::readable(raw.get()) {
        Ok(Cow::Borrowed(text)) => line.slice_ref(text.as_bytes()),
        Ok(Cow::Owned(text)) => text.into(),
        Err(fault) => {
            let column = raw.get().as_ptr().addr() - line.as_ptr().addr() + fault.at + 1;
            return Err(format!("the value at column {column} of the line {}", fault.kind));
        }
    };
    Ok((kind, if kind == Outcome::Result { with_readable_meta(payload) } else { payload }))
}

/// Params of the server's own that every client can read; `None`: they are that already.
pub(super) fn mended(params: &RawValue) -> Result<Option<Box<RawValue>>, String> {
    match i_json::readable(params.get()) {
        Ok(Cow::Borrowed(_)) => Ok(None),
        Ok(Cow::Owned(text)) => RawValue::from_string(text).map(Some).map_err(|e| e.to_string()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// `_meta` that is no object, and those of its members that clients read wherever it stands, make a whole message
/// unreadable (TypeScript SDK 1.x).
fn with_readable_meta(result: Bytes) -> Bytes {
    static META: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""_meta""#));
    if META.find(&result).is_none() {
        return result;
    }
    let Ok(mut object) = RawObject::from_slice(&result) else { return result };
    let Some(raw) = object.get("_meta") else { return result };
    let Ok(mut members) = RawObject::from_raw(raw) else {
        object.remove("_meta");
        return written(&object);
    };
    let token = |raw: &RawValue| raw.get().starts_with('"') || raw.get().parse::<i64>().is_ok();
    let task = |raw: &RawValue| RawObject::from_raw(raw).is_ok_and(|task| task.get_string("taskId").is_some());
    let wrong = [(meta::PROGRESS_TOKEN, token as fn(&RawValue) -> bool), (meta::RELATED_TASK, task)];
    let wrong: Vec<&str> = wrong
        .iter()
        .filter(|(key, fits)| members.get(key).is_some_and(|raw| !fits(raw)))
        .map(|(key, _)| *key)
        .collect();
    if wrong.is_empty() {
        return result;
    }
    members.retain(|key| !wrong.contains(&key));
    let members = members.to_raw();
    object.set("_meta", &members);
    written(&object)
}

fn written(object: &RawObject<'_>) -> Bytes {
    let mut out = Vec::new();
    object.write(&mut out);
    out.into()
}

/// The id of an answer that is no JSON-RPC message, when it is written where known servers put it.
pub(super) fn id_of(line: &[u8], error: &EnvelopeError) -> Option<u64> {
    match error {
        EnvelopeError::Shape { .. } => error.id().and_then(mcproxy_mcp::RequestId::meant_u64),
        EnvelopeError::Object(_) if !(line.trim_ascii_start().starts_with(b"{") && holds_an_outcome(line)) => None,
        EnvelopeError::Object(_) => {
            oversize::response_id(&line[..line.len().min(ENDS)], &line[line.len().saturating_sub(ENDS)..])
        }
    }
}

/// Whether a line that is no JSON looks like an answer to something all the same.
pub(super) fn looks_like_an_answer(line: &[u8]) -> bool {
    let head = &line[..line.len().min(ENDS)];
    line.starts_with(b"{")
        && memchr::memmem::find(line, b"\"jsonrpc\"").is_some()
        && holds_an_outcome(line)
        && !oversize::names_a_method(head)
}

/// A request of the server's own has neither, and its id is none of ours.
fn holds_an_outcome(line: &[u8]) -> bool {
    [&b"\"result\""[..], b"\"error\""].iter().any(|key| memchr::memmem::find(line, key).is_some())
}

/// The fault of an answer, for its client.
pub(super) fn complaint(line: &[u8], error: &EnvelopeError) -> String {
    let why = match error {
        EnvelopeError::Object(ObjectError::Utf8(e)) => {
            format!("byte {} of the line is not UTF-8", e.valid_up_to() + 1)
        }
        EnvelopeError::Object(ObjectError::Json(e)) => format!("{e} (columns are bytes of the line)"),
        EnvelopeError::Shape { why, .. } => why.clone(),
    };
    let said = RawObject::from_slice(line).ok().and_then(|object| {
        let message = object.get_object("error")?.get_string("message")?.into_owned();
        Some(format!("; its message: {}", crate::lines::printable(message.as_bytes(), REPEATED)))
    });
    format!("the server's answer is no JSON-RPC response: {why}{}", said.unwrap_or_default())
}

/// The code of an error object.
pub(super) fn error_code(error: &RawValue) -> Option<ErrorCode> {
    RawObject::from_raw(error).ok()?.get("code")?.get().parse().ok().map(ErrorCode)
}

#[cfg(test)]
mod tests {
    use mcproxy_mcp::{Message, parse};
    use proptest::prelude::*;

    use super::*;

    fn answered(line: &str) -> Result<String, String> {
        let line = Bytes::copy_from_slice(line.as_bytes());
        let Ok(Message::Response { outcome, .. }) = parse(&line) else { panic!("no response") };
        checked(&line, outcome).map(|(_, payload)| String::from_utf8_lossy(&payload).into_owned())
    }

    fn result(result: &str) -> Result<String, String> {
        answered(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#))
    }

    fn failure(line: &[u8]) -> (Option<u64>, String) {
        let error = parse(line).expect_err("no message");
        (id_of(line, &error), complaint(line, &error))
    }

    #[test]
    fn what_clients_read_is_passed_as_it_is() {
        for text in [
            r#"{ "content":[{"n":1.50}],"_meta":{"progressToken":1,"x":null} }"#,
            "{}",
            r#"{"a":"_meta","b":"\ud83d\ude00"}"#,
        ] {
            assert_eq!(result(text).as_deref(), Ok(text));
        }
        let error = r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-32000,"message":"x","data":[1]}}"#;
        assert_eq!(answered(error).as_deref(), Ok(r#"{"code":-32000,"message":"x","data":[1]}"#));
        assert_eq!(answered(r#"{"jsonrpc":"2.0","id":1,"error":null,"result":{}}"#).as_deref(), Ok("{}"));
    }

    #[test]
    fn what_clients_cannot_read_is_mended_or_refused_with_its_place() {
        assert_eq!(result(r#"{"content":[],"_meta":null}"#).as_deref(), Ok(r#"{"content":[]}"#));
        assert_eq!(result(r#"{"_meta":[]}"#).as_deref(), Ok("{}"));
        assert_eq!(
            result(r#"{"_meta":{"progressToken":null,"a":1,"io.modelcontextprotocol/related-task":{}}}"#).as_deref(),
            Ok(r#"{"_meta":{"a":1}}"#)
        );
        assert_eq!(result(r#"{"text":"a\ud83d"}"#).as_deref(), Ok(r#"{"text":"a\ufffd"}"#));
        let column = r#"{"jsonrpc":"2.0","id":1,"result":{"a":"#.len() + 1;
        assert!(result(r#"{"a":1e999}"#).is_err_and(|why| why.contains(&format!("column {column} "))));
        for (line, why) in [
            (r#""result":null"#, "`result` is not an object"),
            (r#""result":"hi""#, "`result` is not an object"),
            (r#""error":{"message":"x"}"#, "`error.code` is not an integer; its message: x"),
            (r#""error":{"code":"E1","message":"x"}"#, "`error.code` is not an integer; its message: x"),
            (r#""error":{"code":-32000.5,"message":"x"}"#, "`error.code` is not an integer; its message: x"),
            (
                r#""error":{"code":99999999999,"message":"x"}"#,
                "`error.code` is not an integer of 32 bits; its message: x",
            ),
            (r#""error":{"code":-32000}"#, "`error.message` is not a string"),
        ] {
            assert_eq!(answered(&format!(r#"{{"jsonrpc":"2.0","id":1,{line}}}"#)), Err(why.to_owned()));
        }
    }

    #[test]
    fn what_is_no_json_fails_its_call_with_the_place() {
        for (line, why) in [
            (&br#"{"jsonrpc":"2.0","id":17,"result":{"x":NaN}}"#[..], "column 40"),
            (b"{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":{\"x\":\"caf\xe9\"}}", "byte 44 of the line is not UTF-8"),
            (b"{\"result\":{\"x\":\"a\tb\"},\"jsonrpc\":\"2.0\",\"id\":17}", "control character"),
            (br#"{"jsonrpc":"2.0","id":17,"result":{"content":[{"te"#, "EOF"),
            (br#"{"jsonrpc":"2.0","id":17,"result":{},"error":{"code":1,"message":"m"}}"#, "both `result` and `error`"),
            (br#"{"jsonrpc":"2.0","id":17,"error":"boom"}"#, "`error` is not an object"),
        ] {
            let (id, complaint) = failure(line);
            assert_eq!(id, Some(17), "{complaint}");
            assert!(complaint.contains(why), "{complaint}");
        }
        assert_eq!(failure(br#"{"jsonrpc":"2.0","id":17,"params":{"x":NaN},"method":"ping"}"#).0, None);
        assert!(looks_like_an_answer(br#"{"jsonrpc":"2.0","result":{"x":NaN"#));
        assert!(!looks_like_an_answer(b"{'level': 'info'}"));
        assert!(!looks_like_an_answer(br#"{"jsonrpc":"2.0","method":"x","params":{"result":NaN"#));
    }

    proptest! {
        #[test]
        fn any_line_is_taken_or_complained_about(line in prop::collection::vec(prop::sample::select(b"{}[]\",:id7 \\\xffresultjsonrpc20.".to_vec()), 0..80)) {
            match parse(&line) {
                Ok(Message::Response { outcome, .. }) => drop(checked(&Bytes::copy_from_slice(&line), outcome)),
                Ok(_) => {}
                Err(error) => {
                    let _ = (id_of(&line, &error), complaint(&line, &error), looks_like_an_answer(&line));
                }
            }
        }
    }
}
