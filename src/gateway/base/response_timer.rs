//! The one clock of requests that take long: when a response begins, whether or not there is an answer.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::queue::Queue;

/// The response to a session's request begins as plain JSON if it is there within about this time, else as a stream: a client can
/// come back for the rest of one.
pub(crate) const OF_SESSIONS: Duration = Duration::from_millis(250);
/// The same without a session. No client comes back there, and only a response that has not begun can still have the status of an error (-32021,
/// found while an instance of the server starts). Proxies and clients wait longer than that for the first byte.
pub(crate) const WITHOUT_SESSION: Duration = Duration::from_secs(10);
/// How often the timer checks for expired waits.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Ends the wait of requests that take long. One clock for all of them: most are answered at once, and a timer each would
/// cost more than the rest of their wait.
#[derive(Default)]
pub(crate) struct ResponseTimer {
    waiting: RefCell<Vec<(Instant, Weak<Queue<Bytes>>)>>,
    begun: Notify,
}

impl ResponseTimer {
    /// A request began whose related messages will be waited for, and the response begins then at the latest.
    pub(crate) fn begin(&self, related: &Rc<Queue<Bytes>>, end: Instant) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push((end, Rc::downgrade(related)));
        if waiting.len() == 1 {
            self.begun.notify_one();
        }
    }

    /// The clock; runs for the life of the process, and rests while nothing waits.
    pub(crate) async fn run(&self) {
        loop {
            if self.waiting.borrow().is_empty() {
                self.begun.notified().await;
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
            self.check(Instant::now());
        }
    }

    fn check(&self, now: Instant) {
        self.waiting.borrow_mut().retain(|(end, related)| match related.upgrade() {
            Some(related) if now >= *end => {
                related.hurry();
                false
            }
            Some(_) => true,
            None => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn related() -> Rc<Queue<Bytes>> {
        Rc::new(Queue::new(1, 1, Bytes::len))
    }

    #[tokio::test]
    async fn only_those_who_still_wait_are_told_and_only_when_their_time_is_up() {
        let timer = ResponseTimer::default();
        let start = Instant::now();
        let (early, gone, late) = (related(), related(), related());
        timer.begin(&late, start + 2 * OF_SESSIONS);
        timer.begin(&early, start + OF_SESSIONS);
        timer.begin(&gone, start + OF_SESSIONS);
        drop(gone);
        timer.check(start + OF_SESSIONS);
        tokio::time::timeout(Duration::from_secs(5), early.ready()).await.expect("its time is up");
        assert_eq!(timer.waiting.borrow().len(), 1);
        timer.check(start + 2 * OF_SESSIONS);
        tokio::time::timeout(Duration::from_secs(5), late.ready()).await.expect("its time is up");
        assert!(timer.waiting.borrow().is_empty());
    }
}
