use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_mcp::RequestId;

use super::{
    catalogue::{Naming, View},
    link::CallHandle,
    queue::Queue,
    session::{CallRefused, Session},
    state::Gateway,
};

/// Messages that belong to a request but are not its answer, on their way to its client.
pub(crate) type Related = Rc<Queue<Bytes>>;

/// Related messages of one request that may wait for its client to read; beyond it they are dropped.
const RELATED: usize = 64;

/// An empty queue for one request, or for one batch.
pub(crate) fn related() -> Related {
    Rc::new(Queue::new(RELATED))
}

/// One request under way: for whom it is, and where its client may be told something before the answer. It occupies its
/// id in the session until it is dropped.
pub(crate) struct Exchange {
    pub(crate) gateway: Rc<Gateway>,
    pub(crate) session: Rc<Session>,
    pub(crate) related: Related,
    /// When it began.
    pub(crate) begun: Instant,
    id: RequestId,
}

impl Exchange {
    /// Takes up the id.
    pub(crate) fn begin(
        gateway: Rc<Gateway>,
        session: Rc<Session>,
        related: Related,
        id: &RequestId,
        now: Instant,
    ) -> Result<Self, CallRefused> {
        session.touch(now);
        session.begin_call(id, gateway.max_calls())?;
        Ok(Self { gateway, session, related, begun: now, id: id.clone() })
    }

    /// Its time so far.
    pub(crate) fn elapsed(&self) -> Duration {
        let now = Instant::now();
        self.session.touch(now);
        now.duration_since(self.begun)
    }

    /// What the client sees at this moment.
    pub(crate) fn view(&self) -> Rc<View> {
        self.gateway.fleet.view(self.session.scope())
    }

    /// How names look to the client.
    pub(crate) fn naming(&self) -> Naming {
        self.session.scope().naming()
    }

    /// Whether the client gave the request up before it reached a server.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.session.is_cancelled(&self.id)
    }

    /// From now on a cancellation reaches the server.
    pub(crate) fn attach(&self, handle: CallHandle) {
        self.session.attach_call(&self.id, handle);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.session.end_call(&self.id);
    }
}
