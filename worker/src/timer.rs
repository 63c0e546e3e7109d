//! One moment to be woken at. Made of a timer of the kernel (timerfd_create(2)) and not of the runtime's: while one of those
//! is set, each wait for input has a time limit, which costs two system timers for every call that passes.

use std::{
    future::pending,
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::watched::watched;

/// The kernel takes no time as "never".
const SOONEST: Duration = Duration::from_nanos(1);

/// The moment.
#[derive(Debug)]
pub(crate) struct Timer {
    timer: AsyncFd<OwnedFd>,
    at: Option<Instant>,
}

impl Timer {
    /// One that is not set. Must be called within the runtime.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { timer: watched(timer)?, at: None })
    }

    /// Has it go off at `moment` or earlier: one that goes off too early costs one look, and moving it at every call would
    /// cost every call.
    pub(crate) fn by(&mut self, moment: Instant) {
        if self.at.is_some_and(|at| at <= moment) {
            return;
        }
        self.at = Some(moment);
        let left = moment.saturating_duration_since(Instant::now()).max(SOONEST);
        let value = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::from(u32::MAX), tv_nsec: 0 });
        let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once)
            .expect("a timer that we hold can be set");
    }

    /// Waits until it goes off; from then on it is not set. Cancel safe.
    pub(crate) async fn fires(&mut self) {
        let read = |timer: &OwnedFd| Ok(rustix::io::read(timer, &mut [0; 8])?);
        match self.timer.async_io(Interest::READABLE, read).await {
            Ok(_) => self.at = None,
            Err(_) => pending().await, // only while the runtime is shut down
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn it_goes_off_at_the_earliest_moment_that_was_named_and_then_again() {
        let mut timer = Timer::new().expect("a timer");
        let start = Instant::now();
        timer.by(start + LONG);
        timer.by(start + Duration::from_millis(30));
        timer.by(start + LONG);
        timeout(LONG, timer.fires()).await.expect("it goes off");
        assert!(start.elapsed() >= Duration::from_millis(30));
        timer.by(start); // in the past
        timeout(LONG, timer.fires()).await.expect("it goes off again");
    }

    #[tokio::test]
    async fn one_that_is_not_set_is_silent() {
        let mut timer = Timer::new().expect("a timer");
        assert!(timeout(Duration::from_millis(20), timer.fires()).await.is_err());
    }
}
