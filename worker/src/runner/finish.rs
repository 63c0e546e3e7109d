//! How a run is wound up.

use std::time::Instant;

use mcproxy_ipc::{EndReason, Ended};
use tokio::task::JoinHandle;

use super::{Runner, stage::RunStage};
use crate::{session::TAIL_IN_ERRORS, stderr, transport::Transport};

impl<T: Transport> Runner<T> {
    /// Takes in what has arrived and was not read yet: answers count to the last, and calls that the server was never told of are
    /// given back.
    async fn read_what_is_left(&mut self) {
        let now = Instant::now();
        while let Some(message) = self.transport.next_message() {
            self.session.line(message, now);
        }
        self.transport.take_unsent().into_iter().for_each(|request| self.session.unsent(request));
        for _ in 0..self.spec.limits.concurrent_calls {
            let Some(Ok(Some((message, payload)))) = self.gateway.next_now().await else { return };
            self.session.frame(message, &payload, now);
            self.session.context.out.server.clear(); // the server is gone
        }
    }

    /// The last answers, then the last word.
    pub(super) async fn finish(mut self) -> Ended {
        let reason = match std::mem::replace(&mut self.stage, RunStage::Running) {
            RunStage::Over(reason)
            | RunStage::Exited { reason, .. }
            | RunStage::Broken { reason, .. }
            | RunStage::Ending(reason, _) => reason,
            RunStage::Running | RunStage::Replacing(_) | RunStage::RestartAfterProbe => {
                EndReason::Worker("it left its loop while the server was running".to_owned())
            }
        };
        self.usage.take().inspect(JoinHandle::abort);
        self.install.take().inspect(JoinHandle::abort);
        self.session.gone();
        self.read_what_is_left().await;
        self.stderr.give_back(Instant::now());
        self.stderr.finish();
        for complaint in self.stderr.take_complaints() {
            self.give_hint(&complaint);
        }
        self.session.end(&reason, &self.stderr.tail(TAIL_IN_ERRORS));
        self.session.sum_up();
        self.gateway.flush(std::mem::take(&mut self.session.context.out.gateway)).await;
        if let Some(catalogue_writer) = self.catalogue_writer.take() {
            catalogue_writer.finish().await;
        }
        Ended { reason, stderr_tail: self.stderr.tail(stderr::TAIL) }
    }
}
