//! The host's connection to the gateway.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    EndReason, FrameError,
    control::WorkerToSupervisor,
    data::{GatewayToWorker, WorkerToGateway},
};
use slog::debug;

use super::{host::InstanceHost, instance_handle::InstanceEvent, pool::Number};
use crate::{
    link::{GatewayLink, Pumped, poll_once},
    session::Idle,
};

/// News, or frames, that are taken before anything is written.
const PER_TURN: usize = 64;

impl InstanceHost {
    /// A gateway is there. What an earlier one wanted is given up; the instances stay.
    pub(super) fn link_up(&mut self, link: GatewayLink) {
        self.forget_gateway();
        self.epoch = self.epoch.wrapping_add(1).max(1);
        (self.incoming, self.outgoing) = (Some(link.incoming), Some(link.outgoing));
        if let Some(idle) = &mut self.idle {
            idle.begin(Instant::now());
        }
        self.push_catalogue();
        self.show_all();
    }

    pub(super) fn is_linked(&self) -> bool {
        self.outgoing.is_some()
    }

    /// A call came.
    pub(super) fn used(&mut self, now: Instant) {
        if self.idle.as_mut().is_some_and(|idle| idle.used(now)) {
            self.report(WorkerToSupervisor::Work);
        }
    }

    /// What the server offers is kept for the next start of everything.
    pub(super) fn keep(&self, catalogue: Bytes) {
        if let Some(catalogue_writer) = &self.catalogue_writer {
            catalogue_writer.keep(catalogue);
        }
    }

    pub(super) fn link_down(&mut self) {
        self.forget_gateway();
        // As it was agreed: nobody calls, so nobody needs the server.
        if self.idle.as_ref().is_some_and(Idle::is_said) {
            self.stop(EndReason::Stopped, String::new());
        }
    }

    pub(super) fn forget_gateway(&mut self) {
        (self.incoming, self.outgoing, self.backpressured) = (None, None, false);
        self.out.clear();
        self.offers.forget_told();
        self.give_up_calls();
    }

    pub(super) async fn take_frames(&mut self, first: Result<Option<(GatewayToWorker, Bytes)>, FrameError>) {
        let mut next = Some(first);
        let mut left = PER_TURN;
        while let Some(frame) = next {
            match frame {
                Ok(Some((message, payload))) => self.frame(message, payload, Instant::now()),
                Ok(None) => return self.link_down(),
                Err(error) => {
                    debug!(self.log, "gateway connection failed"; "error" => %error);
                    return self.link_down();
                }
            }
            left -= 1;
            next = match &mut self.incoming {
                Some(incoming) if left > 0 => poll_once(incoming.next()).await,
                Some(_) | None => None,
            };
        }
    }

    pub(super) fn take_events(&mut self, number: Number, first: InstanceEvent) {
        self.heed(number, first);
        for _ in 1..PER_TURN {
            let Ok((number, events)) = self.events.1.try_recv() else { return };
            self.heed(number, events);
        }
    }

    pub(super) fn write_gateway(&mut self) {
        let Some(outgoing) = &mut self.outgoing else { return self.out.clear() };
        match outgoing.pump(&mut self.out) {
            Pumped::All => self.backpressured = false,
            Pumped::Full => self.backpressured = true,
            Pumped::Closed => self.link_down(),
        }
    }

    /// Says something to the gateway, when there is one.
    pub(super) fn tell(&mut self, message: WorkerToGateway, payload: Bytes) {
        if self.outgoing.is_some() {
            self.out.push_back((message, payload));
        }
    }
}
