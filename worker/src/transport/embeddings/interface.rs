//! The transport as a run sees it.

use std::future::{pending, ready};

use mcproxy_ipc::{EndReason, WorkerSpec};
use memchr::memchr_iter;
use tokio::time::{Instant, sleep_until};

use super::Embeddings;
use crate::{
    lines::ServerLine,
    stop::StopStep,
    transport::{Interest, Sent, SentRest, Transport, TransportEvent},
};

impl Transport for Embeddings {
    fn restart(&mut self, _: &WorkerSpec) -> Result<(), EndReason> {
        self.tasks.abort_all();
        self.under_way.clear();
        self.arrived.clear();
        (self.has_sent, self.failures, self.is_writing) = (false, 0, false);
        (self.closing, self.end) = (None, None);
        Ok(())
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn next_message(&mut self) -> Option<ServerLine> {
        self.arrived.pop_front()
    }

    fn last_message(&mut self) -> Option<ServerLine> {
        None
    }

    fn send(&mut self, messages: &mut Vec<u8>) -> Sent {
        let mut taken = 0;
        for end in memchr_iter(b'\n', messages.as_slice()) {
            self.take(&messages[taken..end]);
            taken = end + 1;
        }
        messages.drain(..taken);
        Sent { moved: taken > 0, rest: SentRest::None }
    }

    fn backlog(&self, messages: &[u8]) -> usize {
        messages.len()
    }

    fn has_taken_any(&self) -> bool {
        self.has_sent
    }

    fn has_taken_all(&self, messages: &[u8]) -> bool {
        messages.is_empty()
    }

    fn take_unsent(&mut self) -> Vec<u64> {
        Vec::new()
    }

    async fn event(&mut self, interest: Interest) -> TransportEvent {
        loop {
            if interest.messages && !self.arrived.is_empty() {
                return TransportEvent::Received;
            }
            match self.end {
                Some(_) if interest.end => return TransportEvent::Ended,
                Some(_) => return pending().await,
                None => {}
            }
            let write_at = self.write_at.filter(|_| !self.is_writing);
            tokio::select! {
                Some(ended) = self.tasks.join_next() => self.landed(ended),
                () = until(write_at) => self.write(),
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
            StopStep::CloseStdin => self.close(EndReason::Stopped),
            StopStep::Terminate | StopStep::Kill => {
                self.tasks.abort_all();
                self.end.get_or_insert(EndReason::Stopped);
            }
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
