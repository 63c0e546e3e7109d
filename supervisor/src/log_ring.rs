//! The last log lines of one server, for `mcproxy logs` and the built-in server.

use std::{collections::VecDeque, fmt, time::SystemTime};

use mcproxy_ipc::{LogLine, LogRecord, ServerName, unix_millis};
use tokio::sync::broadcast;

use crate::{bounded_text::cut, logging::one_line};

const MAX_LINES: usize = 1000;
const MAX_BYTES: usize = 256 * 1024;
/// Of one line; a worker's message could be as long as a frame.
const MAX_LINE: usize = 16 * 1024;
/// Lines that a slow follower may be behind; then it loses some and is told how many.
const FOLLOW: usize = 1024;

/// Who a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogOwner {
    /// A server, by its own words or by those of its worker and of its task.
    Server(ServerName),
    /// The gateway's process.
    Gateway,
}

impl fmt::Display for LogOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(name) => name.fmt(f),
            // No server can have this name.
            Self::Gateway => f.write_str("(gateway)"),
        }
    }
}

/// A new line and whose it is, for those who follow.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    /// Whose it is.
    pub(crate) owner: LogOwner,
    /// The line.
    pub(crate) line: LogLine,
}

/// Where new lines are announced.
pub(crate) type Follow = broadcast::Sender<Followed>;

/// A channel for followers.
pub(crate) fn follow() -> Follow {
    broadcast::channel(FOLLOW).0
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    unix_millis(SystemTime::now())
}

/// A record as one line for people.
pub(crate) fn line(record: &LogRecord) -> LogLine {
    let mut text = one_line(&record.message).into_owned();
    for (key, value) in &record.fields {
        text.push_str(&format!(" {}={}", one_line(key), one_line(value)));
    }
    LogLine { at_ms: now_ms(), level: record.level, source: record.source, text: cut(text, MAX_LINE) }
}

/// Bounded in lines and in bytes.
#[derive(Debug, Default)]
pub(crate) struct LogRing {
    lines: VecDeque<LogLine>,
    bytes: usize,
}

impl LogRing {
    /// Remembers a line; forgets the oldest ones beyond the bounds.
    pub(crate) fn push(&mut self, line: LogLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.text.len();
        }
    }

    /// The last lines, at most `n`, oldest first.
    pub(crate) fn last(&self, n: usize) -> Vec<LogLine> {
        self.lines.iter().skip(self.lines.len().saturating_sub(n)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_newest_lines_within_its_bounds() {
        let mut ring = LogRing::default();
        for n in 0..3000 {
            ring.push(line(&LogRecord::stderr(format!("line {n}"))));
        }
        assert_eq!(ring.last(usize::MAX).len(), MAX_LINES);
        assert_eq!(ring.last(1)[0].text, "line 2999");
        for _ in 0..100 {
            ring.push(line(&LogRecord::stderr("x".repeat(8000))));
        }
        assert!(
            ring.bytes <= MAX_BYTES && ring.last(usize::MAX).iter().map(|l| l.text.len()).sum::<usize>() == ring.bytes
        );
    }

    #[test]
    fn one_record_is_one_line_of_bounded_length() {
        let record = LogRecord { message: "\u{1b}".repeat(300_000), ..LogRecord::stderr(String::new()) };
        assert!(line(&record).text.len() <= MAX_LINE + '…'.len_utf8());
    }
}
