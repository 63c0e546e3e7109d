//! Stdout of `mcproxy connect`: lines, written by a thread of its own.

use std::{io::Write, time::Duration};

use mcproxy_mcp::one_line;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// How long a client may take to read the last lines.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes lines for the client.
#[derive(Debug, Clone)]
pub(super) struct LineWriter(mpsc::Sender<String>);

/// The thread that writes them.
#[derive(Debug)]
pub(super) struct Writer(oneshot::Receiver<()>);

/// Writes lines from a thread, because a client that reads slowly blocks it.
pub(super) fn write(mut out: Box<dyn Write + Send>) -> (LineWriter, Writer) {
    // A slow client slows the HTTP streams down instead of filling our memory.
    let (sender, mut lines) = mpsc::channel::<String>(4);
    let (finished, end) = oneshot::channel();
    std::thread::spawn(move || {
        while let Some(line) = lines.blocking_recv() {
            if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                break;
            }
        }
        drop(lines);
        let _ = finished.send(());
    });
    (LineWriter(sender), Writer(end))
}

impl LineWriter {
    /// Queues one message. When the client is gone it is dropped.
    pub(super) async fn line(&self, message: &str) {
        let mut line = one_line(message.trim()).into_owned();
        line.push('\n');
        let _ = self.0.send(line).await;
    }

    /// Waits until the client has stopped reading.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }
}

impl Writer {
    /// Waits until everything is written. Every [`LineWriter`] must be gone.
    pub(super) async fn finish(self) {
        let _ = timeout(FINISH_TIMEOUT, self.0).await;
    }
}
