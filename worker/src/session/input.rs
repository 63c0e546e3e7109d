//! Messages of the server, and which part of the session each is passed to.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    EndReason,
    data::{ServerEra, WorkerToGateway},
};
use mcproxy_mcp::{
    EnvelopeError, ErrorCode, ErrorObject, ListKind, Message, RawArray, RawObject, RawValue, RequestId, method, parse,
};
use slog::{debug, warn};

use super::{Session, answer, noise::LOGGED, opening::is_echo, oversize, own_requests::OwnRequest};
use crate::{
    dialect::{legacy, modern},
    lines::{ServerLine, printable},
};

impl Session {
    /// One line of the server's stdout.
    pub(crate) fn line(&mut self, line: ServerLine, now: Instant) {
        self.health.heard(now);
        match line {
            ServerLine::Text(text) if text.starts_with(b"[") => self.batch(&text, now),
            ServerLine::Text(text) => self.message(&text, &text, now),
            ServerLine::TooLong { head, tail, len } => self.too_long(&head, &tail, len, now),
        }
    }

    /// A JSON-RPC batch (MCP 2025-03-26); some servers send one whatever the version.
    fn batch(&mut self, line: &Bytes, now: Instant) {
        match std::str::from_utf8(line).ok().and_then(|text| RawArray::from_text(text).ok()) {
            Some(RawArray(elements)) => {
                for element in elements {
                    self.message(line, element.get().as_bytes(), now);
                }
            }
            None => self.garbage(line, now),
        }
    }

    /// `bytes` is one message and a part of `line`.
    fn message(&mut self, line: &Bytes, bytes: &[u8], now: Instant) {
        match parse(bytes) {
            Ok(Message::Response { id, outcome }) => self.response(line, &id, outcome, now),
            Ok(Message::Notification { method, params }) => self.notification(line, &method, params, now),
            Ok(Message::Request { method, .. }) if is_echo(&self.context, &method) => {
                self.context
                    .cannot_speak("it repeats what it is sent, as no MCP server does; is `command` right?".to_owned());
            }
            Ok(Message::Request { id, method, params }) => match self.mended(&method, params, now) {
                Some(mended) => {
                    self.calls.request(&mut self.context, line, id, &method, mended.as_deref().or(params), now);
                }
                None => {
                    let error = mcproxy_mcp::error_object(ErrorCode::INVALID_PARAMS, "no client can read these params");
                    self.context.answer(|out| legacy::answer_error(out, &id, error.get()));
                }
            },
            Err(_) if self.is_answer_without_id(bytes, now) => {}
            Err(error) => {
                self.unreadable(bytes, &error, now);
                self.garbage(bytes, now);
            }
        }
    }

    /// An answer whose id is none (a server that cannot read the id of a request answers with `null`, JSON-RPC 2.0 §5), while
    /// only one question is open.
    fn is_answer_without_id(&mut self, bytes: &[u8], now: Instant) -> bool {
        let Some(number) = self.context.only_question() else { return false };
        let Ok(object) = RawObject::from_slice(bytes) else { return false };
        let error = object.get("error").filter(|error| error.get().starts_with('{'));
        let outcome = match (object.get("method"), object.get("result"), error) {
            (None, _, Some(error)) => mcproxy_mcp::Outcome::Error(error),
            (None, Some(result), None) => mcproxy_mcp::Outcome::Result(result),
            (Some(_), ..) | (None, None, None) => return false,
        };
        self.answered_question(number, outcome, now);
        true
    }

    /// A line that is no message: what it would have answered fails now, not when its time is over.
    fn unreadable(&mut self, bytes: &[u8], error: &EnvelopeError, now: Instant) {
        // The ids of the server's own requests are not ours.
        let object = RawObject::from_slice(bytes).ok();
        if object.is_some_and(|object| object.get("method").is_some()) {
            return;
        }
        let known = answer::id_of(bytes, error);
        let upstream = known.or_else(|| self.calls.table.only().filter(|_| answer::looks_like_an_answer(bytes)));
        if let Some(call) = upstream.and_then(|id| self.calls.close_unread(&mut self.context, id, now)) {
            self.context.fail(call, &ErrorObject::new(ErrorCode::INTERNAL_ERROR, answer::complaint(bytes, error)));
        } else if known.is_some_and(|id| self.context.requests.is_initialize(id)) {
            self.context.cannot_speak(answer::complaint(bytes, error));
        } else {
            self.page_unreadable(known, &answer::complaint(bytes, error), now);
        }
    }

    fn response(&mut self, line: &Bytes, id: &RequestId, outcome: mcproxy_mcp::Outcome<'_>, now: Instant) {
        // Some servers send a number back as a text.
        let Some(upstream) = id.meant_u64() else {
            let probe = modern::probe_number(id).filter(|number| self.context.requests.is_probe(*number));
            return match probe.or_else(|| self.context.only_question()) {
                Some(number) => self.answered_question(number, outcome, now),
                None => self.unknown(id, now),
            };
        };
        if self.calls.answered(&mut self.context, upstream, line, outcome, now) {
            return;
        }
        let Some(asked) = self.context.requests.take(upstream) else {
            if let Some(number) = self.context.only_question() {
                return self.answered_question(number, outcome, now);
            }
            let (outcome, payload) = answer::for_client(line, outcome);
            if self.calls.parks.is_empty() || !self.calls.over_meanwhile(&mut self.context, upstream, outcome, payload)
            {
                self.unknown(id, now);
            }
            return;
        };
        match asked {
            // Whatever it says, it lives.
            OwnRequest::Ping => {}
            OwnRequest::Initialize => self.introduced(&asked, outcome, now),
            OwnRequest::Listen => {
                let knows_nothing =
                    self.change_stream.listen_ended(&mut self.context, &mut self.calls, upstream, outcome, now);
                if knows_nothing {
                    self.lists.nothing_is_announced(self.context.era);
                }
            }
            // Its answer carries the other kind of id.
            OwnRequest::Probe => {}
            OwnRequest::Page { gathering, .. } => {
                self.lists.page(&mut self.context, gathering, outcome, now);
                self.ready_when_listed(now);
            }
        }
    }

    fn notification(&mut self, line: &Bytes, method: &str, params: Option<&RawValue>, now: Instant) {
        let Some(mended) = self.mended(method, params, now) else { return };
        let params = mended.as_deref().or(params);
        let payload = || match (&mended, params) {
            (None, Some(raw)) => line.slice_ref(raw.get().as_bytes()),
            (Some(raw), _) => Bytes::copy_from_slice(raw.get().as_bytes()),
            (None, None) => Bytes::from_static(b"{}"),
        };
        // A sign of life counts, whether a client hears of it or not.
        let passed = is_for_clients(method).then(|| {
            let bytes = params.map_or(0, |raw| raw.get().len());
            self.flood.admits(bytes, params, now)
        });
        let Self { context: cx, calls, lists, change_stream, .. } = self;
        match method {
            method::PROGRESS => calls.progress(cx, params, passed != Some(false), now),
            _ if passed == Some(false) => {}
            method::LOG_MESSAGE => cx.tell(WorkerToGateway::Log { id: None, session: None }, payload()),
            method::RESOURCE_UPDATED => cx.tell(WorkerToGateway::Updated { session: None }, untagged(payload())),
            method::TASK_CHANGED | method::TASK_STATUS => {
                cx.tell(WorkerToGateway::TaskChanged { session: None }, untagged(payload()));
            }
            method::ELICITATION_COMPLETE => cx.tell(WorkerToGateway::PageDone { session: None }, payload()),
            method::TOOLS_CHANGED => lists.changed(&[ListKind::Tools], now),
            method::PROMPTS_CHANGED => lists.changed(&[ListKind::Prompts], now),
            method::RESOURCES_CHANGED => lists.changed(&[ListKind::Resources, ListKind::Templates], now),
            method::LISTEN_ACKNOWLEDGED => change_stream.listen_acknowledged(cx, calls, params, now),
            method::CANCELLED if cx.era == ServerEra::Modern => change_stream.listen_given_up(cx, calls, params, now),
            method::CANCELLED => calls.withdrawn(cx, params),
            custom if method::is_custom_notification(custom) => {
                let params = params.map_or_else(Bytes::new, |raw| line.slice_ref(raw.get().as_bytes()));
                let message = WorkerToGateway::Notification { method: custom.to_owned(), id: None, session: None };
                cx.tell(message, params);
            }
            _ => {}
        }
    }

    /// Replaces params that not every client can read; `None`: they are of no use.
    fn mended(&mut self, method: &str, params: Option<&RawValue>, now: Instant) -> Option<Option<Box<RawValue>>> {
        match params.map(answer::mended).transpose() {
            Ok(mended) => Some(mended.flatten()),
            Err(why) => {
                if self.context.noise.may_log(now) {
                    let method = printable(method.as_bytes(), LOGGED);
                    warn!(self.context.log, "message of the server that no client can read was dropped"; "method" => method, "reason" => why);
                }
                None
            }
        }
    }

    /// Clients are told what they missed.
    pub(super) fn tell_of_flood(&mut self, now: Instant) {
        if let Some(params) = self.flood.tell(&self.context.server, now) {
            warn!(self.context.log, "server sends more than can be passed on"; "dropped" => &params);
            self.context.tell(WorkerToGateway::Log { id: None, session: None }, params.into());
        }
    }

    fn too_long(&mut self, head: &[u8], tail: &[u8], len: usize, now: Instant) {
        let known = oversize::response_id(head, tail);
        let upstream = known.or_else(|| {
            // A text that is no object, and a request or notification of that size, is not an answer to anything.
            let object = head.trim_ascii_start().starts_with(b"{");
            self.calls.table.only().filter(|_| object && !oversize::names_a_method(head))
        });
        let call = upstream.and_then(|id| self.calls.close_unread(&mut self.context, id, now));
        if self.context.noise.may_log(now) {
            warn!(self.context.log, "line of the server is over the limit and was skipped"; "bytes" => len, "limit" => self.context.limits.line_bytes);
        }
        match call {
            Some(call) => self.context.over_the_limit(call, len),
            None => {
                self.garbage(head, now);
                self.page_unreadable(known, "a page is over the limit (limits.maxLine)", now);
            }
        }
    }

    /// The line may have been a page of a list.
    fn page_unreadable(&mut self, id: Option<u64>, why: &str, now: Instant) {
        self.lists.page_unreadable(&mut self.context, id, why, now);
        self.ready_when_listed(now);
    }

    fn unknown(&mut self, id: &RequestId, now: Instant) {
        self.context.noise.total_unknown += 1;
        if self.context.noise.may_log(now) {
            debug!(self.context.log, "answer to nothing that is in flight was dropped"; "id" => printable(id.as_json().as_bytes(), 40));
        }
    }

    fn garbage(&mut self, bytes: &[u8], now: Instant) {
        if self.context.noise.may_log(now) {
            warn!(self.context.log, "server wrote something to stdout that is no message"; "line" => printable(bytes, LOGGED));
        }
        if !self.context.noise.garbage(now) && !self.context.is_ending() {
            let bearable = self.context.limits.garbage_lines;
            let what =
                format!("more than {bearable} lines a minute on stdout that are no messages (limits.maxGarbage)");
            self.context.broken(EndReason::Limit(what));
        }
    }
}

/// Whether a notification goes on to clients as often as it comes.
fn is_for_clients(of: &str) -> bool {
    matches!(
        of,
        method::PROGRESS
            | method::LOG_MESSAGE
            | method::RESOURCE_UPDATED
            | method::TASK_CHANGED
            | method::TASK_STATUS
            | method::ELICITATION_COMPLETE
    ) || method::is_custom_notification(of)
}

/// The params of a notification without what ties it to a stream between the server and us.
fn untagged(params: Bytes) -> Bytes {
    let Ok(mut object) = RawObject::from_slice(&params) else { return params };
    match object.remove("_meta") {
        None => params,
        Some(_) => {
            let mut out = Vec::new();
            object.write(&mut out);
            out.into()
        }
    }
}
