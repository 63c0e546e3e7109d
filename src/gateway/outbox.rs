use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use mcproxy_ipc::{Sender, data::GatewayToWorker};
use tokio::sync::Notify;

/// Bytes that may wait for the worker to read them; beyond it callers wait in line.
const ROOM: usize = 1024 * 1024;

/// Frames on their way to a worker. Under load they are gathered, so that one write takes many; a frame that is alone is
/// written at once, without a turn of the task that writes the others.
pub(crate) struct Outbox {
    sender: RefCell<Sender<GatewayToWorker>>,
    /// There is something to write.
    work: Notify,
    /// There is room again, or never will be.
    room: Notify,
    closed: Cell<bool>,
}

impl Outbox {
    /// Its task ends when it is closed or the socket fails.
    pub(crate) fn open(sender: Sender<GatewayToWorker>) -> Rc<Self> {
        let outbox = Rc::new(Self {
            sender: RefCell::new(sender),
            work: Notify::new(),
            room: Notify::new(),
            closed: Cell::new(false),
        });
        tokio::task::spawn_local(outbox.clone().run());
        outbox
    }

    /// Sends a frame; `false` when the worker is gone. `alone`: nothing else is likely to be sent in this turn.
    pub(crate) async fn send(&self, message: &GatewayToWorker, payload: &[u8], alone: bool) -> bool {
        while !self.closed.get() && self.sender.borrow().buffered() > ROOM {
            self.room.notified().await;
        }
        if self.closed.get() {
            return false;
        }
        let mut sender = self.sender.borrow_mut();
        let idle = sender.buffered() == 0;
        if sender.buffer(message, payload).is_err() {
            return false;
        }
        // While something waits, the task's waker is the one that the socket knows: it must stay so.
        let written =
            idle && alone && matches!(sender.poll_write(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())));
        if !written {
            self.work.notify_one();
        }
        true
    }

    /// Bytes that wait for the worker to read them.
    pub(crate) fn queued(&self) -> usize {
        self.sender.borrow().buffered()
    }

    /// No more frames; who waits for room learns that there will be none.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.work.notify_one();
        self.room.notify_waiters();
    }

    async fn run(self: Rc<Self>) {
        while !self.closed.get() {
            self.work.notified().await;
            // The reader of the same socket reports how it failed.
            if poll_fn(|cx| self.sender.borrow_mut().poll_write(cx)).await.is_err() {
                self.close();
            }
            self.room.notify_waiters();
        }
    }
}
