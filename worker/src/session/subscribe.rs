//! The stream on which a server of 2026-07-28 tells what changes, and the calls of the other era that it stands for.

use std::time::Instant;

use mcproxy_mcp::{ErrorCode, ErrorObject, Outcome, RawObject, RawValue, RequestId, Subject, method};
use slog::{debug, warn};

use super::{
    answer::error_code, calls::Calls, change_stream::ChangeStream, context::SessionContext, noise::LOGGED,
    own_requests::OwnRequest,
};
use crate::{
    dialect::{legacy, modern},
    lines::printable,
};

/// The outcome of a call that the server does not know in this era.
pub(super) enum EmulationOutcome {
    /// It has its answer.
    Done,
    /// It gets one when the server has taken note.
    Later,
    /// It cannot be.
    Refused(ErrorObject),
    /// The server knows it.
    NotEmulated,
}

impl ChangeStream {
    /// Does what sessions of the other era ask a server to keep in mind. `upstream` is the number of the call here.
    pub(super) fn emulate(&mut self, upstream: u64, of: &str, params: &[u8]) -> EmulationOutcome {
        let params = RawObject::from_slice(params).unwrap_or_default();
        match of {
            // Each call carries the level of its own client.
            method::SET_LEVEL => EmulationOutcome::Done,
            method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE => {
                let Some(subject) = Subject::read(&params) else {
                    return EmulationOutcome::Refused(ErrorObject::new(ErrorCode::INVALID_PARAMS, "`uri` is missing"));
                };
                if of == method::RESOURCES_UNSUBSCRIBE {
                    self.unsubscribe(&subject);
                    return EmulationOutcome::Done;
                }
                match self.subscribe(subject, upstream) {
                    Ok(()) => EmulationOutcome::Later,
                    Err(why) => EmulationOutcome::Refused(ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, why)),
                }
            }
            _ => EmulationOutcome::NotEmulated,
        }
    }

    /// Opens a stream if something else is wanted than what the last one was for.
    pub(super) fn renew(&mut self, cx: &mut SessionContext, calls: &mut Calls, now: Instant) {
        if let Some(id) = self.due(|| cx.requests.open(OwnRequest::Listen), now) {
            let (announcements, subjects) = self.filter();
            modern::listen(&mut cx.out.server, id, announcements, subjects);
        }
        for call in self.take_settled() {
            take_note(cx, calls, call);
        }
    }

    /// The server took a request to listen.
    pub(super) fn listen_acknowledged(
        &mut self,
        cx: &mut SessionContext,
        calls: &mut Calls,
        params: Option<&RawValue>,
        now: Instant,
    ) {
        let params = params.and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
        let Some(id) = modern::subscription(&params) else { return };
        let honoured = params.get_object("notifications").map(|notifications| modern::honoured(&notifications));
        let acknowledged = self.acknowledged(id, honoured.as_deref());
        for call in acknowledged.done {
            take_note(cx, calls, call);
        }
        for upstream in acknowledged.left_out {
            if let Some(call) = calls.table.close(upstream) {
                let text = "the server does not tell when this resource changes";
                cx.fail(call, &ErrorObject::new(ErrorCode::INVALID_PARAMS, text));
            }
        }
        if let Some(replaced) = acknowledged.replaced {
            legacy::cancel(&mut cx.out.server, replaced, Some("another stream takes its place"));
            cx.requests.forget(replaced);
        }
        self.renew(cx, calls, now);
    }

    /// The server ended a stream with an answer: a result when it is over, an error when it was never opened. Whether the server
    /// knows of no changes at all.
    pub(super) fn listen_ended(
        &mut self,
        cx: &mut SessionContext,
        calls: &mut Calls,
        id: u64,
        outcome: Outcome<'_>,
        now: Instant,
    ) -> bool {
        let (unknown, error) = match outcome {
            Outcome::Result(_) => (false, None),
            Outcome::Error(error) => (error_code(error) == Some(ErrorCode::METHOD_NOT_FOUND), Some(error)),
        };
        match error {
            Some(_) if unknown => debug!(cx.log, "server does not tell what changes"; "method" => method::LISTEN),
            Some(error) => {
                let error = printable(error.get().as_bytes(), LOGGED);
                warn!(cx.log, "server refused to tell what changes"; "method" => method::LISTEN, "error" => error);
            }
            None => debug!(cx.log, "server ended the stream of changes"),
        }
        let (code, text) = match unknown {
            true => (ErrorCode::METHOD_NOT_FOUND, "the server does not tell when a resource changes"),
            false => (ErrorCode::INTERNAL_ERROR, "the server does not tell when this resource changes at present"),
        };
        for upstream in self.ended(id, unknown, now) {
            if let Some(call) = calls.table.close(upstream) {
                cx.fail(call, &ErrorObject::new(code, text));
            }
        }
        self.renew(cx, calls, now);
        unknown
    }

    /// The server tears a stream down by the other way the specification knows.
    pub(super) fn listen_given_up(
        &mut self,
        cx: &mut SessionContext,
        calls: &mut Calls,
        params: Option<&RawValue>,
        now: Instant,
    ) {
        let params = params.and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
        let id = params.get("requestId").and_then(|raw| RequestId::from_raw(raw).ok()).and_then(|id| id.as_u64());
        if let Some(id) = id.filter(|id| self.has(*id)) {
            cx.requests.forget(id);
            self.ended(id, false, now);
            self.renew(cx, calls, now);
        }
    }
}

/// The server listens: the call that wanted it is done.
fn take_note(cx: &mut SessionContext, calls: &mut Calls, upstream: u64) {
    if let Some(id) = calls.table.close(upstream) {
        cx.done(id);
    }
}
