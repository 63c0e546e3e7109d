//! The way to and from the gateway: two pipes, or channels when the worker is run by hand.

use std::{
    collections::VecDeque,
    future::{pending, poll_fn},
    io,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use mcproxy_ipc::{
    DataEnd, FrameError, Receiver, Sender,
    data::{GatewayToWorker, WorkerToGateway},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};

/// Messages on their way within this process.
const QUEUE: usize = 64;
/// Bytes that may wait for the gateway to read them. Beyond that the server's output is left unread.
const ROOM: usize = 1024 * 1024;
/// How long the last answers may take to reach the gateway.
const FLUSH: Duration = Duration::from_secs(2);

/// A message to the gateway and its payload.
pub(crate) type Envelope = (WorkerToGateway, Bytes);

/// Both directions.
pub(crate) struct GatewayLink {
    pub(crate) incoming: FromGateway,
    pub(crate) outgoing: ToGateway,
}

/// A message of the gateway on its way within this process.
pub(crate) struct Handed {
    pub(crate) message: GatewayToWorker,
    pub(crate) payload: Bytes,
    /// Its part of the room for messages that were not read yet.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// The other end of a link without a socket.
pub(crate) struct LocalEnd {
    pub(crate) calls: mpsc::Sender<Handed>,
    pub(crate) events: mpsc::Receiver<Envelope>,
}

impl GatewayLink {
    /// Over pipes that the supervisor handed over.
    pub(crate) fn open(end: DataEnd) -> io::Result<Self> {
        let (receiver, sender) = end.open()?;
        Ok(Self { incoming: FromGateway::Pipe(receiver), outgoing: ToGateway::Pipe(sender) })
    }

    /// Within this process. `calls`: how many messages may wait to be read.
    pub(crate) fn local(calls: usize) -> (Self, LocalEnd) {
        let (calls, incoming) = mpsc::channel(calls);
        let (queue, events) = mpsc::channel(QUEUE);
        let link = Self { incoming: FromGateway::Local(incoming), outgoing: ToGateway::Local(queue) };
        (link, LocalEnd { calls, events })
    }
}

/// Messages of the gateway.
pub(crate) enum FromGateway {
    Pipe(Receiver<GatewayToWorker>),
    Local(mpsc::Receiver<Handed>),
}

impl FromGateway {
    /// The next message; `None` at the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<(GatewayToWorker, Bytes)>, FrameError> {
        match self {
            Self::Pipe(receiver) => receiver.next().await,
            Self::Local(receiver) => Ok(receiver.recv().await.map(|handed| (handed.message, handed.payload))),
        }
    }
}

/// How far messages got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// All are on their way.
    All,
    /// The gateway is slow; some are left.
    Full,
    /// The gateway is gone.
    Closed,
}

/// Messages to the gateway.
pub(crate) enum ToGateway {
    Pipe(Sender<WorkerToGateway>),
    Local(mpsc::Sender<Envelope>),
}

impl ToGateway {
    /// Sends as many messages as there is room for, all in one write where the pipe takes it.
    pub(crate) fn pump(&mut self, messages: &mut VecDeque<Envelope>) -> Pumped {
        match self {
            Self::Pipe(sender) => {
                while sender.buffered() < ROOM
                    && let Some((message, payload)) = messages.pop_front()
                {
                    if sender.buffer(&message, &payload).is_err() {
                        return Pumped::Closed;
                    }
                }
                // The runner goes on waiting with `room`, which leaves a waker of its own.
                match sender.poll_write(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Err(_)) => Pumped::Closed,
                    Poll::Ready(Ok(())) if messages.is_empty() => Pumped::All,
                    Poll::Ready(Ok(())) => self.pump(messages),
                    Poll::Pending if messages.is_empty() => Pumped::All,
                    Poll::Pending => Pumped::Full,
                }
            }
            Self::Local(queue) => {
                while let Some(message) = messages.pop_front() {
                    match queue.try_send(message) {
                        Ok(()) => {}
                        Err(mpsc::error::TrySendError::Full(message)) => {
                            messages.push_front(message);
                            return Pumped::Full;
                        }
                        Err(mpsc::error::TrySendError::Closed(_)) => return Pumped::Closed,
                    }
                }
                Pumped::All
            }
        }
    }

    /// Whether something that was taken over still has to be written.
    pub(crate) fn is_writing(&self) -> bool {
        match self {
            Self::Pipe(sender) => sender.buffered() > 0,
            Self::Local(_) => false,
        }
    }

    /// Waits until what was taken over is written, and there is room for more. Cancel safe.
    pub(crate) async fn room(&mut self) {
        // An error means that the gateway is gone, which the next pump will find out.
        match self {
            Self::Pipe(sender) => {
                let _ = poll_fn(|cx| sender.poll_write(cx)).await;
            }
            Self::Local(queue) => {
                let _ = queue.reserve().await;
            }
        }
    }

    /// Sends the last messages and waits, for a while, until they are written.
    pub(crate) async fn flush(mut self, mut messages: VecDeque<Envelope>) {
        let all = async {
            while self.pump(&mut messages) == Pumped::Full || self.is_writing() {
                self.room().await;
            }
        };
        // A gateway that does not read its last messages has to do without.
        let _ = timeout(FLUSH, all).await;
    }
}

/// The gateway, as long as there is one. The two directions are apart, so that both can be waited for at once.
#[derive(Default)]
pub(crate) struct GatewayPort {
    pub(crate) incoming: Option<FromGateway>,
    pub(crate) outgoing: Option<ToGateway>,
    /// The gateway takes nothing at present.
    pub(crate) backpressured: bool,
}

impl GatewayPort {
    /// With this link, if there is one.
    pub(crate) fn new(link: Option<GatewayLink>) -> Self {
        let (incoming, outgoing) = link.map(|link| (link.incoming, link.outgoing)).unzip();
        Self { incoming, outgoing, backpressured: false }
    }

    /// Whether there is a gateway.
    pub(crate) fn is_linked(&self) -> bool {
        self.outgoing.is_some()
    }

    /// Whether [`room`] has something to wait for.
    pub(crate) fn is_writing(&self) -> bool {
        self.backpressured || self.outgoing.as_ref().is_some_and(ToGateway::is_writing)
    }

    /// The message that is there already, if there is one.
    pub(crate) async fn next_now(&mut self) -> Option<GatewayFrame> {
        poll_once(self.incoming.as_mut()?.next()).await
    }

    /// Sends what there is room for; `None`: there is no gateway.
    pub(crate) fn pump(&mut self, messages: &mut VecDeque<Envelope>) -> Option<Pumped> {
        let pumped = self.outgoing.as_mut()?.pump(messages);
        self.backpressured = pumped == Pumped::Full;
        Some(pumped)
    }

    /// Sends the last messages.
    pub(crate) async fn flush(&mut self, messages: VecDeque<Envelope>) {
        if let Some(outgoing) = self.outgoing.take() {
            outgoing.flush(messages).await;
        }
    }
}

/// A message of the gateway with its payload; `None`: the gateway is gone.
pub(crate) type GatewayFrame = Result<Option<(GatewayToWorker, Bytes)>, FrameError>;

/// Waits for the next message. Cancel safe.
pub(crate) async fn next_frame(incoming: &mut Option<FromGateway>) -> GatewayFrame {
    match incoming {
        Some(incoming) => incoming.next().await,
        None => pending().await,
    }
}

/// Waits until there is room for messages. Cancel safe.
pub(crate) async fn room(outgoing: &mut Option<ToGateway>) {
    if let Some(outgoing) = outgoing {
        outgoing.room().await;
    }
}

/// The result of a future if it is ready; `None` when it would wait.
async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}
