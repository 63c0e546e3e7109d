//! What goes through the pipes of a run: lines of the server, frames of the gateway.

use std::{
    io,
    time::{Duration, Instant},
};

use mcproxy_ipc::{EndReason, data::GatewayToWorker};

use rustix::io::ioctl_fionread;

use super::{Incarnation, Way, poll_once};
use crate::{lines::Line, link::Pumped};

/// Bytes that wait for the server's stdin before the gateway has to wait as well.
pub(super) const BACKLOG: usize = 1024 * 1024;
/// From the end of stdout, or of stdin, to the exit that usually comes with it.
pub(super) const EXIT_FOLLOWS: Duration = Duration::from_secs(1);
/// Frames that are taken before anything is written.
const FRAMES_PER_TURN: usize = 64;

impl Incarnation {
    /// Gives the session the lines that are there, unless their consequences would pile up.
    pub(super) fn read_lines(&mut self, now: Instant) {
        while !self.deaf {
            let Some(line) = self.splitter.next() else { break };
            self.read_line(line, now);
            if self.session.out.gateway.len() >= FRAMES_PER_TURN {
                self.write_gateway();
            }
        }
    }

    pub(super) fn read_line(&mut self, line: Line, now: Instant) {
        if let Some(trace) = &mut self.trace {
            match &line {
                Line::Text(text) => trace(Way::FromServer, text),
                Line::TooLong { head, len, .. } => {
                    trace(Way::FromServer, format!("{} … ({len} bytes)", String::from_utf8_lossy(head)).as_bytes());
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
        (self.incoming, self.outgoing, self.deaf) = (None, None, false);
    }

    pub(super) fn write_server(&mut self, now: Instant) {
        let out = &mut self.session.out.server;
        if let Some(trace) = &mut self.trace {
            for line in out[self.traced..].split_inclusive(|b| *b == b'\n') {
                trace(Way::ToServer, line.strip_suffix(b"\n").unwrap_or(line));
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
            Pumped::All => self.deaf = false,
            Pumped::Full => self.deaf = true,
            Pumped::Closed => self.unlink(),
        }
    }

    pub(super) fn take_stderr(&mut self, read: io::Result<usize>) {
        if !matches!(read, Ok(1..)) {
            self.stderr_pipe = None;
        }
        self.stderr.take(&self.stderr_chunk, Instant::now());
        self.stderr_chunk.clear();
    }

    pub(super) fn stdout_over(&mut self) {
        self.stdout = None;
        if let Some(rest) = self.splitter.finish() {
            self.read_line(rest, Instant::now());
        }
        self.suspicion = Some((Instant::now() + EXIT_FOLLOWS, EndReason::StdoutClosed));
    }
}
