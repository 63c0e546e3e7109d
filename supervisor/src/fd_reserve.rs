//! Spare file descriptors: when none are left, the supervisor still has to find and end what a dead worker left behind.

use std::{
    fs::File,
    sync::{Arc, Mutex, PoisonError},
};

/// Reading a directory of `/proc` and the files in it takes this many at once, and one to spare.
const SPARE: usize = 4;

/// A few open files that mean nothing.
#[derive(Debug, Clone)]
pub(crate) struct FdReserve(Arc<Mutex<Vec<File>>>);

impl Default for FdReserve {
    fn default() -> Self {
        let reserve = Self(Arc::default());
        reserve.with_reserve(|| ()); // fills it
        reserve
    }
}

impl FdReserve {
    /// Does something for which there have to be descriptors. Whatever it opens it must close.
    pub(crate) fn with_reserve<T>(&self, work: impl FnOnce() -> T) -> T {
        // A panic ends the process, so the lock is never poisoned.
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.clear();
        let done = work();
        // A descriptor that cannot be had back now may be had the next time.
        files.extend((0..SPARE).map_while(|_| File::open("/dev/null").ok()));
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lent_is_kept_again_afterwards() {
        let reserve = FdReserve::default();
        let kept = || reserve.0.lock().expect("one thread").len();
        assert_eq!(kept(), SPARE);
        let inside = reserve.with_reserve(|| reserve.0.try_lock().is_err());
        assert!(inside, "no other task can have it meanwhile");
        assert_eq!(kept(), SPARE);
    }
}
