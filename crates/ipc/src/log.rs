//! Log records on their way to the supervisor, which is the only process with a log sink.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use slog::{KV, Key, Level, Serializer};
use tokio::sync::mpsc;

/// Longest text of one record, in bytes; the rest is cut.
pub const MAX_TEXT: usize = 8 * 1024;

/// How serious a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For one call at a time.
    Trace,
    /// For developers.
    Debug,
    /// State changes.
    Info,
    /// Something failed and was recovered.
    Warn,
    /// An operator must act.
    Error,
}

impl LogLevel {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The same level for slog.
    pub fn to_slog(self) -> Level {
        match self {
            Self::Trace => Level::Trace,
            Self::Debug => Level::Debug,
            Self::Info => Level::Info,
            Self::Warn => Level::Warning,
            Self::Error => Level::Error,
        }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Critical | Level::Error => Self::Error,
            Level::Warning => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogSource {
    /// A process of ours.
    Own,
    /// A server's stderr.
    Stderr,
}

/// One log record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// How serious.
    pub level: LogLevel,
    /// Who wrote it.
    pub source: LogSource,
    /// The constant message, or the server's line.
    pub message: String,
    /// The facts.
    pub fields: Vec<(String, String)>,
    /// Records that were dropped before this one because the queue was full.
    pub dropped: u64,
}

impl LogRecord {
    /// A line that a server wrote to its stderr.
    pub fn stderr(mut line: String) -> Self {
        cut(&mut line);
        Self { level: LogLevel::Info, source: LogSource::Stderr, message: line, fields: Vec::new(), dropped: 0 }
    }
}

fn cut(text: &mut String) {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

/// A slog drain that queues records for the supervisor and never blocks: when the queue is full the record is dropped
/// and counted, and the count travels with the next one.
#[derive(Debug)]
pub struct ControlDrain {
    queue: mpsc::Sender<LogRecord>,
    /// Since the last record that found room.
    dropped: AtomicU64,
    dropped_ever: DroppedRecords,
    threshold: LogThreshold,
}

/// How many records found no room since the process began.
#[derive(Debug, Clone, Default)]
pub struct DroppedRecords(Arc<AtomicU64>);

impl DroppedRecords {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// So many.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The least serious level that is sent; it can be changed while the drain is in use.
#[derive(Debug, Clone)]
pub struct LogThreshold(Arc<AtomicUsize>);

impl LogThreshold {
    /// Lets records of this level and the more serious ones pass.
    pub fn new(level: LogLevel) -> Self {
        Self(Arc::new(AtomicUsize::new(level.to_slog().as_usize())))
    }

    /// From here on: records of this level and the more serious ones.
    pub fn set(&self, level: LogLevel) {
        self.0.store(level.to_slog().as_usize(), Ordering::Relaxed);
    }

    /// Whether a record of this level is wanted.
    pub fn lets_pass(&self, level: Level) -> bool {
        level.as_usize() <= self.0.load(Ordering::Relaxed)
    }
}

impl ControlDrain {
    /// Queues into `queue`; the holder of its other end writes to the control socket.
    pub fn new(queue: mpsc::Sender<LogRecord>) -> Self {
        let threshold = LogThreshold::new(LogLevel::Trace);
        Self { queue, dropped: AtomicU64::new(0), dropped_ever: DroppedRecords::default(), threshold }
    }

    /// To tell how many records were dropped.
    pub fn dropped_records(&self) -> DroppedRecords {
        self.dropped_ever.clone()
    }

    /// To change what is sent. At first everything is: a drain does not know what its reader throws away.
    pub fn threshold(&self) -> LogThreshold {
        self.threshold.clone()
    }
}

impl slog::Drain for ControlDrain {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &slog::Record<'_>, values: &slog::OwnedKVList) -> Result<(), slog::Never> {
        if !self.threshold.lets_pass(record.level()) {
            return Ok(());
        }
        let mut fields = FieldVisitor::default();
        // Collecting into strings cannot fail; a value whose Display fails is simply left out.
        let _ = record.kv().serialize(record, &mut fields);
        let _ = values.serialize(record, &mut fields);
        let mut message = record.msg().to_string();
        cut(&mut message);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let record =
            LogRecord { level: record.level().into(), source: LogSource::Own, message, fields: fields.0, dropped };
        if self.queue.try_send(record).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
            self.dropped_ever.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.threshold.lets_pass(level)
    }
}

#[derive(Default)]
struct FieldVisitor(Vec<(String, String)>);

impl Serializer for FieldVisitor {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        let mut text = String::new();
        write!(text, "{value}")?;
        cut(&mut text);
        self.0.push((key.to_string(), text));
        Ok(())
    }
}
