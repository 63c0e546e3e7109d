//! JSON-RPC messages of clients and servers.

use mcproxy_mcp::{
    ErrorObject, Message, Outcome, RawArray, RawObject, RequestId, error_object, is_deeper_than, one_line, parse,
    write_error_response, write_notification, write_request, write_response,
};

pub(crate) fn target(data: &[u8]) {
    // As the doors of gateway and worker do, before anything recurses.
    if is_deeper_than(data, 512) {
        return;
    }
    match parse(data) {
        Ok(message) => passed_on(data, &message),
        Err(error) => {
            let object = error_object(error.code(), &error);
            let mut out = Vec::new();
            write_error_response(&mut out, error.id(), object.get());
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&out).is_ok(), "an answer that is no JSON");
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let line = one_line(text);
        if RawObject::from_text(text).is_ok() {
            assert!(!line.contains(['\n', '\r']), "two lines of one message");
            assert!(RawObject::from_text(&line).is_ok(), "a message is no JSON any more on one line");
        }
        let _ = RawArray::from_text(text);
        let _ = ErrorObject::new(mcproxy_mcp::ErrorCode::PARSE_ERROR, text);
    }
}

/// Written again, a message is JSON and says the same.
fn passed_on(data: &[u8], message: &Message<'_>) {
    let mut out = Vec::new();
    match message {
        Message::Request { id, method, params } => {
            write_request(&mut out, id, method, params.map_or("{}", |raw| raw.get()));
        }
        Message::Notification { method, params } => {
            write_notification(&mut out, method, params.map_or("{}", |raw| raw.get()));
        }
        Message::Response { id, outcome: Outcome::Result(raw) } => write_response(&mut out, id, raw.get()),
        Message::Response { id, outcome: Outcome::Error(raw) } => write_error_response(&mut out, Some(id), raw.get()),
    }
    let again = parse(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)));
    assert_eq!(parts(message), parts(&again), "{}", String::from_utf8_lossy(data));
}

fn parts<'m>(message: &'m Message<'_>) -> (Option<&'m RequestId>, &'m str, &'m str) {
    match message {
        Message::Request { id, method, params } => (Some(id), method, params.map_or("{}", |raw| raw.get())),
        Message::Notification { method, params } => (None, method, params.map_or("{}", |raw| raw.get())),
        Message::Response { id, outcome: Outcome::Result(raw) } => (Some(id), "result", raw.get()),
        Message::Response { id, outcome: Outcome::Error(raw) } => (Some(id), "error", raw.get()),
    }
}
