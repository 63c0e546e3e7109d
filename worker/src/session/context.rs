//! The context that the parts of a session share: how far the conversation is, the requests of our own, and what goes out to both
//! sides.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    EndReason, ServerLimits, WorkerSpec,
    data::{Outcome, ServerEra, WorkerToGateway},
    frame::MAX_PAYLOAD,
};
use mcproxy_mcp::{ErrorCode, ErrorObject};
use slog::{Logger, warn};

use super::{
    client_terms::ClientTerms,
    noise::Noise,
    output::{SessionEvent, SessionOutput},
    own_requests::OwnRequests,
};
use crate::dialect::legacy;

/// Bytes of our own answers to a server's requests that may wait for it to read them; beyond it the server is ended. They are owed
/// whatever waits there already, or two that wait for each other would wait for ever; so they need a bound of their own. What
/// clients answer is not among them: no more frames are read while much waits, and a server that takes nothing of it is found out
/// by its write timeout.
const MAX_ANSWERS: usize = 1024 * 1024;

/// How far the conversation is.
#[derive(Debug)]
pub(super) enum SessionPhase {
    /// It is not known yet what the server speaks.
    Opening {
        until: Instant,
    },
    Listing {
        until: Instant,
    },
    Serving,
    Ending,
}

/// The context that the parts of a session share.
pub(crate) struct SessionContext {
    pub(super) server: String,
    pub(super) limits: ServerLimits,
    pub(super) log: Logger,
    pub(super) phase: SessionPhase,
    /// The era that the server speaks, once that is known.
    pub(super) era: ServerEra,
    pub(super) terms: ClientTerms,
    pub(super) requests: OwnRequests,
    pub(super) noise: Noise,
    /// There is a gateway that reads `out.gateway`.
    pub(super) linked: bool,
    /// The server's process has ended, and nothing can be written to it any more.
    pub(super) gone: bool,
    /// Bytes of our own answers to the server's requests in `out.server`, at most.
    answers: usize,
    pub(crate) out: SessionOutput,
}

impl SessionContext {
    /// Nothing was said yet.
    pub(super) fn new(spec: &WorkerSpec, linked: bool, log: Logger, phase: SessionPhase, now: Instant) -> Self {
        Self {
            server: spec.server.to_string(),
            limits: spec.limits,
            log,
            phase,
            era: ServerEra::default(),
            terms: ClientTerms::new(spec),
            requests: OwnRequests::default(),
            noise: Noise::new(spec.limits.garbage_lines, now),
            linked,
            gone: false,
            answers: 0,
            out: SessionOutput::default(),
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.phase, SessionPhase::Opening { .. })
    }

    pub(super) fn is_listing(&self) -> bool {
        matches!(self.phase, SessionPhase::Listing { .. })
    }

    pub(super) fn is_serving(&self) -> bool {
        matches!(self.phase, SessionPhase::Serving)
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, SessionPhase::Ending)
    }

    /// The one question that is open, while it is not known what the server speaks: any answer is to that.
    pub(super) fn only_question(&self) -> Option<u64> {
        self.requests.only_question().filter(|_| self.is_opening())
    }

    /// Nothing that the last process said counts for the next one.
    pub(super) fn forget_process(&mut self) {
        self.requests.clear();
        self.out.server.clear();
        self.out.headers.clear();
        self.answers = 0;
        self.gone = false;
    }

    /// The server cannot go on.
    pub(super) fn broken(&mut self, reason: EndReason) {
        self.phase = SessionPhase::Ending;
        self.out.events.push(SessionEvent::Broken(reason));
    }

    /// The server cannot be spoken to.
    pub(super) fn cannot_speak(&mut self, why: String) {
        self.broken(EndReason::Handshake(why));
    }

    /// Says something to the gateway, when there is one. A payload that no frame can carry is replaced or left out.
    pub(super) fn tell(&mut self, message: WorkerToGateway, payload: Bytes) {
        if !self.linked {
            return;
        }
        if payload.len() <= MAX_PAYLOAD {
            self.out.gateway.push_back((message, payload));
        } else if let WorkerToGateway::Done { id, .. } = message {
            let text = format!("the server's answer of {} bytes is longer than can be passed on", payload.len());
            self.fail(id, &ErrorObject::new(ErrorCode::INTERNAL_ERROR, text));
        } else {
            warn!(self.log, "message of the server is too large and was dropped"; "bytes" => payload.len());
        }
    }

    /// Answers a call with an error.
    pub(super) fn fail(&mut self, call: u64, error: &ErrorObject) {
        let payload = Bytes::copy_from_slice(error.to_raw().get().as_bytes());
        self.tell(WorkerToGateway::Done { id: call, outcome: Outcome::Error, era: self.era }, payload);
    }

    /// Answers a call with a result that says nothing.
    pub(super) fn done(&mut self, call: u64) {
        let done = WorkerToGateway::Done { id: call, outcome: Outcome::Result, era: self.era };
        self.tell(done, Bytes::from_static(b"{}"));
    }

    /// An error that names the server.
    pub(super) fn about(&self, code: ErrorCode, message: String, reason: &str) -> ErrorObject {
        ErrorObject::about_server(code, message, &self.server, reason)
    }

    /// The server's answer to a call is longer than allowed.
    pub(super) fn over_the_limit(&mut self, call: u64, len: usize) {
        let limit = self.limits.line_bytes;
        let text = format!("the server's answer of {len} bytes is over the limit of {limit} (limits.maxLine)");
        self.fail(call, &ErrorObject::new(ErrorCode::INTERNAL_ERROR, text));
    }

    /// Answers a request of the server's own, unless it leaves such answers unread.
    pub(super) fn answer(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_ending() {
            return;
        }
        let waited = self.out.server.len();
        write(&mut self.out.server);
        self.count_answers(waited, self.out.server.len() - waited);
    }

    /// The same with what a client answered. It may be as large as any message.
    pub(super) fn pass_answer(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.is_ending() {
            write(&mut self.out.server);
        }
    }

    /// So many bytes of our own answers to requests of the server were put behind those that waited before.
    fn count_answers(&mut self, waited: usize, bytes: usize) {
        self.answers = self.answers.min(waited) + bytes;
        if self.answers > MAX_ANSWERS {
            let what = "more than 1 MiB of answers to requests of its own that it does not read".to_owned();
            self.broken(EndReason::Limit(what));
        }
    }

    /// The client works in other directories than before.
    pub(super) fn tell_roots_changed(&mut self) {
        if self.terms.askable(self.era).roots_changed && self.is_serving() {
            legacy::roots_changed(&mut self.out.server);
        }
    }
}
