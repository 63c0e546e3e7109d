//! The events that a run waits for.

use std::time::Instant;

use super::{BACKLOG, Order, Runner, stage::RunStage};
use crate::{
    link::{GatewayFrame, GatewayPort, next_frame, room},
    timer::Timer,
    transport::{Interest, Transport, TransportEvent},
};

/// The event that ended a wait.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and a box would cost each call an allocation")]
pub(super) enum Woke {
    Order(Option<Order>),
    Frame(GatewayFrame),
    Transport(TransportEvent),
    /// A time has come, or there is room again in one direction.
    Look,
}

impl<T: Transport> Runner<T> {
    /// Sleeps until there is something to do.
    pub(super) async fn wait(&mut self, timer: &mut Timer, now: Instant) -> Woke {
        let deadline = self.deadline(now);
        if let Some(deadline) = deadline {
            timer.by(deadline);
        }
        let backlog = self.transport.backlog(&self.session.context.out.server);
        let writing = self.gateway.is_writing();
        let GatewayPort { incoming, outgoing, backpressured } = &mut self.gateway;
        let interest = Interest {
            messages: !*backpressured,
            room: backlog > 0,
            diagnostics: self.stderr.pause(now).is_none(),
            end: !matches!(self.stage, RunStage::Exited { .. }),
        };
        tokio::select! {
            order = self.ports_orders.1.recv() => Woke::Order(order),
            frame = next_frame(incoming), if incoming.is_some() && backlog < BACKLOG => Woke::Frame(frame),
            event = self.transport.event(interest) => Woke::Transport(event),
            () = room(outgoing), if writing => Woke::Look,
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
        let drained = self.drained_by.map(|by| if self.gateway.is_linked() { by } else { now });
        [self.session.deadline(), suspicion, stage, drained, self.stderr.pause(now)].into_iter().flatten().min()
    }
}
