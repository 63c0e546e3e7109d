//! One request under way: for whom it is, its room in the budget, and where its client is told something before the answer.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_mcp::{RawValue, RequestId};
use tokio::sync::Notify;

use super::{
    client_headers::ClientHeaders,
    incoming::Request,
    progress::{self, Progress},
};
use crate::gateway::{
    base::{
        budget::{Held, Purpose},
        calls::CallWaits,
        queue::Queue,
        rates::RateTicket,
        scope::Scope,
    },
    catalogue::View,
    downstream::Downstream,
    rewrite::Naming,
    sessions::pending_requests::RequestRefused,
    state::Gateway,
    upstream::connection::CallHandle,
};

/// Messages that belong to a request but are not its answer, on their way to its client.
pub(crate) type Related = Rc<Queue<Bytes>>;

/// Related messages of one request that may wait for its client to read; beyond it they are dropped.
const RELATED: usize = 64;
/// The same in bytes; one that is larger finds room where nothing else waits, if it is on the budget.
const RELATED_BYTES: usize = 1024 * 1024;
/// Estimated memory of a request under way besides its body, with a copy of its params that goes to a server, in bytes.
const REQUEST: usize = 8 * 1024;

/// An empty queue for one request, or for one batch.
pub(crate) fn related() -> Related {
    Rc::new(Queue::new(RELATED, RELATED_BYTES, Bytes::len))
}

/// One request under way: for whom it is, and where its client may be told something before the answer. Within a
/// session it occupies its id until it is dropped; without one, dropping it gives it up.
pub(crate) struct RequestContext {
    pub(crate) gateway: Rc<Gateway>,
    pub(crate) downstream: Downstream,
    pub(crate) related: Related,
    /// How far its client knows it to be.
    pub(crate) progress: Progress,
    /// Of its request, as far as servers may be told of them.
    pub(crate) headers: ClientHeaders,
    /// When it began.
    pub(crate) begun: Instant,
    /// What it waited for.
    pub(crate) waits: CallWaits,
    id: RequestId,
    /// Its part of the budget.
    _room: Held,
    /// One of those that its token may have under way.
    _ticket: Option<RateTicket>,
}

impl RequestContext {
    /// A request begins; within a session it takes up its id.
    pub(crate) fn begin(
        gateway: Rc<Gateway>,
        downstream: Downstream,
        related: Related,
        request: &Request,
        now: Instant,
    ) -> Result<Self, RequestRefused> {
        downstream.touch(now);
        let room = gateway.budget.take(Purpose::Requests, REQUEST + request.params.len() + request.headers.bytes())?;
        let limiter = gateway.rates.of(downstream.principal().name());
        let ticket = limiter.map(|limiter| limiter.begin()).transpose()?;
        let id = request.id.clone();
        downstream.begin_call(&id, gateway.max_calls())?;
        let (progress, headers) = (Progress::default(), request.headers.clone());
        let waits = CallWaits::default();
        Ok(Self {
            gateway,
            downstream,
            related,
            progress,
            headers,
            begun: now,
            waits,
            id,
            _room: room,
            _ticket: ticket,
        })
    }

    /// Its time so far.
    pub(crate) fn elapsed(&self) -> Duration {
        let now = Instant::now();
        self.downstream.touch(now);
        now.duration_since(self.begun)
    }

    /// The client's view at this moment.
    pub(crate) fn view(&self) -> Rc<View> {
        let servers = &self.gateway.servers;
        match self.downstream.own_lists() {
            Some(session) => servers.view_of(self.scope(), session),
            None => servers.view(self.scope()),
        }
    }

    /// The scope of the client's endpoint.
    pub(crate) fn scope(&self) -> &Scope {
        self.downstream.scope()
    }

    /// The request's id.
    pub(crate) fn id(&self) -> &RequestId {
        &self.id
    }

    /// How names look to the client.
    pub(crate) fn naming(&self) -> Naming {
        self.scope().naming()
    }

    /// Whether the client gave the request up before it reached a server.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.downstream.is_cancelled(&self.id)
    }

    /// Notified when the client cancels the request while no server has it. Only a session can cancel.
    pub(crate) fn may_be_cancelled(&self) -> Option<Rc<Notify>> {
        self.downstream.cancellation(&self.id)
    }

    /// Tells the client something before the answer. A large message that finds no room is dropped, as one is that comes while too
    /// many wait.
    pub(crate) fn tell(&self, message: Bytes) {
        if let Ok(message) = self.gateway.budget.guard_large(Purpose::Frames, message) {
            self.related.push(message);
        }
    }

    /// Tells a client that wants to hear of progress that its request waits for a server; `message` is a JSON string.
    pub(crate) fn sign_of_life(&self, token: &RawValue, message: &str) {
        if let Some(value) = self.progress.sign() {
            let params = format!("{{\"progress\":{value},\"message\":{message}}}");
            self.tell(progress::notification(token, &params));
        }
    }

    /// From now on a cancellation reaches the server.
    pub(crate) fn attach(&self, handle: CallHandle) {
        self.downstream.attach_call(&self.id, handle);
    }
}

impl Drop for RequestContext {
    fn drop(&mut self) {
        self.downstream.end_call(&self.id);
    }
}
