//! Errors for the client when HTTP fails.

use std::error::Error;

use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RequestId, write_error_response};

use crate::cli::endpoint::EndpointError;

/// The error response to the request `id`: the endpoint's own words where it gave some.
pub(super) fn response(id: &RequestId, error: &EndpointError) -> String {
    let object = own_words(error).unwrap_or_else(|| object(error).to_raw().get().to_owned());
    let mut message = Vec::new();
    write_error_response(&mut message, Some(id), &object);
    String::from_utf8_lossy(&message).into_owned()
}

/// The error with its causes, on one line.
pub(super) fn chain(error: &EndpointError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

/// The JSON-RPC error that the endpoint gave with an HTTP error.
pub(super) fn own_words(error: &EndpointError) -> Option<String> {
    let body = RawObject::from_text(error.body()?).ok()?;
    let object = body.get_object("error")?;
    let whole = object.get("code").is_some() && object.get("message").is_some();
    whole.then(|| body.get("error").map(|raw| raw.get().to_owned()))?
}

fn object(error: &EndpointError) -> ErrorObject {
    let text = chain(error);
    match error {
        EndpointError::Connect { .. } => {
            ErrorObject::about_server(ErrorCode::SERVER_UNAVAILABLE, text, "mcproxy", "unreachable")
        }
        EndpointError::Send { .. } | EndpointError::Broken | EndpointError::NoAnswer => {
            ErrorObject::about_server(ErrorCode::SERVER_ENDED, text, "mcproxy", "connection lost")
        }
        _ => {
            let object = ErrorObject::new(ErrorCode::INTERNAL_ERROR, text);
            match error.status() {
                Some(status) => object.with("httpStatus", status.as_u16()),
                None => object,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_http::StatusCode;

    use super::*;

    fn of(status: StatusCode, body: &str) -> String {
        response(&RequestId::from(7), &EndpointError::Status { status, body: body.into() })
    }

    #[test]
    fn the_endpoints_own_error_is_passed_on_under_the_right_id() {
        let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no","data":1e400}}"#;
        let expected = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"no","data":1e400}}"#;
        assert_eq!(of(StatusCode::BAD_REQUEST, body), expected);
    }

    #[test]
    fn a_body_that_is_no_json_rpc_is_described() {
        let text = of(StatusCode::BAD_GATEWAY, "<html>oops</html>");
        assert!(
            text.contains(r#""code":-32603"#) && text.contains("HTTP 502") && text.contains("httpStatus"),
            "{text}"
        );
    }
}
