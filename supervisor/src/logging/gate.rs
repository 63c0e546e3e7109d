//! The level that is logged; a reload may change it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mcproxy_ipc::LogLevel;
use slog::{Drain, Level, OwnedKVList, Record};

/// Changes the level from elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct LevelSwitch(Arc<AtomicUsize>);

impl LevelSwitch {
    pub(super) fn new(level: LogLevel) -> Self {
        Self(Arc::new(AtomicUsize::new(level.to_slog().as_usize())))
    }

    /// From here on: records of this level and the more serious ones.
    pub(crate) fn set(&self, level: LogLevel) {
        self.0.store(level.to_slog().as_usize(), Ordering::Relaxed);
    }

    fn lets_pass(&self, level: Level) -> bool {
        level.as_usize() <= self.0.load(Ordering::Relaxed)
    }
}

/// Lets records of the level in force pass.
pub(super) struct Gate<D> {
    inner: D,
    level: LevelSwitch,
}

impl<D> Gate<D> {
    pub(super) fn new(inner: D, level: LevelSwitch) -> Self {
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
