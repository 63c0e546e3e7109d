//! New log lines for open pages: asked of the supervisor once for all of them, and only while there is one.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::{Duration, Instant},
};

use mcproxy_ipc::control::{Answer, OwnedLine, Question};

use super::supervisor::SupervisorHandle;

/// Lines and bytes that are kept for a page that is slower than others.
const MAX_LINES: usize = 2000;
const MAX_BYTES: usize = 512 * 1024;
/// The supervisor is asked at most once in this time.
const INTERVAL: Duration = Duration::from_millis(300);

/// The last new lines.
#[derive(Default)]
pub(crate) struct LogTail {
    lines: RefCell<VecDeque<OwnedLine>>,
    bytes: Cell<usize>,
    /// The number of the line after the last.
    next: Cell<u64>,
    asked: Cell<Option<Instant>>,
}

impl LogTail {
    /// Asks for new lines, unless that was done a moment ago.
    pub(crate) async fn refresh(&self, supervisor: &SupervisorHandle) {
        let now = Instant::now();
        if self.asked.get().is_some_and(|asked| now.saturating_duration_since(asked) < INTERVAL) {
            return;
        }
        self.asked.set(Some(now));
        if let Some(Answer::NewLogs { lines, dropped }) = supervisor.ask(Question::NewLogs).await {
            self.next.set(self.next.get() + dropped);
            lines.into_iter().for_each(|line| self.push(line));
        }
    }

    fn push(&self, line: OwnedLine) {
        let mut lines = self.lines.borrow_mut();
        self.bytes.set(self.bytes.get() + line.line.text.len());
        lines.push_back(line);
        self.next.set(self.next.get() + 1);
        while lines.len() > MAX_LINES || self.bytes.get() > MAX_BYTES {
            let Some(oldest) = lines.pop_front() else { return };
            self.bytes.set(self.bytes.get() - oldest.line.text.len());
        }
    }

    /// The number of the line after the last.
    pub(crate) fn end(&self) -> u64 {
        self.next.get()
    }

    /// Shows the lines from that number on, and says how many of those are not there any more.
    pub(crate) fn since<T>(&self, from: u64, show: impl FnOnce(&[&OwnedLine]) -> T) -> (T, u64) {
        let lines = self.lines.borrow();
        let wanted = usize::try_from(self.next.get().saturating_sub(from)).unwrap_or(usize::MAX);
        let kept: Vec<&OwnedLine> = lines.iter().skip(lines.len().saturating_sub(wanted)).collect();
        let missing = (wanted - kept.len()) as u64;
        (show(&kept), missing)
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::{LogLevel, LogLine, LogSource};

    use super::*;

    fn line(text: String) -> OwnedLine {
        OwnedLine { server: None, line: LogLine { at_ms: 0, level: LogLevel::Info, source: LogSource::Own, text } }
    }

    #[test]
    fn each_page_reads_on_from_where_it_was_and_a_slow_one_is_told_what_it_missed() {
        let tail = LogTail::default();
        let from = tail.end();
        (0..3).for_each(|n| tail.push(line(n.to_string())));
        let texts = |lines: &[&OwnedLine]| lines.iter().map(|line| line.line.text.clone()).collect::<Vec<_>>();
        assert_eq!(tail.since(from, texts), (vec!["0".into(), "1".into(), "2".into()], 0));
        assert_eq!(tail.since(tail.end(), texts), (Vec::new(), 0));
        (0..MAX_LINES).for_each(|n| tail.push(line(n.to_string())));
        let (kept, missing) = tail.since(from, |lines| lines.len());
        assert_eq!((kept, missing), (MAX_LINES, 3));
        (0..100).for_each(|_| tail.push(line("x".repeat(16 * 1024))));
        assert!(tail.bytes.get() <= MAX_BYTES && tail.since(from, |lines| lines.len()).0 <= 32);
    }
}
