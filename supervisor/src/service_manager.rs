//! Reports to systemd (sd_notify(3)): when we serve, how things stand, that we live. Without `NOTIFY_SOCKET` no one
//! listens, and nothing is said.

use std::{
    io,
    os::{fd::AsFd as _, unix::net::UnixDatagram},
    path::Path,
    time::{Duration, Instant},
};

use mcproxy_ipc::{ConfigSource, ServerState};
use sd_notify::NotifyState;

use crate::{
    bounded_text::cut, context::Context, datagram, gateway::GatewaySnapshot, kept_sessions::KeptSessions,
    logging::one_line, passed::SESSIONS,
};

/// Time between two checks of the status when there is no watchdog.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The gateway answers a ping every 5 s and is replaced after three without an answer. One that has answered nothing for
/// so long, its replacements included, is a reason to start everything anew.
const GATEWAY_SILENCE: Duration = Duration::from_secs(30);
/// Longest problem of the configuration in the status, in bytes.
const MAX_PROBLEM: usize = 300;

/// The service manager that started us, if one did.
pub(crate) struct ServiceManager {
    /// When the next check is due; never without a service manager.
    next: Option<Instant>,
    /// From one check to the next.
    pace: Duration,
    /// It restarts us when we do not report in time.
    watches: bool,
    ready: bool,
    /// Readings of the configuration that have begun and are not over.
    reloads: usize,
    status: String,
}

impl ServiceManager {
    /// The one that our environment names.
    pub(crate) fn of_environment(now: Instant) -> Self {
        let watchdog = sd_notify::watchdog_enabled();
        let pace =
            watchdog.map_or(CHECK_INTERVAL, |limit| (limit / 3).min(CHECK_INTERVAL)).max(Duration::from_millis(10));
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        let next = listens.then_some(now);
        Self { next, pace, watches: watchdog.is_some(), ready: false, reloads: 0, status: String::new() }
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
            // A reload that is under way ends with the same word.
            if self.reloads == 0 {
                say(&[NotifyState::Ready]);
            } else {
                reloading();
            }
        }
        let states: Vec<ServerState> =
            context.servers().iter().map(|server| server.snapshot.borrow().route.state).collect();
        let overview = context.overview.borrow().clone();
        let trouble = overview.config_error.as_deref().map(|error| (overview.config_source, error));
        let status = sentence(&states, gateway.running.is_some(), trouble);
        if status != self.status {
            say(&[NotifyState::Status(&status)]);
            self.status = status;
        }
        if self.watches && is_alive(&gateway, overview.started, now) {
            say(&[NotifyState::Watchdog]);
        }
    }

    /// Something that the service manager may wait for has happened.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if !self.ready && self.next.is_some() {
            self.next = Some(now);
        }
    }

    /// The configuration is about to be read again; [`ServiceManager::reloaded`] follows when all that it changes is done. With
    /// `Type=notify-reload` systemd waits from the signal to that word, and what is said again while others are read
    /// moves the moment since which it counts.
    pub(crate) fn reloading(&mut self) {
        self.reloads += 1;
        if self.ready {
            reloading();
        }
    }

    /// One reading is over, whatever came of it; `status` says that.
    pub(crate) fn reloaded(&mut self, context: &Context, now: Instant) {
        self.reloads = self.reloads.saturating_sub(1);
        if self.next.is_some() {
            // What came of it is known before the word that the caller waits for.
            self.look(context, now);
        }
        if self.ready && self.reloads == 0 {
            say(&[NotifyState::Ready]);
        }
    }

    /// Leaves the sessions with the service manager, which passes them to the next run if it keeps descriptors over a restart
    /// (`FileDescriptorStoreMax=`); else it closes them. Without a service manager nothing is left.
    pub(crate) fn keep(&self, sessions: &KeptSessions) -> io::Result<()> {
        let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|_| sessions.snapshots.len() > 0) else {
            return Ok(());
        };
        let to = UnixDatagram::unbound()?;
        to.connect(Path::new(&socket))?;
        // A descriptor that can be polled would be dropped at its end; this one has none.
        let message = format!("FDSTORE=1\nFDNAME={SESSIONS}\nFDPOLL=0\n");
        datagram::send_with(&to, message.as_bytes(), sessions.to_file()?.as_fd())
    }

    /// What it kept was taken: it is not to come back at a later start, when it is not true any more.
    pub(crate) fn forget_sessions() {
        let name = format!("FDNAME={SESSIONS}");
        say(&[NotifyState::Custom("FDSTOREREMOVE=1"), NotifyState::Custom(&name)]);
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

fn reloading() {
    if let Ok(moment) = NotifyState::monotonic_usec_now() {
        say(&[NotifyState::Reloading, moment]);
    }
}

/// How things stand, on one line. `trouble`: what is in force instead of the file, and what is wrong with that.
fn sentence(states: &[ServerState], gateway: bool, trouble: Option<(ConfigSource, &str)>) -> String {
    let ready = states.iter().filter(|state| **state == ServerState::Ready).count();
    let gateway = if gateway { "" } else { "; the gateway is being started" };
    let trouble = trouble.map(|(source, error)| {
        let first = one_line(error.lines().next().unwrap_or_default()).into_owned();
        let what = match source {
            ConfigSource::File => "the configuration file is not in force, or not all of it",
            ConfigSource::LastGood => {
                "DEGRADED, the configuration file cannot be used, what was in force before the start is"
            }
        };
        format!("; {what}: {}", cut(first, MAX_PROBLEM))
    });
    format!("{ready} of {} servers ready{gateway}{}", states.len(), trouble.unwrap_or_default())
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
        assert_eq!(sentence(&states, true, None), "2 of 3 servers ready");
        assert_eq!(sentence(&[], false, None), "0 of 0 servers ready; the gateway is being started");
    }

    #[test]
    fn the_status_says_on_one_line_that_the_file_is_not_in_force() {
        let said = |source| sentence(&[], true, Some((source, "f.json:1:2  /a: \u{1b}[2J\nf.json:2:3  /b: worse")));
        let file = said(ConfigSource::File);
        assert!(file.ends_with("not all of it: f.json:1:2  /a: \\u{1b}[2J"), "{file}");
        assert!(said(ConfigSource::LastGood).contains("DEGRADED"));
    }
}
