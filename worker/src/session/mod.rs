//! The conversation with one server: handshake, catalogue, calls, health. It decides and does nothing: lines, frames and
//! the time go in, lines for the server, messages for the gateway and events for the shell come out.

mod answer;
mod asks;
mod call_table;
mod calls;
#[cfg(test)]
mod calls_tests;
mod catalogue;
mod change_stream;
mod client_terms;
mod context;
mod deferred;
mod flood;
mod freshness;
mod gateway;
mod health;
mod idle;
mod input;
mod list_state;
mod lists;
#[cfg(test)]
mod lists_tests;
mod noise;
mod opening;
#[cfg(test)]
mod opening_tests;
mod output;
mod oversize;
mod own_requests;
mod parks;
mod probe;
#[cfg(test)]
mod probe_tests;
mod process;
mod question;
mod server_requests;
#[cfg(test)]
mod server_requests_tests;
mod silence;
mod subscribe;
mod tasks;
#[cfg(test)]
mod tasks_tests;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{EndReason, WorkerSpec};
use slog::{Logger, debug};

pub(crate) use self::{
    asks::{allowed, features_of},
    idle::Idle,
    output::SessionEvent,
    silence::Look,
};
use self::{
    calls::Calls,
    change_stream::ChangeStream,
    context::{SessionContext, SessionPhase},
    deferred::Deferred,
    flood::Flood,
    health::{Diagnosis, Health, Work},
    list_state::Lists,
    opening::{Opening, find_out},
    own_requests::OwnRequest,
    probe::Probe,
};
use crate::dialect;

/// How much of stderr a caller sees when the server ends.
pub(crate) const TAIL_IN_ERRORS: usize = 2 * 1024;

/// The conversation with one server.
pub(crate) struct Session {
    pub(crate) context: SessionContext,
    opening: Opening,
    lists: Lists,
    change_stream: ChangeStream,
    calls: Calls,
    health: Health,
    flood: Flood,
}

impl Session {
    /// Opens the conversation. `linked`: there is a gateway that reads `out.gateway`.
    pub(crate) fn new(spec: &WorkerSpec, linked: bool, log: Logger, now: Instant) -> Self {
        let (opening, first) = Opening::begin(spec.era, spec.start_timeout, now);
        let phase = SessionPhase::Opening { until: opening.until(now) };
        let mut context = SessionContext::new(spec, linked, log, phase, now);
        find_out(&mut context, first);
        Self {
            context,
            opening,
            lists: Lists::new(spec.list_ttl),
            change_stream: ChangeStream::default(),
            calls: Calls::new(spec, now),
            health: Health::new(spec.timeouts.idle, now),
            flood: Flood::new(now),
        }
    }

    /// Time has passed. `backpressured`: the server's output is not being read, so that its silence means nothing.
    pub(crate) fn tick(&mut self, backpressured: bool, now: Instant) {
        match self.context.phase {
            SessionPhase::Opening { until } | SessionPhase::Listing { until } => self.tick_start(until, now),
            SessionPhase::Serving => {
                self.calls.tick(&mut self.context, now);
                self.lists.tick(&mut self.context, now);
                self.tell_of_flood(now);
                if self.change_stream.deadline().is_some_and(|at| now >= at) {
                    self.change_stream.renew(&mut self.context, &mut self.calls, now);
                }
                self.look_after(backpressured, now);
                self.calls.note_idle(&mut self.context, now);
            }
            SessionPhase::Ending => {}
        }
    }

    fn tick_start(&mut self, until: Instant, now: Instant) {
        let Self { context: cx, opening, lists, calls, .. } = self;
        calls.answer_deferred(cx, now);
        if now >= until {
            if !lists.give_up_late(cx, now) {
                let unanswered = opening.probe.unanswered().filter(|_| cx.is_opening());
                return cx.broken(unanswered.map_or(EndReason::StartTimeout, EndReason::Handshake));
            }
        } else if cx.is_opening() {
            let next = opening.probe.tick(now);
            find_out(cx, next);
        } else {
            lists.expire_undeclared(cx, now);
        }
        self.ready_when_listed(now);
    }

    /// When [`Session::tick`] should be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let Self { context: cx, lists, calls, .. } = self;
        match cx.phase {
            SessionPhase::Opening { until } | SessionPhase::Listing { until } => {
                let quiet = self.open_probe().and_then(Probe::deadline);
                let deferred = calls.deferred.as_ref().and_then(Deferred::deadline);
                let pages = cx.requests.page_deadlines().filter(|_| lists.declares_nothing);
                [deferred, quiet, Some(until)].into_iter().flatten().chain(pages).min()
            }
            SessionPhase::Serving => {
                let pages = cx.requests.page_deadlines();
                let idle = calls.idle.as_ref().filter(|_| cx.linked).map(Idle::deadline);
                let others = [calls.deadline(), self.change_stream.deadline(), self.flood.deadline(), idle];
                let others = others.into_iter().chain(lists.deadlines()).flatten();
                pages.chain(others).chain([self.health.deadline()]).min()
            }
            SessionPhase::Ending => None,
        }
    }

    /// The server is gone or given up: every call in flight gets its one answer.
    pub(crate) fn end(&mut self, reason: &EndReason, stderr_tail: &str) {
        let Self { context: cx, calls, .. } = self;
        calls.abandon_all(cx, "the server is being stopped");
        cx.phase = SessionPhase::Ending;
        cx.requests.clear();
        calls.end(cx, reason, stderr_tail);
    }

    /// For the record, when nothing follows any more: what was wrong with the server's output in all.
    pub(crate) fn sum_up(&self) {
        let SessionContext { log, noise, .. } = &self.context;
        debug!(log, "session over"; "garbage_lines" => noise.total_garbage, "unknown_answers" => noise.total_unknown);
    }

    /// The server's catalogue, in the form that is pushed to the gateway.
    pub(crate) fn catalogue(&self) -> Bytes {
        self.lists.catalogue.to_json()
    }

    /// The same when it is worth keeping for the next start: what the server never gave would overwrite what it gave in an
    /// earlier one.
    pub(crate) fn catalogue_to_keep(&self) -> Option<Bytes> {
        (!self.lists.freshness.is_any_unknown()).then(|| self.catalogue())
    }

    fn look_after(&mut self, backpressured: bool, now: Instant) {
        let cx = &mut self.context;
        let work = match (backpressured, self.calls.table.is_empty()) {
            (true, _) => Work::Unread,
            (false, false) => Work::CallTable,
            (false, true) => Work::Idle,
        };
        match self.health.check(work, now) {
            Diagnosis::Fine => {}
            Diagnosis::Ask => {
                cx.requests.forget_pings();
                let id = cx.requests.open(OwnRequest::Ping);
                dialect::ping(cx.era, &mut cx.out.server, id);
            }
            Diagnosis::Dead => cx.broken(EndReason::Unresponsive),
        }
    }
}
