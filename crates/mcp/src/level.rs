//! Log levels of MCP.

use crate::RawObject;

/// A log level of MCP (RFC 5424 severities, MCP logging), least severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Detail for those who look for a mistake.
    Debug,
    /// An event.
    Info,
    /// An event that matters.
    Notice,
    /// A sign of a mistake to come.
    Warning,
    /// A failure.
    Error,
    /// A part that failed.
    Critical,
    /// A fault that needs action at once.
    Alert,
    /// Nothing works.
    Emergency,
}

impl Level {
    /// How many there are.
    pub const COUNT: usize = 8;

    const ALL: [(Self, &'static str); Self::COUNT] = [
        (Self::Debug, "debug"),
        (Self::Info, "info"),
        (Self::Notice, "notice"),
        (Self::Warning, "warning"),
        (Self::Error, "error"),
        (Self::Critical, "critical"),
        (Self::Alert, "alert"),
        (Self::Emergency, "emergency"),
    ];

    /// All of them, the most verbose first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().map(|(level, _)| level)
    }

    /// The level of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(level, _)| *level)
    }

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The level of a log notification's params; a line that states none counts as `info`.
    pub fn of_message(params: &[u8]) -> Self {
        RawObject::from_slice(params)
            .ok()
            .and_then(|object| object.get_string("level").and_then(|text| Self::parse(&text)))
            .unwrap_or(Self::Info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_levels_agree() {
        for (level, name) in Level::ALL {
            assert_eq!(level.as_str(), name);
            assert_eq!(Level::parse(name), Some(level));
        }
        assert!(Level::Debug < Level::Emergency);
        assert_eq!(Level::of_message(br#"{"level":"error","data":1}"#), Level::Error);
        assert_eq!(Level::of_message(b"nonsense"), Level::Info);
    }
}
