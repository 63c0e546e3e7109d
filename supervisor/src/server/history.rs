//! What is remembered of one server: its last steps, its log lines, its last error.

use std::collections::{BTreeMap, VecDeque};

use mcproxy_ipc::{Ended, Generation, LifecycleEvent, LogLevel, LogRecord, LogSource, ServerName};
use slog::{Drain as _, Logger};

use crate::{
    log_ring::{Follow, Followed, LogRing, line},
    logging::{emit, printable},
};

/// So many steps are remembered.
const MAX_EVENTS: usize = 50;
/// So many lines of stderr go into an error.
const TAIL_LINES: usize = 5;
/// So many incarnations are remembered with the end of their stderr.
const MAX_TAILS: usize = 4;
/// And at most so many characters.
const TAIL_CHARS: usize = 2000;

/// The memory of a server's task.
#[derive(Debug)]
pub(super) struct History {
    server: ServerName,
    follow: Follow,
    pub(super) ring: LogRing,
    pub(super) events: VecDeque<LifecycleEvent>,
    pub(super) last_error: Option<String>,
    /// Why the last change of its configuration came to nothing.
    pub(super) change_error: Option<String>,
    /// The end of the stderr of the last incarnations.
    tails: BTreeMap<Generation, String>,
}

impl History {
    pub(super) fn new(server: ServerName, follow: Follow) -> Self {
        let (ring, events) = (LogRing::default(), VecDeque::new());
        Self { server, follow, ring, events, last_error: None, change_error: None, tails: BTreeMap::new() }
    }

    /// Logs a record and remembers it, unless it is below the level in force. What a server wrote is remembered whatever the
    /// level: it is what people look for here.
    pub(super) fn record(&mut self, log: &Logger, record: &LogRecord) {
        emit(log, record);
        if record.source == LogSource::Own && !log.is_enabled(record.level.to_slog()) {
            return;
        }
        let line = line(record);
        // Nobody may be following.
        let _ = self.follow.send(Followed { server: self.server.clone(), line: line.clone() });
        self.ring.push(line);
    }

    /// Logs a fact of our own and remembers it.
    pub(super) fn note(&mut self, log: &Logger, level: LogLevel, message: &str, fields: &[(&str, String)]) {
        let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let record = LogRecord { level, source: LogSource::Own, message: message.to_owned(), fields, dropped: 0 };
        self.record(log, &record);
    }

    /// A new incarnation begins.
    pub(super) fn begin(&mut self, generation: Generation) {
        self.tails.insert(generation, String::new());
        while self.tails.len() > MAX_TAILS {
            self.tails.pop_first();
        }
    }

    /// Keeps the end of the server's stderr for the error that follows.
    pub(super) fn ended(&mut self, generation: Generation, ended: &Ended) {
        self.tails.insert(generation, last_lines(&ended.stderr_tail));
    }

    /// The worker itself said something, which is the best explanation when it dies.
    pub(super) fn worker_line(&mut self, generation: Generation, line: &str) {
        let tail = self.tails.entry(generation).or_default();
        *tail = last_lines(&format!("{tail}\n{line}"));
    }

    /// Remembers why the server is not well.
    pub(super) fn failed(&mut self, generation: Generation, reason: &str) {
        self.last_error = Some(self.explained(generation, reason));
    }

    /// Remembers why a changed configuration was not put in force.
    pub(super) fn change_failed(&mut self, generation: Generation, reason: &str) -> String {
        let error = self.explained(generation, reason);
        self.change_error = Some(error.clone());
        error
    }

    fn explained(&self, generation: Generation, reason: &str) -> String {
        let reason = printable(reason);
        match self.tails.get(&generation).filter(|tail| !tail.is_empty()) {
            Some(tail) => format!("{reason}\n{tail}"),
            None => reason.into_owned(),
        }
    }

    /// Remembers a step.
    pub(super) fn moved(&mut self, event: LifecycleEvent) {
        self.events.push_back(event);
        while self.events.len() > MAX_EVENTS {
            self.events.pop_front();
        }
    }
}

fn last_lines(text: &str) -> String {
    let text = printable(text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    if let Some((cut, _)) = tail.char_indices().rev().nth(TAIL_CHARS) {
        tail = format!("…{}", &tail[cut..]);
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_the_end_of_stderr_without_its_control_characters() {
        let name = ServerName::try_from("time").expect("valid");
        let mut history = History::new(name, crate::log_ring::follow());
        let stderr_tail = (0..9).map(|n| format!("line {n}\u{1b}\n\n")).collect();
        history.ended(Generation(1), &Ended { reason: mcproxy_ipc::EndReason::StdoutClosed, stderr_tail });
        history.failed(Generation(1), "the server closed its stdout");
        let error = history.last_error.clone().expect("set");
        assert_eq!(error.lines().count(), 6, "{error}");
        assert!(error.starts_with("the server closed its stdout\nline 4\\u{1b}\n"), "{error}");
        history.begin(Generation(2));
        history.failed(Generation(2), "again");
        assert_eq!(history.last_error.as_deref(), Some("again"));
    }

    #[test]
    fn what_is_not_logged_is_not_remembered_but_a_servers_words_are() {
        let name = ServerName::try_from("time").expect("valid");
        let mut history = History::new(name, crate::log_ring::follow());
        let at_level = |level| {
            let sink = std::sync::Mutex::new(slog_json::Json::default(std::io::sink()));
            Logger::root(slog::LevelFilter::new(sink, level).ignore_res(), slog::o!())
        };
        let log = at_level(slog::Level::Warning);
        history.note(&log, LogLevel::Debug, "a detail", &[]);
        history.note(&log, LogLevel::Warn, "a failure", &[]);
        history.record(&log, &LogRecord::stderr("its words".to_owned()));
        history.note(&at_level(slog::Level::Debug), LogLevel::Debug, "a detail that is wanted", &[]);
        let texts: Vec<String> = history.ring.last(9).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["a failure", "its words", "a detail that is wanted"]);
    }
}
