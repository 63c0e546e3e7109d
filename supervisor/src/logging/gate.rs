//! The level that is logged; a reload may change it.

use mcproxy_ipc::log::LogThreshold;
use slog::{Drain, Level, OwnedKVList, Record};

/// Lets records of the level in force pass.
pub(super) struct Gate<D> {
    inner: D,
    level: LogThreshold,
}

impl<D> Gate<D> {
    pub(super) fn new(inner: D, level: LogThreshold) -> Self {
        Self { inner, level }
    }
}

impl<D: Drain<Ok = (), Err = slog::Never>> Drain for Gate<D> {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        if self.level.lets_pass(record.level()) { self.inner.log(record, values) } else { Ok(()) }
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.level.lets_pass(level)
    }
}
