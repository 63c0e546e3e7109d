//! Servers that begin with `initialize`: 2024-11-05 to 2025-11-25.
//!
//! The client capabilities that are declared are those of its configuration; what it asks for beyond them is refused.

use mcproxy_ipc::{ClientDeclaration, ClientFeatures};
use mcproxy_mcp::{
    ErrorCode, LATEST, ListKind, ProtocolVersion, RawObject, RawValue, RequestId, error_object, json_string, meta,
    method, write_error_response, write_notification, write_request, write_response,
};

use super::{
    introduction::Introduction,
    line::{self, BadPayload, OWN_INFO, declared_extensions, end_line},
};

/// A server's answer to `initialize`.
#[derive(Debug)]
pub(crate) struct Greeting<'a> {
    pub(crate) version: ProtocolVersion,
    pub(crate) about: Introduction<'a>,
}

/// Opens the session, in which the server hears this of its client.
pub(crate) fn initialize(out: &mut Vec<u8>, id: u64, client: &ClientDeclaration) {
    let start = out.len();
    let ClientDeclaration { capabilities, info } = client;
    let info = info.as_deref().unwrap_or(OWN_INFO);
    let params = format!(r#"{{"protocolVersion":"{LATEST}","capabilities":{capabilities},"clientInfo":{info}}}"#);
    write_request(out, &id.into(), method::INITIALIZE, &params);
    end_line(out, start);
}

/// The declaration to a server whose clients are known by nothing but this.
pub(crate) fn declaration(features: ClientFeatures, extensions: &[String]) -> ClientDeclaration {
    ClientDeclaration { capabilities: capabilities(features, extensions), info: None }
}

fn capabilities(features: ClientFeatures, extensions: &[String]) -> String {
    let mut members = Vec::new();
    match (features.sampling, features.sampling_tools, features.sampling_context) {
        (false, _, _) => {}
        (true, false, false) => members.push(r#""sampling":{}"#),
        (true, true, false) => members.push(r#""sampling":{"tools":{}}"#),
        (true, false, true) => members.push(r#""sampling":{"context":{}}"#),
        (true, true, true) => members.push(r#""sampling":{"tools":{},"context":{}}"#),
    }
    match (features.form, features.url) {
        (false, false) => {}
        // As it was written before there were modes.
        (true, false) => members.push(r#""elicitation":{}"#),
        (false, true) => members.push(r#""elicitation":{"url":{}}"#),
        (true, true) => members.push(r#""elicitation":{"form":{},"url":{}}"#),
    }
    match (features.roots, features.roots_changed) {
        (false, _) => {}
        (true, false) => members.push(r#""roots":{}"#),
        (true, true) => members.push(r#""roots":{"listChanged":true}"#),
    }
    let extensions = declared_extensions(extensions);
    members.extend(extensions.as_deref());
    format!("{{{}}}", members.join(","))
}

/// Says that the client works in other directories than before.
pub(crate) fn roots_changed(out: &mut Vec<u8>) {
    let start = out.len();
    write_notification(out, method::ROOTS_CHANGED, "");
    end_line(out, start);
}

/// Says that the greeting was understood.
pub(crate) fn initialized(out: &mut Vec<u8>) {
    let start = out.len();
    write_notification(out, method::INITIALIZED, "");
    end_line(out, start);
}

/// Asks for a page of a list; `cursor` is a JSON string.
pub(crate) fn list(out: &mut Vec<u8>, id: u64, kind: ListKind, cursor: Option<&str>) {
    let start = out.len();
    let params = cursor.map(|cursor| format!("{{\"cursor\":{cursor}}}")).unwrap_or_default();
    write_request(out, &id.into(), kind.method(), &params);
    end_line(out, start);
}

/// Asks whether the server lives.
pub(crate) fn ping(out: &mut Vec<u8>, id: u64) {
    let start = out.len();
    write_request(out, &id.into(), method::PING, "");
    end_line(out, start);
}

/// A request of our own that needs no more than its params.
pub(crate) fn request(out: &mut Vec<u8>, id: u64, method: &str, params: &str) {
    let start = out.len();
    write_request(out, &id.into(), method, params);
    end_line(out, start);
}

/// Passes a call on under an id of ours. Of `_meta` goes with it what is the caller's own.
pub(crate) fn call(out: &mut Vec<u8>, id: u64, method: &str, params: &[u8], meta: &[u8]) -> Result<(), BadPayload> {
    line::call(out, id, method, (params, meta), |_, _| ())
}

/// Tells the server that no client waits for an answer any more.
pub(crate) fn cancel(out: &mut Vec<u8>, id: u64, reason: Option<&str>) {
    let start = out.len();
    let params = match reason {
        Some(reason) => format!("{{\"requestId\":{id},\"reason\":{}}}", json_string(reason).get()),
        None => format!("{{\"requestId\":{id}}}"),
    };
    write_notification(out, method::CANCELLED, &params);
    end_line(out, start);
}

/// Reports on the work at a request of the server's own; `members` are those of the params beside the token.
pub(crate) fn progress(out: &mut Vec<u8>, token: &str, members: &str) {
    let start = out.len();
    let comma = if members.is_empty() { "" } else { "," };
    let params = format!("{{\"{}\":{token}{comma}{members}}}", meta::PROGRESS_TOKEN);
    write_notification(out, method::PROGRESS, &params);
    end_line(out, start);
}

/// Passes a notification on as it is.
pub(crate) fn notify(out: &mut Vec<u8>, method: &str, params: &str) {
    let start = out.len();
    write_notification(out, method, params);
    end_line(out, start);
}

/// Answers a request of the server's own.
pub(crate) fn answer(out: &mut Vec<u8>, id: &RequestId, method: &str) {
    let start = out.len();
    match method {
        method::PING => write_response(out, id, "{}"),
        _ => {
            let error = error_object(ErrorCode::METHOD_NOT_FOUND, "this client has not declared that capability");
            write_error_response(out, Some(id), error.get());
        }
    }
    end_line(out, start);
}

/// Answers it with a result.
pub(crate) fn answer_result(out: &mut Vec<u8>, id: &RequestId, result: &str) {
    let start = out.len();
    write_response(out, id, result);
    end_line(out, start);
}

/// Answers it with an error.
pub(crate) fn answer_error(out: &mut Vec<u8>, id: &RequestId, error: &str) {
    let start = out.len();
    write_error_response(out, Some(id), error);
    end_line(out, start);
}

/// Reads the answer to `initialize`.
pub(crate) fn read_greeting(result: &RawValue) -> Result<Greeting<'_>, String> {
    let result = RawObject::from_raw(result).map_err(|_| "its answer is not an object".to_owned())?;
    let version = result.get_string("protocolVersion").ok_or("its answer names no protocolVersion")?;
    let version = ProtocolVersion::parse_answer(&version).ok_or_else(|| {
        let known = ProtocolVersion::WITH_INITIALIZE.map(ProtocolVersion::as_str).join(", ");
        let version: String = version.chars().take(40).collect();
        format!("it wants protocol version {version:?}; known are {known}")
    })?;
    Ok(Greeting { version, about: Introduction::read(&result, result.get("serverInfo")) })
}

#[cfg(test)]
mod tests {
    use mcproxy_mcp::{Message, parse};
    use proptest::prelude::*;

    use super::*;

    fn line(params: &str, meta: &str) -> Result<String, BadPayload> {
        let mut out = Vec::new();
        call(&mut out, 9, "tools/call", params.as_bytes(), meta.as_bytes())?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn a_call_carries_our_token_and_the_callers_meta() {
        let whole =
            r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"x","_meta":{"a":1,"progressToken":9}}}"#;
        let meta = r#"{"a":1,"progressToken":"theirs","io.modelcontextprotocol/clientInfo":{}}"#;
        assert_eq!(line("{\n \"name\":\"x\"\r}", meta).expect("fits").trim_end(), whole);
        assert!(line("", "").expect("fits").contains(r#""params":{"_meta":{"progressToken":9}}"#));
        assert_eq!(line("[]", ""), Err(BadPayload));
        assert_eq!(line("{}", "[]"), Err(BadPayload));
    }

    proptest! {
        #[test]
        fn every_call_is_one_line_and_one_message(key in "\\PC{0,8}", breaks in "[ \r\n\t]{0,5}", method in "\\PC{0,12}") {
            let key = serde_json::to_string(&key).expect("a string");
            let params = format!("{{{breaks}{key}{breaks}:{breaks}\"v\"{breaks}}}");
            let mut out = Vec::new();
            call(&mut out, 1, &method, params.as_bytes(), format!("{{{breaks}{key}:1}}").as_bytes()).expect("objects");
            prop_assert_eq!(out.iter().position(|b| *b == b'\n'), Some(out.len() - 1));
            let is_request = matches!(parse(&out), Ok(Message::Request { params: Some(_), .. }));
            prop_assert!(is_request);
        }
    }

    #[test]
    fn a_greeting_of_an_unknown_version_is_refused_with_the_known_ones() {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).expect("JSON");
        let answer = raw(r#"{"protocolVersion":"2099-01-01"}"#);
        let why = read_greeting(&answer).expect_err("unknown");
        assert!(why.contains("2099-01-01") && why.contains("2025-11-25"), "{why}");
        let answer = raw(r#"{"protocolVersion":"2024-10-07"}"#);
        assert_eq!(read_greeting(&answer).expect("taken").version, ProtocolVersion::V2024_11_05);
        let answer = raw(
            r#"{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"}}"#,
        );
        let greeting = read_greeting(&answer).expect("known");
        assert_eq!((greeting.version, greeting.about.name.as_str()), (ProtocolVersion::V2024_11_05, "x"));
        assert!(greeting.about.capabilities.get("tools").is_some());
    }
}
