//! The audit of calls.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcproxy_ipc::AuditTerms;

use crate::raw::{RawAudit, RawAuditFail};
use crate::report::Report;
use crate::tree::Node;

/// The file of the audit, as the supervisor writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// Its directory; `None`: in the state directory.
    pub dir: Option<PathBuf>,
    /// A file of so many bytes makes room for the next.
    pub max_bytes: u64,
    /// So does one that is so old.
    pub max_age: Duration,
    /// So many full ones are kept.
    pub keep: usize,
    /// Lines are on the disk before they count as written.
    pub durable: bool,
}

impl Default for AuditConfig {
    fn default() -> Self {
        of(&RawAudit::default())
    }
}

impl AuditConfig {
    /// Makes a relative path start from the directory of the file.
    pub(crate) fn resolve_paths(&mut self, base: &Path) {
        self.dir.iter_mut().for_each(|dir| *dir = base.join(&dir));
    }
}

/// The supervisor's part.
pub(crate) fn of(raw: &RawAudit) -> AuditConfig {
    AuditConfig {
        dir: raw.dir.as_ref().map(PathBuf::from),
        max_bytes: raw.max_bytes,
        max_age: Duration::from_secs_f64(raw.max_age),
        keep: raw.keep as usize,
        durable: matches!(raw.fail, RawAuditFail::Closed),
    }
}

/// The gateway's part. `node` is the value of `audit`.
pub(crate) fn terms(raw: &RawAudit, node: &Node, report: &mut Report) -> AuditTerms {
    let elements = node.get("redact").map(Node::elements).unwrap_or_default();
    for (pointer, element) in raw.redact.iter().zip(elements).filter(|(_, element)| !element.lacks_text()) {
        if !pointer.starts_with('/') {
            report.add(
                element.span.start,
                "expected a JSON pointer into the arguments, such as `/password` or `/*/token`",
            );
        }
    }
    AuditTerms {
        arguments: raw.arguments.then(|| raw.redact.clone()),
        closed: matches!(raw.fail, RawAuditFail::Closed),
    }
}
