//! The transport as a run sees it.

use std::future::{pending, ready};

use bytes::Bytes;
use mcproxy_ipc::{EndReason, Secret, WorkerSpec};
use memchr::memchr;
use tokio::time::{Instant, sleep_until};

use super::{Http, PostTarget, flights::Flights};
use crate::{
    lines::ServerLine,
    stop::StopStep,
    transport::{Interest, Sent, SentRest, Transport, TransportEvent},
};

/// A buffer of messages that has become larger is given back to the allocator once it is empty.
const LARGE_BUFFER: usize = 256 * 1024;

impl Transport for Http {
    fn restart(&mut self, _: &WorkerSpec) -> Result<(), EndReason> {
        self.flights.abort_all();
        (self.wire, self.back) = self.wire.reopened();
        (self.target, self.flights) = (PostTarget::Url, Flights::default());
        self.headers.forget();
        self.outbox.clear();
        self.forwarded.clear();
        self.arrived.clear();
        self.unsent.clear();
        (self.taken, self.has_sent, self.paused_until) = (0, false, None);
        (self.wants_stream, self.stopping, self.end) = (false, false, None);
        self.begin();
        Ok(())
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn next_message(&mut self) -> Option<ServerLine> {
        loop {
            if let Some(line) = self.arrived.pop_front() {
                return Some(line);
            }
            let event = self.back.events.try_recv().ok()?;
            if let Some(line) = self.heard(event) {
                return Some(line);
            }
        }
    }

    fn last_message(&mut self) -> Option<ServerLine> {
        None
    }

    fn send_along(&mut self, request: u64, headers: Vec<(String, Secret)>) {
        self.forwarded.keep(request, &headers);
    }

    fn send(&mut self, messages: &mut Vec<u8>) -> Sent {
        let mut moved = false;
        while let Some(length) = memchr(b'\n', &messages[self.taken..]) {
            if self.outbox.is_full() {
                // Bytes that are taken already must not pile up before a server that is always behind.
                messages.drain(..self.taken);
                self.taken = 0;
                return Sent { moved, rest: SentRest::Blocked };
            }
            let line = self.taken..self.taken + length;
            self.taken = line.end + 1;
            if !line.is_empty() {
                let line = Bytes::copy_from_slice(&messages[line]);
                self.take(&line);
            }
            moved = true;
            self.dispatch();
        }
        if messages.capacity() > LARGE_BUFFER {
            *messages = Vec::new(); // one large call must not be held for the life of the server
        }
        messages.clear();
        self.taken = 0;
        Sent { moved, rest: SentRest::None }
    }

    fn backlog(&self, messages: &[u8]) -> usize {
        messages.len() - self.taken + self.outbox.bytes()
    }

    fn has_taken_any(&self) -> bool {
        self.has_sent
    }

    fn has_taken_all(&self, messages: &[u8]) -> bool {
        self.taken == messages.len() && self.outbox.is_empty()
    }

    fn take_unsent(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.unsent)
    }

    async fn event(&mut self, interest: Interest) -> TransportEvent {
        loop {
            if !self.arrived.is_empty() && interest.messages {
                return TransportEvent::Received;
            }
            let paused_until = self.paused_until;
            let is_over = self.end.is_some();
            let heard = tokio::select! {
                biased;
                reason = self.back.ends.recv(), if interest.end && !is_over => {
                    self.end = reason;
                    self.flights.abort_all();
                    self.unsent.extend(self.outbox.clear());
                    self.forwarded.clear();
                    return TransportEvent::Ended;
                }
                event = self.back.events.recv(), if interest.messages && !is_over => event,
                landed = self.flights.landed(), if !is_over => {
                    self.landed(landed);
                    None
                }
                () = until(paused_until), if !is_over => {
                    self.paused_until = None;
                    self.dispatch();
                    None
                }
                else => return pending().await,
            };
            let line = heard.and_then(|event| self.heard(event));
            self.arrived.extend(line);
            if interest.room && self.arrived.is_empty() && !self.outbox.is_full() {
                return TransportEvent::Writable;
            }
        }
    }

    fn take_diagnostics(&mut self, _: impl FnOnce(&[u8])) {}

    fn read_diagnostics(&mut self, _: impl FnOnce(&[u8])) -> bool {
        false
    }

    fn is_closed(&self) -> bool {
        self.end.is_some()
    }

    fn stop(&mut self, step: StopStep) {
        match step {
            StopStep::CloseStdin => self.close(),
            StopStep::Terminate | StopStep::Kill => self.wire.end(EndReason::Stopped),
            StopStep::GiveUp => {}
        }
    }

    fn end(&mut self) -> EndReason {
        self.end.clone().unwrap_or(EndReason::Stopped)
    }

    fn clean_up(&self, _: &WorkerSpec) -> impl Future<Output = ()> + use<> {
        ready(())
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
