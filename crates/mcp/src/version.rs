//! Protocol versions.

use std::fmt;

/// A revision of MCP, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// HTTP+SSE.
    V2024_11_05,
    /// Streamable HTTP, JSON-RPC batches.
    V2025_03_26,
    /// No batches; structured content, elicitation, the version header.
    V2025_06_18,
    /// Icons, tasks, elicitation by URL, SSE polling.
    V2025_11_25,
    /// No sessions and no `initialize`: every request says of itself what it needs.
    V2026_07_28,
}

/// The version for a client that asks in `initialize` for one that we do not know.
pub const LATEST: ProtocolVersion = ProtocolVersion::V2025_11_25;

impl ProtocolVersion {
    /// All of them, newest first.
    pub const ALL: [Self; 5] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];
    /// Those that begin with `initialize`, newest first.
    pub const WITH_INITIALIZE: [Self; 4] = [Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];

    /// The text on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The version of that name, of those that begin with `initialize`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::WITH_INITIALIZE.into_iter().find(|v| v.as_str() == text)
    }

    /// The version that a server names in its answer to `initialize`. What came before 2024-11-05 (servers of 2024-10-07 are
    /// in use) differs in nothing that matters here, and is taken for it, as SDK clients do.
    pub fn parse_answer(text: &str) -> Option<Self> {
        let digits = |part: &str, len| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
        let mut parts = text.split('-');
        let is_date = matches!((parts.next(), parts.next(), parts.next(), parts.next()), (Some(year), Some(month), Some(day), None)
            if digits(year, 4) && digits(month, 2) && digits(day, 2));
        let earlier = is_date && text < Self::V2024_11_05.as_str();
        Self::parse(text).or_else(|| earlier.then_some(Self::V2024_11_05))
    }

    /// The answer to a client's wish: the same version if it is known, else the latest (MCP lifecycle, version negotiation).
    pub fn negotiate(wish: &str) -> Self {
        Self::parse(wish).unwrap_or(LATEST)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_before_the_first_revision_is_taken_as_one_of_the_first() {
        for text in ["2024-10-07", "2024-11-04", "2023-01-01", "2024-11-05"] {
            assert_eq!(ProtocolVersion::parse_answer(text), Some(ProtocolVersion::V2024_11_05), "{text}");
        }
        for text in [
            "2024-11-06",
            "2026-07-28",
            "",
            "1",
            "0.1",
            "2024-1-07",
            "2024-10-07-1",
            "DRAFT-2024-01",
            "2024-1\u{664}-07",
        ] {
            assert_eq!(ProtocolVersion::parse_answer(text), None, "{text}");
        }
    }

    #[test]
    fn a_known_wish_is_granted_and_an_unknown_one_gets_the_latest() {
        for version in ProtocolVersion::WITH_INITIALIZE {
            assert_eq!(ProtocolVersion::negotiate(version.as_str()), version);
        }
        assert_eq!(ProtocolVersion::negotiate("2099-01-01"), LATEST);
        assert_eq!(ProtocolVersion::negotiate("2026-07-28"), LATEST, "it has no `initialize`");
        assert_eq!(ProtocolVersion::WITH_INITIALIZE.into_iter().max(), Some(LATEST));
    }
}
