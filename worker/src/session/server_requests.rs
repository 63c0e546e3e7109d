//! Requests of the server to a client: the call they belong to waits, and goes on with the answers.

use std::{borrow::Cow, time::Instant};

use bytes::Bytes;
use mcproxy_ipc::data::{CallContext, Outcome, Resumption, WorkerToGateway};
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RawValue, RequestId, object_body, undeclared};
use slog::{debug, warn};

use super::{
    asks::{Addressee, Feature, Owner, Substitute, owner},
    calls::Calls,
    context::SessionContext,
    parks::Ask,
};
use crate::dialect::legacy;

/// Characters of a server's reason for taking a question back that are passed on.
const MAX_REASON: usize = 1024;

impl Calls {
    /// A request of the server's own.
    pub(super) fn request(
        &mut self,
        cx: &mut SessionContext,
        line: &Bytes,
        id: RequestId,
        method: &str,
        params: Option<&RawValue>,
        now: Instant,
    ) {
        let features = cx.terms.askable(cx.era);
        let wanted = Feature::of(method, params).filter(|feature| feature.is_in(features));
        let Some(feature) = wanted else { return cx.answer(|out| legacy::answer(out, &id, method)) };
        let refusal = match owner(self.table.candidates(), self.parks.candidates()) {
            Owner::Call(upstream, can) => {
                if !feature.is_in(can) {
                    (ErrorCode::METHOD_NOT_FOUND, Cow::Owned(undeclared::refusal(feature.name())))
                } else {
                    let params = params.map_or_else(Bytes::new, |raw| Bytes::copy_from_slice(raw.get().as_bytes()));
                    if self.parks.ask(upstream, Ask { id: id.clone(), feature, params }) {
                        return;
                    }
                    (ErrorCode::INTERNAL_ERROR, Cow::Borrowed("too much is asked at once"))
                }
            }
            Owner::None if feature == Feature::Roots => {
                // A shared server that asks for the roots at its start goes on without any.
                let deferred = self.deferred.as_mut().is_some_and(|deferred| deferred.hold(id.clone(), now));
                if !deferred {
                    answer_no_roots(cx, &id);
                }
                return;
            }
            Owner::None => (ErrorCode::INTERNAL_ERROR, Cow::Borrowed("outside of calls there is no client to ask")),
            Owner::Unclear => (
                ErrorCode::INTERNAL_ERROR,
                Cow::Borrowed(
                    "ambiguous: several calls are under way, and a request does not say which one it belongs to",
                ),
            ),
        };
        if cx.noise.may_log(now) {
            warn!(cx.log, "request of the server was refused"; "method" => feature.method(), "reason" => &*refusal.1,
                "line_bytes" => line.len());
        }
        let error = mcproxy_mcp::error_object(refusal.0, refusal.1);
        cx.answer(|out| legacy::answer_error(out, &id, error.get()));
    }

    /// A server that starts does not wait for its first call for ever.
    pub(super) fn answer_deferred(&mut self, cx: &mut SessionContext, now: Instant) {
        for id in self.deferred.as_mut().map(|deferred| deferred.overdue(now)).unwrap_or_default() {
            answer_no_roots(cx, &id);
        }
    }

    /// There is a call, so that the client can be asked for what the server wanted to know before. The call, which stands in
    /// the output from `begin` on, is sent when that is answered: it may depend on it.
    pub(super) fn ask_what_was_held(&mut self, cx: &mut SessionContext, upstream: u64, begin: usize, now: Instant) {
        let line = cx.out.server.split_off(begin);
        let Some(deferred) = &mut self.deferred else { return };
        let (ids, owed) = (deferred.take(), deferred.take_owed());
        if owed {
            cx.tell_roots_changed();
        }
        let mut is_asked = false;
        for id in ids {
            let ask = Ask { id: id.clone(), feature: Feature::Roots, params: Bytes::new() };
            if self.parks.ask(upstream, ask) {
                is_asked = true;
            } else {
                answer_no_roots(cx, &id);
            }
        }
        let Some(deferred) = self.deferred.as_mut().filter(|_| is_asked) else { return cx.out.server.extend(line) };
        deferred.deferred_calls(upstream, line);
        // Nothing else can be asked within a call that the server does not know.
        self.parks.hurry(now);
        self.park(cx, now);
    }

    /// Sends the calls whose time has come.
    pub(super) fn send_deferred(&mut self, cx: &mut SessionContext, now: Instant) {
        for line in self.deferred.as_mut().map(|deferred| deferred.due(now)).unwrap_or_default() {
            cx.out.server.extend(line);
        }
    }

    /// Lets the calls wait whose server asked for something.
    pub(super) fn park(&mut self, cx: &mut SessionContext, now: Instant) {
        let ripe = self.parks.is_ripe(now);
        for upstream in self.parks.asking().into_iter().filter(|_| ripe) {
            match self.table.suspend(upstream, now) {
                Some(suspended) => {
                    let id = suspended.call;
                    let until = now + self.table.timeouts().input;
                    let (handle, payload) = self.parks.park(upstream, suspended, until);
                    cx.tell(WorkerToGateway::NeedsInput { id, resumption: Resumption::Parked { handle } }, payload);
                }
                // It is over meanwhile.
                None => self.answer_without_client(cx, upstream, now),
            }
        }
        for handle in self.parks.expired(now) {
            debug!(cx.log, "a client took too long to answer the server");
            self.abandon(cx, handle, "the client did not answer in time");
        }
    }

    /// The answers are there: the call goes on under another number.
    pub(super) fn resume(
        &mut self,
        cx: &mut SessionContext,
        id: u64,
        handle: u64,
        context: &CallContext,
        payload: &[u8],
        now: Instant,
    ) {
        let Some(mut park) = self.parks.take(handle) else {
            let text = "the server does not wait for this any more (inputTimeout), or has ended meanwhile";
            return cx.fail(id, &ErrorObject::new(ErrorCode::INVALID_PARAMS, text));
        };
        self.used(cx, now);
        let answers = RawObject::from_slice(payload).unwrap_or_default();
        for (key, ask) in &park.asks {
            let answer = answers.get_object(key).unwrap_or_default();
            match (answer.get("result"), answer.get("error")) {
                (Some(result), None) => cx.pass_answer(|out| legacy::answer_result(out, &ask.id, result.get())),
                (None, Some(error)) => cx.pass_answer(|out| legacy::answer_error(out, &ask.id, error.get())),
                (Some(_), Some(_)) | (None, None) => substitute(cx, ask),
            }
        }
        if let Some((outcome, payload)) = park.over {
            self.table.forget_suspended();
            return cx.tell(WorkerToGateway::Done { id, outcome, era: cx.era }, payload);
        }
        // A client of 2026-07-28 may be another one each time.
        if let Some(addressee) = Addressee::of(context) {
            park.suspended.addressee = addressee;
        }
        self.table.resume(park.upstream, id, context.wants_progress, park.suspended, now);
        if let Some(deferred) = &mut self.deferred {
            deferred.release(park.upstream, now);
        }
    }

    /// No client will resume this call.
    pub(super) fn abandon(&mut self, cx: &mut SessionContext, handle: u64, reason: &str) {
        let Some(park) = self.parks.take(handle) else { return };
        self.table.forget_suspended();
        for (_, ask) in &park.asks {
            substitute(cx, ask);
        }
        for ask in self.parks.take_fresh(park.upstream) {
            substitute(cx, &ask);
        }
        if park.over.is_none() {
            self.cancel(cx, park.upstream, Some(reason));
        }
    }

    /// The same for all of them.
    pub(super) fn abandon_all(&mut self, cx: &mut SessionContext, reason: &str) {
        for handle in self.parks.handles() {
            self.abandon(cx, handle, reason);
        }
    }

    /// The server answered a call that waits, or none that is known; `true`: a call that waits.
    pub(super) fn over_meanwhile(
        &mut self,
        cx: &mut SessionContext,
        upstream: u64,
        outcome: Outcome,
        payload: Bytes,
    ) -> bool {
        let Some(mut kept) = self.parks.finish(upstream, outcome, payload) else { return false };
        if kept.is_err() {
            let text = "the server's answer came before the client's and is too large to be kept";
            let error = ErrorObject::new(ErrorCode::INTERNAL_ERROR, text).to_raw();
            let error = Bytes::copy_from_slice(error.get().as_bytes());
            // An error is short; where not even that can be kept, the client's answers go to a server that ignores them.
            kept = self.parks.finish(upstream, Outcome::Error, error).unwrap_or(kept);
        }
        if let Ok(handle) = kept {
            cx.tell(WorkerToGateway::ParkedDone { handle }, Bytes::new());
        }
        true
    }

    /// The server takes a request back.
    pub(super) fn withdrawn(&mut self, cx: &mut SessionContext, params: Option<&RawValue>) {
        let params = params.and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
        if let Some(Ok(id)) = params.get("requestId").map(RequestId::from_raw) {
            if let Some((handle, key)) = self.parks.withdraw(&id) {
                let reason = params.get_string("reason").map(|reason| reason.chars().take(MAX_REASON).collect());
                cx.tell(WorkerToGateway::Withdrawn { handle, key, reason }, Bytes::new());
            }
            if let Some(deferred) = &mut self.deferred {
                deferred.withdraw(&id);
            }
        }
    }

    /// The client reports on its work at what the server asked for.
    pub(super) fn input_progress(&mut self, cx: &mut SessionContext, handle: u64, key: &str, params: &[u8]) {
        let token = self.parks.asked(handle, key).and_then(Ask::progress_token);
        let body = std::str::from_utf8(params).ok().and_then(object_body);
        if let (Some(token), Some(body)) = (token, body) {
            legacy::progress(&mut cx.out.server, token.get(), body);
        }
    }

    /// Deals with what was asked within a call that is over. Roots are still worth knowing; there will be another call.
    fn answer_without_client(&mut self, cx: &mut SessionContext, upstream: u64, now: Instant) {
        for ask in self.parks.take_fresh(upstream) {
            let is_held = ask.feature == Feature::Roots
                && self.deferred.as_mut().is_some_and(|deferred| deferred.hold(ask.id.clone(), now));
            if !is_held {
                substitute(cx, &ask);
            }
        }
    }
}

fn answer_no_roots(cx: &mut SessionContext, id: &RequestId) {
    cx.answer(|out| legacy::answer_result(out, id, r#"{"roots":[]}"#));
}

fn substitute(cx: &mut SessionContext, ask: &Ask) {
    match ask.feature.substitute() {
        Substitute::Result(result) => cx.answer(|out| legacy::answer_result(out, &ask.id, result)),
        Substitute::Error(code, text) => {
            let error = mcproxy_mcp::error_object(ErrorCode(code), text);
            cx.answer(|out| legacy::answer_error(out, &ask.id, error.get()));
        }
    }
}
