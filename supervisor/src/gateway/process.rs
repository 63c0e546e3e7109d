//! The gateway's process: when it is started, killed, and started again.

use std::time::{Duration, Instant};

use mcproxy_confine::Confinement;
use mcproxy_ipc::{SealedOrder, environment::passed_on};
use slog::{info, o, warn};

use super::GatewayTask;
use crate::{
    child::{Child, ChildPlan},
    link::{ChildLink, LinkEvent},
    orphans,
    phases::GatewayPhase,
};

/// From its spawn to its hello.
const START_LIMIT: Duration = Duration::from_secs(10);

impl GatewayTask {
    pub(super) fn kill(&mut self) {
        if let Some(child) = &self.child {
            child.kill();
        }
    }

    pub(super) fn due(&mut self) {
        self.due = None;
        match &self.child {
            Some(child) => {
                warn!(self.log, "gateway is killed: it took too long to start or to end"; "pid" => child.pid());
                child.kill();
            }
            None if self.ending => {}
            None => self.start(),
        }
    }

    fn start(&mut self) {
        // For `ps`, and for the next supervisor if this one is killed: it ends what carries the path of its own socket.
        let plan = ChildPlan {
            program: self.context.programs.gateway(),
            args: vec!["--socket".into(), self.context.paths.supervisor().into()],
            environment: passed_on(std::env::vars_os()).collect(),
            order: None,
        };
        let confinement = Confinement { hardening: self.context.hardening, identity: self.context.users.gateway() };
        let spawned = SealedOrder::create(&confinement)
            .and_then(|order| Child::spawn(ChildPlan { order: Some(order), ..plan }, &self.context.children));
        match spawned {
            Ok((child, connection)) => {
                self.link = ChildLink::awaited(connection, self.log.new(o!("pid" => child.pid())));
                self.phase = GatewayPhase::default();
                self.sessions.generation = self.sessions.generation.next();
                self.due = Some(Instant::now() + START_LIMIT);
                self.snapshot.send_modify(|snapshot| snapshot.running = Some((child.pid(), Instant::now())));
                self.child = Some(child);
            }
            Err(error) => {
                let delay = self.again();
                warn!(self.log, "gateway cannot be started"; "error" => %error, "delay_ms" => delay);
            }
        }
    }

    pub(super) async fn exited(&mut self, status: &str) {
        self.child = None;
        // The next gateway is to know all that this one knew.
        for word in self.link.last_words().await {
            self.heard(LinkEvent::Message(word));
        }
        self.nothing_is_held();
        orphans::reap(&self.context.children);
        self.snapshot.send_modify(|snapshot| snapshot.running = None);
        if self.ending {
            info!(self.log, "gateway ended"; "status" => status);
        } else {
            let delay = self.again();
            warn!(self.log, "gateway ended and will be started again"; "status" => status, "delay_ms" => delay);
        }
    }

    /// Plans the next spawn; returns the delay in milliseconds.
    fn again(&mut self) -> u64 {
        let delay = self.respawn.after(self.serves_since.take().map(|since| since.elapsed()));
        self.snapshot.send_modify(|snapshot| snapshot.restarts += 1);
        self.due = Some(Instant::now() + delay);
        u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
    }
}
