//! Calls that are made only when a person has agreed to them.

use std::time::Instant;

use mcproxy_mcp::RawObject;

use super::Forward;
use crate::gateway::{
    base::{
        calls::CallWaits,
        metrics::OutcomeLabel,
        rates::{RateTicket, RestingTickets},
        reply::Reply,
    },
    call::{
        approval::{CallAdmission, CallApproval, NeededApproval},
        audit::AuditedCall,
    },
    rewrite::ResultRewrite,
};

impl Forward<'_> {
    /// Makes the call once somebody has agreed to it. While it waits for that it takes no place at its server, none of its rates, and
    /// none of its time.
    pub(super) async fn attempt_approved(
        &mut self,
        needed: &NeededApproval,
        tickets: Vec<RateTicket>,
        rewrite: ResultRewrite,
        audited: Option<&mut AuditedCall>,
    ) -> (OutcomeLabel, Option<Reply>) {
        let resting = RestingTickets::of(tickets);
        let mut retry = self.retry.take();
        let approval = CallApproval {
            context: self.context,
            server: &self.server,
            tool: &self.name,
            needed,
            binding: self.binding(),
            token: self.progress_token.as_deref(),
        };
        let begun = Instant::now();
        let admission = approval.admit(&mut retry).await;
        drop(approval);
        CallWaits::add(&self.context.waits.approval, begun.elapsed());
        self.retry = retry;
        let (note, end) = match admission {
            CallAdmission::Made(note) => (note, None),
            CallAdmission::Answered(reply @ Reply::Error(_), note) => {
                self.context.gateway.metrics.turned_away(self.server.as_str());
                (note, Some((OutcomeLabel::Unavailable, Some(reply))))
            }
            CallAdmission::Answered(reply, note) => (note, Some((OutcomeLabel::Result, Some(reply)))),
            CallAdmission::Cancelled(note) => (note, Some((OutcomeLabel::Cancelled, None))),
        };
        if let Some(audited) = audited {
            audited.approved(note);
        }
        if let Some(end) = end {
            return end;
        }
        let _tickets = match resting.resume() {
            Ok(tickets) => tickets,
            Err(exceeded) => return self.turned_away(self.rate_error(None, exceeded)),
        };
        let (outcome, reply) = self.attempt(rewrite).await;
        self.note_continuation(needed, reply.as_ref());
        (outcome, reply)
    }

    /// Where the server wants something of a client that was sent away with that, the same call with the answer needs no other approval.
    fn note_continuation(&self, needed: &NeededApproval, reply: Option<&Reply>) {
        let Some(Reply::Result(result)) = reply.filter(|_| self.context.downstream.comes_back()) else { return };
        let Ok(result) = RawObject::from_slice(result) else { return };
        if result.get_string("resultType").as_deref() != Some("input_required") {
            return;
        }
        let (now, state) = (Instant::now(), result.get_string("requestState"));
        let time = self.context.gateway.servers.timeouts(self.server.as_str()).map(|times| times.input);
        let until = now + time.unwrap_or_default();
        let held = &self.context.gateway.held_calls;
        held.continues_with(state.as_deref(), self.binding(), needed.definition(), (until, now));
    }
}
