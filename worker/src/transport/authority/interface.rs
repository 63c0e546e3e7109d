//! The transport as a run sees it.

use std::future::{pending, ready};

use mcproxy_ipc::{EndReason, WorkerSpec};
use memchr::memchr_iter;

use super::AuthorityTransport;
use crate::{
    lines::ServerLine,
    stop::StopStep,
    transport::{Interest, Sent, SentRest, Transport, TransportEvent},
};

impl Transport for AuthorityTransport {
    fn restart(&mut self, _: &WorkerSpec) -> Result<(), EndReason> {
        self.tasks.abort_all();
        self.under_way.clear();
        self.arrived.clear();
        (self.has_sent, self.failures, self.end) = (false, 0, None);
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
            match self.tasks.join_next().await {
                Some(ended) => self.landed(ended),
                None => return pending().await,
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
            StopStep::CloseStdin | StopStep::Terminate | StopStep::Kill => self.close(EndReason::Stopped),
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
