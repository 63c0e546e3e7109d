//! A server's own stdin and stdout: what a call costs with nothing in between.

use std::{
    collections::HashMap,
    process::Stdio as Pipe,
    sync::{Arc, Mutex},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::oneshot,
};

use crate::{
    channel::{Answered, AskError},
    http::MAX_BODY,
    message,
};

/// The shared server. Ends with its last clone.
#[derive(Debug, Clone)]
pub(crate) struct Stdio {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pid: u32,
    stdin: tokio::sync::Mutex<ChildStdin>,
    waiting: Mutex<Waiting>,
    _child: Child,
}

/// `None` once the server has ended.
type Waiting = Option<HashMap<u64, oneshot::Sender<Answered>>>;

impl Stdio {
    /// Starts `command` (words separated by blanks) and initialises it.
    pub(crate) async fn start(command: &str) -> Result<Self, AskError> {
        let mut words = command.split_whitespace();
        let program = words.next().ok_or_else(|| AskError::Protocol("no command".to_owned()))?;
        let mut child = Command::new(program)
            .args(words)
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| AskError::Protocol(format!("cannot start `{program}`: {error}")))?;
        let stdin = child.stdin.take().expect("piped above");
        let stdout = child.stdout.take().expect("piped above");
        let shared = Shared {
            pid: child.id().ok_or(AskError::Ended)?,
            stdin: tokio::sync::Mutex::new(stdin),
            waiting: Mutex::new(Some(HashMap::new())),
            _child: child,
        };
        let server = Self { shared: Arc::new(shared) };
        tokio::spawn(read(stdout, Arc::downgrade(&server.shared)));
        let hello = message::initialize(0);
        server.ask(0, &String::from_utf8_lossy(&hello)).await?;
        server.write(&String::from_utf8_lossy(message::INITIALIZED)).await?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.shared.pid
    }

    /// One request and its answer. Ids must differ between the clients that share the server.
    pub(crate) async fn ask(&self, id: u64, request: &str) -> Result<Answered, AskError> {
        let (sender, receiver) = oneshot::channel();
        self.shared.waiting.lock().expect("no panic while locked").as_mut().ok_or(AskError::Ended)?.insert(id, sender);
        self.write(request).await?;
        receiver.await.map_err(|_| AskError::Ended)
    }

    async fn write(&self, line: &str) -> Result<(), AskError> {
        let mut whole = Vec::with_capacity(line.len() + 1);
        whole.extend_from_slice(line.as_bytes());
        whole.push(b'\n');
        self.shared.stdin.lock().await.write_all(&whole).await.map_err(|_| AskError::Ended)
    }
}

/// Hands every answer to the one who asked, until the server's stdout ends.
async fn read(stdout: ChildStdout, shared: std::sync::Weak<Shared>) {
    let mut lines = BufReader::with_capacity(64 * 1024, stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let end = lines.read_until(b'\n', &mut line).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut waiting = shared.waiting.lock().expect("no panic while locked");
        if !matches!(end, Ok(1..=MAX_BODY)) {
            *waiting = None;
            return;
        }
        let asker = message::answered_id(&line).and_then(|id| waiting.as_mut()?.remove(&id));
        if let Some(asker) = asker {
            // A client that gave up has dropped its end.
            let _ = asker.send(Answered::now(BytesMut::from(&line[..])));
        }
    }
}
