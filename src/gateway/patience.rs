use std::{
    cell::RefCell,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{exchange::Related, queue::Queue};

/// A response begins as plain JSON if it is there within about this time, else as a stream.
const JSON_PATIENCE: Duration = Duration::from_millis(250);
/// How often it is looked whose time is up.
const LOOK: Duration = Duration::from_millis(50);

/// Ends the wait of requests that take long. One clock for all of them: most are answered at once, and a timer each would
/// cost more than the rest of their wait.
#[derive(Default)]
pub(crate) struct Patience {
    waiting: RefCell<Vec<(Instant, Weak<Queue<Bytes>>)>>,
    begun: Notify,
}

impl Patience {
    /// A request began, and its related messages will be waited for.
    pub(crate) fn begin(&self, related: &Related, now: Instant) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push((now, Rc::downgrade(related)));
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
            tokio::time::sleep(LOOK).await;
            self.look(Instant::now());
        }
    }

    fn look(&self, now: Instant) {
        self.waiting.borrow_mut().retain(|(begun, related)| match related.upgrade() {
            Some(related) if now.duration_since(*begun) >= JSON_PATIENCE => {
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
    use crate::gateway::exchange::related;

    #[tokio::test]
    async fn only_those_who_still_wait_are_told_and_only_when_their_time_is_up() {
        let patience = Patience::default();
        let start = Instant::now();
        let (early, gone, late) = (related(), related(), related());
        patience.begin(&early, start);
        patience.begin(&gone, start);
        patience.begin(&late, start + JSON_PATIENCE);
        drop(gone);
        patience.look(start + JSON_PATIENCE);
        tokio::time::timeout(Duration::from_secs(5), early.ready()).await.expect("its time is up");
        assert_eq!(patience.waiting.borrow().len(), 1);
        patience.look(start + 2 * JSON_PATIENCE);
        tokio::time::timeout(Duration::from_secs(5), late.ready()).await.expect("its time is up");
        assert!(patience.waiting.borrow().is_empty());
    }
}
