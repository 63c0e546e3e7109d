//! What is recorded of calls, on its way from the gateway to the supervisor.

use serde::{Deserialize, Serialize};

use crate::ApprovalNote;

/// The most records that a gateway has sent and that are not written.
pub const AUDIT_UNWRITTEN: u64 = 4096;

/// One call: who called what, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When it ended: milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who called; `None`: there is no authentication.
    pub principal: Option<String>,
    /// What its client says of itself: name and version.
    pub client: Option<String>,
    /// Which session, as the log calls it.
    pub session: String,
    /// At which endpoint.
    pub endpoint: String,
    /// Which server.
    pub server: String,
    /// The method of MCP.
    pub method: String,
    /// The server's own name of the tool or prompt.
    pub name: String,
    /// The digest of the tool's definition in force.
    pub definition: Option<[u8; 32]>,
    /// SHA-256 of the arguments as the client wrote them; of requests without any, of their params.
    pub arguments_sha256: [u8; 32],
    /// Their size.
    pub arguments_bytes: u64,
    /// The arguments as JSON, redacted, if that is asked for.
    pub arguments: Option<String>,
    /// Who agreed to it, and how; `None`: that was not needed.
    pub approval: Option<ApprovalNote>,
    /// How it ended.
    pub outcome: String,
    /// Why it failed, in one word.
    pub reason: String,
    /// The size of the answer.
    pub result_bytes: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

/// What the gateway has to know of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditTerms {
    /// Arguments are recorded, without what these JSON pointers name. `*` stands for any member or element.
    pub arguments: Option<Vec<String>>,
    /// A call that cannot be recorded is not made.
    pub closed: bool,
}
