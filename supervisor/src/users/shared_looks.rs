//! Looks at all processes of the machine, which cost the more the more there are: where many servers end at once, they share a few.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mcproxy_ipc::disk::on_disk;
use tokio::sync::Mutex;

use super::leftovers::ProcessUsers;

/// One look at a time; who asks meanwhile shares the one that begins next.
#[derive(Debug, Default)]
pub(super) struct SharedLooks {
    begun: AtomicU64,
    latest: Mutex<Option<(u64, Arc<ProcessUsers>)>>,
}

impl SharedLooks {
    /// What a look shows that begins no earlier than now. `look` may wait for `/proc`.
    pub(super) async fn look(&self, look: impl FnOnce() -> ProcessUsers + Send + 'static) -> Arc<ProcessUsers> {
        let before = self.begun.load(Ordering::Relaxed);
        let mut latest = self.latest.lock().await;
        if let Some((_, found)) = latest.as_ref().filter(|(number, _)| *number > before) {
            return Arc::clone(found);
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let found = Arc::new(on_disk(look).await.unwrap_or_default());
        *latest = Some((number, Arc::clone(&found)));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Barrier, atomic::AtomicUsize},
        time::Duration,
    };

    use tokio::{task::JoinSet, time::timeout};

    use super::*;

    #[tokio::test]
    async fn whoever_asks_during_a_look_shares_the_next_one_and_later_ones_look_anew() {
        let (looks, count) = (Arc::new(SharedLooks::default()), Arc::new(AtomicUsize::new(0)));
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = |count: &Arc<AtomicUsize>| {
            let count = Arc::clone(count);
            move || {
                count.fetch_add(1, Ordering::Relaxed);
                ProcessUsers::default()
            }
        };
        let (begun, may_end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let mut asking = JoinSet::new();
        let (first, barriers) = (Arc::clone(&looks), (Arc::clone(&begun), Arc::clone(&may_end)));
        asking.spawn(async move {
            let slow = move || {
                barriers.0.wait();
                barriers.1.wait();
                ProcessUsers::default()
            };
            first.look(slow).await;
        });
        let wait = |barrier: Arc<Barrier>| tokio::task::spawn_blocking(move || barrier.wait());
        wait(begun).await.expect("the first look has begun");
        for _ in 0..20 {
            let (looks, look, asked) = (Arc::clone(&looks), counted(&count), Arc::clone(&asked));
            asking.spawn(async move {
                asked.fetch_add(1, Ordering::Relaxed);
                drop(looks.look(look).await);
            });
        }
        // All of them ask before the first look ends.
        while asked.load(Ordering::Relaxed) < 20 {
            tokio::task::yield_now().await;
        }
        wait(may_end).await.expect("it ends");
        let all = async { while asking.join_next().await.is_some() {} };
        timeout(Duration::from_secs(10), all).await.expect("all have an answer");
        assert_eq!(count.load(Ordering::Relaxed), 1);
        looks.look(counted(&count)).await;
        assert_eq!(count.load(Ordering::Relaxed), 2, "what was seen before is not what is now");
    }
}
