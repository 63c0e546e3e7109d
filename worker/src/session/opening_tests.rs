//! The promises of the first words with a server that is lax in what it answers.

use std::time::Duration;

use bytes::Bytes;
use mcproxy_ipc::{
    EraRule,
    data::{ServerEra, WorkerToGateway},
};

use super::{
    tests::{discard, say, spec, told, written},
    *,
};
use crate::lines::ServerLine;

const GREETING: &str = r#"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"f","version":"1"}}"#;

fn asked(era: EraRule, now: Instant) -> Session {
    let mut session = Session::new(&WorkerSpec { era, ..spec() }, true, discard(), now);
    written(&mut session);
    session
}

/// A session with a server that declares no lists, and was asked for all of them as 2 to 5.
fn undeclared(now: Instant) -> Session {
    let mut session = asked(EraRule::Auto { known: Some(ServerEra::Legacy) }, now);
    say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{GREETING}}}"#), now);
    let lines = written(&mut session);
    assert!(["tools/list", "prompts/list", "resources/list", "templates/list"].iter().all(|list| lines.contains(list)));
    session
}

fn ready(session: &Session) -> Option<usize> {
    match &session.context.out.events[..] {
        [SessionEvent::Ready(description), ..] => Some(description.counts.tools),
        _ => None,
    }
}

#[test]
fn a_server_that_declares_no_lists_is_asked_for_them_and_a_method_it_does_not_know_is_none() {
    let now = Instant::now();
    let mut session = undeclared(now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"a"}]}}"#, now);
    for id in 3..=5 {
        assert_eq!(ready(&session), None);
        say(
            &mut session,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"what?"}}}}"#),
            now,
        );
    }
    assert_eq!((ready(&session), session.context.out.events.len()), (Some(1), 1), "nothing to report");
}

#[test]
fn lists_that_were_not_declared_and_are_not_answered_do_not_hold_the_start_up_for_long() {
    let now = Instant::now();
    let mut session = undeclared(now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"a"}]}}"#, now);
    let later = session.deadline().expect("it waits");
    assert!(later <= now + Duration::from_secs(5));
    session.tick(false, later);
    assert_eq!(ready(&session), Some(1));
}

#[test]
fn a_server_that_declares_nothing_and_refuses_its_tools_is_reported() {
    let now = Instant::now();
    let mut session = undeclared(now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"no network"}}"#, now);
    session.tick(false, session.deadline().expect("it waits"));
    let [SessionEvent::Ready(_), SessionEvent::ListFailures(failures)] = &session.context.out.events[..] else {
        panic!("{:?}", session.context.out.events)
    };
    assert!(failures[0].method == "tools/list" && failures[0].error.contains("no network"), "{failures:?}");
}

#[test]
fn the_only_question_is_answered_by_whatever_id_the_server_makes_of_it() {
    let refused = r#""error":{"code":-32700,"message":"cannot read the id"}"#;
    for id in ["null", "0", "\"\"", "[1]", "\"mcproxy-probe-1\"", "true", "-1"] {
        let now = Instant::now();
        let mut session = asked(EraRule::Auto { known: None }, now);
        say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":{id},{refused}}}"#), now);
        assert!(written(&mut session).contains(r#""id":2,"method":"initialize""#), "{id}");
        for id in ["\"2\"", "2.0", "null"] {
            let mut session = asked(EraRule::Auto { known: Some(ServerEra::Legacy) }, now);
            say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{GREETING}}}"#), now);
            assert!(written(&mut session).contains("notifications/initialized"), "{id}");
        }
    }
    // What is a message of its own answers nothing.
    let now = Instant::now();
    let mut session = asked(EraRule::Auto { known: None }, now);
    for line in [r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#, r#"{"starting":true}"#, "{}"] {
        say(&mut session, line, now);
        assert_eq!(written(&mut session), "", "{line}");
    }
}

#[test]
fn the_first_answers_make_a_server_ready_and_its_catalogue_is_the_first_message() {
    let now = Instant::now();
    let mut session = Session::new(&spec(), false, discard(), now);
    assert!(written(&mut session).contains(r#""method":"initialize""#));
    say(
        &mut session,
        r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2024-11-05","capabilities":{"tools":{},"resources":{}}}}"#,
        now,
    );
    assert_eq!(written(&mut session).lines().count(), 4, "initialized and three lists");
    for (id, list) in [(2, "tools"), (3, "resources")] {
        say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"{list}":[{{}}]}}}}"#), now);
    }
    assert_eq!(session.context.out.events, []);
    say(&mut session, r#"{"jsonrpc":"2.0","id":4,"error":{"code":-32601,"message":"no templates"}}"#, now);
    let [SessionEvent::Ready(description)] = &session.context.out.events[..] else { panic!("not ready") };
    assert_eq!((description.counts.tools, description.counts.resources, description.counts.templates), (1, 1, 0));
    assert!(session.context.out.gateway.is_empty(), "no gateway is there yet");
    session.link_up(now);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Catalogue { revision: 1, .. }, _)]));
}

#[test]
fn what_a_server_announces_while_it_starts_is_in_its_first_catalogue() {
    let now = Instant::now();
    let mut session = Session::new(&spec(), true, discard(), now);
    let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}}}}"#;
    say(&mut session, greeting, now);
    for id in 2..=4 {
        assert_eq!(session.context.out.events, []);
        say(&mut session, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#, now);
        let tools = vec!["{}"; id].join(",");
        say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{tools}]}}}}"#), now);
    }
    let [SessionEvent::Ready(description)] = &session.context.out.events[..] else {
        panic!("waits for a server that never settles")
    };
    assert_eq!(description.counts.tools, 4);
}

#[test]
fn a_server_that_is_not_ready_in_time_is_given_up() {
    let now = Instant::now();
    let mut session = Session::new(&spec(), false, discard(), now);
    let until = session.deadline().expect("always one before ready");
    session.tick(false, until);
    assert_eq!(session.context.out.events, [SessionEvent::Broken(EndReason::StartTimeout)]);
    say(&mut session, r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2024-11-05"}}"#, until);
    assert_eq!(session.context.out.events.len(), 1, "a late greeting changes nothing");
}

#[test]
fn a_program_that_repeats_what_it_is_told_is_called_that_and_its_echoes_are_no_answers() {
    let now = Instant::now();
    let mut session = Session::new(&spec(), false, discard(), now);
    let question = written(&mut session);
    say(&mut session, question.trim(), now);
    assert!(
        matches!(&session.context.out.events[..], [SessionEvent::Broken(EndReason::Handshake(why))] if why.contains("repeats"))
    );
    assert_eq!(written(&mut session), "", "nothing that it could repeat as an answer");
}

#[test]
fn an_error_in_answer_to_initialize_is_a_failed_handshake() {
    let now = Instant::now();
    let mut session = Session::new(&spec(), false, discard(), now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"too old"}}"#, now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":"mcproxy-probe-2","error":{"code":-32601,"message":"unknown"}}"#, now);
    assert!(
        matches!(&session.context.out.events[..], [SessionEvent::Broken(EndReason::Handshake(why))] if why.contains("too old"))
    );
}

#[test]
fn a_page_that_is_too_long_does_not_keep_a_server_from_becoming_ready() {
    let now = Instant::now();
    let mut session = Session::new(&spec(), true, discard(), now);
    let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}}}}"#;
    say(&mut session, greeting, now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{}],"nextCursor":"2"}}"#, now);
    let head = Bytes::from_static(br#"{"jsonrpc":"2.0","id":3,"result":{"#);
    session.line(ServerLine::TooLong { head, tail: Bytes::new(), len: 2 << 20 }, now);
    assert!(
        matches!(&session.context.out.events[..], [SessionEvent::Ready(description)] if description.counts.tools == 1)
    );
}
