//! Calls that wait at the gateway for a person, and the answers that are kept for later ones.

use mcproxy_ipc::{
    ApprovalDecision, ApprovalRule, HeldCall, HoldEnd, Remember, control::SupervisorToGateway, disk::on_disk,
};
use slog::{info, warn};
use tokio::sync::oneshot;

use super::GatewayTask;

/// Decisions of operators that wait for the gateway.
const DECIDING: usize = 64;

/// Where the answer to an operator goes: how the wait of the call ended; `None`: no such call waits.
pub(super) type Decided = oneshot::Sender<Option<HoldEnd>>;

impl GatewayTask {
    /// A call waits.
    pub(super) fn held(&mut self, call: HeldCall) {
        self.held.add(call);
        self.show_held();
    }

    /// One does not any more, or there never was one.
    pub(super) fn hold_ended(&mut self, id: &str, end: Option<HoldEnd>) {
        self.held.remove(id);
        if let Some(reply) = self.deciding.remove(id) {
            let _ = reply.send(end); // the operator may have left
        }
        self.show_held();
    }

    /// None does: the gateway has ended. What was to be decided is decided by that.
    pub(super) fn nothing_is_held(&mut self) {
        self.held.clear();
        self.deciding.clear();
        self.show_held();
    }

    /// An operator decides.
    pub(super) fn decide(&mut self, id: String, decision: ApprovalDecision, reply: Decided) {
        self.deciding.retain(|_, reply| !reply.is_closed());
        if !self.held.has(&id) || self.deciding.len() >= DECIDING || self.link.link().is_none() {
            let _ = reply.send(None); // as above
            return;
        }
        info!(self.log, "call decided on by an operator"; "held" => &id, "decision" => format!("{decision:?}"));
        self.deciding.insert(id.clone(), reply);
        self.tell(SupervisorToGateway::Decide { id, decision, by: "operator".to_owned() });
    }

    /// The gateway wants an answer kept. It is not, where the configuration in force does not let answers count for so long.
    pub(super) fn keep_approval(&mut self, rule: ApprovalRule) {
        let (server, tool) = (rule.server.to_string(), rule.tool.clone());
        let added = match self.settings.approvals.remember {
            Remember::Always => self.rules.add(rule),
            Remember::Never | Remember::Session => Err("`approvals.remember` is not `always`"),
        };
        match added {
            Ok(()) => {
                info!(self.log, "calls of a tool are approved from now on"; "server" => server, "tool" => tool);
                self.write_rules();
            }
            Err(why) => warn!(self.log, "an approval is not kept"; "server" => server, "tool" => tool, "reason" => why),
        }
        // The gateway counts with it already.
        self.tell_rules();
    }

    /// An operator wants one forgotten, or all; how many that were.
    pub(super) fn forget_approval(&mut self, id: Option<&str>) -> usize {
        let count = self.rules.forget(id);
        if count > 0 {
            info!(self.log, "approvals forgotten by an operator"; "count" => count);
            self.write_rules();
            self.tell_rules();
        }
        count
    }

    /// Tells gateway and operators which answers are kept.
    pub(super) fn tell_rules(&mut self) {
        let rules = self.rules.all();
        self.snapshot.send_modify(|snapshot| snapshot.rules = rules.clone().into());
        self.tell(SupervisorToGateway::ApprovalRules(rules));
    }

    fn show_held(&self) {
        let held = self.held.all();
        self.snapshot.send_modify(|snapshot| snapshot.held = held);
    }

    /// Beside the task, as the disk may be slow.
    fn write_rules(&mut self) {
        let (rules, log) = (self.rules.clone(), self.log.clone());
        self.answers.spawn(async move {
            let written = on_disk(move || rules.write()).await.map_err(std::io::Error::other).flatten();
            if let Err(error) = written {
                warn!(log, "approvals cannot be written and are lost with the next start"; "error" => %error);
            }
        });
    }
}
