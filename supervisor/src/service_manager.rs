//! Reports to systemd (sd_notify(3)): when we serve, how things stand, that we live. Without `NOTIFY_SOCKET` no one
//! listens, and nothing is said.

use std::time::{Duration, Instant};

use mcproxy_ipc::ServerState;
use sd_notify::NotifyState;

use crate::{context::Context, gateway::GatewaySnapshot};

/// Time between two checks of the status when there is no watchdog.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The gateway answers a ping every 5 s and is replaced after three without an answer. One that has answered nothing for
/// so long, its replacements included, is a reason to start everything anew.
const GATEWAY_SILENCE: Duration = Duration::from_secs(30);

/// The service manager that started us, if one did.
pub(crate) struct ServiceManager {
    /// When the next check is due; never without a service manager.
    next: Option<Instant>,
    /// From one check to the next.
    pace: Duration,
    /// It restarts us when we do not report in time.
    watches: bool,
    ready: bool,
    status: String,
}

impl ServiceManager {
    /// The one that our environment names.
    pub(crate) fn of_environment(now: Instant) -> Self {
        let watchdog = sd_notify::watchdog_enabled();
        let pace =
            watchdog.map_or(CHECK_INTERVAL, |limit| (limit / 3).min(CHECK_INTERVAL)).max(Duration::from_millis(10));
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        Self { next: listens.then_some(now), pace, watches: watchdog.is_some(), ready: false, status: String::new() }
    }

    /// When [`ServiceManager::look`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Says what there is to say.
    pub(crate) fn look(&mut self, context: &Context, now: Instant) {
        self.next = Some(now + self.pace);
        let gateway = context.gateway.borrow().clone();
        if !self.ready && gateway.answered.is_some() {
            self.ready = true;
            say(&[NotifyState::Ready]);
        }
        let states: Vec<ServerState> =
            context.servers().iter().map(|server| server.snapshot.borrow().route.state).collect();
        let status = sentence(&states, gateway.running.is_some());
        if status != self.status {
            say(&[NotifyState::Status(&status)]);
            self.status = status;
        }
        if self.watches && is_alive(&gateway, context.overview.borrow().started, now) {
            say(&[NotifyState::Watchdog]);
        }
    }

    /// The gateway's process has changed its state, which may be what the service manager waits for.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if !self.ready && self.next.is_some() {
            self.next = Some(now);
        }
    }

    /// The configuration is being read again; [`ServiceManager::reloaded`] follows.
    pub(crate) fn reloading(&self) {
        if self.ready
            && let Ok(moment) = NotifyState::monotonic_usec_now()
        {
            say(&[NotifyState::Reloading, moment]);
        }
    }

    /// It was read.
    pub(crate) fn reloaded(&self) {
        if self.ready {
            say(&[NotifyState::Ready]);
        }
    }

    /// We end, which may take that long: systemd waits for it, whatever `TimeoutStopSec=` says.
    pub(crate) fn stopping(&self, limit: Duration) {
        let micros = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        let status = "finishing calls in flight, then stopping servers";
        say(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros), NotifyState::Status(status)]);
    }
}

fn say(states: &[NotifyState<'_>]) {
    // A service manager that cannot be told anything does not keep us from serving.
    let _ = sd_notify::notify(states);
}

fn sentence(states: &[ServerState], gateway: bool) -> String {
    let ready = states.iter().filter(|state| **state == ServerState::Ready).count();
    let gateway = if gateway { "" } else { "; the gateway is being started" };
    format!("{ready} of {} servers ready{gateway}", states.len())
}

/// Whether clients are served, or will be in a moment.
fn is_alive(gateway: &GatewaySnapshot, started: Instant, now: Instant) -> bool {
    now.saturating_duration_since(gateway.answered.unwrap_or(started)) < GATEWAY_SILENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_only_while_the_gateway_answers() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut gateway = GatewaySnapshot::default();
        assert!(is_alive(&gateway, start, after(29)), "it may take its time to start");
        assert!(!is_alive(&gateway, start, after(30)));
        gateway.answered = Some(after(100));
        assert!(is_alive(&gateway, start, after(129)));
        assert!(!is_alive(&gateway, start, after(131)));
    }

    #[test]
    fn the_status_counts_who_is_ready() {
        let states = [ServerState::Ready, ServerState::Backoff, ServerState::Ready];
        assert_eq!(sentence(&states, true), "2 of 3 servers ready");
        assert_eq!(sentence(&[], false), "0 of 0 servers ready; the gateway is being started");
    }
}
