//! The stdio transport: a child process, lines on its stdin and stdout, diagnostics on its stderr.

use std::{future::pending, io};

use bytes::BufMut;
use mcproxy_ipc::{EndReason, LaunchSpec, WorkerSpec};
use rustix::{io::ioctl_fionread, process::Signal};
use slog::{Logger, info};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::{Receiver, Sender},
};

use super::{Interest, LineDirection, Sent, SentRest, Trace, Transport, TransportEvent, trace_received};
use crate::{
    cgroup::{MemoryKills, ServerCgroup},
    environment,
    launch::{Launcher, ServerProcess, StartedServer},
    lines::{ServerLine, Splitter},
    stop::StopStep,
};

/// Bytes that a line may be longer than what it carries: the rest of a JSON-RPC message around a result of the largest size.
const ENVELOPE: usize = 4 * 1024;
/// Both ends of a line over the limit that are looked at.
const KEEP: usize = 256;
/// Most bytes of one read of stderr.
const STDERR_CHUNK: usize = 8 * 1024;
/// A buffer of messages that has become larger is given back to the allocator once it is empty.
const LARGE_BUFFER: usize = 256 * 1024;

/// A server's process and our ends of its pipes.
pub(crate) struct Stdio {
    /// To start it again.
    launch: LaunchSpec,
    process: ServerProcess,
    stdin: Option<Sender>,
    /// How much of the messages that are being sent is in the pipe.
    written: usize,
    /// How much the process was sent in all.
    sent: u64,
    /// How much of the messages that are being sent was shown to the trace.
    traced: usize,
    stdout: Option<Receiver>,
    splitter: Splitter,
    stderr: Option<Receiver>,
    stderr_chunk: Vec<u8>,
    line_bytes: usize,
    trace: Option<Trace>,
    launcher: Launcher,
    /// Which of several servers that run at once.
    instance: Option<u32>,
    memory: MemoryKills,
    log: Logger,
}

impl Stdio {
    /// Starts the server's process.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub(crate) fn start(
        spec: &WorkerSpec,
        launch: &LaunchSpec,
        (launcher, instance): (Launcher, Option<u32>),
        trace: Option<Trace>,
        log: Logger,
    ) -> Result<Self, EndReason> {
        let memory = MemoryKills::from_now_on(spec);
        let StartedServer { process, stdin, stdout, stderr } =
            launcher.start(spec, launch, &environment::mark(spec, instance))?;
        let line_bytes = spec.limits.line_bytes + ENVELOPE;
        Ok(Self {
            launch: launch.clone(),
            process,
            stdin: Some(stdin),
            written: 0,
            sent: 0,
            traced: 0,
            stdout: Some(stdout),
            splitter: Splitter::new(line_bytes, KEEP),
            stderr: Some(stderr),
            stderr_chunk: Vec::with_capacity(STDERR_CHUNK),
            line_bytes,
            trace,
            launcher,
            instance,
            memory,
            log,
        })
    }

    fn trace_sent(&mut self, messages: &[u8]) {
        let Some(trace) = &mut self.trace else { return };
        for line in messages[self.traced..].split_inclusive(|b| *b == b'\n') {
            trace(LineDirection::ToServer, line.strip_suffix(b"\n").unwrap_or(line));
        }
        self.traced = messages.len();
    }
}

impl Transport for Stdio {
    fn restart(&mut self, spec: &WorkerSpec) -> Result<(), EndReason> {
        self.memory = MemoryKills::from_now_on(spec);
        let StartedServer { process, stdin, stdout, stderr } =
            self.launcher.start(spec, &self.launch, &environment::mark(spec, self.instance))?;
        self.process = process;
        (self.stdin, self.stdout, self.stderr) = (Some(stdin), Some(stdout), Some(stderr));
        self.splitter = Splitter::new(self.line_bytes, KEEP);
        (self.written, self.sent, self.traced) = (0, 0, 0);
        Ok(())
    }

    fn pid(&self) -> Option<u32> {
        Some(self.process.pid())
    }

    fn next_message(&mut self) -> Option<ServerLine> {
        let line = self.splitter.next()?;
        trace_received(&mut self.trace, &line);
        Some(line)
    }

    fn last_message(&mut self) -> Option<ServerLine> {
        let line = self.splitter.finish()?;
        trace_received(&mut self.trace, &line);
        Some(line)
    }

    fn send(&mut self, messages: &mut Vec<u8>) -> Sent {
        self.trace_sent(messages);
        let (mut moved, mut rest) = (false, SentRest::None);
        while let Some(stdin) = self.stdin.as_ref().filter(|_| self.written < messages.len()) {
            match stdin.try_write(&messages[self.written..]) {
                Ok(n) => {
                    self.sent += n as u64;
                    self.written += n;
                    moved = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Bytes that are written already must not pile up before a server that always has something to read.
                    if self.written > messages.len() / 2 {
                        messages.drain(..self.written);
                        (self.traced, self.written) = (messages.len(), 0);
                    }
                    return Sent { moved, rest: SentRest::Blocked };
                }
                Err(_) => {
                    self.stdin = None;
                    rest = SentRest::Closed;
                }
            }
        }
        if messages.capacity() > LARGE_BUFFER {
            *messages = Vec::new(); // one large call must not be held for the life of the server
        }
        messages.clear();
        (self.written, self.traced) = (0, 0);
        Sent { moved, rest }
    }

    fn backlog(&self, messages: &[u8]) -> usize {
        messages.len() - self.written
    }

    /// Bytes that a dead process left unread stay in the pipe as long as our end is open.
    fn has_taken_any(&self) -> bool {
        match self.stdin.as_ref().map(ioctl_fionread) {
            Some(Ok(unread)) => unread < self.sent,
            Some(Err(_)) | None => self.sent > 0,
        }
    }

    fn has_taken_all(&self, messages: &[u8]) -> bool {
        let is_empty = |stdin: &Sender| ioctl_fionread(stdin).map_or(true, |unread| unread == 0);
        self.written == messages.len() && self.stdin.as_ref().is_none_or(is_empty)
    }

    /// What was written may have been read.
    fn take_unsent(&mut self) -> Vec<u64> {
        Vec::new()
    }

    async fn event(&mut self, interest: Interest) -> TransportEvent {
        let Self { process, stdin, stdout, splitter, stderr, stderr_chunk, .. } = self;
        tokio::select! {
            read = read_some(stdout, splitter.space()), if interest.messages && stdout.is_some() => match read {
                Ok(1..) => TransportEvent::Received,
                Ok(0) | Err(_) => {
                    *stdout = None;
                    TransportEvent::ReceiveClosed
                }
            },
            () = writable(stdin), if interest.room && stdin.is_some() => TransportEvent::Writable,
            read = read_some(stderr, stderr_chunk), if interest.diagnostics && stderr.is_some() => {
                if !matches!(read, Ok(1..)) {
                    *stderr = None;
                }
                TransportEvent::Diagnostics
            }
            () = process.ended(), if interest.end => TransportEvent::Ended,
            else => pending().await,
        }
    }

    fn take_diagnostics(&mut self, take: impl FnOnce(&[u8])) {
        take(&self.stderr_chunk);
        self.stderr_chunk.clear();
    }

    fn read_diagnostics(&mut self, take: impl FnOnce(&[u8])) -> bool {
        let mut chunk = [0; 4096];
        match self.stderr.as_ref().map(|pipe| rustix::io::read(pipe, &mut chunk)) {
            Some(Ok(length @ 1..)) => {
                take(&chunk[..length]);
                true
            }
            Some(Ok(0) | Err(_)) | None => false,
        }
    }

    fn is_closed(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    fn stop(&mut self, step: StopStep) {
        match step {
            StopStep::CloseStdin => self.stdin = None,
            StopStep::Terminate => {
                self.process.signal(Signal::CONT); // a stopped process would not see the next one
                self.process.signal(Signal::TERM);
            }
            StopStep::Kill => self.process.signal(Signal::KILL),
            StopStep::GiveUp => {}
        }
    }

    fn end(&mut self) -> EndReason {
        self.memory.explain(self.process.reap().unwrap_or(EndReason::Exited { code: None, signal: None }))
    }

    fn clean_up(&self, spec: &WorkerSpec) -> impl Future<Output = ()> + use<> {
        let (tree, log) = (self.launcher.tree.clone(), self.log.clone());
        let (mark, cgroup) = (environment::mark(spec, self.instance), spec.cgroup.as_deref().map(ServerCgroup::at));
        async move {
            let swept = tree.sweep(&mark, cgroup.as_ref()).await;
            if swept.killed > 0 {
                info!(log, "processes that the server left behind were killed"; "count" => swept.killed, "left" => swept.left);
            }
        }
    }
}

async fn read_some<B: BufMut>(pipe: &mut Option<Receiver>, into: &mut B) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read_buf(into).await,
        None => pending().await,
    }
}

async fn writable(pipe: &Option<Sender>) {
    if let Some(pipe) = pipe {
        // The write that follows meets the same error.
        let _ = pipe.writable().await;
    }
}
