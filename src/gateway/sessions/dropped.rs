//! Messages of one server that a client missed, until it is told.

use bytes::Bytes;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{Level, json_string, method, write_notification};

/// The `logger` of log messages of our own.
const LOGGER: &str = "mcproxy";

/// Messages of one server that were dropped, until the clients that missed them are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost {
    count: u64,
    /// The most severe level, so that every client that would have received one is told.
    level: Level,
    /// Whether one said that something changed.
    changes: bool,
}

impl Default for Lost {
    fn default() -> Self {
        Self { count: 0, level: Level::Warning, changes: false }
    }
}

impl Lost {
    /// Counts one more, of this level.
    pub(crate) fn add(&mut self, level: Level) {
        self.count += 1;
        self.level = self.level.max(level);
    }

    /// One more, which said that something changed.
    pub(crate) fn add_change(&mut self, level: Level) {
        self.add(level);
        self.changes = true;
    }

    /// Whether one said that something changed: its client has to look at everything again.
    pub(crate) fn has_changes(&self) -> bool {
        self.changes
    }

    /// Whether there are none.
    pub(crate) fn is_none(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How severe the loss is.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// The log line that tells of it.
    pub(crate) fn notification(&self, server: &ServerName, why: &str) -> Bytes {
        let messages = if self.count == 1 { "message" } else { "messages" };
        let text = json_string(&format!("{} {messages} of server `{server}` were dropped: {why}", self.count));
        let level = self.level.as_str();
        let params = format!("{{\"level\":\"{level}\",\"logger\":\"{LOGGER}\",\"data\":{}}}", text.get());
        let mut out = Vec::new();
        write_notification(&mut out, method::LOG_MESSAGE, &params);
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_once_with_its_number_at_the_level_of_the_most_severe() {
        let server = ServerName::try_from("a").expect("a name");
        let mut lost = Lost::default();
        lost.add(Level::Debug);
        assert_eq!(lost.level(), Level::Warning);
        lost.add(Level::Error);
        let text = lost.notification(&server, "x");
        let expected = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","logger":"mcproxy","data":"2 messages of server `a` were dropped: x"}}"#;
        assert_eq!(text, expected);
    }
}
