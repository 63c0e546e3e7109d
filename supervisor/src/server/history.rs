//! The history of one server: its last steps, its log lines, its last error.

use std::collections::{BTreeMap, VecDeque};

use mcproxy_ipc::{EndReason, Ended, Generation, LifecycleEvent, LogLevel, LogRecord, LogSource, ServerName};
use slog::{Drain as _, Logger};

use super::error_line::{error_line, is_error};
use crate::{
    bounded_text::cut,
    log_ring::{Follow, Followed, LogOwner, LogRing, line},
    logging::{emit, one_line, printable},
};

/// So many steps are remembered.
const MAX_EVENTS: usize = 50;
/// So many lines of stderr go into an error.
const TAIL_LINES: usize = 5;
/// So many generations are remembered with the end of their stderr.
const MAX_TAILS: usize = 4;
/// Of the line that says why, in bytes.
const MAX_TELLING: usize = 300;
/// The signals with which a program ends itself when it finds itself broken (signal(7)).
const SIGABRT: i32 = 6;
/// And at most so many characters.
const TAIL_CHARS: usize = 2000;

/// How a generation ended.
#[derive(Debug, Default)]
struct StderrTail {
    reason: Option<EndReason>,
    /// The end of its stderr.
    text: String,
    /// The line of it that says why.
    telling: Option<String>,
}

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
    /// How the last generations ended.
    ends: BTreeMap<Generation, StderrTail>,
}

impl History {
    pub(super) fn new(server: ServerName, follow: Follow) -> Self {
        let (ring, events) = (LogRing::default(), VecDeque::new());
        Self { server, follow, ring, events, last_error: None, change_error: None, ends: BTreeMap::new() }
    }

    /// Logs a record and remembers it, unless it is below the level in force. What a server wrote is remembered whatever the
    /// level: it is what people look for here.
    pub(super) fn record(&mut self, log: &Logger, record: &LogRecord) {
        emit(log, record);
        if record.source == LogSource::Own && !log.is_enabled(record.level.to_slog()) {
            return;
        }
        let line = line(record);
        // No one may be following.
        let _ = self.follow.send(Followed { owner: LogOwner::Server(self.server.clone()), line: line.clone() });
        self.ring.push(line);
    }

    /// Logs a fact of our own and remembers it.
    pub(super) fn note(&mut self, log: &Logger, level: LogLevel, message: &str, fields: &[(&str, String)]) {
        let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let record = LogRecord { level, source: LogSource::Own, message: message.to_owned(), fields, dropped: 0 };
        self.record(log, &record);
    }

    /// A new generation begins.
    pub(super) fn begin(&mut self, generation: Generation) {
        self.ends.insert(generation, StderrTail::default());
        while self.ends.len() > MAX_TAILS {
            self.ends.pop_first();
        }
    }

    /// Keeps the end of the server's stderr for the error that follows.
    pub(super) fn ended(&mut self, generation: Generation, ended: &Ended) {
        let telling = error_line(&ended.stderr_tail);
        let telling = telling.map(|line| cut(one_line(&line).into_owned(), MAX_TELLING));
        let tail = StderrTail { reason: Some(ended.reason.clone()), text: last_lines(&ended.stderr_tail), telling };
        self.ends.insert(generation, tail);
    }

    /// The worker itself said something, which is the best explanation when it dies.
    pub(super) fn worker_line(&mut self, generation: Generation, line: &str) {
        let tail = self.ends.entry(generation).or_default();
        tail.text = last_lines(&format!("{}\n{line}", tail.text));
    }

    /// Remembers why the server is not well; returns that in one line.
    pub(super) fn failed(&mut self, generation: Generation, reason: &str) -> String {
        let error = self.explained(generation, reason);
        let line = error.lines().next().unwrap_or_default().to_owned();
        self.last_error = Some(error);
        line
    }

    /// Remembers why a changed configuration was not put in force.
    pub(super) fn change_failed(&mut self, generation: Generation, reason: &str) -> String {
        let error = self.explained(generation, reason);
        self.change_error = Some(error.clone());
        error
    }

    /// One line that says why, and the end of stderr.
    fn explained(&self, generation: Generation, reason: &str) -> String {
        let reason = printable(reason);
        match self.ends.get(&generation).filter(|tail| !tail.text.is_empty()) {
            Some(tail) => {
                let line = tail.in_a_line(&reason);
                // The only line need not be said twice.
                if line.contains(&tail.text) { line } else { format!("{line}\n{}", tail.text) }
            }
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

impl StderrTail {
    /// The last words of a server say more than that it ended; with another reason they are beside it.
    fn in_a_line(&self, reason: &str) -> String {
        let (Some(ended), Some(telling)) = (&self.reason, &self.telling) else { return reason.to_owned() };
        let Some(rest) = reason.strip_prefix(&ended.to_string()) else { return reason.to_owned() };
        match ended {
            EndReason::Exited { code: Some(code), .. } => format!("{telling} (exit code {code}){rest}"),
            EndReason::Exited { signal: Some(SIGABRT), .. } => format!("{telling} (signal {SIGABRT}){rest}"),
            EndReason::StdoutClosed => format!("{telling} (it closed its stdout){rest}"),
            EndReason::StartTimeout if is_error(telling) => format!("{ended}: {telling}{rest}"),
            EndReason::Stopped
            | EndReason::CommandNotFound { .. }
            | EndReason::Spawn(_)
            | EndReason::Exited { .. }
            | EndReason::StartTimeout
            | EndReason::Handshake(_)
            | EndReason::Unreachable(_)
            | EndReason::NeedsLogin(_)
            | EndReason::SessionLost
            | EndReason::Unresponsive
            | EndReason::Limit(_)
            | EndReason::Worker(_) => reason.to_owned(),
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
        history.ended(Generation(1), &Ended { reason: EndReason::StdoutClosed, stderr_tail });
        history.failed(Generation(1), "the server closed its stdout");
        let error = history.last_error.clone().expect("set");
        assert_eq!(error.lines().count(), 6, "{error}");
        assert!(error.starts_with("line 8\\u{1b} (it closed its stdout)\nline 4\\u{1b}\n"), "{error}");
        history.begin(Generation(2));
        history.failed(Generation(2), "again");
        assert_eq!(history.last_error.as_deref(), Some("again"));
    }

    #[test]
    fn an_error_begins_with_the_line_that_says_why() {
        let name = ServerName::try_from("slack").expect("valid");
        let mut history = History::new(name, crate::log_ring::follow());
        let mut first_line = |reason: EndReason, stderr: &str| {
            history.ended(Generation(1), &Ended { reason: reason.clone(), stderr_tail: stderr.to_owned() });
            history.failed(Generation(1), &format!("{reason}; no restarts left"))
        };
        let exited = |code| EndReason::Exited { code: Some(code), signal: None };
        let said = first_line(exited(1), "Please set SLACK_BOT_TOKEN\n");
        assert_eq!(said, "Please set SLACK_BOT_TOKEN (exit code 1); no restarts left");
        assert_eq!(first_line(exited(3), ""), "the server exited with code 3; no restarts left");
        let said = first_line(EndReason::StartTimeout, "Error: connect ECONNREFUSED\n");
        assert!(said.contains("startTimeout: Error: connect"), "{said}");
        assert!(!first_line(EndReason::StartTimeout, "listening\n").contains("listening"));
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
