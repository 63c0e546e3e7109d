//! The calls of the gateway: how each ends, what the server asks within it, and whether there are any.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    EndReason, Instances, WorkerSpec,
    data::{Outcome, Resumption, ServerEra, WorkerToGateway},
};
use mcproxy_mcp::{ErrorCode, RawObject, RawValue, meant_u64, meta};

use super::{
    answer, call_table::CallTable, context::SessionContext, deferred::Deferred, idle::Idle, output::SessionEvent,
    parks::Parks, tasks::ToolTasks,
};
use crate::{
    dialect::{legacy, modern},
    permission_hints::complaint_in_answer,
};

/// The calls of the gateway.
pub(super) struct Calls {
    pub(super) table: CallTable,
    pub(super) parks: Parks,
    pub(super) tasks: ToolTasks,
    /// Requests that an instance of one client makes outside of calls: they are for that client as well.
    pub(super) deferred: Option<Deferred>,
    /// Of a server that is ended when no client needs it.
    pub(super) idle: Option<Idle>,
}

impl Calls {
    /// There are none.
    pub(super) fn new(spec: &WorkerSpec, now: Instant) -> Self {
        Self {
            table: CallTable::new(spec.limits.concurrent_calls, spec.timeouts),
            parks: Parks::default(),
            tasks: ToolTasks::default(),
            deferred: (spec.instances == Instances::SingleClient).then(Deferred::default),
            idle: spec.idle_timeout.map(|after| Idle::new(after, now)),
        }
    }

    /// Nothing that the last process asked counts for the next one.
    pub(super) fn forget_process(&mut self) {
        self.deferred = self.deferred.take().map(|_| Deferred::default());
    }

    /// When [`Calls::tick`] should be called next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deferred = self.deferred.as_ref().and_then(Deferred::next_call);
        [deferred, self.table.deadline(), self.tasks.deadline(), self.parks.deadline()].into_iter().flatten().min()
    }

    /// Time has passed for a server that serves.
    pub(super) fn tick(&mut self, cx: &mut SessionContext, now: Instant) {
        self.expire(cx, now);
        self.look_at_tasks(cx, now);
        self.send_deferred(cx, now);
        if !self.parks.is_empty() {
            self.park(cx, now);
        }
    }

    /// A call came or ended.
    pub(super) fn used(&mut self, cx: &mut SessionContext, now: Instant) {
        if let Some(idle) = &mut self.idle
            && idle.used(now)
        {
            cx.out.events.push(SessionEvent::Work);
        }
    }

    /// Says so when no client has needed the server for a while.
    pub(super) fn note_idle(&mut self, cx: &mut SessionContext, now: Instant) {
        let busy = !self.table.is_empty();
        if cx.linked && self.idle.as_mut().is_some_and(|idle| idle.check(busy, now)) {
            cx.out.events.push(SessionEvent::NothingToDo);
        }
    }

    /// The server answered a request that is no other's; `false`: it is no call's either, at least of none that does not wait.
    pub(super) fn answered(
        &mut self,
        cx: &mut SessionContext,
        upstream: u64,
        line: &Bytes,
        outcome: mcproxy_mcp::Outcome<'_>,
        now: Instant,
    ) -> bool {
        if !self.tasks.is_empty() && self.task_answered(cx, upstream, line, outcome, now) {
            return true;
        }
        let Some(call) = self.table.close(upstream) else { return false };
        self.used(cx, now);
        let (outcome, payload) = answer::for_client(line, outcome);
        if let Some(complaint) = complaint_in_answer(outcome == Outcome::Error, &payload) {
            cx.out.events.push(SessionEvent::PermissionLacking(complaint.to_owned()));
        }
        if payload.len() > cx.limits.line_bytes {
            cx.over_the_limit(call, payload.len());
            return true;
        }
        let message = match outcome {
            Outcome::Result if cx.era == ServerEra::Modern && modern::needs_input(&payload) => {
                WorkerToGateway::NeedsInput { id: call, resumption: Resumption::Again }
            }
            outcome => WorkerToGateway::Done { id: call, outcome, era: cx.era },
        };
        cx.tell(message, payload);
        true
    }

    /// The server answered a call with something that cannot be read.
    pub(super) fn close_unread(&mut self, cx: &mut SessionContext, upstream: u64, now: Instant) -> Option<u64> {
        let call = self.table.close(upstream)?;
        self.tasks.over(upstream);
        self.used(cx, now);
        Some(call)
    }

    /// The server reports on its work; `passed`: clients are to hear of it.
    pub(super) fn progress(&mut self, cx: &mut SessionContext, params: Option<&RawValue>, passed: bool, now: Instant) {
        let Some(mut params) = params.and_then(|raw| RawObject::from_raw(raw).ok()) else { return };
        let token = params.remove(meta::PROGRESS_TOKEN).and_then(meant_u64);
        let Some((call, wanted)) = token.and_then(|token| self.table.progress(self.tasks.reported(token), now)) else {
            return;
        };
        if wanted && passed {
            let mut payload = Vec::new();
            params.write(&mut payload);
            cx.tell(WorkerToGateway::Progress { id: call }, payload.into());
        }
    }

    /// Tells the server that no client waits for an answer any more, if it has heard of the call at all.
    pub(super) fn cancel(&mut self, cx: &mut SessionContext, upstream: u64, reason: Option<&str>) {
        if self.deferred.as_mut().is_some_and(|deferred| deferred.drop_call(upstream)) {
            return self.tasks.over(upstream);
        }
        self.task_cancelled(cx, upstream);
        legacy::cancel(&mut cx.out.server, upstream, reason);
    }

    /// The gateway is gone, and with it all callers.
    pub(super) fn cancel_all(&mut self, cx: &mut SessionContext) {
        self.abandon_all(cx, "the client is gone");
        for (upstream, _) in self.table.drain() {
            self.cancel(cx, upstream, Some("the client is gone"));
        }
    }

    /// The server is gone or given up: every call in flight gets its one answer.
    pub(super) fn end(&mut self, cx: &mut SessionContext, reason: &EndReason, stderr_tail: &str) {
        let (message, why) = match reason {
            EndReason::Stopped => (format!("server `{}` was stopped during the call", cx.server), "server_stopped"),
            reason => (format!("server `{}` ended during the call: {reason}", cx.server), "server_exited"),
        };
        let error = cx.about(ErrorCode::SERVER_ENDED, message, why);
        let error = error.with("exit", reason.to_string()).with("stderrTail", stderr_tail);
        for (_, call) in self.table.drain() {
            cx.fail(call, &error);
        }
    }

    fn expire(&mut self, cx: &mut SessionContext, now: Instant) {
        for expired in self.table.expire(now) {
            let timeouts = self.table.timeouts();
            let message = if expired.total {
                format!("server `{}` did not finish within {} s", cx.server, timeouts.total.as_secs_f64())
            } else {
                format!("server `{}` did not answer within {} s", cx.server, timeouts.idle.as_secs_f64())
            };
            self.cancel(cx, expired.upstream, Some("timeout"));
            cx.fail(expired.call, &cx.about(ErrorCode::TIMEOUT, message, "timeout"));
        }
    }
}
