//! The frames on their way to one worker: written in batches, within a bound.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use mcproxy_ipc::{FrameError, Sender, data::GatewayToWorker};
use tokio::sync::Notify;

use crate::gateway::base::budget::{Budget, Held, Purpose, SMALL};

/// Bytes that may wait for the worker to read them; beyond it callers wait in line.
const ROOM: usize = 1024 * 1024;

/// Frames on their way to a worker. Under load they are gathered, so that one write takes many; a frame that is alone is
/// written at once, without a turn of the task that writes the others.
pub(crate) struct FrameWriter {
    /// `None` once it is closed, which the worker sees as the end of the connection.
    sender: RefCell<Option<Sender<GatewayToWorker>>>,
    /// Notified when there is something to write.
    work: Notify,
    /// Notified when there is room again, or the writer is closed.
    room: Notify,
    /// It was closed while something waited to be written.
    over: Notify,
    budget: Budget,
    /// The part of the budget for the bytes that wait, if they are many. Their bound is [`ROOM`] and one frame.
    held: RefCell<Held>,
}

impl FrameWriter {
    /// Its task ends when it is closed or the connection fails.
    pub(crate) fn open(sender: Sender<GatewayToWorker>, budget: Budget) -> Rc<Self> {
        let writer = Rc::new(Self {
            sender: RefCell::new(Some(sender)),
            work: Notify::new(),
            room: Notify::new(),
            over: Notify::new(),
            held: RefCell::new(budget.nothing(Purpose::Requests)),
            budget,
        });
        tokio::task::spawn_local(writer.clone().run());
        writer
    }

    /// Sends a frame; `false` when the worker is gone. `alone`: nothing else is likely to be sent in this turn.
    pub(crate) async fn send(&self, message: &GatewayToWorker, payload: &[u8], alone: bool) -> bool {
        while self.sender.borrow().as_ref().is_some_and(|sender| sender.buffered() > ROOM) {
            self.room.notified().await;
        }
        let mut open = self.sender.borrow_mut();
        let Some(sender) = open.as_mut() else { return false };
        let idle = sender.buffered() == 0;
        if sender.buffer(message, payload).is_err() {
            return false;
        }
        // While something waits, the task's waker is the one that the socket knows: it must stay so.
        let written =
            idle && alone && matches!(sender.poll_write(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())));
        if !written {
            self.work.notify_one();
            self.count(sender.buffered());
        }
        true
    }

    /// Bytes that wait for the worker to read them.
    pub(crate) fn queued(&self) -> usize {
        self.sender.borrow().as_ref().map_or(0, |sender| sender.buffered())
    }

    fn count(&self, waiting: usize) {
        let mut held = self.held.borrow_mut();
        if waiting > SMALL || held.bytes() > 0 {
            self.budget.note(&mut held, waiting);
        }
    }

    /// Whether nothing can be sent any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.borrow().is_none()
    }

    /// Takes no more frames; calls that wait for room get an error.
    pub(crate) fn close(&self) {
        self.sender.replace(None);
        self.count(0);
        self.over.notify_one();
        self.work.notify_one();
        self.room.notify_waiters();
    }

    async fn run(self: Rc<Self>) {
        while self.sender.borrow().is_some() {
            self.work.notified().await;
            let written = tokio::select! {
                biased;
                written = poll_fn(|cx| self.poll_write(cx)) => written,
                () = self.over.notified() => Ok(()),
            };
            // The reader of the same connection reports how it failed.
            if written.is_err() {
                self.close();
            }
            self.count(self.queued());
            self.room.notify_waiters();
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        match self.sender.borrow_mut().as_mut() {
            Some(sender) => sender.poll_write(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
