//! A server whose process the question what it speaks has spoiled is started once more, within the same run: that is no crash.

use std::time::Instant;

use mcproxy_ipc::control::WorkerToSupervisor;
use slog::info;

use super::{Runner, report, stage::RunStage};
use crate::transport::Transport;

impl<T: Transport> Runner<T> {
    /// Starts the server again.
    pub(super) async fn restart_after_probe(&mut self) {
        self.transport.clean_up(&self.spec).await;
        let now = Instant::now();
        match self.transport.restart(&self.spec) {
            Ok(()) => {
                self.begin_stage();
                self.forget_stderr_of_question(now);
                self.stderr.forget();
                self.session.begin_again(now);
                report(&self.reports, &self.log, WorkerToSupervisor::StartedAgain);
                info!(self.log, "server is started once more"; "because" => self.session.story());
                self.begun();
            }
            Err(reason) => self.stage = RunStage::Over(reason),
        }
    }
}
