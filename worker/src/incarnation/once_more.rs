//! A server whose process the question what it speaks has spoiled is started once more, within the same run: that is no crash.

use std::time::Instant;

use mcproxy_ipc::control::WorkerToSupervisor;
use slog::info;

use super::{Incarnation, KEEP, report, stage::Stage};
use crate::{environment, launch, lines::Splitter};

impl Incarnation {
    /// Starts the server again.
    pub(super) async fn start_once_more(&mut self) {
        self.rest().sweep().await;
        let now = Instant::now();
        match launch::spawn(&self.spec, &environment::mark(&self.spec, self.instance), &self.tree) {
            Ok(server) => {
                (self.process, self.stdin) = (server.process, Some(server.stdin));
                (self.stdout, self.stderr_pipe) = (Some(server.stdout), Some(server.stderr));
                self.splitter = Splitter::new(self.spec.limits.line_bytes, KEEP);
                (self.written, self.sent, self.traced, self.suspicion) = (0, 0, 0, None);
                (self.asking, self.hung_up) = (false, false);
                self.stage = Stage::Running;
                self.given_up.set(false);
                self.forget_stderr_of_question(now);
                self.stderr.forget();
                if self.session.begin_again(now) {
                    report(&self.reports, &self.log, WorkerToSupervisor::StartedAgain);
                }
                info!(self.log, "server is started once more"; "because" => self.session.story());
                self.begun();
            }
            Err(reason) => self.stage = Stage::Over(reason),
        }
    }
}
