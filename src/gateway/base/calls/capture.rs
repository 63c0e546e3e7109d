//! What was said in a call, while an operator captures it: redacted and cut, for a bounded time.

use std::time::{Duration, Instant};

use mcproxy_mcp::RawObject;

use super::redact::redacted;

/// The longest time that a capture can be asked for.
pub(crate) const MAX_SECONDS: u64 = 600;
/// Most bytes of arguments, and of a result.
const MAX_BODY: usize = 16 * 1024;
/// Most bytes of all that is captured; the oldest goes first.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The time in which what is said is captured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CaptureWindow {
    until: Option<Instant>,
    by: Option<Box<str>>,
}

impl CaptureWindow {
    /// Until then, wanted by this caller.
    pub(crate) fn until(end: Instant, by: &str) -> Self {
        Self { until: Some(end), by: Some(by.into()) }
    }

    /// For so long from now, which is at most [`MAX_SECONDS`]; without time there is none.
    pub(crate) fn of_seconds(seconds: u64, by: &str, now: Instant) -> Self {
        match seconds.min(MAX_SECONDS) {
            0 => Self::default(),
            seconds => Self::until(now + Duration::from_secs(seconds), by),
        }
    }

    /// Whether it is that time.
    pub(crate) fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Its end and who wanted it, while it lasts.
    pub(crate) fn state(&self, now: Instant) -> Option<(Instant, &str)> {
        let until = self.until.filter(|until| now < *until)?;
        Some((until, self.by.as_deref().unwrap_or_default()))
    }
}

/// The bodies of one call.
#[derive(Debug)]
pub(super) struct CapturedBodies {
    arguments: Box<str>,
    result: Option<Box<str>>,
}

impl CapturedBodies {
    /// Of a call with these params: its arguments, or all of them where there are none that are called so.
    pub(super) fn of(params: &[u8]) -> Self {
        let object = RawObject::from_slice(params).ok();
        let arguments = object.as_ref().and_then(|object| object.get("arguments"));
        Self { arguments: body(arguments.map_or(params, |arguments| arguments.get().as_bytes())), result: None }
    }

    /// Adds the result; returns how many bytes that is.
    pub(super) fn answer(&mut self, result: &[u8]) -> usize {
        let result = body(result);
        let bytes = result.len();
        self.result = Some(result);
        bytes
    }

    pub(super) fn len(&self) -> usize {
        self.arguments.len() + self.result.as_ref().map_or(0, |result| result.len())
    }

    pub(super) fn texts(&self) -> (&str, Option<&str>) {
        (&self.arguments, self.result.as_deref())
    }
}

/// JSON with what looks secret taken out; of what is too large, its size.
fn body(json: &[u8]) -> Box<str> {
    if json.len() > MAX_BODY {
        return format!("{{\"omitted\":\"{} bytes are more than a capture keeps ({MAX_BODY})\"}}", json.len()).into();
    }
    match redacted(json) {
        Some(text) => text.into(),
        None => "{\"omitted\":\"it is no JSON\"}".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_has_an_end_and_cannot_be_asked_for_without_one() {
        let now = Instant::now();
        let window = CaptureWindow::of_seconds(u64::MAX, "ann", now);
        assert_eq!(window.state(now), Some((now + Duration::from_secs(MAX_SECONDS), "ann")));
        assert!(!window.is_on(now + Duration::from_secs(MAX_SECONDS)));
        assert!(!CaptureWindow::of_seconds(0, "ann", now).is_on(now));
    }

    #[test]
    fn what_is_too_large_or_no_json_is_left_out() {
        let large = format!("\"{}\"", "x".repeat(MAX_BODY));
        assert!(body(large.as_bytes()).contains("omitted") && body(b"{").contains("omitted"));
        assert_eq!(CapturedBodies::of(br#"{"name":"t","arguments":{"b":2}}"#).texts(), (r#"{"b":2}"#, None));
        let mut bodies = CapturedBodies::of(br#"{"a":1}"#);
        assert_eq!((bodies.answer(b"[2]"), bodies.len()), (3, 10));
        assert_eq!(bodies.texts(), (r#"{"a":1}"#, Some("[2]")));
    }
}
