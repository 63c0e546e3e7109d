//! The stream on which a server of 2026-07-28 tells what changes, and the calls of the other era that it stands for.

use std::time::Instant;

use mcproxy_mcp::{ErrorCode, ErrorObject, Outcome, RawObject, RawValue, RequestId, Subject, method};
use slog::{debug, warn};

use super::{Asked, Session, answer::error_code, noise::LOGGED};
use crate::{
    dialect::{legacy, modern},
    lines::printable,
};

/// What became of a call that the server does not know in this era.
pub(super) enum Stand {
    /// It has its answer.
    Done,
    /// It gets one when the server has taken note.
    Later,
    /// It cannot be.
    Refused(ErrorObject),
    /// The server knows it.
    Foreign,
}

impl Session {
    /// Begins to listen for what the server says it can announce.
    pub(super) fn listen_for(&mut self, capabilities: &RawObject<'_>) {
        self.listening.want(capabilities);
    }

    /// Does what sessions of the other era ask a server to keep in mind. `upstream` is the number of the call here.
    pub(super) fn stand_in(&mut self, upstream: u64, of: &str, params: &[u8]) -> Stand {
        let params = RawObject::from_slice(params).unwrap_or_default();
        match of {
            // Each call carries the level of its own client.
            method::SET_LEVEL => Stand::Done,
            method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE => {
                let Some(subject) = Subject::read(&params) else {
                    return Stand::Refused(ErrorObject::new(ErrorCode::INVALID_PARAMS, "`uri` is missing"));
                };
                if of == method::RESOURCES_UNSUBSCRIBE {
                    self.listening.unsubscribe(&subject);
                    return Stand::Done;
                }
                match self.listening.subscribe(subject, upstream) {
                    Ok(()) => Stand::Later,
                    Err(why) => Stand::Refused(ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, why)),
                }
            }
            _ => Stand::Foreign,
        }
    }

    /// Opens a stream if something else is wanted than what the last one was for.
    pub(super) fn tend_listening(&mut self, now: Instant) {
        let next = self.next_id + 1;
        if let Some(id) = self.listening.due(|| next, now) {
            self.next_id = next;
            self.asked.push((id, Asked::Listen));
            let (announcements, subjects) = self.listening.filter();
            modern::listen(&mut self.out.server, id, announcements, subjects);
        }
        for call in self.listening.take_settled() {
            self.take_note(call);
        }
    }

    fn take_note(&mut self, upstream: u64) {
        if let Some(id) = self.calls.close(upstream) {
            self.done(id);
        }
    }

    /// The server took a request to listen.
    pub(super) fn listen_acknowledged(&mut self, params: Option<&RawValue>, now: Instant) {
        let params = params.and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
        let Some(id) = modern::subscription(&params) else { return };
        let honoured = params.get_object("notifications").map(|notifications| modern::honoured(&notifications));
        let acknowledged = self.listening.acknowledged(id, honoured.as_deref());
        for call in acknowledged.done {
            self.take_note(call);
        }
        for upstream in acknowledged.left_out {
            if let Some(call) = self.calls.close(upstream) {
                let text = "the server does not tell when this resource changes";
                self.fail(call, &ErrorObject::new(ErrorCode::INVALID_PARAMS, text));
            }
        }
        if let Some(replaced) = acknowledged.replaced {
            legacy::cancel(&mut self.out.server, replaced, Some("another stream takes its place"));
            self.asked.retain(|(asked, _)| *asked != replaced);
        }
        self.tend_listening(now);
    }

    /// The server ended a stream with an answer: a result when it is over, an error when it was never opened.
    pub(super) fn listen_ended(&mut self, id: u64, outcome: Outcome<'_>, now: Instant) {
        let (unknown, error) = match outcome {
            Outcome::Result(_) => (false, None),
            Outcome::Error(error) => (error_code(error) == Some(ErrorCode::METHOD_NOT_FOUND), Some(error)),
        };
        match error {
            Some(_) if unknown => {
                debug!(self.log, "server does not tell what changes"; "method" => method::LISTEN);
                self.nothing_is_announced();
            }
            Some(error) => {
                let error = printable(error.get().as_bytes(), LOGGED);
                warn!(self.log, "server refused to tell what changes"; "method" => method::LISTEN, "error" => error);
            }
            None => debug!(self.log, "server ended the stream of changes"),
        }
        let (code, text) = match unknown {
            true => (ErrorCode::METHOD_NOT_FOUND, "the server does not tell when a resource changes"),
            false => (ErrorCode::INTERNAL_ERROR, "the server does not tell when this resource changes at present"),
        };
        for upstream in self.listening.ended(id, unknown, now) {
            if let Some(call) = self.calls.close(upstream) {
                self.fail(call, &ErrorObject::new(code, text));
            }
        }
        self.tend_listening(now);
    }

    /// The server tears a stream down by the other way the specification knows.
    pub(super) fn listen_given_up(&mut self, params: Option<&RawValue>, now: Instant) {
        let params = params.and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
        let id = params.get("requestId").and_then(|raw| RequestId::from_raw(raw).ok()).and_then(|id| id.as_u64());
        if let Some(id) = id.filter(|id| self.listening.has(*id)) {
            self.asked.retain(|(asked, _)| *asked != id);
            self.listening.ended(id, false, now);
            self.tend_listening(now);
        }
    }
}
