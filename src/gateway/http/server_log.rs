//! What the HTTP server itself has to say: it logs to the `log` crate, and its trouble in accepting connections (no
//! descriptors left, say) is said nowhere else.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use log::{LevelFilter, Log, Metadata, Record};
use slog::{Logger, warn};

/// What accepts connections. What it says about single connections is up to clients, and no trouble of ours.
const SOURCE: &str = "actix_server";
/// It tries again twice a second and says so each time; one record in this time is enough.
const PAUSE: Duration = Duration::from_secs(10);

struct ServerLog {
    log: Logger,
    last: Mutex<Option<Instant>>,
}

/// Passes on what the HTTP server says from here on.
pub(super) fn listen(log: &Logger) {
    let ours = ServerLog { log: log.clone(), last: Mutex::default() };
    // There is one gateway in a process; a second one would lose these records and nothing else.
    if log::set_boxed_logger(Box::new(ours)).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

impl Log for ServerLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(SOURCE)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = Instant::now();
        // A panic ends the process, so the lock is never poisoned.
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|last| now.duration_since(last) >= PAUSE) {
            *last = Some(now);
            warn!(self.log, "the HTTP server has trouble"; "error" => %record.args());
        }
    }

    fn flush(&self) {}
}
