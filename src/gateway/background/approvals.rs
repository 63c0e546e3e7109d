//! Follows what the supervisor says of calls that wait for the agreement of a person: decisions, and the answers that are kept.

use std::{rc::Rc, time::Instant};

use mcproxy_ipc::control::GatewayToSupervisor;

use crate::gateway::{
    base::supervisor::HoldDecision,
    state::{Gateway, held_calls::ApprovalVerdict},
};

/// Puts them in force.
pub(super) async fn follow(gateway: Rc<Gateway>) {
    let Some(mut decisions) = gateway.supervisor.take_decisions() else { return };
    let mut rules = gateway.supervisor.approval_rules.clone();
    loop {
        tokio::select! {
            changed = rules.changed() => {
                if changed.is_err() {
                    return;
                }
                gateway.approval_rules.set(rules.borrow_and_update().clone());
            }
            decision = decisions.recv() => {
                let Some(HoldDecision { id, decision, by }) = decision else { return };
                let verdict = ApprovalVerdict { decision, by };
                // Of one that waits, the supervisor is told how that ended.
                if gateway.held_calls.decide(&id, verdict, Instant::now()).is_none() {
                    gateway.supervisor.tell_of_held(GatewayToSupervisor::HoldEnded { id, end: None });
                }
            }
        }
    }
}
