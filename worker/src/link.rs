//! The way to and from the gateway: a socket, or channels when the worker is run by hand.

use std::{collections::VecDeque, future::pending, sync::Arc, time::Duration};

use bytes::Bytes;
use mcproxy_ipc::{
    Connection, FrameError, Listener, Receiver, Role, Sender, Verdict,
    data::{GatewayToWorker, WorkerToGateway},
    receive_hello,
};
use slog::{Logger, debug, warn};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::incarnation::Order;

/// Messages on their way to the gateway; as many as one write takes. Beyond that the server's output is left unread.
const QUEUE: usize = 64;
/// Payloads from this size on count against the budget.
const LARGE: usize = 64 * 1024;
/// KiB of large payloads on their way to the gateway.
const BUDGET: u32 = 32 * 1024;
/// How long the last answers may take to reach the gateway.
const FLUSH: Duration = Duration::from_secs(2);

/// A message to the gateway and its payload.
pub(crate) type Envelope = (WorkerToGateway, Bytes);

/// Both directions.
pub(crate) struct Link {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
}

/// The other end of a link without a socket.
pub(crate) struct LocalEnd {
    pub(crate) calls: mpsc::Sender<(GatewayToWorker, Bytes)>,
    pub(crate) events: mpsc::Receiver<Envelope>,
}

impl Link {
    /// Over a connection that has been let in.
    pub(crate) fn socket(connection: Connection, log: Logger) -> Self {
        let (receiver, sender): (_, Sender<WorkerToGateway>) = connection.data();
        let (queue, messages) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(async move {
            if let Err(error) = sender.drain(messages).await {
                debug!(log, "gateway connection failed"; "error" => %error);
            }
        });
        Self { incoming: Incoming::Socket(receiver), outgoing: Outgoing::new(queue, Some(writer)) }
    }

    /// Within this process.
    pub(crate) fn local() -> (Self, LocalEnd) {
        let (calls, incoming) = mpsc::channel(QUEUE);
        let (queue, events) = mpsc::channel(QUEUE);
        let link = Self { incoming: Incoming::Local(incoming), outgoing: Outgoing::new(queue, None) };
        (link, LocalEnd { calls, events })
    }
}

/// What the gateway says.
pub(crate) enum Incoming {
    Socket(Receiver<GatewayToWorker>),
    Local(mpsc::Receiver<(GatewayToWorker, Bytes)>),
}

impl Incoming {
    /// The next message; `None` at the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<(GatewayToWorker, Bytes)>, FrameError> {
        match self {
            Self::Socket(receiver) => receiver.next().await,
            Self::Local(receiver) => Ok(receiver.recv().await),
        }
    }
}

/// A payload that holds its share of the budget until it is written.
struct Weighed(Bytes, #[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl AsRef<[u8]> for Weighed {
    fn as_ref(&self) -> &[u8] {
        &self.0
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

/// What is said to the gateway.
pub(crate) struct Outgoing {
    queue: mpsc::Sender<Envelope>,
    budget: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
}

impl Outgoing {
    fn new(queue: mpsc::Sender<Envelope>, writer: Option<JoinHandle<()>>) -> Self {
        Self { queue, budget: Arc::new(Semaphore::new(BUDGET as usize)), writer }
    }

    /// Sends as many messages as there is room for.
    pub(crate) fn pump(&self, messages: &mut VecDeque<Envelope>) -> Pumped {
        while let Some((_, payload)) = messages.front() {
            let weight = weight(payload);
            let slot = match self.queue.try_reserve() {
                Ok(slot) => slot,
                Err(mpsc::error::TrySendError::Full(())) => return Pumped::Full,
                Err(mpsc::error::TrySendError::Closed(())) => return Pumped::Closed,
            };
            let permit = match weight {
                0 => None,
                weight => match Arc::clone(&self.budget).try_acquire_many_owned(weight) {
                    Ok(permit) => Some(permit),
                    Err(_) => return Pumped::Full,
                },
            };
            let Some((message, payload)) = messages.pop_front() else { break };
            slot.send((
                message,
                permit.map_or_else(|| payload.clone(), |p| Bytes::from_owner(Weighed(payload.clone(), p))),
            ));
        }
        Pumped::All
    }

    /// Waits until there is room for the first of `messages`. Cancel safe.
    pub(crate) async fn room(&self, messages: &VecDeque<Envelope>) {
        let Some((_, payload)) = messages.front() else { return pending().await };
        // An error means that the gateway is gone, which the next pump will find out.
        let _ = self.budget.acquire_many(weight(payload)).await;
        let _ = self.queue.reserve().await;
    }

    /// Sends the last messages and waits, for a while, until they are written.
    pub(crate) async fn flush(mut self, mut messages: VecDeque<Envelope>) {
        let writer = self.writer.take();
        let all = async {
            while self.pump(&mut messages) == Pumped::Full {
                self.room(&messages).await;
            }
            drop(self);
            if let Some(writer) = writer {
                // It reports its own errors.
                let _ = writer.await;
            }
        };
        // A gateway that does not read its last messages has to do without.
        let _ = timeout(FLUSH, all).await;
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if let Some(writer) = &self.writer {
            writer.abort();
        }
    }
}

fn weight(payload: &Bytes) -> u32 {
    if payload.len() < LARGE { 0 } else { u32::try_from(payload.len() / 1024).unwrap_or(BUDGET).min(BUDGET) }
}

/// Lets gateways in, one at a time, for as long as the worker lives. The latest is the one that counts.
pub(crate) async fn doorman(listener: Listener, orders: mpsc::Sender<Order>, log: Logger) {
    loop {
        let admitted = match listener.accept().await {
            Ok(connection) => admit(connection).await,
            Err(error) => {
                warn!(log, "cannot accept the gateway"; "error" => %error);
                sleep(Duration::from_millis(100)).await; // no descriptors left, say: not a reason to spin
                continue;
            }
        };
        match admitted {
            Ok(connection) => {
                if orders.send(Order::Serve(Box::new(Link::socket(connection, log.clone())))).await.is_err() {
                    return;
                }
            }
            Err(why) => warn!(log, "caller on the data socket was turned away"; "reason" => why),
        }
    }
}

async fn admit(mut connection: Connection) -> Result<Connection, String> {
    let ours = rustix::process::geteuid().as_raw();
    if connection.peer().uid != Some(ours) {
        return Err("it belongs to another user".to_owned());
    }
    let hello = receive_hello(&mut connection).await.map_err(|error| error.to_string())?;
    let verdict = match hello.role {
        Role::Caller => Verdict::Accepted,
        Role::Worker { .. } | Role::Gateway | Role::Operator => Verdict::Refused("only the gateway calls here".into()),
    };
    connection.answer(verdict.clone()).await.map_err(|error| error.to_string())?;
    match verdict {
        Verdict::Accepted => Ok(connection),
        Verdict::Refused(why) => Err(why),
    }
}
