//! From the first word to a complete catalogue.

use std::time::Instant;

use mcproxy_ipc::{EndReason, ServerDescription, data::ServerEra};
use mcproxy_mcp::{ListKind, Outcome, ProtocolVersion, RawObject, RawValue, method};
use slog::debug;

use super::{
    Asked, Event, Phase, Session,
    input::error_code,
    probe::{Heard, Next, Probe, Refusal},
};
use crate::{
    dialect::{Introduction, legacy, modern},
    lines::printable,
};

/// How much of an error is told on.
const QUOTED: usize = 500;

impl Session {
    /// Whether the end of the server now may be its answer to being asked what it speaks: then [`Session::begin_again`]
    /// goes on with another process of it.
    pub(crate) fn excuses_an_end(&self) -> bool {
        matches!(self.phase, Phase::Opening { .. }) && self.probe.excuses_an_end()
    }

    /// Goes on with a new process of the server, which was not asked anything yet.
    pub(crate) fn begin_again(&mut self, now: Instant) {
        self.asked.clear();
        self.out.server.clear();
        let (probe, next) = Probe::begin_after_exit(self.rule, now);
        self.probe = probe;
        self.find_out(next);
    }

    /// Does what the probe wants.
    pub(super) fn find_out(&mut self, next: Next) {
        match next {
            // With what it said, its answer goes on.
            Next::Wait | Next::Speaks(_) => {}
            Next::Discover => {
                let id = self.mint();
                self.asked.push((id, Asked::Probe));
                modern::probe(&mut self.out.server, id);
            }
            Next::Initialize => {
                let id = self.mint();
                self.asked.push((id, Asked::Initialize));
                legacy::initialize(&mut self.out.server, id, self.features);
            }
            Next::Failed(why) => self.cannot_speak(why),
        }
    }

    /// Whether a request of the server can only be our own, come back. Answered, it would be taken for the answer.
    pub(super) fn is_echo(&self, method: &str) -> bool {
        matches!(self.phase, Phase::Opening { .. }) && [method::DISCOVER, method::INITIALIZE].contains(&method)
    }

    pub(super) fn cannot_speak(&mut self, why: String) {
        self.phase = Phase::Ending;
        self.out.events.push(Event::Broken(EndReason::Handshake(why)));
    }

    /// Whether this probe was open; now it is not.
    pub(super) fn take_probe(&mut self, number: u64) -> bool {
        let at = self.asked.iter().position(|(id, asked)| *id == number && matches!(asked, Asked::Probe));
        at.map(|at| self.asked.swap_remove(at)).is_some()
    }

    /// The server answered `server/discover`.
    pub(super) fn discovered(&mut self, outcome: Outcome<'_>, now: Instant) {
        let Phase::Opening { until } = self.phase else { return };
        let heard = match outcome {
            Outcome::Result(result) => {
                let object = RawObject::from_raw(result).unwrap_or_default();
                self.discovery = Some(result.get().into());
                Heard::Discovered(modern::versions(object.get("supportedVersions")))
            }
            Outcome::Error(error) => Heard::DiscoverRefused(refusal(error)),
        };
        match self.probe.heard(heard) {
            Next::Speaks(_) => self.begin_modern(until, now),
            next => self.find_out(next),
        }
    }

    /// The server answered `initialize`.
    pub(super) fn greeted(&mut self, outcome: Outcome<'_>, now: Instant) {
        let Phase::Opening { until } = self.phase else { return };
        match outcome {
            Outcome::Result(result) => match legacy::read_greeting(result) {
                Ok(greeting) => {
                    self.probe.heard(Heard::Greeted);
                    self.begin_legacy(&greeting, until, now);
                }
                Err(why) => self.cannot_speak(why),
            },
            Outcome::Error(error) => match self.probe.heard(Heard::GreetingRefused(refusal(error))) {
                Next::Speaks(_) => self.begin_modern(until, now),
                next => self.find_out(next),
            },
        }
    }

    fn begin_legacy(&mut self, greeting: &legacy::Greeting<'_>, until: Instant, now: Instant) {
        self.meet(ServerEra::Legacy, greeting.version, &greeting.about);
        self.phase = Phase::Listing { until };
        legacy::initialized(&mut self.out.server);
        self.list_all(&greeting.about.capabilities, now);
    }

    fn begin_modern(&mut self, until: Instant, now: Instant) {
        let discovery = self.discovery.take().unwrap_or_default();
        let about = modern::read_discovery(&discovery);
        self.meet(ServerEra::Modern, modern::VERSION, &about);
        self.phase = Phase::Listing { until };
        // Before the lists, so that no change falls between.
        self.listen_for(&about.capabilities);
        self.tend_listening(now);
        self.list_all(&about.capabilities, now);
    }

    /// It is known what the server speaks, and who it is.
    fn meet(&mut self, era: ServerEra, version: ProtocolVersion, about: &Introduction<'_>) {
        self.era = era;
        self.catalogue.set_identity(about.info_json, about.capabilities_json, about.instructions_json);
        // A late answer to the other question is nothing any more.
        self.asked.clear();
        let probe = self.probe.story();
        debug!(self.log, "server's era is known"; "era" => era.as_str(), "version" => version.as_str(), "because" => &probe);
        self.description = Some(ServerDescription {
            era,
            probe,
            protocol_version: version.as_str().to_owned(),
            name: about.name.clone(),
            version: about.server_version.clone(),
            counts: self.catalogue.counts(),
        });
    }

    fn list_all(&mut self, capabilities: &RawObject<'_>, now: Instant) {
        for kind in ListKind::ALL {
            if capabilities.get(kind.capability()).is_some_and(|value| value.get() != "null") {
                self.gather(kind, now);
            }
        }
        self.ready_when_listed(now);
    }

    /// Servers that register tools once they are initialized announce that while the first lists are on their way; what
    /// they announced then belongs to the first catalogue, because many clients ask only once.
    pub(super) fn ready_when_listed(&mut self, now: Instant) {
        if self.asked.iter().any(|(_, asked)| matches!(asked, Asked::Page { .. })) {
            return;
        }
        if self.stale.contains(&true) && self.rounds_before_ready > 0 {
            self.rounds_before_ready -= 1;
            return self.refresh(now);
        }
        let Some(mut description) = self.description.take() else { return };
        description.counts = self.catalogue.counts();
        self.phase = Phase::Serving;
        self.revision += 1;
        self.push_catalogue();
        self.out.events.push(Event::Ready(description));
    }
}

fn refusal(error: &RawValue) -> Refusal {
    let data = RawObject::from_raw(error).ok().and_then(|error| error.get_object("data")).unwrap_or_default();
    Refusal {
        code: error_code(error).map_or(0, |code| code.0),
        supported: modern::versions(data.get("supported")),
        text: printable(error.get().as_bytes(), QUOTED),
    }
}
