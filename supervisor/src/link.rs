//! The control connection to a process of ours: messages in, a bounded queue out, a heartbeat.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mcproxy_ipc::{Connection, Receiver, Verdict};
use serde::{Serialize, de::DeserializeOwned};
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

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Link<In, Out> {
    receiver: Receiver<In>,
    queue: mpsc::Sender<(Out, Bytes)>,
    heart: Heartbeat,
    /// The writer; it ends with this link.
    _writer: JoinSet<()>,
}

/// What a link brings up.
#[derive(Debug)]
pub(crate) enum LinkNews<In> {
    /// A message.
    Message(In),
    /// A ping of this number is due.
    PingDue(u64),
    /// Too many pings were not answered.
    Silent,
    /// The connection is over, and why.
    Lost(String),
}

impl<In: DeserializeOwned, Out: Serialize + Send + 'static> Link<In, Out> {
    /// Accepts a caller that has said hello. `None` when it went away meanwhile.
    pub(crate) async fn accept(mut connection: Connection) -> Option<Self> {
        timeout(VERDICT_TIMEOUT, connection.answer(Verdict::Accepted)).await.ok()?.ok()?;
        let (receiver, sender) = connection.control::<In, Out>();
        let (queue, queued) = mpsc::channel(QUEUE);
        let mut writer = JoinSet::new();
        // A failed write is a dead peer, which the reading side notices.
        writer.spawn(async move {
            let _ = sender.drain(queued).await;
        });
        Some(Self { receiver, queue, heart: Heartbeat::new(Instant::now()), _writer: writer })
    }

    /// Queues a message. False when the peer has stopped reading.
    pub(crate) fn send(&self, message: Out) -> bool {
        self.queue.try_send((message, Bytes::new())).is_ok()
    }

    /// For an answer that is worked out elsewhere.
    pub(crate) fn sender(&self) -> mpsc::Sender<(Out, Bytes)> {
        self.queue.clone()
    }

    /// The peer answered a ping.
    pub(crate) fn pong(&mut self, number: u64) {
        self.heart.pong(number);
    }

    /// The next thing that happens. Cancel safe.
    pub(crate) async fn next(&mut self) -> LinkNews<In> {
        tokio::select! {
            message = self.receiver.next() => match message {
                Ok(Some((message, _))) => LinkNews::Message(message),
                Ok(None) => LinkNews::Lost("it closed its control connection".to_owned()),
                Err(error) => LinkNews::Lost(format!("its control connection broke: {error}")),
            },
            () = tokio::time::sleep_until(self.heart.deadline().into()) => match self.heart.beat(Instant::now()) {
                Beat::Ping(number) => LinkNews::PingDue(number),
                Beat::Dead => LinkNews::Silent,
            },
        }
    }

    /// What the peer still said before it went, in order.
    pub(crate) async fn last_words(mut self) -> Vec<In> {
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
        Listener, Role, connect,
        control::{SupervisorToWorker, WorkerToSupervisor},
        introduce,
    };

    use super::*;

    #[tokio::test]
    async fn whoever_goes_on_talking_has_no_last_words() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("s.sock");
        let listener = Listener::bind(&path).expect("binds");
        let mut talker = JoinSet::new();
        talker.spawn(async move {
            let mut connection = connect(&path).await.expect("connects");
            introduce(&mut connection, Role::Gateway).await.expect("accepted");
            let (_in, mut out) = connection.control::<SupervisorToWorker, WorkerToSupervisor>();
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            while out.send(&WorkerToSupervisor::Pong(1)).await.is_ok() {
                pace.tick().await;
            }
        });
        let mut connection = listener.accept().await.expect("a caller");
        mcproxy_ipc::receive_hello(&mut connection).await.expect("a hello");
        let link = Link::<WorkerToSupervisor, SupervisorToWorker>::accept(connection).await.expect("accepted");
        let words = timeout(Duration::from_secs(2), link.last_words()).await.expect("in time");
        assert!(!words.is_empty());
    }
}
