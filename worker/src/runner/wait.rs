//! What a run waits for.

use std::{io, time::Instant};

use bytes::{BufMut, Bytes};
use mcproxy_ipc::{FrameError, data::GatewayToWorker};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::{Receiver, Sender},
};

use super::{BACKLOG, Order, Runner, stage::RunStage};
use crate::{
    link::{FromGateway, ToGateway},
    timer::Timer,
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

impl Runner {
    /// Sleeps until there is something to do.
    pub(super) async fn wait(&mut self, timer: &mut Timer, now: Instant) -> Woke {
        let deadline = self.deadline(now);
        if let Some(deadline) = deadline {
            timer.by(deadline);
        }
        let backlog = self.session.out.server.len() - self.written;
        let pause = self.stderr.pause(now).is_some();
        let is_exited = matches!(self.stage, RunStage::Exited { .. });
        let Self { stdin, stdout, splitter, stderr_pipe, stderr_chunk, incoming, outgoing, process, .. } = self;
        let backpressured = self.backpressured;
        let writing = backpressured || outgoing.as_ref().is_some_and(ToGateway::is_writing);
        tokio::select! {
            order = self.ports_orders.1.recv() => Woke::Order(order),
            frame = next_frame(incoming), if incoming.is_some() && backlog < BACKLOG => Woke::Frame(frame),
            read = read_some(stdout, splitter.space()), if stdout.is_some() && !backpressured => Woke::Stdout(read),
            () = writable(stdin), if backlog > 0 && stdin.is_some() => Woke::Look,
            () = room(outgoing), if writing => Woke::Look,
            read = read_some(stderr_pipe, stderr_chunk), if stderr_pipe.is_some() && !pause => Woke::Stderr(read),
            () = process.ended(), if !is_exited => Woke::Exit,
            () = timer.fires() => Woke::Look,
        }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let stage = match &self.stage {
            RunStage::Running | RunStage::RestartAfterProbe | RunStage::Broken { .. } | RunStage::Over(_) => None,
            RunStage::Replacing(ladder) | RunStage::Ending(_, ladder) => ladder.deadline(),
            RunStage::Exited { until, .. } => Some(*until),
        };
        let suspicion = self.suspicion.as_ref().map(|(at, _)| *at);
        let drained = self.drained_by.map(|by| if self.incoming.is_some() { by } else { now });
        [self.session.deadline(), suspicion, stage, drained, self.stderr.pause(now)].into_iter().flatten().min()
    }
}

async fn next_frame(incoming: &mut Option<FromGateway>) -> Result<Option<(GatewayToWorker, Bytes)>, FrameError> {
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

async fn room(outgoing: &mut Option<ToGateway>) {
    if let Some(outgoing) = outgoing {
        outgoing.room().await;
    }
}
