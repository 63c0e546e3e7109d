//! The few places for servers in the CPU-heavy beginning of their start, and who gets the next one.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinSet,
};

/// So many servers may be in the beginning of their start at once.
const PLACES: usize = 4;
/// Requests on their way; each server has at most one that counts.
const REQUESTS: usize = 64;

/// The order of starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StartRank {
    /// A first start, or one that a person, a call or a changed configuration wants.
    Wanted,
    /// Again, after it had been ready.
    Recovery,
    /// Again, after a start that failed.
    Retry,
}

/// A place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct StartSlot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// Where places are asked for.
#[derive(Debug, Clone)]
pub(crate) struct StartQueue(mpsc::Sender<SlotRequest>);

#[derive(Debug)]
struct SlotRequest {
    rank: StartRank,
    reply: oneshot::Sender<StartSlot>,
}

impl StartQueue {
    /// Starts the task that hands out the places; it ends when no task can ask any more.
    pub(crate) fn open(tasks: &mut JoinSet<()>) -> Self {
        let (asked, requests) = mpsc::channel(REQUESTS);
        tasks.spawn(hand_out(requests));
        Self(asked)
    }

    /// Waits for a place; `None` when everything ends. Dropping the wait leaves the queue.
    pub(crate) async fn place(&self, rank: StartRank) -> Option<StartSlot> {
        let (reply, granted) = oneshot::channel();
        self.0.send(SlotRequest { rank, reply }).await.ok()?;
        granted.await.ok()
    }
}

async fn hand_out(mut requests: mpsc::Receiver<SlotRequest>) {
    let places = Arc::new(Semaphore::new(PLACES));
    let mut waiting = VecDeque::new();
    loop {
        let permit = tokio::select! {
            // Every request that is there, before one of them is chosen.
            biased;
            request = requests.recv() => match request {
                Some(request) => {
                    waiting.retain(|waiting: &SlotRequest| !waiting.reply.is_closed());
                    waiting.push_back(request);
                    continue;
                }
                None => return,
            },
            permit = Arc::clone(&places).acquire_owned(), if !waiting.is_empty() => permit,
        };
        // The semaphore is never closed.
        let Ok(permit) = permit else { return };
        waiting.retain(|waiting| !waiting.reply.is_closed());
        if let Some(next) = take_first(&mut waiting) {
            // A task that left meanwhile gives it back with this.
            let _ = next.reply.send(StartSlot(permit));
        }
    }
}

/// The first in the order of ranks, and among equals the one that has waited longest.
fn take_first(waiting: &mut VecDeque<SlotRequest>) -> Option<SlotRequest> {
    let (at, _) = waiting.iter().enumerate().min_by_key(|(_, request)| request.rank)?;
    waiting.remove(at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn first_starts_go_before_those_of_servers_that_crashed_and_these_before_retries() {
        let mut tasks = JoinSet::new();
        let queue = StartQueue::open(&mut tasks);
        let mut held = Vec::new();
        for _ in 0..PLACES {
            held.push(queue.place(StartRank::Retry).await.expect("a free place"));
        }
        let (order, mut granted) = mpsc::channel(9);
        let ranks = [StartRank::Retry, StartRank::Recovery, StartRank::Wanted, StartRank::Retry, StartRank::Wanted];
        for (number, rank) in ranks.into_iter().enumerate() {
            let (queue, order) = (queue.clone(), order.clone());
            tasks.spawn(async move {
                let place = queue.place(rank).await.expect("a place in the end");
                order.send((number, rank)).await.expect("the receiver is there");
                drop(place);
            });
            // One after the other, so that the order of their arrival is known.
            tokio::task::yield_now().await;
        }
        let gone = queue.place(StartRank::Wanted);
        assert!(timeout(Duration::from_millis(20), gone).await.is_err(), "all places are taken");
        held.pop();
        let mut seen = Vec::new();
        for _ in ranks {
            seen.push(granted.recv().await.expect("granted").0);
        }
        assert_eq!(seen, [2, 4, 1, 0, 3]);
    }
}
