//! A server that ends when it is asked what it speaks is started once more, within the same run: that is no crash.

use std::{path::PathBuf, time::Instant};

use mcproxy_ipc::control::WorkerToSupervisor;
use slog::{Logger, info};

use super::{Incarnation, KEEP, Stage, report};
use crate::{environment, launch, lines::Splitter, tree::Tree, usage};

/// What is needed to remove what a server leaves behind.
pub(super) struct Rest {
    tree: Tree,
    mark: String,
    cgroup: Option<PathBuf>,
    log: Logger,
}

impl Rest {
    /// Removes it.
    pub(super) async fn sweep(self) {
        let swept = self.tree.sweep(&self.mark, self.cgroup.as_deref()).await;
        if swept.killed > 0 {
            info!(self.log, "processes that the server left behind were killed"; "count" => swept.killed, "left" => swept.left);
        }
    }
}

impl Incarnation {
    /// What the server will leave behind.
    pub(super) fn rest(&self) -> Rest {
        let mark = environment::mark(&self.spec, self.instance);
        Rest { tree: self.tree.clone(), mark, cgroup: self.spec.cgroup.clone(), log: self.log.clone() }
    }

    /// The server's process is there.
    pub(super) fn begun(&mut self) {
        let pid = self.process.pid();
        report(&self.reports, &self.log, WorkerToSupervisor::Spawned { pid });
        let root = if self.instance.is_some() { pid } else { std::process::id() };
        let watch = usage::watch(root, self.spec.limits, self.ports_orders.0.clone());
        if let Some(before) = self.usage.replace(tokio::spawn(watch)) {
            before.abort();
        }
    }

    /// Starts the server again. What is left of its start timeout goes on.
    pub(super) async fn start_once_more(&mut self) {
        info!(self.log, "server ended when it was asked server/discover; it is started once more and asked initialize");
        self.rest().sweep().await;
        match launch::spawn(&self.spec, &environment::mark(&self.spec, self.instance), &self.tree) {
            Ok(server) => {
                (self.process, self.stdin) = (server.process, Some(server.stdin));
                (self.stdout, self.stderr_pipe) = (Some(server.stdout), Some(server.stderr));
                self.splitter = Splitter::new(self.spec.limits.line_bytes, KEEP);
                (self.written, self.traced, self.suspicion) = (0, 0, None);
                self.stage = Stage::Running;
                self.given_up.set(false);
                self.session.begin_again(Instant::now());
                self.begun();
            }
            Err(reason) => self.stage = Stage::Over(reason),
        }
    }
}
