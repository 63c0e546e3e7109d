//! The body of a POST: of the right type, within its bound, read within its time.

use std::{pin::pin, task::Poll, time::Duration};

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
    web,
};
use bytes::Bytes;
use futures_util::poll;
use mcproxy_mcp::{ErrorCode, MAX_DEPTH, is_too_deep};

use super::refusal::Refusal;

/// A body must have arrived within this time: actix itself never times out one that drips.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a JSON body of at most `max` bytes, and not so deep that a server's parser would give up on it without an answer.
pub(super) async fn read(request: &HttpRequest, payload: web::Payload, max: usize) -> Result<Bytes, Refusal> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mime = content_type.split(';').next().unwrap_or_default().trim();
    if !mime.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::INVALID_REQUEST,
            "the Content-Type must be application/json",
        ));
    }
    let mut body = pin!(payload.to_bytes_limited(max));
    // Most bodies came with their headers and need no clock.
    let whole = match poll!(&mut body) {
        Poll::Ready(whole) => Ok(whole),
        Poll::Pending => tokio::time::timeout(BODY_TIMEOUT, body).await,
    };
    match whole {
        Ok(Ok(Ok(body))) if is_too_deep(&body) => {
            Err(Refusal::bad_request(format_args!("nested deeper than {MAX_DEPTH} levels")))
        }
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(error))) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::PARSE_ERROR,
            format_args!("cannot read the body: {error}"),
        )),
        Ok(Err(_)) => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::INVALID_REQUEST,
            format_args!("the body is larger than {max} bytes (limits.maxBody)"),
        )),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::INVALID_REQUEST,
            format_args!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs()),
        )),
    }
}
