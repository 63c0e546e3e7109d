//! Where log records go: one slog root, one sink behind a bounded queue that drops and counts and never blocks.
//!
//! The keys that records carry are listed in `docs/logging.md`.

mod counted;
mod escape;
mod facts;
mod gate;
mod journal;
mod remote;
mod syslog;
mod terminal;

use std::{
    io::{self, IsTerminal as _},
    sync::mpsc,
    time::Duration,
};

use mcproxy_ipc::{
    LogLevel,
    log::{DroppedRecords, LogThreshold},
};
use slog::{Drain, Logger, o};
use slog_async::AsyncGuard;

use counted::Counted;
use terminal::TerminalDrain;

pub(crate) use escape::{one_line, printable};
pub(crate) use remote::emit;
pub(crate) use terminal::{Quiet, say, say_last};

/// How long the end of the process may wait for the sink to take what is queued.
const FLUSH: Duration = Duration::from_secs(1);

/// Where records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogTarget {
    /// Standard output, as text or as one JSON object a line.
    Stdout(Format),
    /// The machine's syslog; where our standard error is the journal's, the journal.
    Syslog,
    /// The journal of systemd.
    Journal,
}

/// How a record looks on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

/// A sink that was asked for and is not there.
#[derive(Debug, thiserror::Error)]
#[error("there is no {sink}")]
pub(crate) struct SinkError {
    sink: &'static str,
    #[source]
    error: io::Error,
}

/// The root logger and what belongs to it.
pub(crate) struct Logging {
    /// The root.
    pub(crate) log: Logger,
    /// Changes the level that is logged.
    pub(crate) level: LogThreshold,
    /// How many records found no room in the queue of the sink.
    pub(crate) dropped: DroppedRecords,
    /// To hold records back for a while, where a person sits at a terminal.
    pub(crate) quiet: Option<Quiet>,
    /// Why what was asked for could not be opened; records go to standard error instead.
    pub(crate) sink_error: Option<SinkError>,
    guard: AsyncGuard,
}

impl Logging {
    /// Opens the sink and starts its thread.
    pub(crate) fn open(target: LogTarget, level: LogLevel) -> Self {
        match target {
            LogTarget::Stdout(Format::Text) if io::stdout().is_terminal() => {
                let quiet = Quiet::default();
                let sink = TerminalDrain { inner: on_terminal(), out: io::stdout(), quiet: quiet.clone() };
                Self { quiet: Some(quiet), ..Self::with_sink(sink, level) }
            }
            LogTarget::Stdout(Format::Text) if journal::is_at_stdout() => {
                match journal::Journal::open(&journal::socket()) {
                    Ok(journal) => Self::with_sink(journal, level),
                    Err(_) => Self::with_sink(journal::Prefixed(StdoutSink), level),
                }
            }
            LogTarget::Stdout(Format::Text) => Self::with_sink(plain(), level),
            LogTarget::Stdout(Format::Json) => {
                let json = slog_json::Json::new(io::stdout()).add_default_keys().set_flush(true).build();
                Self::with_sink(json, level)
            }
            LogTarget::Journal => match journal::Journal::open(&journal::socket()) {
                Ok(journal) => Self::with_sink(journal, level),
                Err(error) => Self::on_stderr(SinkError { sink: "journal", error }, level),
            },
            LogTarget::Syslog => {
                let journal = journal::is_at(io::stderr()).then(|| journal::Journal::open(&journal::socket()).ok());
                match journal.flatten() {
                    Some(journal) => Self::with_sink(journal, level),
                    None => match syslog::Syslog::open(syslog::SOCKETS) {
                        Ok(syslog) => Self::with_sink(syslog, level),
                        Err(error) => Self::on_stderr(SinkError { sink: "syslog", error }, level),
                    },
                }
            }
        }
    }

    /// Instead of what cannot be had.
    fn on_stderr(sink_error: SinkError, level: LogLevel) -> Self {
        let logging = if journal::is_at(io::stderr()) {
            Self::with_sink(journal::Prefixed(StderrSink), level)
        } else {
            let plain = slog_term::PlainSyncDecorator::new(io::stderr());
            Self::with_sink(slog_term::FullFormat::new(plain).use_original_order().build(), level)
        };
        Self { sink_error: Some(sink_error), ..logging }
    }

    /// A sink that fails (a closed pipe, a full disk) loses records; there is nowhere left to say so.
    fn with_sink<D: Drain<Ok = ()> + Send + 'static>(sink: D, level: LogLevel) -> Self {
        let (queue, guard) = Counted::new(sink.ignore_res());
        let (level, dropped) = (LogThreshold::new(level), queue.dropped_records());
        let log = Logger::root(gate::Gate::new(queue, level.clone()), o!());
        Self { log, level, dropped, quiet: None, sink_error: None, guard }
    }

    /// Writes out what is queued, but does not wait long for a sink that is stuck.
    pub(crate) fn finish(self) {
        let (done, finished) = mpsc::channel();
        let guard = self.guard;
        // Not joined: a stuck sink must not keep the process, whose end ends the thread.
        std::thread::spawn(move || {
            drop(guard);
            let _ = done.send(());
        });
        let _ = finished.recv_timeout(FLUSH);
    }
}

/// The standard output, which is locked for each record.
struct StdoutSink;
/// The same of standard error.
struct StderrSink;

impl io::Write for &StdoutSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

impl io::Write for &StderrSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

type TextDrain = Box<dyn Drain<Ok = (), Err = io::Error> + Send>;

/// One complete line for each record, which can be searched. (slog-term's compact form prints a heading whenever the server
/// changes, which tears the records of several servers apart.)
fn plain() -> TextDrain {
    let plain = slog_term::PlainSyncDecorator::new(io::stdout());
    Box::new(slog_term::FullFormat::new(plain).use_original_order().build())
}

/// The same in colours.
fn on_terminal() -> TextDrain {
    let decorator = slog_term::TermDecorator::new().stdout();
    let decorator = match std::env::var_os("NO_COLOR") {
        Some(set) if !set.is_empty() => decorator.force_plain(),
        _ => decorator,
    };
    Box::new(slog_term::FullFormat::new(decorator.build()).use_original_order().build())
}
