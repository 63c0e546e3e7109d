//! The promises of calls.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bytes::Bytes;
use mcproxy_ipc::data::{GatewayToWorker, Outcome, ServerEra, WorkerToGateway};
use proptest::prelude::*;

use super::{
    tests::{call, say, serving, spec, told, written},
    *,
};
use crate::lines::ServerLine;

#[test]
fn answers_and_progress_reach_the_call_they_belong_to() {
    let now = Instant::now();
    let mut session = serving(now);
    call(&mut session, 70, now);
    call(&mut session, 71, now);
    let lines = written(&mut session);
    assert!(lines.contains(r#""id":3,"#) && lines.contains(r#""progressToken":4"#), "{lines}");
    say(
        &mut session,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":4,"progress":1}}"#,
        now,
    );
    say(
        &mut session,
        r#"[{"jsonrpc":"2.0","id":4,"result":{"n":1.50e30}},{"jsonrpc":"2.0","id":3,"error":{"code":5,"message":"m"}}]"#,
        now,
    );
    say(&mut session, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#, now);
    let expected = [
        (WorkerToGateway::Progress { id: 71 }, r#"{"progress":1}"#.to_owned()),
        (
            WorkerToGateway::Done { id: 71, outcome: Outcome::Result, era: ServerEra::Legacy },
            r#"{"n":1.50e30}"#.to_owned(),
        ),
        (
            WorkerToGateway::Done { id: 70, outcome: Outcome::Error, era: ServerEra::Legacy },
            r#"{"code":5,"message":"m"}"#.to_owned(),
        ),
    ];
    assert_eq!(told(&mut session), expected);
}

#[test]
fn a_call_that_takes_too_long_is_answered_and_cancelled() {
    let now = Instant::now();
    let mut session = serving(now);
    call(&mut session, 70, now);
    written(&mut session);
    session.tick(false, now + Duration::from_secs(30));
    let answers = told(&mut session);
    assert!(
        matches!(&answers[..], [(WorkerToGateway::Done { id: 70, .. }, error)] if error.contains("31001")),
        "{answers:?}"
    );
    assert!(written(&mut session).contains(r#""method":"notifications/cancelled","params":{"requestId":3"#));
    say(&mut session, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#, now);
    assert_eq!(told(&mut session), []);
}

#[test]
fn an_answer_that_is_too_long_fails_its_call_only() {
    let now = Instant::now();
    let mut session = serving(now);
    call(&mut session, 70, now);
    call(&mut session, 71, now);
    let head = Bytes::from_static(br#"{"jsonrpc":"2.0","id":4,"result":{"#);
    session.line(ServerLine::TooLong { head, tail: Bytes::new(), len: 2 << 20 }, now);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Done { id: 71, outcome: Outcome::Error, .. }, _)]));
}

#[test]
fn an_answer_that_no_client_can_read_fails_its_call_at_once_and_no_other() {
    let now = Instant::now();
    for answer in [
        &b"{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"x\":NaN}}"[..],
        b"{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"x\":\"caf\xe9\"}}",
        b"{\"result\":{\"x\":\"a\tb\"},\"jsonrpc\":\"2.0\",\"id\":4}",
        b"{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"content\":[",
        b"{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":null}",
        b"{\"jsonrpc\":\"2.0\",\"id\":4,\"error\":{\"message\":\"x\"}}",
        b"{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"x\":1e999}}",
    ] {
        let mut session = serving(now);
        call(&mut session, 70, now);
        call(&mut session, 71, now);
        session.line(ServerLine::Text(Bytes::copy_from_slice(answer)), now);
        let told = told(&mut session);
        let [(WorkerToGateway::Done { id: 71, outcome: Outcome::Error, .. }, payload)] = &told[..] else {
            panic!("{told:?}")
        };
        assert!(payload.contains("no JSON-RPC response"), "{payload}");
    }
}

#[test]
fn an_unreadable_answer_without_an_id_is_that_of_the_only_call() {
    let now = Instant::now();
    let answer = r#"{"jsonrpc":"2.0","result":{"x":NaN},"more":{}"#;
    let mut session = serving(now);
    call(&mut session, 70, now);
    say(&mut session, "{'level': 'info'}", now);
    assert_eq!(told(&mut session), []);
    say(&mut session, answer, now);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Done { id: 70, outcome: Outcome::Error, .. }, _)]));
    call(&mut session, 71, now);
    call(&mut session, 72, now);
    say(&mut session, answer, now);
    assert_eq!(told(&mut session), [], "it may be either's");
}

#[test]
fn half_a_surrogate_pair_does_not_keep_a_client_waiting() {
    let now = Instant::now();
    let mut session = serving(now);
    call(&mut session, 70, now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":3,"result":{"a":"x\ud83d"}}"#, now);
    assert_eq!(told(&mut session)[0].1, r#"{"a":"x\ufffd"}"#);
    say(&mut session, r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"\ud83d"}}"#, now);
    assert_eq!(told(&mut session)[0].1, r#"{"data":"\ufffd"}"#);
    say(&mut session, r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":1e999}}"#, now);
    assert_eq!(told(&mut session), []);
}

#[test]
fn a_newer_gateway_gets_the_catalogue_and_the_calls_of_the_older_are_cancelled() {
    let now = Instant::now();
    let mut session = serving(now);
    call(&mut session, 70, now);
    written(&mut session);
    session.link_up(now);
    assert!(written(&mut session).contains("notifications/cancelled"));
    say(&mut session, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#, now);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Catalogue { .. }, _)]));
}

/// What can happen to a session.
#[derive(Debug, Clone)]
enum Happening {
    Call,
    Cancel(u64),
    Answer(u64),
    Progress(u64),
    ServerLine(String),
    TooLong(u64),
    Wait(u64),
    Relink,
}

fn happening() -> impl Strategy<Value = Happening> {
    let lines = ["garbage", "[]", "[1,{}]", "{}", r#"{"jsonrpc":"2.0","id":5}"#, r#"{"jsonrpc":"2.0","method":"x"}"#];
    prop_oneof![
        4 => Just(Happening::Call),
        1 => (1u64..20).prop_map(Happening::Cancel),
        4 => (1u64..25).prop_map(Happening::Answer),
        2 => (1u64..25).prop_map(Happening::Progress),
        1 => prop::sample::select(lines.to_vec()).prop_map(|line| Happening::ServerLine(line.to_owned())),
        1 => (1u64..25).prop_map(Happening::TooLong),
        2 => (1u64..60).prop_map(Happening::Wait),
        1 => Just(Happening::Relink),
    ]
}

proptest! {
    #[test]
    fn every_call_gets_exactly_one_answer_unless_its_caller_left(happenings in prop::collection::vec(happening(), 0..80)) {
        let mut now = Instant::now();
        let mut session = serving(now);
        let (mut calls, mut waived, mut answers) = (0, HashSet::new(), HashMap::<u64, u32>::new());
        let mut alive = true;
        let mut collect = |session: &mut Session| {
            for (message, _) in session.context.out.gateway.drain(..) {
                if let WorkerToGateway::Done { id, .. } = message {
                    *answers.entry(id).or_default() += 1;
                }
            }
            session.context.out.events.drain(..).any(|event| matches!(event, SessionEvent::Broken(_)))
        };
        for happening in happenings {
            if !alive {
                break;
            }
            match happening {
                Happening::Call => { calls += 1; call(&mut session, calls, now); }
                Happening::Cancel(id) => {
                    session.frame(GatewayToWorker::Cancel { id, reason: None }, b"", now);
                    if id <= calls { waived.insert(id); }
                }
                Happening::Answer(id) => say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#), now),
                Happening::Progress(id) => say(&mut session, &format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id}}}}}"#), now),
                Happening::ServerLine(line) => say(&mut session, &line, now),
                Happening::TooLong(id) => {
                    let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result""#).into();
                    session.line(ServerLine::TooLong { head, tail: Bytes::new(), len: 1 << 30 }, now);
                }
                Happening::Wait(seconds) => { now += Duration::from_secs(seconds); session.tick(false, now); }
                Happening::Relink => {
                    collect(&mut session);
                    session.link_up(now);
                    waived.extend(1..=calls);
                }
            }
            alive = !collect(&mut session);
            prop_assert!(!alive || session.deadline().is_some());
        }
        session.end(&EndReason::Exited { code: Some(1), signal: None }, "tail");
        collect(&mut session);
        for id in 1..=calls {
            let got = answers.get(&id).copied().unwrap_or(0);
            prop_assert!(got == 1 || (got == 0 && waived.contains(&id)), "call {} got {} answers", id, got);
        }
        prop_assert!(answers.keys().all(|id| (1..=calls).contains(id)));
    }

    #[test]
    fn no_line_of_a_server_makes_a_session_panic(lines in prop::collection::vec("\\PC{0,80}", 0..20)) {
        let now = Instant::now();
        let mut session = serving(now);
        for line in lines.iter().filter(|line| !line.is_empty()) {
            say(&mut session, line, now);
        }
    }
}

#[test]
fn a_result_of_just_the_limit_is_passed_on_and_one_of_a_byte_more_is_not() {
    let now = Instant::now();
    let mut session = serving(now);
    let limit = spec().limits.line_bytes;
    for (upstream, length) in [(3, limit - 1), (4, limit), (5, limit + 1)] {
        call(&mut session, upstream + 67, now);
        let result = format!("{{\"t\":\"{}\"}}", "x".repeat(length - 8));
        say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":{upstream},"result":{result}}}"#), now);
        let told = told(&mut session);
        let [(WorkerToGateway::Done { outcome, .. }, payload)] = &told[..] else { panic!("one answer") };
        match length > limit {
            false => assert!(*outcome == Outcome::Result && *payload == result),
            true => assert!(*outcome == Outcome::Error && payload.contains("limits.maxLine"), "{payload}"),
        }
    }
}

#[test]
fn a_malformed_request_of_the_server_does_not_answer_the_call_with_the_same_number() {
    let now = Instant::now();
    let mut session = serving(now);
    call(&mut session, 70, now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":3,"method":"roots/list","params":[]}"#, now);
    assert_eq!(told(&mut session), []);
    say(&mut session, r#"{"jsonrpc":"2.0","id":3}"#, now);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Done { id: 70, outcome: Outcome::Error, .. }, _)]));
}

/// As [`serving`], of a server that may be ended when no client needs it.
fn on_call(now: Instant) -> Session {
    let mut session = serving(now);
    session.calls.idle = Some(Idle::new(Duration::from_secs(5), now));
    session
}

#[test]
fn a_server_nobody_calls_may_be_left_and_a_call_takes_that_back() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut session = on_call(start);
    call(&mut session, 1, at(3));
    session.tick(false, at(5));
    session.tick(false, at(10));
    assert_eq!(session.context.out.events, [], "a call is in flight");
    say(&mut session, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#, at(11));
    session.tick(false, at(15));
    assert_eq!(session.context.out.events, []);
    session.tick(false, at(16));
    call(&mut session, 2, at(17));
    assert_eq!(session.context.out.events, [SessionEvent::NothingToDo, SessionEvent::Work]);
}

#[test]
fn only_a_gateway_that_leaves_a_server_with_nothing_to_do_ends_it() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut session = on_call(start);
    session.link_down();
    session.tick(false, at(100));
    assert_eq!(session.context.out.events, [], "no client could have called");
    session.link_up(at(100));
    session.link_up(at(101));
    session.tick(false, at(106));
    session.link_up(at(107));
    assert_eq!(session.context.out.events, [SessionEvent::NothingToDo], "another gateway came");
    session.tick(false, at(112));
    session.link_down();
    assert_eq!(session.context.out.events, [SessionEvent::NothingToDo, SessionEvent::NothingToDo, SessionEvent::Left]);
}
