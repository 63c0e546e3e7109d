//! What goes through the pipes of a run: lines of the server, frames of the gateway.

use std::{
    io,
    time::{Duration, Instant},
};

use mcproxy_ipc::{Activity, EndReason, data::GatewayToWorker};
use rustix::io::ioctl_fionread;
use slog::debug;

use super::{BACKLOG, LineDirection, Runner};
use crate::{
    lines::ServerLine,
    link::{Pumped, poll_once},
    session::Look,
};

/// From the end of stdout, or of stdin, to the exit that usually comes with it.
const EXIT_FOLLOWS: Duration = Duration::from_secs(1);
/// Pieces of stderr that are taken at once, of 4 KiB each.
const STDERR_CHUNKS: usize = 32;
/// Frames that are taken before anything is written.
const FRAMES_PER_TURN: usize = 64;

impl Runner {
    /// Gives the session the lines that are there, unless their consequences would pile up.
    pub(super) fn read_lines(&mut self, now: Instant) {
        while !self.backpressured {
            let Some(line) = self.splitter.next() else { break };
            self.read_line(line, now);
            if self.session.out.gateway.len() >= FRAMES_PER_TURN {
                self.write_gateway();
            }
        }
    }

    pub(super) fn read_line(&mut self, line: ServerLine, now: Instant) {
        if let Some(trace) = &mut self.trace {
            match &line {
                ServerLine::Text(text) => trace(LineDirection::FromServer, text),
                ServerLine::TooLong { head, len, .. } => {
                    trace(
                        LineDirection::FromServer,
                        format!("{} … ({len} bytes)", String::from_utf8_lossy(head)).as_bytes(),
                    );
                }
            }
        }
        self.session.line(line, now);
    }

    /// Takes the frame that woke us and those that came with it, so that their lines make one write.
    pub(super) async fn take_frames(&mut self, message: GatewayToWorker, payload: &[u8]) {
        let now = Instant::now();
        self.session.frame(message, payload, now);
        for _ in 1..FRAMES_PER_TURN {
            let Some(incoming) = &mut self.incoming else { return };
            if self.session.out.server.len() - self.written >= BACKLOG {
                return;
            }
            match poll_once(incoming.next()).await {
                Some(Ok(Some((message, payload)))) => self.session.frame(message, &payload, now),
                Some(Ok(None) | Err(_)) => return self.unlink(),
                None => return,
            }
        }
    }

    pub(super) fn unlink(&mut self) {
        self.session.link_down();
        (self.incoming, self.outgoing, self.backpressured) = (None, None, false);
    }

    pub(super) fn write_server(&mut self, now: Instant) {
        let out = &mut self.session.out.server;
        if let Some(trace) = &mut self.trace {
            for line in out[self.traced..].split_inclusive(|b| *b == b'\n') {
                trace(LineDirection::ToServer, line.strip_suffix(b"\n").unwrap_or(line));
            }
            self.traced = out.len();
        }
        while let Some(stdin) = self.stdin.as_ref().filter(|_| self.written < out.len()) {
            match stdin.try_write(&out[self.written..]) {
                Ok(n) => {
                    self.sent += n as u64;
                    self.written += n;
                    self.suspicion.take_if(|(_, reason)| *reason == EndReason::Unresponsive);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // What is written already must not pile up before a server that always has something to read.
                    if self.written > out.len() / 2 {
                        out.drain(..self.written);
                        (self.traced, self.written) = (out.len(), 0);
                    }
                    self.suspicion.get_or_insert((now + self.spec.limits.write_timeout, EndReason::Unresponsive));
                    return;
                }
                Err(_) => {
                    self.stdin = None;
                    self.suspicion = Some((now + EXIT_FOLLOWS, EndReason::Unresponsive));
                }
            }
        }
        if out.capacity() > BACKLOG / 4 {
            *out = Vec::new(); // one large call must not be held for the life of the server
        }
        out.clear();
        (self.written, self.traced) = (0, 0);
    }

    /// Whether the server has taken anything out of its stdin. One that ended before that did not end because of what it was
    /// asked. What a dead process left unread stays in the pipe as long as our end is open.
    pub(super) fn has_read_something(&self) -> bool {
        let unread = self.stdin.as_ref().map(ioctl_fionread);
        match unread {
            Some(Ok(unread)) => unread < self.sent,
            Some(Err(_)) | None => self.sent > 0,
        }
    }

    pub(super) fn write_gateway(&mut self) {
        let Some(outgoing) = &mut self.outgoing else { return };
        match outgoing.pump(&mut self.session.out.gateway) {
            Pumped::All => self.backpressured = false,
            Pumped::Full => self.backpressured = true,
            Pumped::Closed => self.unlink(),
        }
    }

    pub(super) fn take_stderr(&mut self, read: io::Result<usize>) {
        if !matches!(read, Ok(1..)) {
            self.stderr_pipe = None;
        }
        let now = Instant::now();
        self.look_at_server(now);
        match self.session.is_asking() && !self.session.waits_for_reading() {
            true => self.stderr.take_apart(&self.stderr_chunk, now),
            false => self.stderr.take(&self.stderr_chunk, now),
        }
        self.stderr_chunk.clear();
    }

    /// Tells the session what the server does while it says nothing, as far as that matters.
    pub(super) fn look_at_server(&mut self, now: Instant) {
        match self.session.look(now) {
            Look::No => {}
            Look::Reading => {
                if self.written == self.session.out.server.len() && self.has_read_all() {
                    self.session.has_read(now);
                }
            }
            Look::Activity => {
                // What other instances do says nothing of this one.
                let activity = match self.instance {
                    Some(_) => Activity::of(self.process.pid()),
                    None => Activity::below(std::process::id()),
                };
                self.session.looked_at(activity, now);
            }
        }
    }

    /// Whether nothing that was written to the server waits in the pipe.
    fn has_read_all(&self) -> bool {
        self.stdin.as_ref().is_none_or(|stdin| ioctl_fionread(stdin).map_or(true, |unread| unread == 0))
    }

    /// What the server wrote to stderr while it was asked what it speaks is about the question: SDKs that do not know it write
    /// a hundred lines. When that is over, a few lines go where all others go; more are left out of the log.
    pub(super) fn sort_stderr(&mut self, now: Instant) {
        self.stderr.release_few(now);
        let was_asking = std::mem::replace(&mut self.asking, self.session.is_asking());
        if !was_asking || self.asking || !self.session.is_going_on() {
            return;
        }
        // It wrote them before it answered, but they were not read in that order.
        for _ in 0..STDERR_CHUNKS {
            let mut chunk = [0; 4096];
            let read = self.stderr_pipe.as_ref().map(|pipe| rustix::io::read(pipe, &mut chunk));
            match read {
                Some(Ok(length @ 1..)) => self.stderr.take_apart(&chunk[..length], now),
                Some(Ok(0) | Err(_)) | None => break,
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

    pub(super) fn stdout_over(&mut self) {
        self.stdout = None;
        if let Some(leftovers) = self.splitter.finish() {
            self.read_line(leftovers, Instant::now());
        }
        self.suspicion = Some((Instant::now() + EXIT_FOLLOWS, EndReason::StdoutClosed));
    }
}
