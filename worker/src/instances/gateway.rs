//! The host's connection to the gateway.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{EndReason, control::WorkerToSupervisor, data::WorkerToGateway};
use slog::debug;

use super::{host::InstanceHost, instance_handle::InstanceEvent, pool::Number};
use crate::{
    link::{GatewayFrame, GatewayLink, GatewayPort, Pumped},
    session::Idle,
};

/// Events, or frames, that are taken before anything is written.
const PER_TURN: usize = 64;

impl InstanceHost {
    /// A gateway is there. What an earlier one wanted is given up; the instances stay.
    pub(super) fn link_up(&mut self, link: GatewayLink, now: Instant) {
        self.forget_gateway(now);
        self.epoch = self.epoch.wrapping_add(1).max(1);
        self.gateway = GatewayPort::new(Some(link));
        if let Some(idle) = &mut self.idle {
            idle.begin(now);
        }
        self.push_catalogue();
        self.show_all();
    }

    pub(super) fn is_linked(&self) -> bool {
        self.gateway.is_linked()
    }

    /// A call came.
    pub(super) fn used(&mut self, now: Instant) {
        if self.idle.as_mut().is_some_and(|idle| idle.used(now)) {
            self.report(WorkerToSupervisor::Work);
        }
    }

    /// The catalogue is kept for the next start of everything.
    pub(super) fn keep(&self, catalogue: Bytes) {
        if let Some(catalogue_writer) = &self.catalogue_writer {
            catalogue_writer.keep(catalogue);
        }
    }

    pub(super) fn link_down(&mut self, now: Instant) {
        self.forget_gateway(now);
        // As it was agreed: no client calls, so none needs the server.
        if self.idle.as_ref().is_some_and(Idle::is_said) {
            self.stop(EndReason::Stopped, String::new());
        }
    }

    pub(super) fn forget_gateway(&mut self, now: Instant) {
        self.gateway = GatewayPort::default();
        self.out.clear();
        self.offers.forget_told();
        self.give_up_calls(now);
    }

    pub(super) async fn take_frames(&mut self, first: GatewayFrame, now: Instant) {
        let mut next = Some(first);
        let mut left = PER_TURN;
        while let Some(frame) = next {
            match frame {
                Ok(Some((message, payload))) => self.frame(message, payload, now),
                Ok(None) => return self.link_down(now),
                Err(error) => {
                    debug!(self.log, "gateway connection failed"; "error" => %error);
                    return self.link_down(now);
                }
            }
            left -= 1;
            next = if left > 0 { self.gateway.next_now().await } else { None };
        }
    }

    pub(super) fn take_events(&mut self, number: Number, first: InstanceEvent, now: Instant) {
        self.heed(number, first, now);
        for _ in 1..PER_TURN {
            let Ok((number, event)) = self.events.1.try_recv() else { return };
            self.heed(number, event, now);
        }
    }

    pub(super) fn write_gateway(&mut self, now: Instant) {
        match self.gateway.pump(&mut self.out) {
            None => self.out.clear(),
            Some(Pumped::Closed) => self.link_down(now),
            Some(Pumped::All | Pumped::Full) => {}
        }
    }

    /// Says something to the gateway, when there is one.
    pub(super) fn tell(&mut self, message: WorkerToGateway, payload: Bytes) {
        if self.gateway.is_linked() {
            self.out.push_back((message, payload));
        }
    }
}
