//! The body of a POST: of the right type, within its bounds, read within its time.

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    rc::Rc,
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
use bytes::Bytes;
use futures_util::StreamExt;
use mcproxy_ipc::control::{ConnectionLimits, GatewaySettings};
use mcproxy_mcp::{ErrorCode, is_deeper_than};
use tokio::time::timeout_at;

use super::{
    body_buffer::{Arriving, NoRoom},
    error::HttpError,
};
use crate::gateway::state::Gateway;

/// A body that takes longer than this has to keep up the least rate.
const RATE_AFTER: Duration = Duration::from_secs(5);
/// How often the rate is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The largest body of a request that belongs to no session, in bytes: what opens one is small. A larger one is refused when
/// so much of it has come.
const WITHOUT_SESSION: usize = 256 * 1024;

/// How large a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// `limits.maxBody`.
    Any,
    /// The request names no known session and does not declare version 2026-07-28.
    WithoutSession,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// It is larger than `limits.maxBody`.
    #[error("the body is larger than {0} bytes (limits.maxBody)")]
    TooLarge(usize),
    /// It is larger than a request without a session may be.
    #[error(
        "a body of more than {WITHOUT_SESSION} bytes needs a session: send initialize first, and the Mcp-Session-Id with it"
    )]
    NoSession,
    /// It ended early, or its framing is wrong.
    #[error("cannot read the body: {0}")]
    Broken(PayloadError),
    /// actix itself never times out a body that drips.
    #[error("the body did not arrive within {} s (limits.bodyTimeout)", .0.as_secs_f64())]
    Late(Duration),
    /// It would hold its connection for as long as it is allowed to, for nothing.
    #[error("the body arrives at less than {0} bytes a second (limits.minBodyRate)")]
    Slow(u64),
    /// There is no room for it in the budget.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// Reads a JSON body within the bounds of the settings, and not so deep that a server's parser would give up on it without
/// an answer. `bound`: asked for when the body takes its time.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    gateway: &Gateway,
    bound: impl AsyncFnOnce() -> Bound,
) -> Result<Bytes, HttpError> {
    let settings = gateway.settings();
    check_head(request.headers(), &settings)?;
    let body = match soon(&mut payload, Limit::new(Bound::Any, &settings)).await? {
        // Most bodies came with their headers, in one piece, and need neither a clock nor a place of their own.
        Soon::Whole(body) => body,
        Soon::Part(pieces) => {
            let stated = stated_length(request.headers()).and_then(|length| usize::try_from(length).ok());
            let limit = Limit::new(bound().await, &settings);
            let arriving = Arriving::begin(&gateway.budget, stated).map_err(Trouble::NoRoom)?;
            in_time(gather(payload, limit, pieces, &arriving), &arriving, &settings.connections).await?
        }
    };
    if is_deeper_than(&body, settings.max_depth) {
        let max = settings.max_depth;
        return Err(HttpError::bad_request(format_args!("nested in more than {max} levels (limits.maxDepth)")));
    }
    Ok(body)
}

/// The bound of one body.
#[derive(Debug, Clone, Copy)]
struct Limit {
    bytes: usize,
    without_session: bool,
}

impl Limit {
    fn new(bound: Bound, settings: &GatewaySettings) -> Self {
        let max = settings.max_body_bytes;
        let without_session = bound == Bound::WithoutSession && WITHOUT_SESSION < max;
        Self { bytes: if without_session { WITHOUT_SESSION } else { max }, without_session }
    }

    fn check(self, arrived: usize) -> Result<(), Trouble> {
        match arrived > self.bytes {
            false => Ok(()),
            true if self.without_session => Err(Trouble::NoSession),
            true => Err(Trouble::TooLarge(self.bytes)),
        }
    }
}

/// Refuses a body for what the head says of it, before any of it is read.
pub(super) fn check_head(headers: &HeaderMap, settings: &GatewaySettings) -> Result<(), HttpError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mime = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !mime.eq_ignore_ascii_case("application/json") {
        return Err(HttpError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::INVALID_REQUEST,
            "the Content-Type must be application/json",
        ));
    }
    // RFC 9110 §8.4: it would have to be taken off before the body can be read.
    let codings = headers.get_all(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    if let Some(coding) = codings.flat_map(|list| list.split(',')).map(str::trim).find(|coding| !is_identity(coding)) {
        return Err(HttpError::unsupported_coding(coding));
    }
    let max = settings.max_body_bytes;
    if stated_length(headers).is_some_and(|stated| stated > max as u64) {
        return Err(Trouble::TooLarge(max).into());
    }
    Ok(())
}

fn stated_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_identity(coding: &str) -> bool {
    coding.is_empty() || coding.eq_ignore_ascii_case("identity")
}

/// The part of a body that has arrived already.
enum Soon {
    /// All of it.
    Whole(Bytes),
    /// The beginning, as it came.
    Part(Vec<Bytes>),
}

/// Takes what is there without waiting. actix asks for an answer to a request before it looks at what came behind the head, and
/// again right after that: so a second look is worth it.
async fn soon(payload: &mut web::Payload, limit: Limit) -> Result<Soon, Trouble> {
    let mut first: Option<Bytes> = None;
    let mut looked = false;
    poll_fn(|cx| {
        loop {
            return Poll::Ready(Ok(match payload.poll_next_unpin(cx) {
                Poll::Ready(None) => Soon::Whole(first.take().unwrap_or_default()),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Trouble::Broken(error))),
                Poll::Ready(Some(Ok(piece))) => {
                    limit.check(first.as_ref().map_or(0, Bytes::len) + piece.len())?;
                    match first.take() {
                        Some(first) => Soon::Part(vec![first, piece]),
                        None => {
                            first = Some(piece);
                            continue;
                        }
                    }
                }
                Poll::Pending if looked => Soon::Part(first.take().into_iter().collect()),
                Poll::Pending => {
                    looked = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }));
        }
    })
    .await
}

/// Puts together what was there and what follows.
async fn gather(
    mut payload: web::Payload,
    limit: Limit,
    pieces: Vec<Bytes>,
    arriving: &Rc<Arriving>,
) -> Result<Bytes, Trouble> {
    for piece in pieces {
        arriving.push(&piece)?;
    }
    loop {
        let next = poll_fn(|cx| match arriving.poll_gave_way(cx) {
            Poll::Ready(no_room) => Poll::Ready(Err(no_room)),
            Poll::Pending => payload.poll_next_unpin(cx).map(Ok),
        });
        match next.await? {
            Some(Ok(piece)) => {
                limit.check(arriving.arrived() + piece.len())?;
                arriving.push(&piece)?;
            }
            Some(Err(error)) => return Err(Trouble::Broken(error)),
            None => return Ok(arriving.finish()),
        }
    }
}

/// Waits for the rest of a body, as long as it may take and while it comes fast enough.
async fn in_time(
    body: impl Future<Output = Result<Bytes, Trouble>>,
    arriving: &Arriving,
    limits: &ConnectionLimits,
) -> Result<Bytes, Trouble> {
    let mut body = pin!(body);
    let begun = Instant::now();
    let end = begun + limits.body_timeout;
    let mut next_check = begun + RATE_AFTER;
    loop {
        if let Ok(body) = timeout_at(next_check.min(end).into(), body.as_mut()).await {
            return body;
        }
        let now = Instant::now();
        if now >= end {
            return Err(Trouble::Late(limits.body_timeout));
        }
        if is_slow(arriving.arrived(), now - begun, limits.body_rate) {
            return Err(Trouble::Slow(limits.body_rate));
        }
        next_check = now + CHECK_INTERVAL;
    }
}

fn is_slow(arrived: usize, within: Duration, rate: u64) -> bool {
    (arrived as u128) < u128::from(rate).saturating_mul(within.as_millis()) / 1000
}

impl From<Trouble> for HttpError {
    fn from(trouble: Trouble) -> Self {
        let (status, code) = match trouble {
            Trouble::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::INVALID_REQUEST),
            Trouble::Broken(_) => (StatusCode::BAD_REQUEST, ErrorCode::PARSE_ERROR),
            Trouble::NoSession => (StatusCode::BAD_REQUEST, ErrorCode::INVALID_REQUEST),
            Trouble::NoRoom(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::INTERNAL_ERROR),
            Trouble::Late(_) | Trouble::Slow(_) => (StatusCode::REQUEST_TIMEOUT, ErrorCode::INVALID_REQUEST),
        };
        let text: &dyn fmt::Display = &trouble;
        if status == StatusCode::SERVICE_UNAVAILABLE { Self::busy(text) } else { Self::new(status, code, text) }
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
