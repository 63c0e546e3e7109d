//! JSON-RPC messages written around raw payloads.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::RequestId;

/// Appends a text as a JSON string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON and a Vec takes it");
}

/// A text as a raw JSON string.
pub fn json_string(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).expect("a string is JSON")
}

/// The text between the braces of a JSON object, without white space around it: for joining objects as text.
/// `None` when the text is not an object in braces.
pub fn object_body(object: &str) -> Option<&str> {
    Some(object.trim().strip_prefix('{')?.strip_suffix('}')?.trim())
}

/// The text without raw line breaks. In JSON they can stand between tokens only, where a space means the same; a stdio
/// message and an SSE data line must not hold them (MCP transports, stdio).
pub fn one_line(json: &str) -> Cow<'_, str> {
    if json.bytes().any(|b| b == b'\n' || b == b'\r') {
        Cow::Owned(json.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(json)
    }
}

/// Appends a response with a result.
pub fn write_response(out: &mut Vec<u8>, id: &RequestId, result: &str) {
    out.reserve(result.len() + id.as_json().len() + 40);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_json().as_bytes());
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result.as_bytes());
    out.push(b'}');
}

/// Appends an error response; without an id where the request's could not be read (JSON-RPC 2.0 §5).
pub fn write_error_response(out: &mut Vec<u8>, id: Option<&RequestId>, error: &str) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.map_or("null", RequestId::as_json).as_bytes());
    out.extend_from_slice(br#","error":"#);
    out.extend_from_slice(error.as_bytes());
    out.push(b'}');
}

/// Appends a request; `params` is the text of an object or empty.
pub fn write_request(out: &mut Vec<u8>, id: &RequestId, method: &str, params: &str) {
    out.reserve(params.len() + method.len() + 64);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_json().as_bytes());
    out.push(b',');
    push_method_and_params(out, method, params);
}

/// Appends a notification; `params` is the text of an object or empty.
pub fn write_notification(out: &mut Vec<u8>, method: &str, params: &str) {
    out.reserve(params.len() + method.len() + 48);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","#);
    push_method_and_params(out, method, params);
}

fn push_method_and_params(out: &mut Vec<u8>, method: &str, params: &str) {
    out.extend_from_slice(br#""method":"#);
    push_string(out, method);
    if !params.is_empty() {
        out.extend_from_slice(br#","params":"#);
        out.extend_from_slice(params.as_bytes());
    }
    out.push(b'}');
}

/// The text of a JSON object under construction, from members whose values are JSON already.
#[derive(Debug, Default)]
pub struct ObjectBuilder(String);

impl ObjectBuilder {
    /// One more member; its key must be a new one.
    pub fn add(&mut self, key: &str, json: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(json_string(key).get());
        self.0.push(':');
        self.0.push_str(json);
    }

    /// No member was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole object.
    pub fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Outcome, parse};

    #[test]
    fn what_is_written_can_be_parsed() {
        let mut out = Vec::new();
        write_request(&mut out, &RequestId::from(7), "tools/call", r#"{"name":"x"}"#);
        assert!(matches!(parse(&out), Ok(Message::Request { params: Some(_), .. })));
        out.clear();
        write_notification(&mut out, "notifications/initialized", "");
        assert!(matches!(parse(&out), Ok(Message::Notification { params: None, .. })));
        out.clear();
        write_response(&mut out, &RequestId::from(7), "{}");
        assert!(matches!(parse(&out), Ok(Message::Response { outcome: Outcome::Result(_), .. })));
        out.clear();
        write_error_response(&mut out, Some(&RequestId::from(7)), r#"{"code":1,"message":"m"}"#);
        assert!(matches!(parse(&out), Ok(Message::Response { outcome: Outcome::Error(_), .. })));
    }

    #[test]
    fn line_breaks_between_tokens_become_spaces() {
        assert_eq!(one_line("{\n \"a\": \"x\\n\"\r\n}"), "{  \"a\": \"x\\n\"  }");
        assert!(matches!(one_line("{}"), Cow::Borrowed(_)));
        assert_eq!(object_body(" { \"a\":1 } "), Some("\"a\":1"));
        assert_eq!(object_body("{}"), Some(""));
        assert_eq!(object_body("[]"), None);
    }

    #[test]
    fn an_object_is_built_from_members_as_they_are() {
        let mut built = ObjectBuilder::default();
        assert!(built.is_empty());
        built.add("a\"b", "[1, 2]");
        built.add("c", "{}");
        assert_eq!(built.finish(), r#"{"a\"b":[1, 2],"c":{}}"#);
        assert_eq!(ObjectBuilder::default().finish(), "{}");
    }
}
