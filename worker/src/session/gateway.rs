//! The session's side of the gateway: what it wants of the server, and what it is told.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::data::{CallContext, GatewayToWorker, Outcome, ServerEra, WorkerToGateway};
use mcproxy_mcp::{ErrorCode, ErrorObject, ListKind};

use super::{
    Session, SessionEvent,
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
        self.context.linked = true;
        if let Some(idle) = &mut self.calls.idle {
            idle.begin(now);
        }
        if self.context.is_serving() {
            self.lists.push(&mut self.context);
        }
    }

    /// The gateway is gone, and no client waits for its calls.
    pub(crate) fn link_down(&mut self) {
        self.forget_gateway();
        if self.context.is_serving() && self.calls.idle.as_ref().is_some_and(Idle::is_said) {
            self.context.out.events.push(SessionEvent::Left);
        }
    }

    fn forget_gateway(&mut self) {
        self.context.linked = false;
        self.context.out.gateway.clear();
        self.calls.cancel_all(&mut self.context);
    }

    /// A message of the gateway.
    pub(crate) fn frame(&mut self, message: GatewayToWorker, payload: &[u8], now: Instant) {
        let Self { context: cx, calls, lists, .. } = self;
        match message {
            GatewayToWorker::Call { id, method, meta_at, mut context } => {
                self.bound(&mut context);
                let (params, meta) = payload.split_at_checked(meta_at).unwrap_or((payload, &[]));
                if let Err(error) = self.call(id, &method, params, meta, &context, now) {
                    self.context.fail(id, &error);
                }
            }
            GatewayToWorker::Resume { id, handle, context } => {
                calls.resume(cx, id, handle, &context, payload, now);
            }
            GatewayToWorker::Abandon { handle } => calls.abandon(cx, handle, "the client gave the call up"),
            GatewayToWorker::Cancel { id, reason } => {
                if let Some(upstream) = calls.table.cancel(id) {
                    calls.cancel(cx, upstream, reason.as_deref());
                }
            }
            // All sessions are offered the same.
            GatewayToWorker::Meet { id, .. } => cx.done(id),
            GatewayToWorker::RootsChanged { .. } => cx.tell_roots_changed(),
            GatewayToWorker::InputProgress { handle, key } => calls.input_progress(cx, handle, &key, payload),
            GatewayToWorker::Notify { method, .. } => {
                if let (true, Ok(params)) = (cx.is_serving(), std::str::from_utf8(payload)) {
                    legacy::notify(&mut cx.out.server, &method, params);
                }
            }
            GatewayToWorker::CheckList { method, .. } => {
                if let Some(kind) = ListKind::of_method(&method) {
                    lists.check_list(cx, kind, now);
                }
            }
            // All sessions share this server; what each of them had here was given up call by call.
            GatewayToWorker::Release { .. } => {}
        }
    }

    /// Hides what `clientFeatures` does not list from a server of 2026-07-28. (An earlier one was told in `initialize`.)
    fn bound(&self, context: &mut CallContext) {
        if let (ServerEra::Modern, Some(listed), Some(can)) =
            (self.context.era, self.context.terms.listed, &mut context.client_capabilities)
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
        let Self { context: cx, calls, lists, change_stream, .. } = self;
        if cx.gone || cx.is_ending() {
            cx.tell(WorkerToGateway::Done { id, outcome: Outcome::Unsent, era: cx.era }, Bytes::new());
            return Ok(());
        }
        if !cx.is_serving() {
            let message = format!("server `{}` is not ready", cx.server);
            return Err(cx.about(ErrorCode::SERVER_UNAVAILABLE, message, "not_ready"));
        }
        calls.used(cx, now);
        let upstream = cx.requests.next_number();
        if !calls.table.open(upstream, id, context.wants_progress, Addressee::of(context), now) {
            let message =
                format!("too many calls of this server are in flight (limits.maxConcurrent: {})", calls.table.limit());
            return Err(cx.about(ErrorCode::SERVER_UNAVAILABLE, message, "too_many_calls"));
        }
        if cx.era == ServerEra::Modern {
            match change_stream.emulate(upstream, method, params) {
                EmulationOutcome::NotEmulated => {}
                EmulationOutcome::Later => {
                    change_stream.renew(cx, calls, now);
                    return Ok(());
                }
                EmulationOutcome::Done => {
                    calls.table.close(upstream);
                    change_stream.renew(cx, calls, now);
                    cx.done(id);
                    return Ok(());
                }
                EmulationOutcome::Refused(error) => {
                    calls.table.close(upstream);
                    return Err(error);
                }
            }
        }
        let begin = cx.out.server.len();
        let as_task = calls.as_task(cx.era, lists.catalogue.only_tasks(), method, params);
        let params = as_task.as_deref().unwrap_or(params);
        dialect::call(cx.era, &mut cx.out.server, upstream, method, (params, meta), context).map_err(|bad| {
            calls.table.close(upstream);
            ErrorObject::new(ErrorCode::INVALID_PARAMS, bad)
        })?;
        if !context.headers.is_empty() {
            cx.out.headers.push((upstream, context.headers.clone()));
        }
        if as_task.is_some() {
            calls.tasks.begin(upstream);
        }
        if calls.deferred.as_ref().is_some_and(Deferred::is_waiting)
            && calls.table.can_be_asked(upstream, Feature::Roots)
        {
            calls.ask_what_was_held(cx, upstream, begin, now);
        }
        Ok(())
    }
}
