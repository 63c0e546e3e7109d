//! What is remembered of one call.

use std::{
    borrow::Cow,
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use mcproxy_ipc::ServerName;
use mcproxy_mcp::{ProtocolVersion, RawObject};

use super::capture::CapturedBodies;
use crate::gateway::base::{metrics::OutcomeLabel, principal::Principal, reply::Reply, scope::Scope};

/// Most bytes of each text in a record.
pub(super) const MAX_TEXT: usize = 256;
/// So much of either end of a result is searched for `isError`.
const ENDS: usize = 4096;

/// A call at its beginning.
#[derive(Debug)]
pub(crate) struct NewCall {
    /// When its request came.
    pub(crate) begun: Instant,
    /// Who makes it.
    pub(crate) principal: Principal,
    /// The client's name and version, if it said so.
    pub(crate) client: Option<Rc<str>>,
    /// The version that the client speaks.
    pub(crate) version: ProtocolVersion,
    /// The endpoint.
    pub(crate) scope: Scope,
    /// The server.
    pub(crate) server: ServerName,
    /// The method.
    pub(crate) method: Cow<'static, str>,
    /// The server's own name of the tool or prompt.
    pub(crate) name: Box<str>,
    /// The size of its params.
    pub(crate) argument_bytes: usize,
    /// Whether the web page made it again.
    pub(crate) is_replay: bool,
}

/// A call that is remembered.
#[derive(Debug)]
pub(crate) struct CallRecord {
    /// Its number; grows with each call.
    pub(crate) id: u64,
    /// The number of the last change of it.
    pub(crate) changed: u64,
    /// What was known at its beginning.
    pub(crate) call: NewCall,
    /// How it ended; `None`: it is under way.
    pub(crate) ending: Option<CallEnding>,
    /// What was said, if a capture was on.
    pub(super) bodies: Option<CapturedBodies>,
}

/// The part of a call's time that it waited, by what for.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallWaits {
    /// For its server to start.
    pub(crate) start: Cell<Duration>,
    /// For a person who agrees to it.
    pub(crate) approval: Cell<Duration>,
    /// For its turn.
    pub(crate) queue: Cell<Duration>,
    /// For the server's answer, by way of its worker.
    pub(crate) server: Cell<Duration>,
}

/// How a call ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallVerdict {
    /// With a result.
    Ok,
    /// With a result that says that the tool failed.
    ToolError,
    /// With an error.
    Error,
    /// The client gave it up.
    Cancelled,
    /// Its time was over.
    Timeout,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct CallEnding {
    /// In a word.
    pub(crate) verdict: CallVerdict,
    /// The message of an error.
    pub(crate) error: Option<Box<str>>,
    /// The size of what its client got.
    pub(crate) result_bytes: Option<usize>,
    /// All of its time.
    pub(crate) took: Duration,
    /// The parts of it.
    pub(crate) waits: CallWaits,
}

impl CallWaits {
    /// Adds to one of them.
    pub(crate) fn add(part: &Cell<Duration>, more: Duration) {
        part.set(part.get() + more);
    }
}

impl CallVerdict {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool-error",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
        }
    }

    /// Whether its client got what it wanted.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::ToolError | Self::Error | Self::Timeout)
    }
}

impl CallRecord {
    /// The server's own name of the tool or prompt.
    pub(crate) fn name(&self) -> &str {
        &self.call.name
    }

    /// Arguments and result as far as they were captured, JSON or a text that was cut.
    pub(crate) fn captured(&self) -> Option<(&str, Option<&str>)> {
        self.bodies.as_ref().map(CapturedBodies::texts)
    }
}

impl CallEnding {
    /// Of a call whose client gets this reply; without one it gave the call up.
    pub(crate) fn of(outcome: OutcomeLabel, reply: Option<&Reply>, took: Duration, waits: CallWaits) -> Self {
        let verdict = match (outcome, reply) {
            (OutcomeLabel::Cancelled, _) | (_, None) => CallVerdict::Cancelled,
            (_, Some(Reply::Error(error))) if error.reason == "timeout" => CallVerdict::Timeout,
            (_, Some(Reply::Error(_))) => CallVerdict::Error,
            (_, Some(Reply::Result(result))) if says_error(result) => CallVerdict::ToolError,
            (OutcomeLabel::Result | OutcomeLabel::Error | OutcomeLabel::Lost | OutcomeLabel::Unavailable, Some(_)) => {
                CallVerdict::Ok
            }
        };
        let error = match reply {
            Some(Reply::Error(error)) => message(&error.raw),
            _ => None,
        };
        Self { verdict, error, result_bytes: reply.map(Reply::len), took, waits }
    }

    /// Of a call that its client gave up.
    pub(super) fn given_up(took: Duration) -> Self {
        Self { verdict: CallVerdict::Cancelled, error: None, result_bytes: None, took, waits: CallWaits::default() }
    }

    /// The time that was neither waited for the server nor for anything before it.
    pub(crate) fn in_gateway(&self) -> Duration {
        let CallWaits { start, approval, queue, server } = &self.waits;
        self.took.saturating_sub(start.get() + approval.get() + queue.get() + server.get())
    }
}

/// The beginning of a text, as long as a record takes it.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

fn message(error: &[u8]) -> Option<Box<str>> {
    let message = RawObject::from_slice(error).ok()?.get_string("message")?;
    Some(cut(&message).into())
}

/// Whether a result says `isError: true`. Only its ends are searched, where servers write that; what is found is read properly.
fn says_error(result: &[u8]) -> bool {
    let (first, last) = (&result[..result.len().min(ENDS)], &result[result.len().saturating_sub(ENDS)..]);
    if !(claims_error(first) || (result.len() > ENDS && claims_error(last))) {
        return false;
    }
    RawObject::from_slice(result).is_ok_and(|result| result.get("isError").is_some_and(|value| value.get() == "true"))
}

fn claims_error(part: &[u8]) -> bool {
    const KEY: &[u8] = br#""isError""#;
    memchr::memmem::find_iter(part, KEY).any(|at| {
        let rest = part[at + KEY.len()..].trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mcproxy_mcp::{ErrorCode, ErrorObject};

    use super::*;

    fn verdict(outcome: OutcomeLabel, reply: Option<Reply>) -> (CallVerdict, Option<Box<str>>) {
        let ending = CallEnding::of(outcome, reply.as_ref(), Duration::ZERO, CallWaits::default());
        (ending.verdict, ending.error)
    }

    #[test]
    fn a_result_that_says_that_the_tool_failed_is_told_from_one_that_speaks_of_it() {
        let of =
            |text: &str| verdict(OutcomeLabel::Result, Some(Reply::Result(Bytes::copy_from_slice(text.as_bytes())))).0;
        for failed in [
            r#"{"content":[],"isError":true}"#,
            r#"{"isError" : true,"content":[]}"#,
            &format!(r#"{{"content":[{{"type":"text","text":"{}"}}],"isError":true}}"#, "x".repeat(9000)),
        ] {
            assert_eq!(of(failed), CallVerdict::ToolError, "{failed}");
        }
        for fine in [
            r#"{"content":[],"isError":false}"#,
            r#"{"content":[]}"#,
            r#"{"content":[],"structuredContent":{"isError":true}}"#,
            r#"{"content":[{"type":"text","text":"{\"isError\":true}"}]}"#,
        ] {
            assert_eq!(of(fine), CallVerdict::Ok, "{fine}");
        }
    }

    #[test]
    fn an_error_is_told_with_its_message_and_a_timeout_as_one() {
        let error = |message: &str, reason: &str| {
            Reply::from(ErrorObject::about_server(ErrorCode::INTERNAL_ERROR, message.to_owned(), "a", reason))
        };
        let (word, text) = verdict(OutcomeLabel::Error, Some(error(&"é".repeat(4000), "worker_ended")));
        assert_eq!(word, CallVerdict::Error);
        assert!(text.is_some_and(|text| text.len() <= MAX_TEXT && text.starts_with('é')));
        assert_eq!(verdict(OutcomeLabel::Error, Some(error("late", "timeout"))).0, CallVerdict::Timeout);
        assert_eq!(verdict(OutcomeLabel::Cancelled, None).0, CallVerdict::Cancelled);
    }

    #[test]
    fn what_was_not_waited_for_was_spent_in_the_gateway() {
        let waits = CallWaits::default();
        CallWaits::add(&waits.server, Duration::from_millis(7));
        CallWaits::add(&waits.server, Duration::from_millis(1));
        let ending = CallEnding::of(OutcomeLabel::Cancelled, None, Duration::from_millis(10), waits.clone());
        assert_eq!(ending.in_gateway(), Duration::from_millis(2));
        let ending = CallEnding::of(OutcomeLabel::Cancelled, None, Duration::ZERO, waits);
        assert_eq!(ending.in_gateway(), Duration::ZERO);
    }
}
