//! A call that waits at its worker until its client has answered the server.

use std::{cell::Cell, rc::Rc};

use mcproxy_ipc::{
    SessionKey,
    data::{CallContext, GatewayToWorker},
};

use super::{Asker, Call, Link};
use crate::gateway::base::queue::Queue;

/// What a server says of a parked call that may wait to be heard: it takes back no more than it asked for, and answers once.
const NEWS: usize = 64;
/// The same in bytes: keys are ours, and reasons are short.
const NEWS_BYTES: usize = 256 * 1024;

/// A call that a worker keeps until it is resumed. Dropping it gives it up.
pub(crate) struct Park {
    link: Rc<Link>,
    handle: u64,
    resumed: bool,
    state: Rc<ParkState>,
}

/// What the server did meanwhile.
pub(super) struct ParkState {
    done: Cell<bool>,
    /// Whose call it is; `None`: nobody waited for it any more.
    of: Option<Asker>,
    news: Queue<ParkNews>,
}

/// One thing that it did.
#[derive(Debug)]
pub(crate) enum ParkNews {
    /// It answered the call: resumed, the call ends at once.
    Done,
    /// It does not want this answer any more.
    Withdrawn {
        /// Which one.
        key: String,
        /// The server's words.
        reason: Option<String>,
    },
}

impl ParkNews {
    fn size(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Withdrawn { key, reason } => key.len() + reason.as_ref().map_or(0, String::len),
        }
    }
}

/// Where a client's reports on its work at one question go.
pub(crate) struct Reporter {
    link: Rc<Link>,
    handle: u64,
    key: String,
}

impl Reporter {
    /// Passes one on; `params` are those of the notification without the token.
    pub(crate) fn report(&self, params: Vec<u8>) {
        let message = GatewayToWorker::InputProgress { handle: self.handle, key: self.key.clone() };
        self.link.hint(message, params);
    }
}

impl Park {
    pub(super) fn new(link: &Rc<Link>, handle: u64, of: Option<Asker>) -> Self {
        let state =
            Rc::new(ParkState { done: Cell::new(false), of, news: Queue::new(NEWS, NEWS_BYTES, ParkNews::size) });
        link.parked.borrow_mut().insert(handle, state.clone());
        Self { link: link.clone(), handle, resumed: false, state }
    }

    /// Whether the server answered the call without waiting.
    pub(crate) fn is_done(&self) -> bool {
        self.state.done.get()
    }

    /// What the server does next, while its client is asked.
    pub(crate) async fn news(&self) -> ParkNews {
        self.state.news.next().await
    }

    /// Where the client's reports on its work at one question go.
    pub(crate) fn reporter(&self, key: &str) -> Reporter {
        Reporter { link: self.link.clone(), handle: self.handle, key: key.to_owned() }
    }

    /// Brings the server the answers: a JSON object of key → `{"result": …}` or `{"error": …}`. `None` when the worker is
    /// gone.
    pub(crate) async fn resume(mut self, answers: &[u8], context: CallContext) -> Option<Call> {
        self.resumed = true;
        let id = self.link.mint();
        let client = context.client;
        let message = GatewayToWorker::Resume { id, handle: self.handle, context };
        self.link.send(id, message, answers, Asker::Client(client)).await
    }
}

impl ParkState {
    /// Whether it waits for the client of this session.
    pub(super) fn is_of(&self, session: SessionKey) -> bool {
        self.of == Some(Asker::Client(Some(session)))
    }

    /// The server did something.
    pub(super) fn say(&self, news: ParkNews) {
        self.done.set(self.done.get() || matches!(news, ParkNews::Done));
        self.news.push(news);
    }
}

impl std::fmt::Debug for Park {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Park").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Drop for Park {
    fn drop(&mut self) {
        self.link.parked.borrow_mut().remove(&self.handle);
        if self.resumed {
            return self.link.after_a_call();
        }
        // The worker does not know yet that its place is free.
        self.link.places.hold();
        let (link, handle) = (self.link.clone(), self.handle);
        tokio::task::spawn_local(async move {
            // A worker that is gone keeps nothing.
            link.outbox.send(&GatewayToWorker::Abandon { handle }, &[], false).await;
            link.places.let_go();
            link.after_a_call();
        });
    }
}
