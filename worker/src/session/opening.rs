//! From the first word to lists that are complete: what is known of a server before it is ready.

use std::time::{Duration, Instant};

use mcproxy_ipc::{EraRule, ServerDescription, data::ServerEra};
use mcproxy_mcp::{Outcome, ProtocolVersion, RawObject, RawValue, method};
use slog::debug;

use super::{
    Session,
    answer::error_code,
    catalogue::Catalogue,
    context::{SessionContext, SessionPhase},
    output::SessionEvent,
    own_requests::OwnRequest,
    probe::Probe,
    question::{ProbeAnswer, ProbeRefusal, ProbeStep},
};
use crate::{
    dialect::{Introduction, legacy, modern},
    lines::printable,
};

/// How much of an error is told on.
const QUOTED: usize = 500;

/// The opening of the conversation.
pub(super) struct Opening {
    pub(super) probe: Probe,
    /// The server's answer to the probe, until that counts.
    discovery: Option<Box<str>>,
    /// How the server describes itself, until it is ready.
    description: Option<ServerDescription>,
    start_timeout: Duration,
}

/// It is known what the server speaks, from this.
enum Introduced<'a> {
    Legacy(legacy::Greeting<'a>),
    /// Its answer to `server/discover`.
    Modern(Box<str>),
}

impl Opening {
    /// Begins, and says what is to be done first.
    pub(super) fn begin(rule: EraRule, start_timeout: Duration, now: Instant) -> (Self, ProbeStep) {
        let (probe, first) = Probe::begin(rule, now);
        (Self { probe, discovery: None, description: None, start_timeout }, first)
    }

    /// When a start that begins now has failed.
    pub(super) fn until(&self, now: Instant) -> Instant {
        now + self.start_timeout
    }

    /// Nothing that the last process said counts for the next one.
    pub(super) fn forget_process(&mut self) {
        (self.discovery, self.description) = (None, None);
    }

    /// The server answered `server/discover`.
    fn discovered<'a>(&mut self, cx: &mut SessionContext, outcome: Outcome<'a>) -> Option<Introduced<'a>> {
        if !cx.is_opening() && !cx.is_listing() {
            discovered_too_late(cx, outcome);
            return None;
        }
        let heard = match outcome {
            Outcome::Result(result) => {
                let object = RawObject::from_raw(result).unwrap_or_default();
                self.discovery = Some(result.get().into());
                ProbeAnswer::Discovered(modern::versions(object.get("supportedVersions")))
            }
            Outcome::Error(error) => ProbeAnswer::DiscoverRefused(refusal(error)),
        };
        self.heard_modern(cx, heard)
    }

    /// The server answered `initialize`.
    fn greeted<'a>(&mut self, cx: &mut SessionContext, outcome: Outcome<'a>) -> Option<Introduced<'a>> {
        if !cx.is_opening() {
            return None;
        }
        match outcome {
            Outcome::Result(result) => match legacy::read_greeting(result) {
                Ok(greeting) => match self.probe.heard(ProbeAnswer::Greeted) {
                    ProbeStep::Speaks(_) => return Some(Introduced::Legacy(greeting)),
                    next => find_out(cx, next),
                },
                Err(why) => cx.cannot_speak(why),
            },
            Outcome::Error(error) => return self.heard_modern(cx, ProbeAnswer::GreetingRefused(refusal(error))),
        }
        None
    }

    /// An answer from which a server can only be known to speak the modern era.
    fn heard_modern<'a>(&mut self, cx: &mut SessionContext, heard: ProbeAnswer) -> Option<Introduced<'a>> {
        match self.probe.heard(heard) {
            ProbeStep::Speaks(_) => Some(Introduced::Modern(self.discovery.take().unwrap_or_default())),
            next => {
                find_out(cx, next);
                None
            }
        }
    }

    /// It is known what the server speaks, and who it is.
    fn meet(
        &mut self,
        cx: &mut SessionContext,
        catalogue: &mut Catalogue,
        (era, version): (ServerEra, ProtocolVersion),
        about: &Introduction<'_>,
    ) {
        cx.era = era;
        catalogue.set_identity(about.info_json, about.capabilities_json, about.instructions_json);
        // A late answer to `server/discover` says what is spoken at the next start.
        cx.requests.forget_questions(era == ServerEra::Legacy);
        let probe = self.probe.story();
        debug!(cx.log, "server's era is known"; "era" => era.as_str(), "version" => version.as_str(), "because" => &probe);
        self.description = Some(ServerDescription {
            era,
            evidence: self.probe.evidence(),
            probe,
            protocol_version: version.as_str().to_owned(),
            name: about.name.clone(),
            version: about.server_version.clone(),
            counts: catalogue.counts(),
        });
    }

    /// The server as it is now that its lists are complete.
    fn take_description(&mut self, catalogue: &Catalogue) -> Option<ServerDescription> {
        let mut description = self.description.take()?;
        description.counts = catalogue.counts();
        // A late answer may have come meanwhile.
        (description.evidence, description.probe) = (self.probe.evidence(), self.probe.story());
        Some(description)
    }
}

impl Session {
    /// The server answered one of the questions.
    pub(super) fn answered_question(&mut self, number: u64, outcome: Outcome<'_>, now: Instant) {
        if let Some(question) = self.context.requests.take_question(number) {
            self.introduced(&question, outcome, now);
        }
    }

    /// The same, of a question that is taken out.
    pub(super) fn introduced(&mut self, question: &OwnRequest, outcome: Outcome<'_>, now: Instant) {
        let introduced = match question {
            OwnRequest::Probe => self.opening.discovered(&mut self.context, outcome),
            OwnRequest::Initialize => self.opening.greeted(&mut self.context, outcome),
            OwnRequest::Page { .. } | OwnRequest::Ping | OwnRequest::Listen => None,
        };
        if let Some(introduced) = introduced {
            self.ask_for_lists(&introduced, now);
        }
    }

    fn ask_for_lists(&mut self, introduced: &Introduced<'_>, now: Instant) {
        let Self { context: cx, opening, lists, change_stream, calls, .. } = self;
        let (SessionPhase::Opening { until } | SessionPhase::Listing { until }) = cx.phase else { return };
        cx.phase = SessionPhase::Listing { until };
        match introduced {
            Introduced::Legacy(legacy::Greeting { version, about }) => {
                opening.meet(cx, &mut lists.catalogue, (ServerEra::Legacy, *version), about);
                legacy::initialized(&mut cx.out.server);
                lists.ask_all(cx, &about.capabilities, now);
            }
            Introduced::Modern(discovery) => {
                let about = modern::read_discovery(discovery);
                opening.meet(cx, &mut lists.catalogue, (ServerEra::Modern, modern::VERSION), &about);
                // Before the lists, so that no change falls between.
                change_stream.want(&about.capabilities);
                change_stream.renew(cx, calls, now);
                lists.ask_all(cx, &about.capabilities, now);
            }
        }
        self.ready_when_listed(now);
    }

    /// A server whose lists are complete serves.
    pub(super) fn ready_when_listed(&mut self, now: Instant) {
        let Self { context: cx, opening, lists, .. } = self;
        if !cx.is_listing() || !lists.are_complete(cx, now) {
            return;
        }
        let Some(description) = opening.take_description(&lists.catalogue) else { return };
        cx.phase = SessionPhase::Serving;
        lists.revision += 1;
        lists.push(cx);
        cx.out.events.push(SessionEvent::Ready(description));
        lists.report_first_failures(cx, now);
    }
}

/// Does what the probe wants.
pub(super) fn find_out(cx: &mut SessionContext, next: ProbeStep) {
    match next {
        // With what it said, its answer goes on.
        ProbeStep::Wait | ProbeStep::Speaks(_) => {}
        ProbeStep::Discover => {
            let id = cx.requests.open(OwnRequest::Probe);
            modern::probe(&mut cx.out.server, id);
        }
        ProbeStep::Initialize => {
            let id = cx.requests.open(OwnRequest::Initialize);
            legacy::initialize(&mut cx.out.server, id, &cx.terms.declaration);
        }
        ProbeStep::StartAgain => {
            cx.phase = SessionPhase::Ending;
            cx.out.events.push(SessionEvent::StartAgain);
        }
        ProbeStep::Failed(why) => cx.cannot_speak(why),
    }
}

/// Whether a request of the server can only be our own, come back. Answered, it would be taken for the answer.
pub(super) fn is_echo(cx: &SessionContext, method: &str) -> bool {
    cx.is_opening() && [method::DISCOVER, method::INITIALIZE].contains(&method)
}

/// It serves in the legacy era already: the answer counts for its next start.
fn discovered_too_late(cx: &mut SessionContext, outcome: Outcome<'_>) {
    let versions = match outcome {
        Outcome::Result(result) => {
            modern::versions(RawObject::from_raw(result).unwrap_or_default().get("supportedVersions"))
        }
        Outcome::Error(_) => Vec::new(),
    };
    if cx.is_serving() {
        let modern = versions.iter().any(|version| version == modern::VERSION.as_str());
        let era = if modern { ServerEra::Modern } else { ServerEra::Legacy };
        debug!(cx.log, "server/discover was answered after the server was ready"; "era" => era.as_str());
        cx.out.events.push(SessionEvent::EraLearned(era));
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
