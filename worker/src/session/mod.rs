//! The conversation with one server: handshake, catalogue, calls, health. It decides and does nothing: lines, frames and
//! the time go in, lines for the server, messages for the gateway and events for the shell come out.

mod answer;
mod asks;
mod call_table;
mod catalogue;
mod change_stream;
mod client_terms;
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
mod opening_state;
#[cfg(test)]
mod opening_tests;
mod output;
mod oversize;
mod own_requests;
mod parks;
mod probe;
#[cfg(test)]
mod probe_tests;
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

use mcproxy_ipc::{EndReason, Instances, ServerLimits, WorkerSpec, data::ServerEra};
use mcproxy_mcp::{ErrorCode, ErrorObject};
use slog::{Logger, debug};

pub(crate) use self::{
    asks::{allowed, features_of},
    idle::Idle,
    output::{SessionEvent, SessionOutput},
    silence::Look,
};
use self::{
    call_table::CallTable,
    change_stream::ChangeStream,
    client_terms::ClientTerms,
    deferred::Deferred,
    flood::Flood,
    health::{Diagnosis, Health, Work},
    list_state::Lists,
    noise::Noise,
    opening_state::Opening,
    own_requests::{OwnRequest, OwnRequests},
    parks::Parks,
    tasks::ToolTasks,
};
use crate::dialect;

/// How much of stderr a caller sees when the server ends.
pub(crate) const TAIL_IN_ERRORS: usize = 2 * 1024;

#[derive(Debug)]
enum SessionPhase {
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

/// The conversation with one server.
pub(crate) struct Session {
    server: String,
    limits: ServerLimits,
    log: Logger,
    phase: SessionPhase,
    opening: Opening,
    /// What it speaks, once that is known.
    era: ServerEra,
    change_stream: ChangeStream,
    requests: OwnRequests,
    lists: Lists,
    terms: ClientTerms,
    calls: CallTable,
    /// What an instance of one client asks outside of calls is for that client as well.
    deferred: Option<Deferred>,
    parks: Parks,
    tasks: ToolTasks,
    health: Health,
    /// Of a server that is ended when nobody needs it.
    idle: Option<Idle>,
    noise: Noise,
    flood: Flood,
    linked: bool,
    /// The server's process has ended, and nothing can be written to it any more.
    gone: bool,
    /// Bytes of our own answers to the server's requests in `out.server`, at most.
    answers: usize,
    pub(crate) out: SessionOutput,
}

impl Session {
    /// Opens the conversation. `linked`: there is a gateway that reads `out.gateway`.
    pub(crate) fn new(spec: &WorkerSpec, linked: bool, log: Logger, now: Instant) -> Self {
        let (opening, first) = Opening::begin(spec.era, spec.start_timeout, now);
        let mut session = Self {
            server: spec.server.to_string(),
            limits: spec.limits,
            log,
            phase: SessionPhase::Opening { until: opening.until(now) },
            opening,
            era: ServerEra::default(),
            change_stream: ChangeStream::default(),
            requests: OwnRequests::default(),
            lists: Lists::new(spec.list_ttl),
            terms: ClientTerms::new(spec),
            calls: CallTable::new(spec.limits.concurrent_calls, spec.timeouts),
            deferred: (spec.instances == Instances::SingleClient).then(Deferred::default),
            parks: Parks::default(),
            tasks: ToolTasks::default(),
            health: Health::new(spec.timeouts.idle, now),
            idle: spec.idle_timeout.map(|after| Idle::new(after, now)),
            noise: Noise::new(spec.limits.garbage_lines, now),
            flood: Flood::new(now),
            linked,
            gone: false,
            answers: 0,
            out: SessionOutput::default(),
        };
        session.find_out(first);
        session
    }

    /// A call came or ended.
    fn used(&mut self, now: Instant) {
        if let Some(idle) = &mut self.idle
            && idle.used(now)
        {
            self.out.events.push(SessionEvent::Work);
        }
    }

    /// Time has passed. `deaf`: the server's output is not being read, so that its silence means nothing.
    pub(crate) fn tick(&mut self, backpressured: bool, now: Instant) {
        match self.phase {
            SessionPhase::Opening { until } | SessionPhase::Listing { until } => {
                self.answer_deferred(now);
                if now >= until && !self.give_up_late_lists(now) {
                    let unanswered = matches!(self.phase, SessionPhase::Opening { .. })
                        .then(|| self.opening.probe.unanswered())
                        .flatten();
                    self.out
                        .events
                        .push(SessionEvent::Broken(unanswered.map_or(EndReason::StartTimeout, EndReason::Handshake)));
                    self.phase = SessionPhase::Ending;
                } else if matches!(self.phase, SessionPhase::Opening { .. }) {
                    let next = self.opening.probe.tick(now);
                    self.find_out(next);
                } else {
                    self.expire_undeclared(now);
                }
            }
            SessionPhase::Serving => {
                self.expire_calls(now);
                self.look_at_tasks(now);
                self.send_deferred_calls(now);
                if !self.parks.is_empty() {
                    self.park_calls(now);
                }
                self.expire_pages(now);
                self.tell_of_flood(now);
                if self.lists.is_refresh_due(now) {
                    self.refresh(now);
                }
                if self.lists.freshness.deadline().is_some_and(|at| now >= at) {
                    self.refresh_wanted(now);
                }
                if self.change_stream.deadline().is_some_and(|at| now >= at) {
                    self.renew_change_stream(now);
                }
                self.look_after(backpressured, now);
                let busy = !self.calls.is_empty();
                if self.linked && self.idle.as_mut().is_some_and(|idle| idle.check(busy, now)) {
                    self.out.events.push(SessionEvent::NothingToDo);
                }
            }
            SessionPhase::Ending => {}
        }
    }

    /// Gives a server that is starting until then; false: it is not starting.
    pub(crate) fn extend_start(&mut self, later: Instant) -> bool {
        match &mut self.phase {
            SessionPhase::Opening { until } | SessionPhase::Listing { until } => {
                *until = later.max(*until);
                true
            }
            SessionPhase::Serving | SessionPhase::Ending => false,
        }
    }

    /// Whether the server is not ready yet.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.phase, SessionPhase::Opening { .. } | SessionPhase::Listing { .. })
    }

    /// When [`Session::tick`] should be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            SessionPhase::Opening { until } | SessionPhase::Listing { until } => {
                let quiet =
                    self.opening.probe.deadline().filter(|_| matches!(self.phase, SessionPhase::Opening { .. }));
                let deferred = self.deferred.as_ref().and_then(Deferred::deadline);
                let pages = self.requests.page_deadlines().filter(|_| self.lists.declares_nothing);
                [deferred, quiet, Some(until)].into_iter().flatten().chain(pages).min()
            }
            SessionPhase::Serving => {
                let pages = self.requests.page_deadlines();
                let idle = self.idle.as_ref().filter(|_| self.linked).map(Idle::deadline);
                let deferred_calls = self.deferred.as_ref().and_then(Deferred::next_call);
                let others = [
                    deferred_calls,
                    self.calls.deadline(),
                    self.tasks.deadline(),
                    self.parks.deadline(),
                    self.change_stream.deadline(),
                    self.flood.deadline(),
                    idle,
                ];
                let others = others.into_iter().chain(self.lists.deadlines()).flatten();
                pages.chain(others).chain([self.health.deadline()]).min()
            }
            SessionPhase::Ending => None,
        }
    }

    /// The server's process has ended; what it said before may still be on its way. Calls that come now are not for it.
    pub(crate) fn gone(&mut self) {
        self.gone = true;
    }

    /// The server is gone or given up: every call in flight gets its one answer.
    pub(crate) fn end(&mut self, reason: &EndReason, stderr_tail: &str) {
        self.abandon_all("the server is being stopped");
        self.phase = SessionPhase::Ending;
        self.requests.clear();
        let (message, why) = match reason {
            EndReason::Stopped => (format!("server `{}` was stopped during the call", self.server), "server_stopped"),
            reason => (format!("server `{}` ended during the call: {reason}", self.server), "server_exited"),
        };
        let error = self.about(ErrorCode::SERVER_ENDED, message, why);
        let error = error.with("exit", reason.to_string()).with("stderrTail", stderr_tail);
        for (_, call) in self.calls.drain() {
            self.fail(call, &error);
        }
    }

    /// For the record, when nothing follows any more: what was wrong with the server's output in all.
    pub(crate) fn sum_up(&self) {
        debug!(self.log, "session over"; "garbage_lines" => self.noise.total_garbage, "unknown_answers" => self.noise.total_unknown);
    }

    fn expire_calls(&mut self, now: Instant) {
        for expired in self.calls.expire(now) {
            let timeouts = self.calls.timeouts();
            let message = if expired.total {
                format!("server `{}` did not finish within {} s", self.server, timeouts.total.as_secs_f64())
            } else {
                format!("server `{}` did not answer within {} s", self.server, timeouts.idle.as_secs_f64())
            };
            self.cancel(expired.upstream, Some("timeout"));
            self.fail(expired.call, &self.about(ErrorCode::TIMEOUT, message, "timeout"));
        }
    }

    fn look_after(&mut self, backpressured: bool, now: Instant) {
        let work = match (backpressured, self.calls.is_empty()) {
            (true, _) => Work::Unread,
            (false, false) => Work::CallTable,
            (false, true) => Work::Idle,
        };
        match self.health.check(work, now) {
            Diagnosis::Fine => {}
            Diagnosis::Ask => {
                self.requests.forget_pings();
                let id = self.requests.open(OwnRequest::Ping);
                dialect::ping(self.era, &mut self.out.server, id);
            }
            Diagnosis::Dead => {
                self.out.events.push(SessionEvent::Broken(EndReason::Unresponsive));
                self.phase = SessionPhase::Ending;
            }
        }
    }

    fn about(&self, code: ErrorCode, message: String, reason: &str) -> ErrorObject {
        ErrorObject::about_server(code, message, &self.server, reason)
    }
}
