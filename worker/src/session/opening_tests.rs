//! The promises of the first words with a server that is lax in what it answers.

use std::time::Duration;

use mcproxy_ipc::{EraRule, data::ServerEra};

use super::{
    tests::{discard, say, spec, written},
    *,
};

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
