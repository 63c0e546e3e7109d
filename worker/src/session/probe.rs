//! Which era of MCP a server speaks, found out by asking it. Pure: answers and the time go in, what to do next comes out.
//!
//! A new server is asked `server/discover` and nothing else, because the first request fixes the era of many servers even
//! when it fails. Whoever refuses it is asked `initialize` on the same process. A server that ends at the question is
//! started once more by the shell and asked `initialize` only; one that is silent is asked that behind the first question.

use std::time::{Duration, Instant};

use mcproxy_ipc::{EraRule, data::ServerEra};
use mcproxy_mcp::ProtocolVersion;

/// How long a server may leave `server/discover` unanswered before it is asked `initialize` as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server answered to one of the two questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// To `server/discover`: these versions are spoken.
    Discovered(Vec<String>),
    /// To `server/discover`: an error.
    DiscoverRefused(Refusal),
    /// To `initialize`: a result.
    Greeted,
    /// To `initialize`: an error.
    GreetingRefused(Refusal),
}

/// An error, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its code.
    pub(super) code: i64,
    /// What -32022 lists in `data.supported`; empty where it lists nothing.
    pub(super) supported: Vec<String>,
    /// The error as text, for people.
    pub(super) text: String,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing; an answer or the time will tell.
    Wait,
    /// Ask `server/discover`.
    Discover,
    /// Ask `initialize`.
    Initialize,
    /// The server speaks this.
    Speaks(ServerEra),
    /// It cannot be spoken to.
    Failed(String),
}

/// UnsupportedProtocolVersion (2026-07-28, versioning).
const UNSUPPORTED_VERSION: i64 = -32022;

/// The questions that were asked, and what came of them.
#[derive(Debug)]
pub(super) struct Probe {
    rule: EraRule,
    /// How often `server/discover` was asked.
    discovers: u32,
    /// The last one has no answer yet.
    discover_open: bool,
    initialized: bool,
    /// It was answered that 2026-07-28 is spoken.
    modern: bool,
    /// Until then the server may be silent.
    quiet_until: Option<Instant>,
    /// What it said to `initialize`, while another answer is waited for.
    refused: Option<String>,
    /// How it was found out, for people.
    story: Vec<String>,
}

impl Probe {
    /// Begins with a server of which `rule` is known. Says what to ask it first.
    pub(super) fn begin(rule: EraRule, now: Instant) -> (Self, Next) {
        let mut probe = Self {
            rule,
            discovers: 0,
            discover_open: false,
            initialized: false,
            modern: false,
            quiet_until: None,
            refused: None,
            story: Vec::new(),
        };
        let first = match rule {
            EraRule::Only(ServerEra::Legacy) | EraRule::Auto { known: Some(ServerEra::Legacy) } => probe.initialize(),
            EraRule::Only(ServerEra::Modern) => probe.discover(),
            EraRule::Auto { known: Some(ServerEra::Modern) | None } => {
                probe.quiet_until = Some(now + PATIENCE);
                probe.discover()
            }
        };
        (probe, first)
    }

    /// Begins with a new process of a server that ended when it was asked `server/discover`.
    pub(super) fn begin_after_exit(rule: EraRule, now: Instant) -> (Self, Next) {
        let (mut probe, next) = Self::begin(EraRule::Auto { known: Some(ServerEra::Legacy) }, now);
        probe.rule = rule;
        probe.story.push("it ended when it was asked server/discover, and was started once more".to_owned());
        (probe, next)
    }

    /// Whether the end of the server now may be the answer to `server/discover`: then it deserves another start.
    pub(super) fn excuses_an_end(&self) -> bool {
        matches!(self.rule, EraRule::Auto { .. }) && self.discover_open && self.discovers == 1 && !self.initialized
    }

    /// Takes in an answer.
    pub(super) fn heard(&mut self, heard: Heard) -> Next {
        match heard {
            Heard::Discovered(versions) => {
                self.discover_open = false;
                self.modern = speaks_modern(&versions);
                let what =
                    if self.modern { "server/discover was answered" } else { "server/discover lists no 2026-07-28" };
                self.story.push(what.to_owned());
                match (self.modern, self.initialized, self.refused.is_some()) {
                    (true, false, _) | (true, _, true) => Next::Speaks(ServerEra::Modern),
                    // Which of the two it is fixed to now, its answer to `initialize` tells.
                    (_, true, false) => Next::Wait,
                    (false, false, _) => self.fall_back("it lists no 2026-07-28"),
                    (false, true, true) => self.fail(),
                }
            }
            Heard::DiscoverRefused(refusal) => {
                self.discover_open = false;
                self.story.push(format!("server/discover was refused with {}", refusal.code));
                let unsupported = refusal.code == UNSUPPORTED_VERSION && speaks_modern(&refusal.supported);
                match (self.initialized, self.refused.is_some()) {
                    (false, _) if unsupported && self.discovers < 2 => self.discover(),
                    (false, _) => self.fall_back(&refusal.text),
                    (true, true) => self.fail(),
                    (true, false) => Next::Wait,
                }
            }
            Heard::Greeted => Next::Speaks(ServerEra::Legacy),
            Heard::GreetingRefused(refusal) => {
                self.story.push(format!("initialize was refused with {}", refusal.code));
                self.refused = Some(refusal.text);
                match self.rule {
                    EraRule::Only(_) => self.fail(),
                    EraRule::Auto { .. } if self.modern => Next::Speaks(ServerEra::Modern),
                    EraRule::Auto { .. } if self.discover_open => Next::Wait,
                    // What it said to an earlier one may have been about a moment in which it was not ready.
                    EraRule::Auto { .. } if self.discovers == 0 || refusal.code == UNSUPPORTED_VERSION => {
                        if self.discovers < 2 { self.discover() } else { self.fail() }
                    }
                    EraRule::Auto { .. } => self.fail(),
                }
            }
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) -> Next {
        if self.quiet_until.take_if(|until| *until <= now).is_none() || !self.discover_open || self.initialized {
            return Next::Wait;
        }
        self.story.push(format!("server/discover was not answered for {} s", PATIENCE.as_secs()));
        self.initialize()
    }

    /// When [`Probe::tick`] should be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.quiet_until
    }

    /// How it was found out what the server speaks.
    pub(super) fn story(&self) -> String {
        match (&self.story[..], self.rule) {
            ([], EraRule::Only(_)) => "as configured".to_owned(),
            ([], EraRule::Auto { .. }) => "as it did before".to_owned(),
            (story, _) => story.join("; "),
        }
    }

    fn discover(&mut self) -> Next {
        self.discovers += 1;
        self.discover_open = true;
        Next::Discover
    }

    fn initialize(&mut self) -> Next {
        self.initialized = true;
        Next::Initialize
    }

    /// The server does not speak 2026-07-28, for the reason given.
    fn fall_back(&mut self, why: &str) -> Next {
        match self.rule {
            EraRule::Only(_) => {
                let hint = "`era` is `modern`; `auto` would try `initialize`, too";
                Next::Failed(format!("it does not speak 2026-07-28 ({hint}): {why}"))
            }
            EraRule::Auto { .. } => self.initialize(),
        }
    }

    fn fail(&self) -> Next {
        let said = self.refused.as_deref().unwrap_or("nothing");
        let hint = match self.rule {
            EraRule::Only(ServerEra::Legacy) => " (`era` is `legacy`; `auto` would try 2026-07-28, too)",
            EraRule::Only(ServerEra::Modern) | EraRule::Auto { .. } => "",
        };
        Next::Failed(format!("it answered {said}{hint}"))
    }
}

fn speaks_modern(versions: &[String]) -> bool {
    versions.iter().any(|version| version == ProtocolVersion::V2026_07_28.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AUTO: EraRule = EraRule::Auto { known: None };
    const KNOWN_LEGACY: EraRule = EraRule::Auto { known: Some(ServerEra::Legacy) };
    const KNOWN_MODERN: EraRule = EraRule::Auto { known: Some(ServerEra::Modern) };

    fn refusal(code: i64, supported: &[&str]) -> Refusal {
        Refusal { code, supported: supported.iter().map(|&v| v.to_owned()).collect(), text: format!("{code}") }
    }

    fn discovered(versions: &[&str]) -> Heard {
        Heard::Discovered(versions.iter().map(|&v| v.to_owned()).collect())
    }

    fn begun(rule: EraRule) -> (Probe, Next, Instant) {
        let now = Instant::now();
        let (probe, next) = Probe::begin(rule, now);
        (probe, next, now)
    }

    #[test]
    fn a_server_that_answers_is_modern_and_one_that_refuses_is_asked_the_old_way() {
        let (mut probe, next, _) = begun(AUTO);
        assert_eq!(next, Next::Discover);
        assert_eq!(probe.heard(discovered(&["2026-07-28", "2025-11-25"])), Next::Speaks(ServerEra::Modern));
        for code in [-32601, -32602, -32600, 0] {
            let (mut probe, ..) = begun(AUTO);
            assert_eq!(probe.heard(Heard::DiscoverRefused(refusal(code, &[]))), Next::Initialize);
            assert_eq!(probe.heard(Heard::Greeted), Next::Speaks(ServerEra::Legacy));
            assert!(probe.story().contains(&code.to_string()), "{}", probe.story());
        }
        let (mut probe, ..) = begun(AUTO);
        assert_eq!(probe.heard(discovered(&["2025-11-25"])), Next::Initialize);
    }

    #[test]
    fn a_server_that_names_our_version_in_its_refusal_is_asked_once_more() {
        let (mut probe, ..) = begun(AUTO);
        let unsupported = Heard::DiscoverRefused(refusal(UNSUPPORTED_VERSION, &["2026-07-28"]));
        assert_eq!(probe.heard(unsupported.clone()), Next::Discover);
        assert_eq!(probe.heard(discovered(&["2026-07-28"])), Next::Speaks(ServerEra::Modern));
        let (mut probe, ..) = begun(AUTO);
        assert_eq!(probe.heard(unsupported.clone()), Next::Discover);
        assert_eq!(probe.heard(unsupported), Next::Initialize);
        for other in [&["2025-11-25"][..], &[]] {
            let (mut probe, ..) = begun(AUTO);
            assert_eq!(probe.heard(Heard::DiscoverRefused(refusal(UNSUPPORTED_VERSION, other))), Next::Initialize);
        }
    }

    #[test]
    fn a_silent_server_is_asked_the_old_way_behind_it_and_its_answer_to_that_counts() {
        let (mut probe, _, now) = begun(AUTO);
        assert_eq!(probe.tick(now), Next::Wait);
        let later = probe.deadline().expect("it waits");
        assert_eq!(probe.tick(later), Next::Initialize);
        assert_eq!(probe.deadline(), None);
        // A server that serves both eras is fixed to the old one by now.
        assert_eq!(probe.heard(discovered(&["2026-07-28"])), Next::Wait);
        assert_eq!(probe.heard(Heard::Greeted), Next::Speaks(ServerEra::Legacy));
    }

    #[test]
    fn a_slow_modern_server_is_found_out_in_either_order() {
        let refused = || Heard::GreetingRefused(refusal(UNSUPPORTED_VERSION, &["2026-07-28"]));
        let (mut probe, ..) = begun(AUTO);
        probe.tick(probe.deadline().expect("it waits"));
        assert_eq!(probe.heard(discovered(&["2026-07-28"])), Next::Wait);
        assert_eq!(probe.heard(refused()), Next::Speaks(ServerEra::Modern));
        let (mut probe, ..) = begun(AUTO);
        probe.tick(probe.deadline().expect("it waits"));
        assert_eq!(probe.heard(refused()), Next::Wait);
        assert_eq!(probe.heard(discovered(&["2026-07-28"])), Next::Speaks(ServerEra::Modern));
    }

    #[test]
    fn what_was_known_is_tried_first_and_corrected() {
        let (mut probe, next, _) = begun(KNOWN_LEGACY);
        assert_eq!((next, probe.excuses_an_end()), (Next::Initialize, false));
        assert_eq!(probe.heard(Heard::GreetingRefused(refusal(UNSUPPORTED_VERSION, &[]))), Next::Discover);
        assert_eq!(probe.heard(discovered(&["2026-07-28"])), Next::Speaks(ServerEra::Modern));
        let (mut probe, next, _) = begun(KNOWN_MODERN);
        assert_eq!((next, probe.excuses_an_end()), (Next::Discover, true));
        assert_eq!(probe.heard(Heard::DiscoverRefused(refusal(-32601, &[]))), Next::Initialize);
        let (mut probe, ..) = begun(KNOWN_LEGACY);
        assert_eq!(probe.heard(Heard::Greeted), Next::Speaks(ServerEra::Legacy));
        assert_eq!(probe.story(), "as it did before");
    }

    #[test]
    fn what_is_configured_is_not_corrected() {
        let (mut probe, next, _) = begun(EraRule::Only(ServerEra::Modern));
        assert_eq!((next, probe.excuses_an_end(), probe.deadline()), (Next::Discover, false, None));
        let failed = probe.heard(Heard::DiscoverRefused(refusal(-32601, &[])));
        assert!(matches!(&failed, Next::Failed(why) if why.contains("auto")), "{failed:?}");
        let (mut probe, next, _) = begun(EraRule::Only(ServerEra::Legacy));
        assert_eq!(next, Next::Initialize);
        let failed = probe.heard(Heard::GreetingRefused(refusal(UNSUPPORTED_VERSION, &["2026-07-28"])));
        assert!(matches!(&failed, Next::Failed(why) if why.contains("auto")), "{failed:?}");
    }

    #[test]
    fn only_an_end_before_any_answer_is_excused_and_only_once() {
        let (mut probe, ..) = begun(AUTO);
        assert!(probe.excuses_an_end());
        probe.heard(Heard::DiscoverRefused(refusal(-32601, &[])));
        assert!(!probe.excuses_an_end());
        let (probe, next) = Probe::begin_after_exit(AUTO, Instant::now());
        assert_eq!((next, probe.excuses_an_end()), (Next::Initialize, false));
        assert!(probe.story().contains("ended"), "{}", probe.story());
    }

    fn any_versions() -> impl Strategy<Value = Vec<&'static str>> {
        prop::collection::vec(prop::sample::select(vec!["2026-07-28", "2025-11-25", "x"]), 0..3)
    }

    fn any_refusal() -> impl Strategy<Value = Refusal> {
        (prop::sample::select(vec![-32601, UNSUPPORTED_VERSION, -32602]), any_versions())
            .prop_map(|(code, versions)| refusal(code, &versions))
    }

    proptest! {
        /// Whatever a server answers, in whatever order: when nothing that it was asked is open any more, it is decided.
        #[test]
        fn every_probe_ends_with_its_answers(
            rule in prop::sample::select(vec![
                AUTO, KNOWN_LEGACY, KNOWN_MODERN, EraRule::Only(ServerEra::Modern), EraRule::Only(ServerEra::Legacy),
            ]),
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), any_versions(), any_refusal()), 16),
        ) {
            let (mut probe, mut next, now) = begun(rule);
            let (mut open, mut asked) = (Vec::new(), (0, 0));
            for (late, last, good, versions, refusal) in steps {
                match next {
                    Next::Discover => { asked.0 += 1; open.push(Next::Discover); }
                    Next::Initialize => { asked.1 += 1; open.push(Next::Initialize); }
                    Next::Wait => prop_assert!(!open.is_empty(), "it waits for nothing"),
                    Next::Speaks(_) | Next::Failed(_) => return Ok(()),
                }
                if late && probe.deadline().is_some() {
                    next = probe.tick(now + PATIENCE);
                    continue;
                }
                let at = if last { open.len() - 1 } else { 0 };
                next = probe.heard(match (open.remove(at), good) {
                    (Next::Discover, true) => discovered(&versions),
                    (Next::Discover, false) => Heard::DiscoverRefused(refusal),
                    (_, true) => Heard::Greeted,
                    (_, false) => Heard::GreetingRefused(refusal),
                });
            }
            prop_assert!(false, "asked without end: {asked:?}");
        }
    }
}
