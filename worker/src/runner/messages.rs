//! The messages that a run passes on: messages between transport and session, frames between gateway and session, diagnostics to
//! the log.

use std::time::{Duration, Instant};

use mcproxy_ipc::{Activity, EndReason, data::GatewayToWorker};
use slog::debug;

use super::{BACKLOG, Runner};
use crate::{
    link::{GatewayPort, Pumped},
    session::Look,
    transport::{SentRest, Transport},
};

/// From the end of stdout, or of stdin, to the exit that usually comes with it.
const EXIT_FOLLOWS: Duration = Duration::from_secs(1);
/// Pieces of diagnostics that are taken at once, of 4 KiB each.
const DIAGNOSTICS_CHUNKS: usize = 32;
/// Frames that are taken before anything is written.
const FRAMES_PER_TURN: usize = 64;

impl<T: Transport> Runner<T> {
    /// Gives the session the messages that are there, unless their consequences would pile up.
    pub(super) fn read_messages(&mut self, now: Instant) {
        while !self.gateway.backpressured {
            let Some(message) = self.transport.next_message() else { break };
            self.session.line(message, now);
            if self.session.context.out.gateway.len() >= FRAMES_PER_TURN {
                self.write_gateway();
            }
        }
    }

    /// Takes the frame that woke us and those that came with it, so that their messages are sent together.
    pub(super) async fn take_frames(&mut self, message: GatewayToWorker, payload: &[u8], now: Instant) {
        self.session.frame(message, payload, now);
        for _ in 1..FRAMES_PER_TURN {
            if self.transport.backlog(&self.session.context.out.server) >= BACKLOG {
                return;
            }
            match self.gateway.next_now().await {
                Some(Ok(Some((message, payload)))) => self.session.frame(message, &payload, now),
                Some(Ok(None) | Err(_)) => return self.unlink(),
                None => return,
            }
        }
    }

    pub(super) fn unlink(&mut self) {
        self.session.link_down();
        self.gateway = GatewayPort::default();
    }

    pub(super) fn write_server(&mut self, now: Instant) {
        for (request, headers) in self.session.context.out.headers.drain(..) {
            self.transport.send_along(request, headers);
        }
        let sent = self.transport.send(&mut self.session.context.out.server);
        if sent.moved {
            self.suspicion.take_if(|(_, reason)| *reason == EndReason::Unresponsive);
        }
        match sent.rest {
            SentRest::None => {}
            SentRest::Blocked => {
                self.suspicion.get_or_insert((now + self.spec.limits.write_timeout, EndReason::Unresponsive));
            }
            SentRest::Closed => self.suspicion = Some((now + EXIT_FOLLOWS, EndReason::Unresponsive)),
        }
    }

    pub(super) fn write_gateway(&mut self) {
        if self.gateway.pump(&mut self.session.context.out.gateway) == Some(Pumped::Closed) {
            self.unlink();
        }
    }

    pub(super) fn take_diagnostics(&mut self, now: Instant) {
        self.look_at_server(now);
        let is_about_question = self.session.is_asking() && !self.session.waits_for_reading();
        let stderr = &mut self.stderr;
        self.transport.take_diagnostics(|chunk| match is_about_question {
            true => stderr.take_apart(chunk, now),
            false => stderr.take(chunk, now),
        });
        for complaint in self.stderr.take_complaints() {
            self.give_hint(&complaint);
        }
    }

    /// Tells the session what the server does while it says nothing, as far as that matters.
    pub(super) fn look_at_server(&mut self, now: Instant) {
        match self.session.look(now) {
            Look::No => {}
            Look::Reading => {
                if self.transport.has_taken_all(&self.session.context.out.server) {
                    self.session.has_read(now);
                }
            }
            Look::Activity => {
                // The activity of other instances says nothing of this one.
                let own = self.transport.pid().filter(|_| self.instance.is_some());
                let activity = own.map_or_else(|| Activity::below(std::process::id()), Activity::of);
                self.session.looked_at(activity, now);
            }
        }
    }

    /// What the server wrote to stderr while it was asked what it speaks is about the question: SDKs that do not know it write
    /// a hundred lines. When that is over, a few lines go where all others go; more are left out of the log.
    pub(super) fn sort_diagnostics(&mut self, now: Instant) {
        self.stderr.release_few(now);
        let was_asking = std::mem::replace(&mut self.asking, self.session.is_asking());
        if !was_asking || self.asking || !self.session.is_going_on() {
            return;
        }
        // It wrote them before it answered, but they were not read in that order.
        let stderr = &mut self.stderr;
        for _ in 0..DIAGNOSTICS_CHUNKS {
            if !self.transport.read_diagnostics(|chunk| stderr.take_apart(chunk, now)) {
                break;
            }
        }
        self.forget_stderr_of_question(now);
    }

    pub(super) fn forget_stderr_of_question(&mut self, now: Instant) {
        let lines = self.stderr.settle(now);
        if lines > 0 {
            debug!(self.log, "what the server wrote to stderr when it was asked server/discover is left out"; "lines" => lines);
        }
    }

    pub(super) fn receive_closed(&mut self, now: Instant) {
        if let Some(rest) = self.transport.last_message() {
            self.session.line(rest, now);
        }
        self.suspicion = Some((now + EXIT_FOLLOWS, EndReason::StdoutClosed));
    }
}
