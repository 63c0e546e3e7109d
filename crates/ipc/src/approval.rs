//! Which calls wait until a person agrees to them, what is known of those that wait, and which answers are kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ServerName;

/// The most calls that wait for approval at once; all of them fit into one control message.
pub const MAX_HELD_CALLS: usize = 256;
/// The most calls of one principal (without tokens: of one session) that wait for approval at once.
pub const MAX_HELD_CALLS_EACH: usize = 32;
/// The most bytes of a call's arguments that people are shown.
pub const MAX_SHOWN_ARGUMENTS: usize = 2048;
/// The most rules that are kept; all of them fit into one control message.
pub const MAX_APPROVAL_RULES: usize = 1024;
/// The most bytes of each other text of a held call or a rule.
pub const MAX_APPROVAL_TEXT: usize = 256;

/// Which calls need the agreement of a person. The later one is the stricter one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ApprovalMode {
    /// None.
    #[default]
    Never,
    /// Those of tools that are not said to be harmless.
    Destructive,
    /// All.
    Always,
}

/// Which calls of one server do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerApprovals {
    /// Of all its tools.
    pub all: ApprovalMode,
    /// Of tools that fit a pattern, by the server's own names.
    pub tools: Vec<(String, ApprovalMode)>,
}

impl ServerApprovals {
    /// Whether none does.
    pub fn is_never(&self) -> bool {
        self.all == ApprovalMode::Never && self.tools.iter().all(|(_, mode)| *mode == ApprovalMode::Never)
    }
}

/// How long the answer of a person may count. The later one counts longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Remember {
    /// For the one call.
    Never,
    /// Until the session ends.
    #[default]
    Session,
    /// Until somebody forgets it.
    Always,
}

/// How people are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalTerms {
    /// A call that nobody decides on within this time is refused.
    pub timeout: Duration,
    /// How long an answer may count at most.
    pub remember: Remember,
}

/// What a person decides on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalDecision {
    /// It is made, and the next one is asked for again.
    Once,
    /// It is made, and so are others of this tool until the session ends.
    Session,
    /// It is made, and so are others of this tool by this principal.
    Always,
    /// It is not made.
    Refuse,
}

impl ApprovalDecision {
    /// The decision that allows a call and counts for so long.
    pub fn allowing(remember: Remember) -> Self {
        match remember {
            Remember::Never => Self::Once,
            Remember::Session => Self::Session,
            Remember::Always => Self::Always,
        }
    }

    /// How long it wants to count.
    pub fn remembered(self) -> Remember {
        match self {
            Self::Once | Self::Refuse => Remember::Never,
            Self::Session => Remember::Session,
            Self::Always => Remember::Always,
        }
    }
}

/// How the wait of a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HoldEnd {
    /// Somebody allowed it.
    Allowed,
    /// Somebody refused it.
    Refused,
    /// Nobody decided in time.
    Expired,
    /// Its client gave it up, or its tool was redefined meanwhile.
    Cancelled,
}

impl HoldEnd {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Refused, Self::Expired, Self::Cancelled];

    /// The word for it in counters and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A call that waits for a person. Texts are fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCall {
    /// Its name, by which people decide on it; cannot be guessed.
    pub id: String,
    /// Since when: milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Until when.
    pub until_ms: u64,
    /// Who calls; `None`: there is no authentication.
    pub principal: Option<String>,
    /// What its client says of itself.
    pub client: Option<String>,
    /// At which endpoint.
    pub endpoint: String,
    /// Which server.
    pub server: ServerName,
    /// The server's own name of the tool.
    pub tool: String,
    /// The arguments as JSON, masked and cut.
    pub arguments: String,
    /// Whether the client's own user is asked as well.
    pub asks_user: bool,
}

impl HeldCall {
    /// Whether its texts are as short as they have to be.
    pub fn is_bounded(&self) -> bool {
        let texts = [&self.id, &self.endpoint, &self.tool];
        texts.into_iter().chain(&self.principal).chain(&self.client).all(|text| text.len() <= MAX_APPROVAL_TEXT)
            && self.arguments.len() <= MAX_SHOWN_ARGUMENTS
    }
}

/// An answer that is kept: calls of this tool by this principal are made, as long as the tool is defined as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// Its name, by which people forget it. Of one that is to be kept, empty.
    pub id: String,
    /// Since when: milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who decided.
    pub by: String,
    /// Whose calls; `None`: those of everybody, without authentication.
    pub principal: Option<String>,
    /// Of which server.
    pub server: ServerName,
    /// The server's own name of the tool.
    pub tool: String,
    /// The digest of the tool's definition.
    pub definition: [u8; 32],
}

impl ApprovalRule {
    /// Whether its texts are as short as they have to be.
    pub fn is_bounded(&self) -> bool {
        let texts = [&self.id, &self.by, &self.tool];
        texts.into_iter().chain(&self.principal).all(|text| text.len() <= MAX_APPROVAL_TEXT)
    }

    /// Whether it allows the same.
    pub fn is_like(&self, other: &Self) -> bool {
        self.principal == other.principal
            && self.server == other.server
            && self.tool == other.tool
            && self.definition == other.definition
    }
}

/// How a call came to be made, or not, for the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalNote {
    /// Who decided: `user`, `operator`, `page:{name}`, `rule:{id}`, `nobody`.
    pub by: String,
    /// What: `once`, `session`, `always`, `continued`, `asked`, `refused`, `expired`, `too_many`.
    pub how: String,
}

impl ApprovalNote {
    /// Who decided, and what.
    pub fn new(by: impl Into<String>, how: impl Into<String>) -> Self {
        Self { by: by.into(), how: how.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_mode_and_the_longer_memory_are_the_greater_ones() {
        assert!(ApprovalMode::Never < ApprovalMode::Destructive && ApprovalMode::Destructive < ApprovalMode::Always);
        assert!(Remember::Never < Remember::Session && Remember::Session < Remember::Always);
        for remember in [Remember::Never, Remember::Session, Remember::Always] {
            assert_eq!(ApprovalDecision::allowing(remember).remembered(), remember);
        }
        let tools = vec![("x".to_owned(), ApprovalMode::Never)];
        assert!(ServerApprovals { all: ApprovalMode::Never, tools: tools.clone() }.is_never());
        assert!(!ServerApprovals { all: ApprovalMode::Always, tools }.is_never());
    }
}
