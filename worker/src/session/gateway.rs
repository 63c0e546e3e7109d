//! The session's side of the gateway: what it wants of the server, and what it is told.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    data::{CallContext, GatewayToWorker, Outcome, ServerEra, ServerTraits, WorkerToGateway},
    frame::MAX_PAYLOAD,
};
use mcproxy_mcp::{ErrorCode, ErrorObject, ListKind};
use slog::warn;

use super::{
    Session, SessionEvent, SessionPhase,
    asks::{Addressee, Feature, allowed},
    deferred::Deferred,
    idle::Idle,
    subscribe::EmulationOutcome,
};
use crate::dialect::{self, legacy};

impl Session {
    /// A gateway is there. What an earlier one wanted is given up.
    pub(crate) fn link_up(&mut self, now: Instant) {
        self.forget_gateway();
        self.linked = true;
        if let Some(idle) = &mut self.idle {
            idle.begin(now);
        }
        if matches!(self.phase, SessionPhase::Serving) {
            self.push_catalogue();
        }
    }

    /// The gateway is gone, and nobody waits for its calls.
    pub(crate) fn link_down(&mut self) {
        self.forget_gateway();
        if matches!(self.phase, SessionPhase::Serving) && self.idle.as_ref().is_some_and(Idle::is_said) {
            self.out.events.push(SessionEvent::Left);
        }
    }

    fn forget_gateway(&mut self) {
        self.linked = false;
        self.out.gateway.clear();
        self.abandon_all("the client is gone");
        for (upstream, _) in self.calls.drain() {
            self.cancel(upstream, Some("the client is gone"));
        }
    }

    /// Tells the server that nobody waits for an answer any more, if it has heard of the call at all.
    pub(super) fn cancel(&mut self, upstream: u64, reason: Option<&str>) {
        if self.deferred.as_mut().is_some_and(|deferred| deferred.drop_call(upstream)) {
            return self.tasks.over(upstream);
        }
        self.task_cancelled(upstream);
        legacy::cancel(&mut self.out.server, upstream, reason);
    }

    /// A message of the gateway.
    pub(crate) fn frame(&mut self, message: GatewayToWorker, payload: &[u8], now: Instant) {
        match message {
            GatewayToWorker::Call { id, method, meta_at, mut context } => {
                self.bound(&mut context);
                let (params, meta) = payload.split_at_checked(meta_at).unwrap_or((payload, &[]));
                if let Err(error) = self.call(id, &method, params, meta, &context, now) {
                    self.fail(id, &error);
                }
            }
            GatewayToWorker::Resume { id, handle, context } => self.resume(id, handle, &context, payload, now),
            GatewayToWorker::Abandon { handle } => self.abandon(handle, "the client gave the call up"),
            GatewayToWorker::Cancel { id, reason } => {
                if let Some(upstream) = self.calls.cancel(id) {
                    self.cancel(upstream, reason.as_deref());
                }
            }
            // All sessions are offered the same.
            GatewayToWorker::Meet { id, .. } => self.done(id),
            GatewayToWorker::RootsChanged { .. } => self.tell_roots_changed(),
            GatewayToWorker::InputProgress { handle, key } => self.input_progress(handle, &key, payload),
            GatewayToWorker::Notify { method, .. } => {
                if let (SessionPhase::Serving, Ok(params)) = (&self.phase, std::str::from_utf8(payload)) {
                    legacy::notify(&mut self.out.server, &method, params);
                }
            }
            GatewayToWorker::CheckList { method, .. } => {
                if let Some(kind) = ListKind::of_method(&method) {
                    self.check_list(kind, now);
                }
            }
            // All sessions share this server; what each of them had here was given up call by call.
            GatewayToWorker::Release { .. } => {}
        }
    }

    /// What `clientFeatures` does not list, a server of 2026-07-28 is not told of. (One of before was told in `initialize`.)
    fn bound(&self, context: &mut CallContext) {
        if let (ServerEra::Modern, Some(listed), Some(can)) =
            (self.era, self.terms.listed, &mut context.client_capabilities)
        {
            *can = allowed(can, listed);
        }
    }

    fn call(
        &mut self,
        id: u64,
        method: &str,
        params: &[u8],
        meta: &[u8],
        context: &CallContext,
        now: Instant,
    ) -> Result<(), ErrorObject> {
        if self.gone || matches!(self.phase, SessionPhase::Ending) {
            self.tell(WorkerToGateway::Done { id, outcome: Outcome::Unsent, era: self.era }, Bytes::new());
            return Ok(());
        }
        if !matches!(self.phase, SessionPhase::Serving) {
            let message = format!("server `{}` is not ready", self.server);
            return Err(self.about(ErrorCode::SERVER_UNAVAILABLE, message, "not_ready"));
        }
        self.used(now);
        let upstream = self.requests.next_number();
        if !self.calls.open(upstream, id, context.wants_progress, Addressee::of(context), now) {
            let message =
                format!("too many calls of this server are in flight (limits.maxConcurrent: {})", self.calls.limit());
            return Err(self.about(ErrorCode::SERVER_UNAVAILABLE, message, "too_many_calls"));
        }
        if self.era == ServerEra::Modern {
            match self.emulate(upstream, method, params) {
                EmulationOutcome::NotEmulated => {}
                EmulationOutcome::Later => {
                    self.renew_change_stream(now);
                    return Ok(());
                }
                EmulationOutcome::Done => {
                    self.calls.close(upstream);
                    self.renew_change_stream(now);
                    self.done(id);
                    return Ok(());
                }
                EmulationOutcome::Refused(error) => {
                    self.calls.close(upstream);
                    return Err(error);
                }
            }
        }
        let begin = self.out.server.len();
        let as_task = self.as_task(method, params);
        let params = as_task.as_deref().unwrap_or(params);
        dialect::call(self.era, &mut self.out.server, upstream, method, (params, meta), context).map_err(|bad| {
            self.calls.close(upstream);
            ErrorObject::new(ErrorCode::INVALID_PARAMS, bad)
        })?;
        if as_task.is_some() {
            self.task_begun(upstream);
        }
        if self.deferred.as_ref().is_some_and(Deferred::is_waiting) && self.calls.can_be_asked(upstream, Feature::Roots)
        {
            self.ask_what_was_held(upstream, begin, now);
        }
        Ok(())
    }

    pub(super) fn push_catalogue(&mut self) {
        let payload = if self.linked { self.lists.catalogue.to_json() } else { Bytes::new() };
        let asks = self.era == ServerEra::Modern || !self.terms.features.is_empty();
        let traits = ServerTraits { era: self.era, asks };
        self.tell(WorkerToGateway::Catalogue { revision: self.lists.revision, session: None, traits }, payload);
    }

    pub(super) fn fail(&mut self, call: u64, error: &ErrorObject) {
        let payload = Bytes::copy_from_slice(error.to_raw().get().as_bytes());
        self.tell(WorkerToGateway::Done { id: call, outcome: Outcome::Error, era: self.era }, payload);
    }

    /// Answers with a result that says nothing.
    pub(super) fn done(&mut self, id: u64) {
        let done = WorkerToGateway::Done { id, outcome: Outcome::Result, era: self.era };
        self.tell(done, Bytes::from_static(b"{}"));
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
}
