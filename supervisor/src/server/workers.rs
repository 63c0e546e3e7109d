//! The workers of one server: the one whose generation is current, one that may follow it, and those on their way out.

use std::{future::poll_fn, task::Poll};

use mcproxy_ipc::Generation;

use super::worker::{Worker, WorkerEvent};

/// All of them; the lifecycle machine bounds how many.
#[derive(Debug, Default)]
pub(super) struct Workers(Vec<Worker>);

impl Workers {
    /// One more.
    pub(super) fn add(&mut self, worker: Worker) {
        self.0.push(worker);
    }

    /// The worker of this generation.
    pub(super) fn get(&self, generation: Generation) -> Option<&Worker> {
        self.0.iter().find(|worker| worker.generation == generation)
    }

    /// The same, to be told something.
    pub(super) fn get_mut(&mut self, generation: Generation) -> Option<&mut Worker> {
        self.0.iter_mut().find(|worker| worker.generation == generation)
    }

    /// It is gone.
    pub(super) fn remove(&mut self, generation: Generation) {
        self.0.retain(|worker| worker.generation != generation);
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next thing that happens to any of them. Cancel safe, as each worker's own is.
    pub(super) async fn next(&mut self) -> (Generation, WorkerEvent) {
        let mut waits: Vec<_> =
            self.0.iter_mut().map(|worker| Box::pin(async move { (worker.generation, worker.next().await) })).collect();
        poll_fn(|cx| {
            let ready = waits.iter_mut().find_map(|wait| match wait.as_mut().poll(cx) {
                Poll::Ready(news) => Some(news),
                Poll::Pending => None,
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
