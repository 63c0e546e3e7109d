//! The record of one call: begun before it is made, written when it has ended, whichever way.

use std::time::{Instant, SystemTime};

use mcproxy_ipc::{ApprovalNote, AuditRecord, unix_millis};
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RawValue, meta, method};
use sha2::{Digest, Sha256};

use super::request_context::RequestContext;
use crate::gateway::base::{audit::AuditPlace, metrics::OutcomeLabel, redact::redacted, reply::Reply};

/// Most characters of a client's name and version together.
const MAX_CLIENT: usize = 100;

/// What of a request is recorded: taken from it before it is rewritten.
#[derive(Debug, Clone)]
pub(crate) struct AuditedRequest {
    arguments: Box<str>,
    client: Option<String>,
}

impl AuditedRequest {
    /// Of these params, if calls like this are recorded.
    pub(crate) fn of(
        context: &RequestContext,
        called: &str,
        params: &RawObject<'_>,
        meta: Option<&RawObject<'_>>,
    ) -> Option<Self> {
        if !context.gateway.audit.is_on() || !is_recorded(called) {
            return None;
        }
        let arguments = match params.get("arguments").map(RawValue::get) {
            Some(arguments) => arguments.into(),
            None => params.to_raw().get().into(),
        };
        let stated = || {
            let info = meta?.get_object(meta::CLIENT_INFO)?;
            let text = |key: &str| info.get_string(key).unwrap_or_default();
            Some(format!("{} {}", text("name"), text("version")))
        };
        let client = context.downstream.client().or_else(stated);
        let client = client.map(|client| client.trim().chars().take(MAX_CLIENT).collect::<String>());
        Some(Self { arguments, client: client.filter(|client| !client.is_empty()) })
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
    pub(crate) method: &'c str,
    /// The server's own name of it.
    pub(crate) name: &'c str,
    /// The digest of a tool's definition.
    pub(crate) definition: Option<[u8; 32]>,
}

/// A call that is being recorded. Dropped without an end it was given up by its client.
pub(crate) struct AuditedCall {
    begun: Instant,
    /// With its place.
    record: Option<(AuditPlace, AuditRecord)>,
}

impl AuditedCall {
    /// A call is to be made. `None`: it is not recorded.
    ///
    /// # Errors
    /// It cannot be recorded, and must not be made then.
    pub(crate) fn begin(
        context: &RequestContext,
        request: Option<&AuditedRequest>,
        called: &Called<'_>,
    ) -> Result<Option<Self>, ErrorObject> {
        let Some(request) = request else { return Ok(None) };
        let place = context.gateway.audit.begin().map_err(|error| {
            ErrorObject::about_server(ErrorCode::SERVER_UNAVAILABLE, error, called.server, "not_recorded")
        })?;
        let Some(place) = place else { return Ok(None) };
        let arguments = place.terms().arguments.as_ref().map(|pointers| redacted(&request.arguments, pointers));
        let record = AuditRecord {
            at_ms: 0,
            principal: context.downstream.principal().name().map(str::to_owned),
            client: request.client.clone(),
            session: context.downstream.in_log().to_owned(),
            endpoint: context.scope().to_string(),
            server: called.server.to_owned(),
            method: called.method.to_owned(),
            name: called.name.to_owned(),
            definition: called.definition,
            arguments_sha256: Sha256::digest(request.arguments.as_bytes()).into(),
            arguments_bytes: request.arguments.len() as u64,
            arguments,
            approval: None,
            outcome: OutcomeLabel::Cancelled.as_str().to_owned(),
            reason: String::new(),
            result_bytes: 0,
            duration_us: 0,
        };
        Ok(Some(Self { begun: context.begun, record: Some((place, record)) }))
    }

    /// Somebody agreed to it, or not.
    pub(crate) fn approved(&mut self, note: ApprovalNote) {
        if let Some((_, record)) = &mut self.record {
            record.approval = Some(note);
        }
    }

    /// The call has ended.
    pub(crate) fn end(mut self, outcome: &str, reply: Option<&Reply>) {
        if let Some((_, record)) = &mut self.record {
            outcome.clone_into(&mut record.outcome);
            record.result_bytes = reply.map_or(0, Reply::len) as u64;
            if let Some(Reply::Error(error)) = reply {
                error.reason.clone_into(&mut record.reason);
            }
        }
    }
}

impl Drop for AuditedCall {
    fn drop(&mut self) {
        if let Some((place, mut record)) = self.record.take() {
            record.at_ms = unix_millis(SystemTime::now());
            record.duration_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            place.record(record);
        }
    }
}
