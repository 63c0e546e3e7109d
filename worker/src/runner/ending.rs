//! How a run comes to its end.

use std::time::{Duration, Instant};

use mcproxy_ipc::EndReason;
use rustix::process::Signal;

use super::{Runner, stage::RunStage};
use crate::{
    session::TAIL_IN_ERRORS,
    stop::{Ladder, StopStep},
    transport::Transport,
};

/// How long the last words of a dead server are waited for; something it started may hold its pipes open.
const LAST_WORDS: Duration = Duration::from_millis(300);

impl<T: Transport> Runner<T> {
    /// Gives the server up. The first reason counts.
    pub(super) fn end(&mut self, reason: EndReason, now: Instant) {
        if matches!(self.stage, RunStage::Running | RunStage::Replacing(_)) {
            self.given_up.set(true);
            self.session.end(&reason, &self.stderr.tail(TAIL_IN_ERRORS));
            let ladder = match reason {
                EndReason::Stopped | EndReason::Handshake(_) => Ladder::polite(now),
                _ => Ladder::firm(now),
            };
            self.stage = RunStage::Ending(reason, ladder);
        }
    }

    /// Ends the process, so that another one can take over.
    pub(super) fn replace(&mut self, now: Instant) {
        if matches!(self.stage, RunStage::Running) {
            self.stage = RunStage::Replacing(Ladder::polite(now));
        }
    }

    /// The same without asking it first, even when it is being asked already.
    pub(super) fn kill(&mut self, reason: EndReason, now: Instant) {
        self.end(reason, now);
        if let RunStage::Ending(_, ladder) = &mut self.stage {
            *ladder = Ladder::last(now);
        }
    }

    /// The leader's end is the server's: what it started goes with it.
    pub(super) fn ended(&mut self, now: Instant) {
        self.given_up.set(true);
        self.session.gone();
        self.transport.stop(StopStep::Kill);
        let exit = self.transport.end();
        let unasked = match self.stage {
            RunStage::Running => self.hung_up || (is_its_own(&exit) && self.transport.has_taken_any()),
            RunStage::Replacing(_) => true,
            RunStage::Ending(..)
            | RunStage::Exited { .. }
            | RunStage::RestartAfterProbe
            | RunStage::Broken { .. }
            | RunStage::Over(_) => false,
        };
        let reason = match &self.stage {
            RunStage::Ending(reason, _) => reason.clone(),
            RunStage::Running
            | RunStage::Replacing(_)
            | RunStage::Exited { .. }
            | RunStage::RestartAfterProbe
            | RunStage::Broken { .. }
            | RunStage::Over(_) => exit,
        };
        self.stage = RunStage::Exited { reason, until: now + LAST_WORDS, unasked };
    }

    /// Does what the time, or the end of the pipes, has made due.
    pub(super) fn advance(&mut self, now: Instant) {
        if let Some((_, reason)) = self.suspicion.take_if(|(at, _)| *at <= now) {
            if self.session.excuses_an_end() {
                self.hung_up = true; // it has closed a pipe and lives on, which says the same as an exit
                self.transport.stop(StopStep::Kill);
            } else {
                self.end(reason, now);
            }
        }
        // Calls are in flight only as long as the gateway that waits for them is there.
        if self.drained_by.is_some_and(|by| !self.gateway.is_linked() || by <= now) {
            self.end(EndReason::Stopped, now);
            self.drained_by = None;
        }
        match &mut self.stage {
            RunStage::Running | RunStage::RestartAfterProbe | RunStage::Broken { .. } | RunStage::Over(_) => {}
            RunStage::Exited { reason, until, unasked } => {
                if *until <= now || self.transport.is_closed() {
                    let excused = *unasked && self.session.excuses_an_end();
                    let reason = reason.clone();
                    self.stage = match self.broken_entry(&reason) {
                        _ if excused => RunStage::RestartAfterProbe,
                        Some(entry) => RunStage::Broken { entry, reason },
                        None => RunStage::Over(reason),
                    };
                }
            }
            RunStage::Replacing(ladder) => {
                let step = ladder.step(now);
                self.climb(step, EndReason::StartTimeout);
            }
            RunStage::Ending(reason, ladder) => {
                let (step, reason) = (ladder.step(now), reason.clone());
                self.climb(step, reason);
            }
        }
    }

    fn climb(&mut self, step: Option<StopStep>, reason: EndReason) {
        match step {
            None => {}
            Some(StopStep::GiveUp) => self.stage = RunStage::Over(reason),
            Some(step) => self.transport.stop(step),
        }
    }
}

/// Whether a process ended of its own accord and was not killed from outside. (A shell that finds no program ends in an accord of its
/// own, but that is no answer.)
fn is_its_own(exit: &EndReason) -> bool {
    let others = [Signal::KILL.as_raw(), Signal::TERM.as_raw(), Signal::INT.as_raw(), Signal::HUP.as_raw()];
    matches!(exit, EndReason::Exited { code, signal }
        if signal.is_none_or(|signal| !others.contains(&signal)) && !matches!(code, Some(126 | 127)))
}
