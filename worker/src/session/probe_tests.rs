//! The promises of the question what a server speaks.

use std::time::{Duration, Instant};

use mcproxy_ipc::{Activity, EraEvidence, EraRule, data::ServerEra};
use proptest::prelude::*;

use super::{
    probe::Probe,
    question::{ProbeAnswer, ProbeRefusal, ProbeStep},
};

const UNSUPPORTED_VERSION: i64 = -32022;
const AUTO: EraRule = EraRule::Auto { known: None };
const KNOWN_LEGACY: EraRule = EraRule::Auto { known: Some(ServerEra::Legacy) };
const KNOWN_MODERN: EraRule = EraRule::Auto { known: Some(ServerEra::Modern) };
const LEGACY: ProbeStep = ProbeStep::Speaks(ServerEra::Legacy);
const MODERN: ProbeStep = ProbeStep::Speaks(ServerEra::Modern);

fn refusal(code: i64, supported: &[&str]) -> ProbeRefusal {
    ProbeRefusal { code, supported: supported.iter().map(|&v| v.to_owned()).collect(), text: format!("{code}") }
}

fn discover_refused(code: i64) -> ProbeAnswer {
    ProbeAnswer::DiscoverRefused(refusal(code, &[]))
}

fn greeting_refused(code: i64) -> ProbeAnswer {
    ProbeAnswer::GreetingRefused(refusal(code, &[]))
}

fn discovered(versions: &[&str]) -> ProbeAnswer {
    ProbeAnswer::Discovered(versions.iter().map(|&v| v.to_owned()).collect())
}

fn begun(rule: EraRule) -> (Probe, ProbeStep, Instant) {
    let now = Instant::now();
    let (probe, next) = Probe::begin(rule, now);
    (probe, next, now)
}

/// The server reads what it was asked, and says nothing for as long as it may.
fn silent(probe: &mut Probe, now: Instant) -> ProbeStep {
    probe.has_read(now);
    let mut next = ProbeStep::Wait;
    while next == ProbeStep::Wait {
        let now = probe.deadline().expect("silence decides something");
        probe.looked_at(Activity::default(), now);
        next = probe.tick(now);
    }
    next
}

#[test]
fn a_server_that_answers_is_modern_and_one_that_refuses_is_asked_the_old_way() {
    let (mut probe, next, _) = begun(AUTO);
    assert_eq!(next, ProbeStep::Discover);
    assert_eq!(probe.heard(discovered(&["2026-07-28", "2025-11-25"])), MODERN);
    for code in [-32601, -32602, -32600, 0] {
        let (mut probe, ..) = begun(AUTO);
        assert_eq!(probe.heard(discover_refused(code)), ProbeStep::Initialize);
        assert_eq!(probe.heard(ProbeAnswer::Greeted), LEGACY);
        assert!(probe.story().contains(&code.to_string()), "{}", probe.story());
        assert_eq!(probe.evidence(), EraEvidence::Answer);
    }
    let (mut probe, ..) = begun(AUTO);
    assert_eq!(probe.heard(discovered(&["2025-11-25"])), ProbeStep::Initialize);
}

#[test]
fn a_server_that_names_our_version_in_its_refusal_is_asked_once_more() {
    let (mut probe, ..) = begun(AUTO);
    let unsupported = ProbeAnswer::DiscoverRefused(refusal(UNSUPPORTED_VERSION, &["2026-07-28"]));
    assert_eq!(probe.heard(unsupported.clone()), ProbeStep::Discover);
    assert_eq!(probe.heard(discovered(&["2026-07-28"])), MODERN);
    let (mut probe, ..) = begun(AUTO);
    assert_eq!(probe.heard(unsupported.clone()), ProbeStep::Discover);
    assert_eq!(probe.heard(unsupported), ProbeStep::Initialize);
    for other in [&["2025-11-25"][..], &[]] {
        let (mut probe, ..) = begun(AUTO);
        assert_eq!(
            probe.heard(ProbeAnswer::DiscoverRefused(refusal(UNSUPPORTED_VERSION, other))),
            ProbeStep::Initialize
        );
    }
}

#[test]
fn silence_begins_when_the_server_has_read_the_question_however_long_that_takes() {
    let (mut probe, _, start) = begun(AUTO);
    for second in 0..600 {
        let now = start + Duration::from_secs(second);
        assert_eq!(probe.tick(now), ProbeStep::Wait);
        assert!(
            probe.deadline().is_some_and(|look| look > now && look < now + Duration::from_secs(1)),
            "it is looked at"
        );
    }
    assert_eq!(silent(&mut probe, start + Duration::from_secs(600)), ProbeStep::Initialize);
}

#[test]
fn an_era_that_silence_decided_is_not_remembered_until_an_answer_comes_after_all() {
    let (mut probe, _, now) = begun(AUTO);
    assert_eq!(silent(&mut probe, now), ProbeStep::Initialize);
    assert_eq!(probe.heard(ProbeAnswer::Greeted), LEGACY);
    assert_eq!(probe.evidence(), EraEvidence::Silence);
    assert_eq!(probe.heard(discover_refused(-32601)), ProbeStep::Wait);
    assert_eq!(probe.evidence(), EraEvidence::Answer);
}

#[test]
fn a_server_of_both_eras_that_answers_late_is_started_again_and_asked_nothing_that_fixes_it() {
    let before_it_is_ready = |first: ProbeAnswer, second: ProbeAnswer, last: ProbeStep| {
        let (mut probe, _, now) = begun(AUTO);
        assert_eq!(silent(&mut probe, now), ProbeStep::Initialize);
        probe.heard(first);
        assert_eq!(probe.heard(second), last);
        (probe, now)
    };
    let late = || discovered(&["2026-07-28"]);
    for (first, second) in [(late(), ProbeAnswer::Greeted), (ProbeAnswer::Greeted, late())] {
        let (probe, now) = before_it_is_ready(first, second, ProbeStep::StartAgain);
        let (mut again, next) = probe.begin_again(now);
        assert_eq!((next, again.excuses_an_end()), (ProbeStep::Discover, false));
        again.has_read(now);
        assert_eq!(again.deadline(), None, "nothing is asked behind it");
        assert_eq!(again.heard(late()), MODERN);
        assert_eq!(again.evidence(), EraEvidence::Answer);
        assert!(again.story().contains("only after initialize"), "{}", again.story());
    }
    // One that refuses `initialize` is fixed to nothing.
    let refused = || greeting_refused(UNSUPPORTED_VERSION);
    before_it_is_ready(late(), refused(), MODERN);
    before_it_is_ready(refused(), late(), MODERN);
    // One that leaves it unanswered may be.
    let (mut probe, _, now) = begun(AUTO);
    silent(&mut probe, now);
    assert_eq!(probe.heard(late()), ProbeStep::Wait);
    assert_eq!(silent(&mut probe, now), ProbeStep::StartAgain);
    assert_eq!(probe.begin_again(now).1, ProbeStep::Discover);
}

#[test]
fn an_end_at_the_question_or_behind_it_is_excused_once_and_is_an_answer() {
    let of_first_process = |answers: &[ProbeAnswer], patient: bool| {
        let (mut probe, _, now) = begun(AUTO);
        if patient {
            assert_eq!(silent(&mut probe, now), ProbeStep::Initialize);
        }
        answers.iter().for_each(|answer| drop(probe.heard(answer.clone())));
        assert!(probe.excuses_an_end(), "{answers:?} {patient}");
        let (mut again, next) = probe.begin_again(now);
        assert_eq!((next, again.excuses_an_end()), (ProbeStep::Initialize, false));
        assert_eq!(again.heard(ProbeAnswer::Greeted), LEGACY);
        assert!(again.story().contains("ended") && again.story().contains("started once more"), "{}", again.story());
        again.evidence()
    };
    assert_eq!(of_first_process(&[], false), EraEvidence::End);
    assert_eq!(of_first_process(&[], true), EraEvidence::End);
    assert_eq!(of_first_process(&[discover_refused(-32601)], false), EraEvidence::Answer);
    assert_eq!(of_first_process(&[discover_refused(-32601), ProbeAnswer::Greeted], false), EraEvidence::Answer);
    let (mut probe, ..) = begun(AUTO);
    probe.heard(discovered(&["2026-07-28"]));
    assert!(!probe.excuses_an_end(), "the question did not cost it that");
    assert!(!begun(KNOWN_LEGACY).0.excuses_an_end(), "there was no question");
}

#[test]
fn a_server_that_is_of_no_use_after_the_question_is_started_again_without_it() {
    // It refuses `initialize`, or ignores it, after it has refused the question.
    let (mut probe, _, now) = begun(AUTO);
    probe.heard(discover_refused(-32002));
    assert_eq!(probe.heard(greeting_refused(-32600)), ProbeStep::StartAgain);
    let (mut again, next) = probe.begin_again(now);
    assert_eq!(next, ProbeStep::Initialize);
    assert_eq!((again.heard(ProbeAnswer::Greeted), again.evidence()), (LEGACY, EraEvidence::Answer));
    let (mut probe, _, now) = begun(AUTO);
    probe.heard(discover_refused(-32002));
    assert_eq!(silent(&mut probe, now), ProbeStep::StartAgain);
    // It ignores both: whatever it does then, nothing was proven.
    let (mut probe, _, now) = begun(AUTO);
    assert_eq!(silent(&mut probe, now), ProbeStep::Initialize);
    assert_eq!(silent(&mut probe, now), ProbeStep::StartAgain);
    let (mut again, next) = probe.begin_again(now);
    assert_eq!(next, ProbeStep::Initialize);
    assert_eq!((again.heard(ProbeAnswer::Greeted), again.evidence()), (LEGACY, EraEvidence::Silence));
    // It does not want `initialize` in any case.
    let (mut probe, _, now) = begun(AUTO);
    probe.heard(discover_refused(-32601));
    probe.heard(greeting_refused(-32603));
    let (mut again, _) = probe.begin_again(now);
    assert!(matches!(again.heard(greeting_refused(-32603)), ProbeStep::Failed(_)));
}

#[test]
fn what_was_known_is_tried_first_and_corrected_by_answers_only() {
    let (mut probe, next, _) = begun(KNOWN_LEGACY);
    assert_eq!(next, ProbeStep::Initialize);
    assert_eq!(probe.heard(greeting_refused(UNSUPPORTED_VERSION)), ProbeStep::Discover);
    assert_eq!(probe.heard(discovered(&["2026-07-28"])), MODERN);
    let (mut probe, next, _) = begun(KNOWN_MODERN);
    assert_eq!((next, probe.excuses_an_end()), (ProbeStep::Discover, true));
    assert_eq!(probe.heard(discover_refused(-32601)), ProbeStep::Initialize);
    let (mut probe, ..) = begun(KNOWN_LEGACY);
    assert_eq!(probe.heard(ProbeAnswer::Greeted), LEGACY);
    assert_eq!(probe.story(), "as it did before");
    let waits = |rule| {
        let (mut probe, _, start) = begun(rule);
        probe.has_read(start);
        let ticks = (1..).map(|second| start + Duration::from_secs(second));
        ticks.into_iter().find(|now| probe.tick(*now) != ProbeStep::Wait).map(|now| now - start)
    };
    assert!(waits(KNOWN_MODERN) > waits(AUTO), "it is worth waiting for");
}

#[test]
fn what_is_configured_is_not_corrected() {
    let (mut probe, next, now) = begun(EraRule::Only(ServerEra::Modern));
    probe.has_read(now);
    assert_eq!((next, probe.excuses_an_end(), probe.deadline()), (ProbeStep::Discover, false, None));
    let failed = probe.heard(discover_refused(-32601));
    assert!(matches!(&failed, ProbeStep::Failed(why) if why.contains("auto")), "{failed:?}");
    let (mut probe, next, _) = begun(EraRule::Only(ServerEra::Legacy));
    assert_eq!((next, probe.evidence()), (ProbeStep::Initialize, EraEvidence::Configuration));
    let failed = probe.heard(ProbeAnswer::GreetingRefused(refusal(UNSUPPORTED_VERSION, &["2026-07-28"])));
    assert!(matches!(&failed, ProbeStep::Failed(why) if why.contains("auto")), "{failed:?}");
}

#[test]
fn a_start_that_fails_at_the_question_says_what_to_configure() {
    let (mut probe, _, now) = begun(AUTO);
    assert_eq!(probe.unanswered(), None, "it has not even read it");
    probe.has_read(now);
    assert!(probe.unanswered().is_some_and(|text| text.contains("\"era\": \"legacy\"")));
    probe.heard(discover_refused(-32601));
    assert_eq!(probe.unanswered(), None);
}

fn any_versions() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["2026-07-28", "2025-11-25", "x"]), 0..3)
}

fn any_refusal() -> impl Strategy<Value = ProbeRefusal> {
    (prop::sample::select(vec![-32601, UNSUPPORTED_VERSION, -32602]), any_versions())
        .prop_map(|(code, versions)| refusal(code, &versions))
}

proptest! {
    /// Whatever a server answers or leaves unanswered, in whatever order: when nothing that it was asked is open any more, it
    /// is decided, with two processes at most.
    #[test]
    fn every_probe_ends_with_its_answers(
        rule in prop::sample::select(vec![
            AUTO, KNOWN_LEGACY, KNOWN_MODERN, EraRule::Only(ServerEra::Modern), EraRule::Only(ServerEra::Legacy),
        ]),
        steps in prop::collection::vec((any::<bool>(), 0..4, any::<bool>(), any_versions(), any_refusal()), 24),
    ) {
        let (mut probe, mut next, mut now) = begun(rule);
        let (mut open, mut processes) = (Vec::new(), 1);
        for (last, what, good, versions, refusal) in steps {
            match next {
                ProbeStep::Discover | ProbeStep::Initialize => open.push(next.clone()),
                ProbeStep::Wait => prop_assert!(!open.is_empty(), "it waits for nothing"),
                ProbeStep::Speaks(_) | ProbeStep::Failed(_) => return Ok(()),
                ProbeStep::StartAgain => {
                    processes += 1;
                    prop_assert!(probe.is_spoiled() && processes == 2, "{processes} processes");
                    open.clear();
                    (probe, next) = probe.begin_again(now);
                    continue;
                }
            }
            probe.has_read(now);
            match (what, probe.deadline()) {
                (0, Some(_)) => {
                    for _ in 0..1000 {
                        let Some(deadline) = probe.deadline() else { break };
                        now = deadline;
                        probe.looked_at(Activity::default(), now);
                        next = probe.tick(now);
                        if next != ProbeStep::Wait {
                            break;
                        }
                    }
                    prop_assert!(next != ProbeStep::Wait, "deadlines after which nothing happens");
                    continue;
                }
                (1, _) if probe.excuses_an_end() => {
                    processes += 1;
                    prop_assert_eq!(processes, 2);
                    open.clear();
                    (probe, next) = probe.begin_again(now);
                    continue;
                }
                _ => {}
            }
            let at = if last { open.len() - 1 } else { 0 };
            next = probe.heard(match (open.remove(at), good) {
                (ProbeStep::Discover, true) => discovered(&versions),
                (ProbeStep::Discover, false) => ProbeAnswer::DiscoverRefused(refusal),
                (_, true) => ProbeAnswer::Greeted,
                (_, false) => ProbeAnswer::GreetingRefused(refusal),
            });
        }
        prop_assert!(false, "asked without end");
    }
}
