//! What a run waits for.

use std::{io, time::Instant};

use bytes::{BufMut, Bytes};
use mcproxy_ipc::{FrameError, data::GatewayToWorker};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::{Receiver, Sender},
};

use super::{BACKLOG, Incarnation, Order, stage::Stage};
use crate::{
    alarm::Alarm,
    link::{Incoming, Outgoing},
};

/// What ended a wait.
pub(super) enum Woke {
    Order(Option<Order>),
    Frame(Result<Option<(GatewayToWorker, Bytes)>, FrameError>),
    Stdout(io::Result<usize>),
    Stderr(io::Result<usize>),
    Exit,
    /// A time has come, or there is room again in one direction.
    Look,
}

impl Incarnation {
    /// Sleeps until there is something to do.
    pub(super) async fn wait(&mut self, alarm: &mut Alarm, now: Instant) -> Woke {
        let deadline = self.deadline(now);
        if let Some(deadline) = deadline {
            alarm.by(deadline);
        }
        let backlog = self.session.out.server.len() - self.written;
        let pause = self.stderr.pause(now).is_some();
        let is_exited = matches!(self.stage, Stage::Exited { .. });
        let Self { stdin, stdout, splitter, stderr_pipe, stderr_chunk, incoming, outgoing, process, .. } = self;
        let deaf = self.deaf;
        let writing = deaf || outgoing.as_ref().is_some_and(Outgoing::is_writing);
        tokio::select! {
            order = self.ports_orders.1.recv() => Woke::Order(order),
            frame = next_frame(incoming), if incoming.is_some() && backlog < BACKLOG => Woke::Frame(frame),
            read = read_some(stdout, splitter.space()), if stdout.is_some() && !deaf => Woke::Stdout(read),
            () = writable(stdin), if backlog > 0 && stdin.is_some() => Woke::Look,
            () = room(outgoing), if writing => Woke::Look,
            read = read_some(stderr_pipe, stderr_chunk), if stderr_pipe.is_some() && !pause => Woke::Stderr(read),
            () = process.ended(), if !is_exited => Woke::Exit,
            () = alarm.rings() => Woke::Look,
        }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Running | Stage::OnceMore | Stage::Broken { .. } | Stage::Over(_) => None,
            Stage::Replacing(ladder) | Stage::Ending(_, ladder) => ladder.deadline(),
            Stage::Exited { until, .. } => Some(*until),
        };
        let suspicion = self.suspicion.as_ref().map(|(at, _)| *at);
        let drained = self.drained_by.map(|by| if self.incoming.is_some() { by } else { now });
        [self.session.deadline(), suspicion, stage, drained, self.stderr.pause(now)].into_iter().flatten().min()
    }
}

async fn next_frame(incoming: &mut Option<Incoming>) -> Result<Option<(GatewayToWorker, Bytes)>, FrameError> {
    match incoming {
        Some(incoming) => incoming.next().await,
        None => std::future::pending().await,
    }
}

async fn read_some<B: BufMut>(pipe: &mut Option<Receiver>, into: &mut B) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read_buf(into).await,
        None => std::future::pending().await,
    }
}

async fn writable(pipe: &Option<Sender>) {
    if let Some(pipe) = pipe {
        // The write that follows meets the same error.
        let _ = pipe.writable().await;
    }
}

async fn room(outgoing: &mut Option<Outgoing>) {
    if let Some(outgoing) = outgoing {
        outgoing.room().await;
    }
}
