//! From the first word to a complete catalogue.

use std::time::Instant;

use mcproxy_ipc::{Activity, EndReason, ServerDescription, data::ServerEra};
use mcproxy_mcp::{ListKind, Outcome, ProtocolVersion, RawObject, RawValue, method};
use slog::debug;

use super::{
    Session, SessionEvent, SessionPhase,
    answer::error_code,
    change_stream::ChangeStream,
    deferred::Deferred,
    own_requests::OwnRequest,
    question::{ProbeAnswer, ProbeRefusal, ProbeStep},
    silence::Look,
};
use crate::{
    dialect::{Introduction, legacy, modern},
    lines::printable,
};

/// How much of an error is told on.
const QUOTED: usize = 500;

impl Session {
    /// Whether the end of the server now may come of being asked what it speaks, or was wanted because of that: then
    /// [`Session::begin_again`] goes on with another process of it.
    pub(crate) fn excuses_an_end(&self) -> bool {
        match self.phase {
            SessionPhase::Opening { .. } | SessionPhase::Listing { .. } => self.opening.probe.excuses_an_end(),
            SessionPhase::Ending => self.opening.probe.is_spoiled(),
            SessionPhase::Serving => false,
        }
    }

    /// Goes on with a new process of the server, which was not asked anything yet and has the whole time of a start.
    pub(crate) fn begin_again(&mut self, now: Instant) {
        self.phase = SessionPhase::Opening { until: self.opening.until(now) };
        self.forget_process();
        let (probe, next) = self.opening.probe.begin_again(now);
        self.opening.probe = probe;
        self.find_out(next);
    }

    /// Nothing that the last process said counts for the next one.
    fn forget_process(&mut self) {
        self.requests.clear();
        self.out.server.clear();
        self.opening.forget();
        self.lists.forget();
        self.change_stream = ChangeStream::default();
        self.deferred = self.deferred.take().map(|_| Deferred::default());
        self.answers = 0;
        self.gone = false;
    }

    /// Whether it matters that the server has read all that was written to it; then that is to be told.
    pub(crate) fn waits_for_reading(&self) -> bool {
        matches!(self.phase, SessionPhase::Opening { .. }) && self.opening.probe.waits_for_reading()
    }

    /// It has.
    pub(crate) fn has_read(&mut self, now: Instant) {
        self.opening.probe.has_read(now);
    }

    /// What is to be looked at now.
    pub(crate) fn look(&self, now: Instant) -> Look {
        if matches!(self.phase, SessionPhase::Opening { .. }) { self.opening.probe.look(now) } else { Look::No }
    }

    /// What the processes of the server have done up to now.
    pub(crate) fn looked_at(&mut self, activity: Activity, now: Instant) {
        self.opening.probe.looked_at(activity, now);
    }

    /// Whether the server is asked what it speaks, has read that, and nothing is decided: what it writes to stderr meanwhile
    /// is about the question.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(self.phase, SessionPhase::Opening { .. }) && self.opening.probe.is_asking()
    }

    /// How it was found out what the server speaks, as far as it was.
    pub(crate) fn story(&self) -> String {
        self.opening.probe.story()
    }

    /// Whether it goes on with this process.
    pub(crate) fn is_going_on(&self) -> bool {
        !matches!(self.phase, SessionPhase::Ending)
    }

    /// Begins anew with a new process, as if there had been none: the one before said nothing of the server.
    pub(crate) fn begin_afresh(&mut self, until: Instant, now: Instant) {
        self.forget_process();
        self.phase = SessionPhase::Opening { until };
        let (probe, next) = self.opening.probe.begin_afresh(now);
        self.opening.probe = probe;
        self.find_out(next);
    }

    /// Does what the probe wants.
    pub(super) fn find_out(&mut self, next: ProbeStep) {
        match next {
            // With what it said, its answer goes on.
            ProbeStep::Wait | ProbeStep::Speaks(_) => {}
            ProbeStep::Discover => {
                let id = self.requests.open(OwnRequest::Probe);
                modern::probe(&mut self.out.server, id);
            }
            ProbeStep::Initialize => {
                let id = self.requests.open(OwnRequest::Initialize);
                legacy::initialize(&mut self.out.server, id, &self.terms.declaration);
            }
            ProbeStep::StartAgain => {
                self.phase = SessionPhase::Ending;
                self.out.events.push(SessionEvent::StartAgain);
            }
            ProbeStep::Failed(why) => self.cannot_speak(why),
        }
    }

    /// Whether a request of the server can only be our own, come back. Answered, it would be taken for the answer.
    pub(super) fn is_echo(&self, method: &str) -> bool {
        matches!(self.phase, SessionPhase::Opening { .. }) && [method::DISCOVER, method::INITIALIZE].contains(&method)
    }

    pub(super) fn cannot_speak(&mut self, why: String) {
        self.phase = SessionPhase::Ending;
        self.out.events.push(SessionEvent::Broken(EndReason::Handshake(why)));
    }

    /// Whether this is the number of a `server/discover` that is open.
    pub(super) fn is_probe(&self, number: u64) -> bool {
        self.requests.is_probe(number)
    }

    /// The one question that is open, while it is not known what the server speaks: any answer is to that.
    pub(super) fn only_question(&self) -> Option<u64> {
        self.requests.only_question().filter(|_| matches!(self.phase, SessionPhase::Opening { .. }))
    }

    /// The server answered one of the questions.
    pub(super) fn answered(&mut self, number: u64, outcome: Outcome<'_>, now: Instant) {
        match self.requests.take_question(number) {
            Some(OwnRequest::Probe) => self.discovered(outcome, now),
            Some(OwnRequest::Initialize) => self.greeted(outcome, now),
            Some(_) | None => {}
        }
    }

    /// The server answered `server/discover`.
    pub(super) fn discovered(&mut self, outcome: Outcome<'_>, now: Instant) {
        let (SessionPhase::Opening { until } | SessionPhase::Listing { until }) = self.phase else {
            return self.discovered_too_late(outcome);
        };
        let heard = match outcome {
            Outcome::Result(result) => {
                let object = RawObject::from_raw(result).unwrap_or_default();
                self.opening.discovery = Some(result.get().into());
                ProbeAnswer::Discovered(modern::versions(object.get("supportedVersions")))
            }
            Outcome::Error(error) => ProbeAnswer::DiscoverRefused(refusal(error)),
        };
        match self.opening.probe.heard(heard) {
            ProbeStep::Speaks(_) => self.begin_modern(until, now),
            next => self.find_out(next),
        }
    }

    /// It serves in the legacy era already: the answer counts for its next start.
    fn discovered_too_late(&mut self, outcome: Outcome<'_>) {
        let versions = match outcome {
            Outcome::Result(result) => {
                modern::versions(RawObject::from_raw(result).unwrap_or_default().get("supportedVersions"))
            }
            Outcome::Error(_) => Vec::new(),
        };
        if matches!(self.phase, SessionPhase::Serving) {
            let modern = versions.iter().any(|version| version == modern::VERSION.as_str());
            let era = if modern { ServerEra::Modern } else { ServerEra::Legacy };
            debug!(self.log, "server/discover was answered after the server was ready"; "era" => era.as_str());
            self.out.events.push(SessionEvent::EraLearned(era));
        }
    }

    /// The server answered `initialize`.
    pub(super) fn greeted(&mut self, outcome: Outcome<'_>, now: Instant) {
        let SessionPhase::Opening { until } = self.phase else { return };
        match outcome {
            Outcome::Result(result) => match legacy::read_greeting(result) {
                Ok(greeting) => match self.opening.probe.heard(ProbeAnswer::Greeted) {
                    ProbeStep::Speaks(_) => self.begin_legacy(&greeting, until, now),
                    next => self.find_out(next),
                },
                Err(why) => self.cannot_speak(why),
            },
            Outcome::Error(error) => match self.opening.probe.heard(ProbeAnswer::GreetingRefused(refusal(error))) {
                ProbeStep::Speaks(_) => self.begin_modern(until, now),
                next => self.find_out(next),
            },
        }
    }

    fn begin_legacy(&mut self, greeting: &legacy::Greeting<'_>, until: Instant, now: Instant) {
        self.meet(ServerEra::Legacy, greeting.version, &greeting.about);
        self.phase = SessionPhase::Listing { until };
        legacy::initialized(&mut self.out.server);
        self.list_all(&greeting.about.capabilities, now);
    }

    fn begin_modern(&mut self, until: Instant, now: Instant) {
        let discovery = self.opening.discovery.take().unwrap_or_default();
        let about = modern::read_discovery(&discovery);
        self.meet(ServerEra::Modern, modern::VERSION, &about);
        self.phase = SessionPhase::Listing { until };
        // Before the lists, so that no change falls between.
        self.listen_for(&about.capabilities);
        self.renew_change_stream(now);
        self.list_all(&about.capabilities, now);
    }

    /// It is known what the server speaks, and who it is.
    fn meet(&mut self, era: ServerEra, version: ProtocolVersion, about: &Introduction<'_>) {
        self.era = era;
        self.lists.catalogue.set_identity(about.info_json, about.capabilities_json, about.instructions_json);
        // A late answer to `server/discover` says what is spoken at the next start.
        self.requests.forget_questions(era == ServerEra::Legacy);
        let probe = self.opening.probe.story();
        debug!(self.log, "server's era is known"; "era" => era.as_str(), "version" => version.as_str(), "because" => &probe);
        self.opening.description = Some(ServerDescription {
            era,
            evidence: self.opening.probe.evidence(),
            probe,
            protocol_version: version.as_str().to_owned(),
            name: about.name.clone(),
            version: about.server_version.clone(),
            counts: self.lists.catalogue.counts(),
        });
    }

    fn list_all(&mut self, capabilities: &RawObject<'_>, now: Instant) {
        self.declare_lists(capabilities);
        self.lists.declares_nothing = !ListKind::ALL.into_iter().any(|kind| self.lists.freshness.is_declared(kind));
        if self.lists.declares_nothing {
            self.lists.catalogue.declares_nothing();
        }
        for kind in ListKind::ALL {
            if self.lists.declares_nothing || self.lists.freshness.is_declared(kind) {
                self.gather(kind, now);
            }
        }
        self.ready_when_listed(now);
    }

    /// Servers that register tools once they are initialized announce that while the first lists are on their way; what
    /// they announced then belongs to the first catalogue, because many clients ask only once.
    pub(super) fn ready_when_listed(&mut self, now: Instant) {
        if self.requests.is_listing_any() {
            return;
        }
        if self.lists.takes_another_round() {
            return self.refresh(now);
        }
        let Some(mut description) = self.opening.description.take() else { return };
        description.counts = self.lists.catalogue.counts();
        // A late answer may have come meanwhile.
        (description.evidence, description.probe) = (self.opening.probe.evidence(), self.opening.probe.story());
        self.phase = SessionPhase::Serving;
        self.lists.revision += 1;
        self.push_catalogue();
        self.out.events.push(SessionEvent::Ready(description));
        let failures = self.lists.freshness.failures(now);
        if !failures.is_empty() {
            self.out.events.push(SessionEvent::ListFailures(failures));
        }
    }
}

fn refusal(error: &RawValue) -> ProbeRefusal {
    let data = RawObject::from_raw(error).ok().and_then(|error| error.get_object("data")).unwrap_or_default();
    ProbeRefusal {
        code: error_code(error).map_or(0, |code| code.0),
        supported: modern::versions(data.get("supported")),
        text: printable(error.get().as_bytes(), QUOTED),
    }
}
