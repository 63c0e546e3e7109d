//! The body of a POST: of the right type, within its bounds, read within its time.

use std::{
    cell::Cell,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use mcproxy_ipc::control::{ConnectionLimits, GatewaySettings};
use mcproxy_mcp::{ErrorCode, is_deeper_than};
use tokio::time::timeout_at;

use super::refusal::Refusal;

/// A body that takes longer than this has to keep up the least rate.
const RATE_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked whether it does.
const LOOK: Duration = Duration::from_secs(1);

/// Why there is no whole body.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// No more than the bound was kept of it.
    #[error("the body is larger than {0} bytes (limits.maxBody)")]
    TooLarge(usize),
    /// It broke off, or its framing is wrong.
    #[error("cannot read the body: {0}")]
    Broken(PayloadError),
    /// actix itself never times out a body that drips.
    #[error("the body did not arrive within {} s (limits.bodyTimeout)", .0.as_secs_f64())]
    Late(Duration),
    /// It would hold its connection for as long as it is allowed to, for nothing.
    #[error("the body arrives at less than {0} bytes a second (limits.minBodyRate)")]
    Slow(u64),
}

/// Reads a JSON body within the bounds of the settings, and not so deep that a server's parser would give up on it without
/// an answer.
pub(super) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &GatewaySettings,
) -> Result<Bytes, Refusal> {
    check_head(request.headers(), settings)?;
    let max = settings.max_body_bytes;
    let arrived = Cell::new(0);
    let mut body = pin!(gather(payload, max, &arrived));
    // Most bodies came with their headers and need no clock.
    let body = match soon(body.as_mut()).await {
        Some(body) => body?,
        None => in_time(body, &arrived, &settings.connections).await?,
    };
    if is_deeper_than(&body, settings.max_depth) {
        let max = settings.max_depth;
        return Err(Refusal::bad_request(format_args!("nested in more than {max} levels (limits.maxDepth)")));
    }
    Ok(body)
}

/// Refuses a body for what the head says of it, before any of it is read.
pub(super) fn check_head(headers: &HeaderMap, settings: &GatewaySettings) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mime = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !mime.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::INVALID_REQUEST,
            "the Content-Type must be application/json",
        ));
    }
    // RFC 9110 §8.4: it would have to be taken off before the body can be read.
    let codings = headers.get_all(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    if let Some(coding) = codings.flat_map(|list| list.split(',')).map(str::trim).find(|coding| !is_identity(coding)) {
        return Err(Refusal::unsupported_coding(coding));
    }
    let max = settings.max_body_bytes;
    if text(header::CONTENT_LENGTH).parse::<u64>().is_ok_and(|stated| stated > max as u64) {
        return Err(Trouble::TooLarge(max).into());
    }
    Ok(())
}

fn is_identity(coding: &str) -> bool {
    coding.is_empty() || coding.eq_ignore_ascii_case("identity")
}

/// What is there without waiting. actix asks for an answer to a request before it looks at what came behind the head, and
/// again right after that: so a second look is worth it.
async fn soon<F: Future>(mut body: Pin<&mut F>) -> Option<F::Output> {
    let mut looked = false;
    poll_fn(|cx| match body.as_mut().poll(cx) {
        Poll::Ready(body) => Poll::Ready(Some(body)),
        Poll::Pending if looked => Poll::Ready(None),
        Poll::Pending => {
            looked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// The pieces of a body; most come in one, which is not copied.
async fn gather(mut payload: web::Payload, max: usize, arrived: &Cell<usize>) -> Result<Bytes, Trouble> {
    let mut next = async || match payload.next().await {
        Some(Ok(piece)) if piece.len() > max - arrived.get() => Err(Trouble::TooLarge(max)),
        Some(Ok(piece)) => {
            arrived.set(arrived.get() + piece.len());
            Ok(Some(piece))
        }
        Some(Err(error)) => Err(Trouble::Broken(error)),
        None => Ok(None),
    };
    let Some(first) = next().await? else { return Ok(Bytes::new()) };
    let Some(second) = next().await? else { return Ok(first) };
    let mut whole = BytesMut::with_capacity(2 * (first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(piece) = next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Waits for the rest of a body, as long as it may take and while it comes fast enough.
async fn in_time(
    mut body: Pin<&mut impl Future<Output = Result<Bytes, Trouble>>>,
    arrived: &Cell<usize>,
    limits: &ConnectionLimits,
) -> Result<Bytes, Trouble> {
    let begun = Instant::now();
    let end = begun + limits.body_timeout;
    let mut look = begun + RATE_AFTER;
    loop {
        if let Ok(body) = timeout_at(look.min(end).into(), body.as_mut()).await {
            return body;
        }
        let now = Instant::now();
        if now >= end {
            return Err(Trouble::Late(limits.body_timeout));
        }
        if is_slow(arrived.get(), now - begun, limits.body_rate) {
            return Err(Trouble::Slow(limits.body_rate));
        }
        look = now + LOOK;
    }
}

fn is_slow(arrived: usize, within: Duration, rate: u64) -> bool {
    (arrived as u128) < u128::from(rate).saturating_mul(within.as_millis()) / 1000
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        let (status, code) = match trouble {
            Trouble::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::INVALID_REQUEST),
            Trouble::Broken(_) => (StatusCode::BAD_REQUEST, ErrorCode::PARSE_ERROR),
            Trouble::Late(_) | Trouble::Slow(_) => (StatusCode::REQUEST_TIMEOUT, ErrorCode::INVALID_REQUEST),
        };
        let text: &dyn fmt::Display = &trouble;
        Self::new(status, code, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_slow_when_less_came_than_its_time_wants() {
        let seconds = Duration::from_secs;
        assert!(is_slow(0, seconds(5), 1));
        assert!(is_slow(5 * 1024 - 1, seconds(5), 1024));
        assert!(!is_slow(5 * 1024, seconds(5), 1024));
        assert!(!is_slow(0, seconds(3600), 0), "no bound");
        assert!(is_slow(usize::MAX / 2, Duration::MAX, u64::MAX));
    }
}
