//! The promises of lists that are asked for again.

use std::time::Duration;

use bytes::Bytes;
use mcproxy_ipc::data::{GatewayToWorker, Outcome, WorkerToGateway};

use super::{
    list_state::DEBOUNCE,
    output::SessionOutput,
    tests::{call, discard, say, serving, spec, told, written},
    *,
};
use crate::lines::ServerLine;

const MINUTE: Duration = Duration::from_secs(60);

/// A session whose server has listed what `answer` says, with this `listTtl`.
fn listed(ttl: Option<Duration>, answer: &str, now: Instant) -> Session {
    let mut session = Session::new(&WorkerSpec { list_ttl: ttl, ..spec() }, true, discard(), now);
    let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}}}}"#;
    say(&mut session, greeting, now);
    say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":2,{answer}}}"#), now);
    session
}

fn check(session: &mut Session, now: Instant) -> Vec<WorkerToGateway> {
    let message = GatewayToWorker::CheckList { method: "tools/list".into(), session: None };
    session.frame(message, b"", now);
    told(session).into_iter().map(|(message, _)| message).collect()
}

fn is_asked(session: &mut Session) -> bool {
    written(session).contains("tools/list")
}

#[test]
fn an_old_list_is_asked_for_in_the_background_and_once_at_a_time() {
    let start = Instant::now();
    let mut session = listed(Some(MINUTE), r#""result":{"tools":[]}"#, start);
    session.context.out = SessionOutput::default();
    let checked = |messages: &[WorkerToGateway]| matches!(messages, [WorkerToGateway::ListChecked { .. }]);
    assert!(checked(&check(&mut session, start + MINUTE / 2)) && !is_asked(&mut session));
    let later = start + MINUTE;
    assert!(checked(&check(&mut session, later)), "what is known answers the client");
    assert!(is_asked(&mut session));
    for _ in 0..3 {
        check(&mut session, later);
        assert!(!is_asked(&mut session), "one is under way");
    }
    say(&mut session, r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"a"}]}}"#, later);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Catalogue { revision: 2, .. }, _)]));
    assert!(!is_asked(&mut session), "it is new now");
    assert!(checked(&check(&mut session, later)) && !is_asked(&mut session));
}

#[test]
fn a_list_whose_time_is_over_is_answered_when_the_server_has() {
    let start = Instant::now();
    let mut session = listed(None, r#""result":{"tools":[],"ttlMs":0,"cacheScope":"public"}"#, start);
    session.context.out = SessionOutput::default();
    assert!(check(&mut session, start).is_empty() && is_asked(&mut session));
    say(&mut session, r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"a"}],"ttlMs":60000}}"#, start);
    let messages = told(&mut session);
    let [(WorkerToGateway::Catalogue { .. }, _), (WorkerToGateway::ListChecked { .. }, _)] = &messages[..] else {
        panic!("{messages:?}")
    };
}

#[test]
fn a_refused_list_is_asked_for_after_a_pause_and_reported_until_it_is_there() {
    let start = Instant::now();
    let mut session = listed(None, r#""error":{"code":-32603,"message":"no network"}"#, start);
    let [SessionEvent::Ready(_), SessionEvent::ListFailures(failures)] = &session.context.out.events[..] else {
        panic!("{:?}", session.context.out.events)
    };
    assert!(failures[0].error.contains("no network") && failures[0].retry_in == Duration::from_secs(1), "{failures:?}");
    assert_eq!(session.catalogue_to_keep(), None, "what an earlier start has found stays");
    session.context.out = SessionOutput::default();
    let again = session.deadline().expect("it is asked again");
    assert_eq!(again, start + Duration::from_secs(1));
    session.tick(false, again);
    assert!(is_asked(&mut session));
    // Not in time is as good as refused, and the server is told that no one waits.
    let late = again + Duration::from_secs(30);
    session.tick(false, late);
    assert!(written(&mut session).contains(r#""requestId":3"#));
    let [SessionEvent::ListFailures(failures)] = &session.context.out.events[..] else {
        panic!("{:?}", session.context.out.events)
    };
    assert_eq!((failures[0].attempts, failures[0].retry_in), (2, Duration::from_secs(2)));
    session.context.out = SessionOutput::default();
    session.tick(false, late + Duration::from_secs(2));
    let lines = written(&mut session);
    let asked: serde_json::Value = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .find(|line: &serde_json::Value| line["method"] == "tools/list")
        .expect("it is asked again");
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{{"name":"a"}}]}}}}"#, asked["id"]);
    say(&mut session, &answer, late);
    assert!(session.context.out.events.contains(&SessionEvent::ListFailures(Vec::new())));
    assert_eq!(session.catalogue_to_keep(), Some(session.catalogue()));
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Catalogue { .. }, _)]));
}

#[test]
fn a_list_that_cannot_be_read_any_more_is_reported_and_not_asked_for_at_every_check() {
    let start = Instant::now();
    let mut session = listed(Some(MINUTE), r#""result":{"tools":[{"name":"a"}]}"#, start);
    session.context.out = SessionOutput::default();
    let later = start + MINUTE;
    check(&mut session, later);
    assert!(is_asked(&mut session));
    say(&mut session, r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[NaN]}}"#, later);
    let [SessionEvent::ListFailures(failures)] = &session.context.out.events[..] else {
        panic!("{:?}", session.context.out.events)
    };
    assert_eq!((&*failures[0].method, failures[0].attempts), ("tools/list", 1));
    for _ in 0..3 {
        check(&mut session, later);
        assert!(!is_asked(&mut session), "its pause is not over");
    }
    assert_eq!(session.lists.catalogue.counts().tools, 1, "what was known stays");
}

#[test]
fn a_server_that_gives_some_of_its_lists_is_ready_without_the_others() {
    let start = Instant::now();
    let mut session = Session::new(&spec(), true, discard(), start);
    let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"prompts":{}}}}"#;
    say(&mut session, greeting, start);
    say(&mut session, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"a"}]}}"#, start);
    assert!(session.context.out.events.is_empty());
    session.tick(false, start + spec().start_timeout);
    let [SessionEvent::Ready(_), SessionEvent::ListFailures(failures)] = &session.context.out.events[..] else {
        panic!("{:?}", session.context.out.events)
    };
    assert_eq!(failures[0].method, "prompts/list");
}

#[test]
fn what_the_server_announces_is_passed_on_even_if_nothing_has_changed_but_not_too_often() {
    let start = Instant::now();
    let mut session = serving(start);
    let mut announce = |id: u64, tools: &str, now: Instant| {
        say(&mut session, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#, now);
        session.tick(false, now + DEBOUNCE);
        say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":{tools}}}}}"#), now + DEBOUNCE);
        let messages: Vec<(WorkerToGateway, String)> = told(&mut session);
        messages.iter().any(|(message, _)| matches!(message, WorkerToGateway::ListChanged { .. }))
    };
    let same = r#"[{"name":"a"}]"#;
    assert!(announce(3, same, start));
    assert!(!announce(4, same, start + DEBOUNCE), "said a moment ago");
    assert!(announce(5, r#"[{"name":"b"}]"#, start + 2 * DEBOUNCE), "this one is news");
    assert!(announce(6, r#"[{"name":"b"}]"#, start + MINUTE));
}

#[test]
fn a_check_before_the_server_is_ready_is_answered_at_once() {
    let start = Instant::now();
    let mut session = Session::new(&spec(), true, discard(), start);
    session.context.out.server.clear();
    let messages = check(&mut session, start);
    assert!(matches!(messages[..], [WorkerToGateway::ListChecked { .. }]), "{messages:?}");
    assert_eq!(session.context.out.server, Bytes::new());
}

#[test]
fn changes_are_gathered_and_pushed_once_and_only_when_something_changed() {
    let now = Instant::now();
    let mut session = serving(now);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    for (id, name, news) in [(3, "a", 0), (4, "b", 1)] {
        for _ in 0..4 {
            say(&mut session, changed, now);
        }
        session.tick(false, now);
        assert_eq!(written(&mut session), "", "debounced");
        session.tick(false, now + DEBOUNCE);
        assert_eq!(written(&mut session).lines().count(), 1);
        say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{{"name":"{name}"}}]}}}}"#), now);
        let told = told(&mut session);
        let catalogues =
            told.iter().filter(|(message, _)| matches!(message, WorkerToGateway::Catalogue { .. })).count();
        assert_eq!((catalogues, told.len()), (news, news + 1), "and the server's word is passed on: {told:?}");
        assert_eq!(session.context.out.events.len(), news);
    }
}

/// A session that is asking for its tools again, with request 3.
fn listing_again(now: Instant) -> Session {
    let mut session = serving(now);
    say(&mut session, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#, now);
    session.tick(false, now + DEBOUNCE);
    assert!(written(&mut session).contains(r#""id":3,"method":"tools/list""#));
    session
}

#[test]
fn a_page_that_is_too_long_does_not_cost_the_only_call_its_answer() {
    let now = Instant::now();
    let mut session = listing_again(now);
    call(&mut session, 70, now);
    let head = Bytes::from_static(br#"{"jsonrpc":"2.0","id":3,"result":{"#);
    session.line(ServerLine::TooLong { head, tail: Bytes::new(), len: 2 << 20 }, now);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::ListChanged { .. }, _)]));
    say(&mut session, r#"{"jsonrpc":"2.0","id":4,"result":{}}"#, now);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Done { id: 70, outcome: Outcome::Result, .. }, _)]));
}
