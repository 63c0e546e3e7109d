//! The control connection to a process of ours: messages in, a bounded queue out, a heartbeat.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use mcproxy_ipc::{ChildConnection, Connection, FrameError, HelloError, Parcel, Receiver, Verdict};
use serde::{Serialize, de::DeserializeOwned};
use slog::{Logger, warn};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{timeout, timeout_at},
};

use crate::heartbeat::{Beat, Heartbeat};

/// Messages that may wait for the peer. More means that it does not read, and the heartbeat will say so too.
const QUEUE: usize = 128;
/// The verdict goes into an empty socket buffer; this is for a kernel in trouble.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(1);

/// The connection to a process that has said hello.
#[derive(Debug)]
pub(crate) struct OpenLink<In, Out> {
    receiver: Receiver<In>,
    queue: mpsc::Sender<Parcel<Out>>,
    heart: Heartbeat,
    /// The writer; it ends with this link.
    _writer: JoinSet<()>,
}

/// The control connection of one process of ours over the life of that process.
#[derive(Debug)]
pub(crate) enum ChildLink<In, Out> {
    /// It was started and has not said hello.
    Awaited { connection: ChildConnection, log: Logger },
    /// It has.
    Open(OpenLink<In, Out>),
    /// It is over.
    Closed,
}

/// An event of a link.
#[derive(Debug)]
pub(crate) enum LinkEvent<In> {
    /// The process is there, to be told what it is for ([`ChildLink::open`]).
    Hello,
    /// A message.
    Message(In),
    /// A ping of this number is due.
    PingDue(u64),
    /// Too many pings were not answered.
    Silent,
    /// The connection is over, and why.
    Lost(String),
}

impl<In: DeserializeOwned, Out: Serialize + Send + 'static> ChildLink<In, Out> {
    /// To a process that is being started; `log` knows which.
    pub(crate) fn awaited(connection: ChildConnection, log: Logger) -> Self {
        Self::Awaited { connection, log }
    }

    /// After its hello.
    pub(crate) fn open(&mut self) {
        *self = match std::mem::replace(self, Self::Closed) {
            Self::Awaited { connection, .. } => Self::Open(OpenLink::open(connection)),
            other @ (Self::Open(_) | Self::Closed) => other,
        };
    }

    /// Nothing more is said or heard.
    pub(crate) fn close(&mut self) {
        *self = Self::Closed;
    }

    /// The link, between hello and end.
    pub(crate) fn link(&self) -> Option<&OpenLink<In, Out>> {
        match self {
            Self::Open(link) => Some(link),
            Self::Awaited { .. } | Self::Closed => None,
        }
    }

    /// The peer answered a ping.
    pub(crate) fn pong(&mut self, number: u64) {
        if let Self::Open(link) = self {
            link.heart.pong(number);
        }
    }

    /// Tells the process something. False when it has not called, has broken off or does not read.
    pub(crate) fn send(&self, message: Out) -> bool {
        self.link().is_some_and(|link| link.send(message))
    }

    /// The next thing that happens; never, once it is over. Cancel safe.
    pub(crate) async fn next(&mut self) -> LinkEvent<In> {
        let error = match self {
            Self::Open(link) => return link.next().await,
            Self::Closed => std::future::pending().await,
            Self::Awaited { connection, .. } => match connection.hello().await {
                Ok(_) => return LinkEvent::Hello,
                Err(error) => error,
            },
        };
        let awaited = std::mem::replace(self, Self::Closed);
        LinkEvent::Lost(match error {
            HelloError::Frame(error @ FrameError::Version { .. }) => {
                if let Self::Awaited { connection, log } = awaited {
                    warn!(log, "a process of another build refused"; "error" => %error);
                    // Into an empty socket: nothing is waited for.
                    connection.refuse(error.to_string()).await;
                }
                format!("it is of another build: {error}")
            }
            HelloError::Frame(error) => format!("its control connection broke: {error}"),
            other => other.to_string(),
        })
    }

    /// The messages that the peer sent before it went, in order.
    pub(crate) async fn last_words(&mut self) -> Vec<In> {
        match std::mem::replace(self, Self::Closed) {
            Self::Open(link) => link.last_words().await,
            Self::Awaited { .. } | Self::Closed => Vec::new(),
        }
    }
}

impl<In: DeserializeOwned, Out: Serialize + Send + 'static> OpenLink<In, Out> {
    /// To a process that has said hello.
    fn open(connection: ChildConnection) -> Self {
        let (receiver, sender) = connection.control::<In, Out>();
        let (queue, queued) = mpsc::channel(QUEUE);
        let mut writer = JoinSet::new();
        // A failed write is a dead peer, which the reading side notices.
        writer.spawn(async move {
            let _ = sender.drain(queued).await;
        });
        Self { receiver, queue, heart: Heartbeat::new(Instant::now()), _writer: writer }
    }

    /// Queues a message. False when the peer has stopped reading.
    pub(crate) fn send(&self, message: Out) -> bool {
        self.send_along(message, Vec::new())
    }

    /// The same for a message that descriptors belong to.
    pub(crate) fn send_along(&self, message: Out, descriptors: Vec<OwnedFd>) -> bool {
        self.queue.try_send((message, descriptors)).is_ok()
    }

    /// For an answer that is worked out elsewhere.
    pub(crate) fn sender(&self) -> mpsc::Sender<Parcel<Out>> {
        self.queue.clone()
    }

    /// The next thing that happens. Cancel safe.
    async fn next(&mut self) -> LinkEvent<In> {
        tokio::select! {
            message = self.receiver.next() => match message {
                Ok(Some((message, _))) => LinkEvent::Message(message),
                Ok(None) => LinkEvent::Lost("it closed its control connection".to_owned()),
                Err(error) => LinkEvent::Lost(format!("its control connection broke: {error}")),
            },
            () = tokio::time::sleep_until(self.heart.deadline().into()) => match self.heart.beat(Instant::now()) {
                Beat::Ping(number) => LinkEvent::PingDue(number),
                Beat::Dead => LinkEvent::Silent,
            },
        }
    }

    /// The messages that the peer sent before it went, in order.
    async fn last_words(mut self) -> Vec<In> {
        const MOST: usize = 4096;
        // It is gone, so all of it lies in the socket already; who still holds the other end has nothing to say here.
        const LIMIT: Duration = Duration::from_millis(200);
        let limit = tokio::time::Instant::now() + LIMIT;
        let mut words = Vec::new();
        while words.len() < MOST
            && let Ok(Ok(Some((message, _)))) = timeout_at(limit, self.receiver.next()).await
        {
            words.push(message);
        }
        words
    }
}

/// Turns a caller away, with the reason.
pub(crate) async fn refuse(mut connection: Connection, reason: String) {
    // It may be gone already.
    let _ = timeout(VERDICT_TIMEOUT, connection.answer(Verdict::Refused(reason))).await;
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::{
        Inherited,
        control::{SupervisorToWorker, WorkerToSupervisor},
    };

    use super::*;

    #[tokio::test]
    async fn whoever_goes_on_talking_has_no_last_words() {
        let (mut connection, theirs) = ChildConnection::pair().expect("a pair");
        let mut talker = JoinSet::new();
        talker.spawn(async move {
            let child = Inherited::new(theirs).expect("taken over");
            let (_in, mut out) = child.introduce::<SupervisorToWorker, WorkerToSupervisor>().await.expect("said");
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            while out.send(&WorkerToSupervisor::Pong(1)).await.is_ok() {
                pace.tick().await;
            }
        });
        connection.hello().await.expect("a hello");
        let link = OpenLink::<WorkerToSupervisor, SupervisorToWorker>::open(connection);
        let words = timeout(Duration::from_secs(2), link.last_words()).await.expect("in time");
        assert!(!words.is_empty());
    }
}
