//! What is kept of a call until it is sent to be recorded: what is at hand when it is made and when it ends. Texts and digests are made of
//! that later, when the client has its answer.

use std::{
    borrow::Cow,
    rc::Rc,
    time::{Duration, SystemTime},
};

use mcproxy_ipc::{ApprovalNote, AuditRecord, AuditTerms, unix_millis};
use sha2::{Digest, Sha256};

use super::{endpoint_scope::EndpointScope, principal::Principal, redact::redacted};

/// Arguments of so many bytes are kept until then; of longer ones the digest is made at once, so that they need not be.
const MAX_KEPT: usize = 4096;
/// What an entry takes besides its texts, about, and as a record.
const ENTRY: usize = 512;

/// A call that is made, and how it ended.
#[derive(Debug)]
pub(crate) struct AuditEntry {
    /// Who called.
    pub(crate) principal: Principal,
    /// What its client says of itself: name and version.
    pub(crate) client: Option<Rc<str>>,
    /// Which session, as the log calls it.
    pub(crate) session: Box<str>,
    /// Where.
    pub(crate) endpoint: EndpointScope,
    /// Which server.
    pub(crate) server: Box<str>,
    /// The method.
    pub(crate) method: Cow<'static, str>,
    /// The server's own name of the tool or prompt.
    pub(crate) name: Box<str>,
    /// The digest of the tool's definition.
    pub(crate) definition: Option<[u8; 32]>,
    /// What it is called with.
    pub(crate) arguments: AuditedArguments,
    /// Who agreed to it.
    pub(crate) approval: Option<ApprovalNote>,
    /// How it ended.
    pub(crate) ending: AuditedEnding,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct AuditedEnding {
    /// When.
    pub(crate) at: SystemTime,
    /// In a word.
    pub(crate) outcome: Cow<'static, str>,
    /// Why it failed, in a word.
    pub(crate) reason: Cow<'static, str>,
    /// The size of the answer.
    pub(crate) result_bytes: usize,
    /// How long it took.
    pub(crate) took: Duration,
}

/// The arguments of a call.
#[derive(Debug)]
pub(crate) enum AuditedArguments {
    /// As its client wrote them.
    Text(Box<str>),
    /// What is recorded of them.
    Digested(DigestedArguments),
}

/// What is recorded of arguments.
#[derive(Debug)]
pub(crate) struct DigestedArguments {
    sha256: [u8; 32],
    bytes: usize,
    /// Redacted, if that is asked for.
    shown: Option<String>,
}

impl AuditedArguments {
    /// Of a call whose record is made under these terms.
    pub(crate) fn of(text: Box<str>, terms: &AuditTerms) -> Self {
        match text.len() {
            0..=MAX_KEPT => Self::Text(text),
            _ => Self::Digested(DigestedArguments::of(&text, terms)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Digested(digested) => digested.shown.as_ref().map_or(0, String::len),
        }
    }
}

impl DigestedArguments {
    fn of(text: &str, terms: &AuditTerms) -> Self {
        Self {
            sha256: Sha256::digest(text).into(),
            bytes: text.len(),
            shown: terms.arguments.as_ref().map(|pointers| redacted(text, pointers)),
        }
    }
}

impl AuditEntry {
    /// Its bytes, about, of it and of its record. One with the largest arguments fits into a message.
    pub(crate) fn size(&self) -> usize {
        let texts = [&*self.session, &*self.server, &*self.method, &*self.name];
        let texts = texts.into_iter().chain(self.principal.name()).chain(self.client.as_deref());
        ENTRY + texts.map(str::len).sum::<usize>() + self.arguments.len()
    }

    /// Its record.
    pub(crate) fn into_record(self, terms: &AuditTerms) -> AuditRecord {
        let DigestedArguments { sha256, bytes, shown } = match self.arguments {
            AuditedArguments::Text(text) => DigestedArguments::of(&text, terms),
            AuditedArguments::Digested(digested) => digested,
        };
        AuditRecord {
            at_ms: unix_millis(self.ending.at),
            principal: self.principal.name().map(str::to_owned),
            client: self.client.as_deref().map(str::to_owned),
            session: self.session.into(),
            endpoint: self.endpoint.to_string(),
            server: self.server.into(),
            method: self.method.into_owned(),
            name: self.name.into(),
            definition: self.definition,
            arguments_sha256: sha256,
            arguments_bytes: bytes as u64,
            arguments: shown,
            approval: self.approval,
            outcome: self.ending.outcome.into_owned(),
            reason: self.ending.reason.into_owned(),
            result_bytes: self.ending.result_bytes as u64,
            duration_us: u64::try_from(self.ending.took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A call with these arguments.
    pub(crate) fn entry(arguments: &str, terms: &AuditTerms) -> AuditEntry {
        AuditEntry {
            principal: Principal::of(Some("ann")),
            client: None,
            session: "none".into(),
            endpoint: EndpointScope::All,
            server: "a".into(),
            method: "tools/call".into(),
            name: "t".into(),
            definition: None,
            arguments: AuditedArguments::of(arguments.into(), terms),
            approval: None,
            ending: AuditedEnding {
                at: SystemTime::UNIX_EPOCH + Duration::from_millis(7),
                outcome: "result".into(),
                reason: "".into(),
                result_bytes: 3,
                took: Duration::from_micros(5),
            },
        }
    }

    #[test]
    fn a_record_is_the_same_whether_its_digest_was_made_at_once_or_later() {
        let terms = AuditTerms { arguments: Some(vec!["/key".to_owned()]), closed: false };
        for long in [10, MAX_KEPT, 3 * MAX_KEPT] {
            let text = format!(r#"{{"key":"k","text":"{}"}}"#, "x".repeat(long));
            let is_kept = matches!(AuditedArguments::of(text.as_str().into(), &terms), AuditedArguments::Text(_));
            assert_eq!(is_kept, text.len() <= MAX_KEPT);
            let record = entry(&text, &terms).into_record(&terms);
            assert_eq!(record.arguments_sha256, <[u8; 32]>::from(Sha256::digest(&text)));
            assert_eq!(record.arguments_bytes, text.len() as u64);
            assert!(record.arguments.is_some_and(|shown| shown.contains("***") && shown.contains("xxx")));
            assert_eq!((record.at_ms, record.duration_us, record.endpoint.as_str()), (7, 5, "all"));
        }
    }
}
