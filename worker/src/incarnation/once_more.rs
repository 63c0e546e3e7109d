//! A server that ends when it is asked what it speaks is started once more, within the same run: that is no crash.

use std::time::Instant;

use slog::info;

use super::{Incarnation, KEEP, stage::Stage};
use crate::{environment, launch, lines::Splitter};

impl Incarnation {
    /// Starts the server again. What is left of its start timeout goes on.
    pub(super) async fn start_once_more(&mut self) {
        info!(self.log, "server ended when it was asked server/discover; it is started once more and asked initialize");
        self.rest().sweep().await;
        match launch::spawn(&self.spec, &environment::mark(&self.spec, self.instance), &self.tree) {
            Ok(server) => {
                (self.process, self.stdin) = (server.process, Some(server.stdin));
                (self.stdout, self.stderr_pipe) = (Some(server.stdout), Some(server.stderr));
                self.splitter = Splitter::new(self.spec.limits.line_bytes, KEEP);
                (self.written, self.sent, self.traced, self.suspicion) = (0, 0, 0, None);
                self.stage = Stage::Running;
                self.given_up.set(false);
                self.session.begin_again(Instant::now());
                self.begun();
            }
            Err(reason) => self.stage = Stage::Over(reason),
        }
    }
}
