//! The promises of calls that are made as tasks.

use std::time::{Duration, Instant};

use mcproxy_ipc::data::{CallContext, GatewayToWorker, Outcome, Resumption, ServerEra, WorkerToGateway};

use super::{Session, tests::*};

/// A server with a tool that can only be run as a task.
fn slow(now: Instant) -> Session {
    let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}}}}"#;
    let tools = r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"slow","execution":{"taskSupport":"required"},"n":1.50},{"name":"quick"}]}}"#;
    let mut session = ready(greeting, tools, now);
    let told = told(&mut session);
    assert!(told[0].1.contains(r#"{"name":"slow","execution":{"taskSupport":"optional"},"n":1.50}"#), "{told:?}");
    written(&mut session);
    session
}

fn call(session: &mut Session, id: u64, params: &str, now: Instant) -> String {
    let context = CallContext::default();
    let meta_at = params.len();
    let call = GatewayToWorker::Call { id, method: "tools/call".into(), meta_at, context };
    session.frame(call, params.as_bytes(), now);
    written(session)
}

const CREATED: &str =
    r#"{"jsonrpc":"2.0","id":3,"result":{"task":{"taskId":"t\"1","status":"working","pollInterval":1000}}}"#;

#[test]
fn a_tool_that_needs_a_task_is_called_like_any_other() {
    let now = Instant::now();
    let mut session = slow(now);
    let line = call(&mut session, 70, r#"{"name":"slow","arguments":{}}"#, now);
    assert!(line.contains(r#""params":{"task":{"ttl":160000},"name":"slow","arguments":{},"#), "{line}");
    say(&mut session, CREATED, now);
    assert!(told(&mut session).is_empty());
    let line = written(&mut session);
    assert!(line.contains(r#""id":4,"method":"tasks/result","params":{"taskId":"t\"1"}"#), "{line}");
    let result = r#"{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t\"1"},"x":1}}"#;
    say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":4,"result":{result}}}"#), now);
    let done = WorkerToGateway::Done { id: 70, outcome: Outcome::Result, era: ServerEra::Legacy };
    assert_eq!(told(&mut session), [(done, r#"{"content":[],"_meta":{"x":1}}"#.to_owned())]);
    assert_eq!(session.calls.tasks.deadline(), None);
}

#[test]
fn other_tools_and_callers_that_want_a_task_themselves_are_left_alone() {
    let now = Instant::now();
    let mut session = slow(now);
    assert!(!call(&mut session, 70, r#"{"name":"quick"}"#, now).contains("\"task\""));
    let line = call(&mut session, 71, r#"{"name":"slow","task":{"ttl":1}}"#, now);
    assert!(line.contains(r#""task":{"ttl":1}"#) && !line.contains("160000"), "{line}");
    say(&mut session, &CREATED.replace("\"id\":3", "\"id\":4"), now);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Done { id: 71, .. }, _)]));
}

#[test]
fn a_task_that_is_worked_on_keeps_its_call_alive_within_the_total_time() {
    let start = Instant::now();
    let mut session = slow(start);
    call(&mut session, 70, r#"{"name":"slow"}"#, start);
    say(&mut session, CREATED, start);
    written(&mut session);
    let mut id = 4;
    for second in 1..100 {
        session.tick(false, start + Duration::from_secs(second));
        let polled = written(&mut session);
        // A server that is idle is asked whether it lives as well.
        id += polled.lines().count();
        assert!(polled.contains("tasks/get"), "{second}: {polled}");
        let poll = polled.lines().position(|line| line.contains("tasks/get")).expect("checked");
        let poll = id - polled.lines().count() + 1 + poll;
        say(
            &mut session,
            &format!(r#"{{"jsonrpc":"2.0","id":{poll},"result":{{"status":"working"}}}}"#),
            start + Duration::from_secs(second),
        );
        assert!(told(&mut session).is_empty(), "{second}");
    }
    session.tick(false, start + Duration::from_secs(100));
    assert!(written(&mut session).contains(r#""method":"tasks/cancel","params":{"taskId":"t\"1"}"#));
    let told = told(&mut session);
    assert!(matches!(told[..], [(WorkerToGateway::Done { id: 70, outcome: Outcome::Error, .. }, _)]), "{told:?}");
}

#[test]
fn a_task_goes_with_its_call_whether_it_is_there_already_or_not_yet() {
    let now = Instant::now();
    for is_there in [true, false] {
        let mut session = slow(now);
        call(&mut session, 70, r#"{"name":"slow"}"#, now);
        if is_there {
            say(&mut session, CREATED, now);
        }
        written(&mut session);
        session.frame(GatewayToWorker::Cancel { id: 70, reason: None }, b"", now);
        if !is_there {
            assert!(written(&mut session).contains("notifications/cancelled"));
            say(&mut session, CREATED, now);
        }
        assert!(written(&mut session).contains(r#""method":"tasks/cancel","params":{"taskId":"t\"1"}"#), "{is_there}");
        assert!(told(&mut session).is_empty() && session.calls.tasks.deadline().is_none());
    }
}

/// A server that works on the task of call 70, whose result is the answer to request 4.
fn working(now: Instant) -> Session {
    let mut session = slow(now);
    call(&mut session, 70, r#"{"name":"slow"}"#, now);
    say(&mut session, CREATED, now);
    written(&mut session);
    session
}

#[test]
fn the_result_of_a_task_is_checked_and_mended_like_any_other() {
    let now = Instant::now();
    let answers = [
        ("[]", Outcome::Error, "is no JSON-RPC response"),
        (r#"{"a":1e999}"#, Outcome::Error, "column"),
        (r#"{"content":[],"_meta":7}"#, Outcome::Result, r#"{"content":[]}"#),
        (
            r#"{"content":[],"_meta":{"progressToken":{},"io.modelcontextprotocol/related-task":{"taskId":"t"}}}"#,
            Outcome::Result,
            r#"{"content":[]}"#,
        ),
    ];
    for (result, expected, part) in answers {
        let mut session = working(now);
        say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":4,"result":{result}}}"#), now);
        let told = told(&mut session);
        let [(WorkerToGateway::Done { id: 70, outcome, .. }, payload)] = &told[..] else { panic!("{told:?}") };
        assert!(*outcome == expected && payload.contains(part), "{result}: {told:?}");
    }
}

#[test]
fn a_server_that_says_nothing_of_its_tasks_leaves_nothing_behind() {
    let start = Instant::now();
    let mut session = working(start);
    for second in 1..100 {
        session.tick(false, start + Duration::from_secs(second));
    }
    let lines = written(&mut session);
    assert_eq!(lines.matches("tasks/get").count(), 1, "one question at a time: {lines}");
    assert_eq!(lines.matches("tasks/cancel").count(), 1, "{lines}");
    assert!(session.calls.tasks.is_empty());

    assert_eq!(session.context.requests.count(), 0);
}

#[test]
fn an_answer_that_cannot_be_read_ends_the_task_of_its_call() {
    let now = Instant::now();
    let mut session = working(now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":4,"result":{"content":[NaN]}}"#, now);
    assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Done { id: 70, .. }, _)]));
    assert!(session.calls.tasks.is_empty());
}

#[test]
fn progress_with_a_task_reaches_the_caller_and_keeps_the_call_alive() {
    let start = Instant::now();
    let mut session = slow(start);
    let (params, context) = (r#"{"name":"slow"}"#, CallContext { wants_progress: true, ..CallContext::default() });
    let call = GatewayToWorker::Call { id: 70, method: "tools/call".into(), meta_at: params.len(), context };
    session.frame(call, params.as_bytes(), start);
    assert!(written(&mut session).contains(r#""progressToken":3"#));
    say(&mut session, CREATED, start);
    for second in (20..100).step_by(20) {
        let now = start + Duration::from_secs(second);
        let report = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":3,"progress":1}}"#;
        say(&mut session, report, now);
        assert_eq!(told(&mut session), [(WorkerToGateway::Progress { id: 70 }, r#"{"progress":1}"#.to_owned())]);
        // What the server does not say of the task is no matter.
        session.tick(false, now);
        assert!(told(&mut session).is_empty(), "{second}");
    }
}

#[test]
fn a_call_that_waits_for_its_client_keeps_its_task() {
    let start = Instant::now();
    let asked = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#;
    // The server asks, and makes the task before or after the client is told.
    for is_told_first in [true, false] {
        let mut session = slow(start);
        session.context.terms.features.form = true;
        let context =
            CallContext { client_capabilities: Some(r#"{"elicitation":{}}"#.into()), ..CallContext::default() };
        let params = r#"{"name":"slow"}"#;
        let call = GatewayToWorker::Call {
            id: 70,
            method: "tools/call".into(),
            meta_at: params.len(),
            context: context.clone(),
        };
        session.frame(call, params.as_bytes(), start);
        written(&mut session);
        say(&mut session, asked, start);
        session.tick(false, start);
        let now = start + Duration::from_millis(50);
        if !is_told_first {
            say(&mut session, CREATED, now);
        }
        session.tick(false, now);
        let messages = told(&mut session);
        let [(WorkerToGateway::NeedsInput { id: 70, resumption: Resumption::Parked { handle } }, _)] = messages[..]
        else {
            panic!("{is_told_first}: {messages:?}")
        };
        if is_told_first {
            say(&mut session, CREATED, now);
        }
        let lines = written(&mut session);
        assert!(lines.contains("tasks/result") && !lines.contains("tasks/cancel"), "{is_told_first}: {lines}");
        let answers = br#"{"r1":{"result":{"action":"accept"}}}"#;
        session.frame(GatewayToWorker::Resume { id: 71, handle, context }, answers, now);
        assert!(written(&mut session).contains(r#""id":"q","result":{"action":"accept"}"#));
        say(&mut session, r#"{"jsonrpc":"2.0","id":4,"result":{"content":[]}}"#, now);
        assert!(matches!(
            told(&mut session)[..],
            [(WorkerToGateway::Done { id: 71, outcome: Outcome::Result, .. }, _)]
        ));
    }
}

#[test]
fn a_refusal_and_a_result_at_once_are_answers_too() {
    let now = Instant::now();
    for answer in [r#""error":{"code":-32602,"message":"no"}"#, r#""result":{"content":[]}"#] {
        let mut session = slow(now);
        call(&mut session, 70, r#"{"name":"slow"}"#, now);
        say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":3,{answer}}}"#), now);
        assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Done { id: 70, .. }, _)]), "{answer}");
    }
}
