//! The tasks of an HTTP transport: which message each carries, and how one is given up.

use std::{collections::HashMap, future::pending};

use mcproxy_mcp::RequestId;
use tokio::task::{AbortHandle, Id, JoinSet};

/// The tasks of messages on their way. All end with it.
#[derive(Debug, Default)]
pub(super) struct Flights {
    tasks: JoinSet<()>,
    by_task: HashMap<Id, Flight>,
    requests: HashMap<RequestId, AbortHandle>,
    /// The one that nothing may overtake.
    first: Option<Id>,
}

/// What a task carries.
#[derive(Debug)]
enum Flight {
    Request(RequestId),
    /// With its end this request is over, too.
    Cancel(RequestId),
    Other,
}

/// The end of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Landed {
    /// It was the one that nothing may overtake.
    pub(super) was_first: bool,
    /// The request that is over with it.
    pub(super) request: Option<RequestId>,
}

impl Flights {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// How many of them are requests.
    #[cfg(test)]
    pub(super) fn requests(&self) -> usize {
        self.requests.len()
    }

    /// Whether all that follows has to wait.
    pub(super) fn is_held(&self) -> bool {
        self.first.is_some()
    }

    /// A request on its way.
    pub(super) fn request(&mut self, id: RequestId, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.by_task.insert(handle.id(), Flight::Request(id.clone()));
        self.requests.insert(id, handle);
    }

    /// A message that gives a request up: its answer is not waited for any longer than this takes.
    pub(super) fn cancel(&mut self, id: RequestId, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.by_task.insert(handle.id(), Flight::Cancel(id));
    }

    /// Anything else. `goes_first`: nothing may overtake it.
    pub(super) fn other(&mut self, goes_first: bool, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.by_task.insert(id, Flight::Other);
        if goes_first {
            self.first = Some(id);
        }
    }

    /// Gives a request up, and closes its connection or stream.
    pub(super) fn abort(&mut self, id: &RequestId) {
        if let Some(handle) = self.requests.remove(id) {
            handle.abort();
        }
    }

    /// Gives all up.
    pub(super) fn abort_all(&mut self) {
        self.tasks.abort_all();
    }

    /// Waits for the end of one. Cancel safe.
    pub(super) async fn landed(&mut self) -> Landed {
        let joined = match self.tasks.join_next_with_id().await {
            Some(joined) => joined,
            None => return pending().await,
        };
        let id = joined.map_or_else(|error| error.id(), |(id, ())| id);
        let request = match self.by_task.remove(&id) {
            Some(Flight::Request(request)) => {
                // Another one may have its number meanwhile, after a restart.
                let is_it = self.requests.get(&request).is_some_and(|handle| handle.id() == id);
                if is_it {
                    self.requests.remove(&request);
                }
                Some(request).filter(|_| is_it)
            }
            Some(Flight::Cancel(request)) => {
                self.abort(&request);
                Some(request)
            }
            Some(Flight::Other) | None => None,
        };
        Landed { was_first: self.first.take_if(|first| *first == id).is_some(), request }
    }
}
