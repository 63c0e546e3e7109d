//! Which era of MCP a server speaks, found out by asking it. Pure: answers and the time go in, what to do next comes out.
//!
//! A new server is asked `server/discover` and nothing else, because the first request fixes the era of many servers even
//! when it fails. A server that refuses it is asked `initialize` on the same process; one that read it and is silent is asked
//! `initialize` behind it. A process that the question has spoiled (it ended, it is of no use any more, or it is fixed to the
//! legacy era although the server speaks 2026-07-28) is replaced by the shell, once within a run.

use std::time::Instant;

use mcproxy_ipc::{Activity, EraEvidence, EraRule, data::ServerEra};
use mcproxy_mcp::ProtocolVersion;

use super::{
    question::{ProbeAnswer, ProbeRefusal, ProbeStep},
    silence::{Look, Silence, SilenceStage},
};

/// UnsupportedProtocolVersion (2026-07-28, versioning).
const UNSUPPORTED_VERSION: i64 = -32022;
/// Reasons to replace a process.
const TOO_LATE: &str = "it answered server/discover, but only after initialize had been asked";
const UNUSABLE: &str = "it refused initialize after it was asked server/discover";

/// Where one of the two questions stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProbeQuestion {
    Unasked,
    Open,
    Answered,
    Refused,
}

/// Which process of the server this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// The first one of the run.
    First,
    /// The question spoiled the first one: this one is asked `initialize` only.
    Initialize,
    /// The first one said that it speaks 2026-07-28, and was fixed to the other era: this one is asked nothing else.
    Modern,
}

/// The questions that were asked, and what came of them.
#[derive(Debug)]
pub(super) struct Probe {
    rule: EraRule,
    round: Round,
    discover: ProbeQuestion,
    /// How many times the server was asked.
    discovers: u32,
    initialize: ProbeQuestion,
    /// `server/discover` was the first question.
    discover_first: bool,
    /// It was answered that 2026-07-28 is spoken.
    modern: bool,
    /// It is decided.
    spoken: Option<ServerEra>,
    silence: Silence,
    /// The answer to `initialize`, while another answer is waited for.
    refused: Option<ProbeRefusal>,
    /// Why this process is of no use any more.
    spoiled: Option<&'static str>,
    /// The evidence for the era of the second process.
    evidence: EraEvidence,
    /// How it was found out, for people.
    story: Vec<String>,
}

impl Probe {
    /// Begins with a server of which `rule` is known. Says what to ask it first.
    pub(super) fn begin(rule: EraRule, now: Instant) -> (Self, ProbeStep) {
        let mut probe = Self::new(rule, Round::First, now);
        let first = match rule {
            EraRule::Only(ServerEra::Legacy) | EraRule::Auto { known: Some(ServerEra::Legacy) } => {
                probe.ask_initialize()
            }
            EraRule::Only(ServerEra::Modern) | EraRule::Auto { known: Some(ServerEra::Modern) | None } => {
                probe.ask_discover()
            }
        };
        probe.discover_first = first == ProbeStep::Discover;
        (probe, first)
    }

    /// Goes on with a new process, after [`ProbeStep::StartAgain`] or an end that [`Probe::excuses_an_end`].
    pub(super) fn begin_again(&self, now: Instant) -> (Self, ProbeStep) {
        let round = if self.modern { Round::Modern } else { Round::Initialize };
        let mut probe = Self::new(self.rule, round, now);
        probe.evidence = match (self.discover, self.initialize, self.spoiled) {
            (ProbeQuestion::Open, _, None) => EraEvidence::End,
            (ProbeQuestion::Open, ProbeQuestion::Open, Some(_)) => EraEvidence::Silence,
            _ => EraEvidence::Answer,
        };
        probe.story.clone_from(&self.story);
        let asked = if self.initialize == ProbeQuestion::Unasked { "" } else { " and initialize" };
        let ended = format!("it ended after it was asked server/discover{asked}");
        let then = if self.modern { "2026-07-28 only" } else { "initialize only" };
        let why = self.spoiled.map_or(ended, ToOwned::to_owned);
        probe.story.push(format!("{why}; it was started once more and asked {then}"));
        let first = if self.modern { probe.ask_discover() } else { probe.ask_initialize() };
        (probe, first)
    }

    /// Begins with a new process, of which is known what was known of the first one.
    pub(super) fn begin_afresh(&self, now: Instant) -> (Self, ProbeStep) {
        Self::begin(self.rule, now)
    }

    fn new(rule: EraRule, round: Round, now: Instant) -> Self {
        Self {
            rule,
            round,
            discover: ProbeQuestion::Unasked,
            discovers: 0,
            initialize: ProbeQuestion::Unasked,
            discover_first: false,
            modern: false,
            spoken: None,
            silence: Silence::new(now),
            refused: None,
            spoiled: None,
            evidence: EraEvidence::Answer,
            story: Vec::new(),
        }
    }

    /// Whether the end of the server now, before it is ready, may come of `server/discover`: then it deserves another start.
    pub(super) fn excuses_an_end(&self) -> bool {
        self.is_replaceable() && self.spoken != Some(ServerEra::Modern)
    }

    /// Whether another process may take over in this run.
    fn is_replaceable(&self) -> bool {
        matches!(self.rule, EraRule::Auto { .. }) && self.round == Round::First && self.discover_first
    }

    /// Whether the process is to be replaced.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.is_some()
    }

    /// Whether `server/discover` was asked and nothing is decided: what the server writes to stderr is about the question.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.rule, EraRule::Auto { .. }) && self.discover == ProbeQuestion::Open && self.spoken.is_none()
    }

    /// Takes in an answer.
    pub(super) fn heard(&mut self, heard: ProbeAnswer) -> ProbeStep {
        self.silence.is_over();
        let next = match heard {
            ProbeAnswer::Discovered(versions) => self.discovered(&versions),
            ProbeAnswer::DiscoverRefused(refusal) => self.discover_refused(&refusal),
            ProbeAnswer::Greeted => {
                self.initialize = ProbeQuestion::Answered;
                match self.modern {
                    true => self.start_again(TOO_LATE),
                    false => ProbeStep::Speaks(ServerEra::Legacy),
                }
            }
            ProbeAnswer::GreetingRefused(refusal) => self.greeting_refused(refusal),
        };
        if let ProbeStep::Speaks(era) = next {
            self.spoken = Some(era);
        }
        next
    }

    fn discovered(&mut self, versions: &[String]) -> ProbeStep {
        self.discover = ProbeQuestion::Answered;
        self.modern = speaks_modern(versions);
        if !self.modern {
            self.story.push("server/discover lists no 2026-07-28".to_owned());
            return self.without_modern("it lists no 2026-07-28");
        }
        match self.initialize {
            ProbeQuestion::Unasked | ProbeQuestion::Refused => {
                self.story.push("server/discover was answered".to_owned());
                ProbeStep::Speaks(ServerEra::Modern)
            }
            // Which of the two it is fixed to now, its answer to `initialize` tells.
            ProbeQuestion::Open => ProbeStep::Wait,
            ProbeQuestion::Answered => self.start_again(TOO_LATE),
        }
    }

    fn discover_refused(&mut self, refusal: &ProbeRefusal) -> ProbeStep {
        self.discover = ProbeQuestion::Refused;
        self.story.push(format!("server/discover was refused with {}", refusal.code));
        let unsupported = refusal.code == UNSUPPORTED_VERSION && speaks_modern(&refusal.supported);
        if unsupported && self.initialize == ProbeQuestion::Unasked && self.discovers < 2 {
            return self.ask_discover();
        }
        self.without_modern(&refusal.text)
    }

    /// It does not speak 2026-07-28, for the reason given.
    fn without_modern(&mut self, why: &str) -> ProbeStep {
        match (self.rule, self.initialize) {
            (EraRule::Only(_), ProbeQuestion::Unasked) => {
                let hint = "`era` is `modern`; `auto` would try `initialize`, too";
                ProbeStep::Failed(format!("it does not speak 2026-07-28 ({hint}): {why}"))
            }
            (EraRule::Auto { .. }, ProbeQuestion::Unasked) => self.ask_initialize(),
            (_, ProbeQuestion::Refused) => self.unusable(),
            (_, ProbeQuestion::Open | ProbeQuestion::Answered) => ProbeStep::Wait,
        }
    }

    fn greeting_refused(&mut self, refusal: ProbeRefusal) -> ProbeStep {
        self.initialize = ProbeQuestion::Refused;
        self.story.push(format!("initialize was refused with {}", refusal.code));
        let unsupported = refusal.code == UNSUPPORTED_VERSION;
        self.refused = Some(refusal);
        match self.rule {
            EraRule::Only(_) => self.fail(),
            EraRule::Auto { .. } if self.modern => {
                self.story.push("server/discover was answered".to_owned());
                ProbeStep::Speaks(ServerEra::Modern)
            }
            EraRule::Auto { .. } if self.discover == ProbeQuestion::Open => ProbeStep::Wait,
            // An answer to an earlier one may have been about a moment in which the server was not ready.
            EraRule::Auto { .. } if unsupported && self.discovers < 2 => self.ask_discover(),
            EraRule::Auto { .. } if self.discovers == 0 && self.round == Round::First => self.ask_discover(),
            EraRule::Auto { .. } => self.unusable(),
        }
    }

    /// The server has read all that was written to it.
    pub(super) fn has_read(&mut self, now: Instant) {
        self.silence.begins(now);
    }

    /// Takes in the activity of its processes up to now.
    pub(super) fn looked_at(&mut self, activity: Activity, now: Instant) {
        self.silence.looked_at(activity, now);
    }

    /// The check that is due now.
    pub(super) fn look(&self, now: Instant) -> Look {
        match (self.waits_for_reading(), self.standing()) {
            (true, _) => Look::Reading,
            (false, SilenceStage::Decided) => Look::No,
            (false, _) if self.silence.next_look() <= now => Look::Activity,
            (false, _) => Look::No,
        }
    }

    /// Whether it has, as far as is known.
    pub(super) fn is_read(&self) -> bool {
        self.silence.has_begun()
    }

    /// Whether it matters that it has.
    pub(super) fn waits_for_reading(&self) -> bool {
        !self.is_read() && (self.is_asking() || self.standing().time_limit().is_some())
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) -> ProbeStep {
        if self.waits_for_reading() {
            self.silence.look(now);
            return ProbeStep::Wait;
        }
        let standing = self.standing();
        if self.silence.deadline(standing).is_none_or(|deadline| now < deadline) {
            return ProbeStep::Wait;
        }
        match standing {
            SilenceStage::Decided => ProbeStep::Wait,
            SilenceStage::OwnRequest | SilenceStage::KnownModernAsked => {
                let limit = standing.time_limit().unwrap_or_default();
                self.story.push(format!("server/discover was not answered for {} s", limit.as_secs()));
                self.ask_initialize()
            }
            SilenceStage::BothAsked => self.start_again("it answered neither server/discover nor initialize"),
            SilenceStage::TooLate => self.start_again(TOO_LATE),
            SilenceStage::NotGreeted => self.start_again("it did not answer initialize after server/discover"),
            SilenceStage::NotUsable => self.start_again(UNUSABLE),
        }
    }

    fn standing(&self) -> SilenceStage {
        if !self.is_replaceable() || self.spoken.is_some() || self.is_spoiled() {
            return SilenceStage::Decided;
        }
        let known_modern = matches!(self.rule, EraRule::Auto { known: Some(ServerEra::Modern) });
        let unsupported = self.refused.as_ref().is_some_and(|refusal| refusal.code == UNSUPPORTED_VERSION);
        match (self.discover, self.initialize) {
            (ProbeQuestion::Open, ProbeQuestion::Unasked) if known_modern => SilenceStage::KnownModernAsked,
            (ProbeQuestion::Open, ProbeQuestion::Unasked) => SilenceStage::OwnRequest,
            (ProbeQuestion::Open, ProbeQuestion::Open) => SilenceStage::BothAsked,
            // It speaks 2026-07-28 and nothing else, whenever it will say so.
            (ProbeQuestion::Open, ProbeQuestion::Refused) if unsupported => SilenceStage::Decided,
            (ProbeQuestion::Open, ProbeQuestion::Refused) => SilenceStage::NotUsable,
            (ProbeQuestion::Answered, ProbeQuestion::Open) if self.modern => SilenceStage::TooLate,
            (ProbeQuestion::Answered | ProbeQuestion::Refused, ProbeQuestion::Open) => SilenceStage::NotGreeted,
            (ProbeQuestion::Unasked, _)
            | (_, ProbeQuestion::Answered)
            | (ProbeQuestion::Answered | ProbeQuestion::Refused, ProbeQuestion::Unasked | ProbeQuestion::Refused) => {
                SilenceStage::Decided
            }
        }
    }

    /// When [`Probe::tick`] should be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.waits_for_reading() {
            return Some(self.silence.next_look());
        }
        self.silence.deadline(self.standing()).map(|deadline| deadline.min(self.silence.next_look()))
    }

    /// The complaint about a server that was not ready in time, if the question may be the reason.
    pub(super) fn unanswered(&self) -> Option<String> {
        let asked = self.is_asking() && self.is_read();
        let what =
            if self.initialize == ProbeQuestion::Unasked { "server/discover" } else { "server/discover or initialize" };
        asked.then(|| {
            format!(
                "it read {what} and did not answer within startTimeout; if it works with other clients, set \
                 `\"era\": \"legacy\"` in its entry, so that it is asked nothing but initialize"
            )
        })
    }

    /// How it was found out what the server speaks.
    pub(super) fn story(&self) -> String {
        match (&self.story[..], self.rule) {
            ([], EraRule::Only(_)) => "as configured".to_owned(),
            ([], EraRule::Auto { .. }) => "as it did before".to_owned(),
            (story, _) => story.join("; "),
        }
    }

    /// The evidence for that.
    pub(super) fn evidence(&self) -> EraEvidence {
        match (self.rule, self.spoken) {
            (EraRule::Only(_), _) => EraEvidence::Configuration,
            (EraRule::Auto { .. }, Some(ServerEra::Legacy)) if self.round == Round::First => match self.discover {
                ProbeQuestion::Open => EraEvidence::Silence,
                ProbeQuestion::Unasked | ProbeQuestion::Answered | ProbeQuestion::Refused => EraEvidence::Answer,
            },
            (EraRule::Auto { .. }, Some(ServerEra::Legacy)) => self.evidence,
            (EraRule::Auto { .. }, Some(ServerEra::Modern) | None) => EraEvidence::Answer,
        }
    }

    fn ask_discover(&mut self) -> ProbeStep {
        self.discovers += 1;
        self.discover = ProbeQuestion::Open;
        self.silence.is_over();
        ProbeStep::Discover
    }

    fn ask_initialize(&mut self) -> ProbeStep {
        self.initialize = ProbeQuestion::Open;
        self.silence.is_over();
        ProbeStep::Initialize
    }

    fn start_again(&mut self, why: &'static str) -> ProbeStep {
        if !self.is_replaceable() {
            return ProbeStep::Wait;
        }
        self.spoiled = Some(why);
        ProbeStep::StartAgain
    }

    /// It refused `initialize`, and everything else.
    fn unusable(&mut self) -> ProbeStep {
        match self.is_replaceable() {
            true => self.start_again(UNUSABLE),
            false => self.fail(),
        }
    }

    fn fail(&self) -> ProbeStep {
        let said = self.refused.as_ref().map_or("nothing", |refusal| &refusal.text);
        let hint = match self.rule {
            EraRule::Only(ServerEra::Legacy) => " (`era` is `legacy`; `auto` would try 2026-07-28, too)",
            EraRule::Only(ServerEra::Modern) | EraRule::Auto { .. } => "",
        };
        ProbeStep::Failed(format!("it answered {said}{hint}"))
    }
}

fn speaks_modern(versions: &[String]) -> bool {
    versions.iter().any(|version| version == ProtocolVersion::V2026_07_28.as_str())
}
