//! The record of one call: begun before it is made, written when it has ended, whichever way.

use std::{
    borrow::Cow,
    time::{Instant, SystemTime},
};

use mcproxy_ipc::ApprovalNote;
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RawValue, method};

use super::request_context::RequestContext;
use crate::gateway::base::{
    audit::AuditPlace,
    audit_entry::{AuditEntry, AuditedArguments, AuditedEnding},
    metrics::OutcomeLabel,
    reply::Reply,
};

/// What of a request is recorded: taken from it before it is rewritten.
#[derive(Debug, Clone)]
pub(crate) struct AuditedRequest {
    arguments: Box<str>,
}

impl AuditedRequest {
    /// Of these params, if calls like this are recorded.
    pub(crate) fn of(context: &RequestContext, called: &str, params: &RawObject<'_>) -> Option<Self> {
        if !context.gateway.audit.is_on() || !is_recorded(called) {
            return None;
        }
        let arguments = match params.get("arguments").map(RawValue::get) {
            Some(arguments) => arguments.into(),
            None => params.to_raw().get().into(),
        };
        Some(Self { arguments })
    }
}

/// Questions for how something stands, and what a client only listens to, are no calls.
fn is_recorded(called: &str) -> bool {
    let is_one_of_many = matches!(
        called,
        method::COMPLETE | method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE | method::SKILLS_LIST
    );
    !is_one_of_many && !called.starts_with("tasks/")
}

/// What is called.
pub(crate) struct Called<'c> {
    pub(crate) server: &'c str,
    pub(crate) method: Cow<'static, str>,
    /// The server's own name of it.
    pub(crate) name: &'c str,
    /// The digest of a tool's definition.
    pub(crate) definition: Option<[u8; 32]>,
}

/// A call that is being recorded. Dropped without an end it was given up by its client.
pub(crate) struct AuditedCall {
    begun: Instant,
    /// With its place.
    entry: Option<(AuditPlace, AuditEntry)>,
}

impl AuditedCall {
    /// A call is to be made. `None`: it is not recorded.
    ///
    /// # Errors
    /// It cannot be recorded, and must not be made then.
    pub(crate) fn begin(
        context: &RequestContext,
        request: Option<AuditedRequest>,
        called: Called<'_>,
    ) -> Result<Option<Self>, ErrorObject> {
        let Some(request) = request else { return Ok(None) };
        let place = context.gateway.audit.begin().map_err(|error| {
            ErrorObject::about_server(ErrorCode::SERVER_UNAVAILABLE, error, called.server, "not_recorded")
        })?;
        let Some(place) = place else { return Ok(None) };
        let downstream = &context.downstream;
        let entry = AuditEntry {
            principal: downstream.principal().clone(),
            client: downstream.client_label(),
            session: downstream.in_log().into(),
            endpoint: context.scope().endpoint.clone(),
            server: called.server.into(),
            method: called.method,
            name: called.name.into(),
            definition: called.definition,
            arguments: AuditedArguments::of(request.arguments, place.terms()),
            approval: None,
            ending: AuditedEnding {
                at: SystemTime::UNIX_EPOCH,
                outcome: OutcomeLabel::Cancelled.as_str().into(),
                reason: "".into(),
                result_bytes: 0,
                took: context.elapsed(),
            },
        };
        Ok(Some(Self { begun: context.begun, entry: Some((place, entry)) }))
    }

    /// Somebody agreed to it, or not.
    pub(crate) fn approved(&mut self, note: ApprovalNote) {
        if let Some((_, entry)) = &mut self.entry {
            entry.approval = Some(note);
        }
    }

    /// The call has ended.
    pub(crate) fn end(mut self, outcome: &'static str, reply: Option<&Reply>) {
        if let Some((_, AuditEntry { ending, .. })) = &mut self.entry {
            ending.outcome = outcome.into();
            ending.result_bytes = reply.map_or(0, Reply::len);
            if let Some(Reply::Error(error)) = reply {
                ending.reason = error.reason.into();
            }
        }
    }
}

impl Drop for AuditedCall {
    fn drop(&mut self) {
        if let Some((place, mut entry)) = self.entry.take() {
            (entry.ending.at, entry.ending.took) = (SystemTime::now(), self.begun.elapsed());
            place.record(entry);
        }
    }
}
