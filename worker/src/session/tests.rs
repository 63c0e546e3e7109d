//! The promises of the session.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bytes::Bytes;
use mcproxy_ipc::{
    CallTimeouts, EraRule, Generation, Instances, LaunchSpec, Reach, ServerLimits, ServerName,
    data::{CallContext, GatewayToWorker, Outcome, ServerEra, WorkerToGateway},
};
use proptest::prelude::*;

use super::{list_state::DEBOUNCE, output::SessionOutput, *};
use crate::lines::ServerLine;

/// A spec for tests.
pub(crate) fn spec() -> WorkerSpec {
    WorkerSpec {
        server: ServerName::try_from("fixture").expect("a name"),
        generation: Generation(3),
        reach: Reach::Command(LaunchSpec {
            program: "fixture".into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            looked_up: Vec::new(),
        }),
        start_timeout: Duration::from_secs(10),
        timeouts: CallTimeouts {
            idle: Duration::from_secs(30),
            total: Duration::from_secs(100),
            input: Duration::from_secs(600),
        },
        features: None,
        extensions: Vec::new(),
        client: None,
        era: EraRule::Auto { known: Some(ServerEra::Legacy) },
        limits: ServerLimits {
            line_bytes: 1 << 20,
            tools: 100,
            catalogue_bytes: 1 << 20,
            concurrent_calls: 4,
            memory_bytes: None,
            processes: None,
            cpu_millis: None,
            pages: 100,
            garbage_lines: 1000,
            stderr_lines: 200,
            write_timeout: Duration::from_secs(10),
        },
        instances: Instances::Shared,
        cgroup: None,
        confinement: Default::default(),
        idle_timeout: None,
        list_ttl: None,
        catalogue_file: None,
        may_clear_cache: false,
    }
}

pub(super) fn text(line: &str) -> ServerLine {
    ServerLine::Text(Bytes::copy_from_slice(line.as_bytes()))
}

pub(super) fn discard() -> Logger {
    Logger::root(slog::Discard, slog::o!())
}

/// A session whose server has one tool and is ready; the gateway is there.
pub(super) fn serving(now: Instant) -> Session {
    let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"f","version":"1"}}}"#;
    let mut session = ready(greeting, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"a"}]}}"#, now);
    session.context.out = SessionOutput::default();
    session
}

/// A session whose server has greeted and listed its tools.
pub(crate) fn ready(greeting: &str, tools: &str, now: Instant) -> Session {
    let mut session = Session::new(&spec(), true, discard(), now);
    say(&mut session, greeting, now);
    say(&mut session, tools, now);
    assert!(matches!(session.context.out.events[..], [SessionEvent::Ready(_)]));
    session
}

pub(crate) fn say(session: &mut Session, line: &str, now: Instant) {
    session.line(text(line), now);
}

pub(super) fn call(session: &mut Session, id: u64, now: Instant) {
    let context = CallContext { wants_progress: true, ..Default::default() };
    session.frame(GatewayToWorker::Call { id, method: "tools/call".into(), meta_at: 2, context }, b"{}", now);
}

pub(crate) fn written(session: &mut Session) -> String {
    String::from_utf8(std::mem::take(&mut session.context.out.server)).expect("UTF-8")
}

pub(crate) fn told(session: &mut Session) -> Vec<(WorkerToGateway, String)> {
    session.context.out.gateway.drain(..).map(|(m, p)| (m, String::from_utf8(p.to_vec()).expect("UTF-8"))).collect()
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

#[test]
fn a_servers_own_requests_are_answered() {
    let now = Instant::now();
    let mut session = serving(now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#, now);
    say(&mut session, r#"{"jsonrpc":"2.0","id":"r","method":"roots/list"}"#, now);
    let lines = written(&mut session);
    assert!(lines.contains(r#""id":"p","result":{}"#) && lines.contains("-32601"), "{lines}");
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

/// A session that is asking for its tools again, with request 3.
fn listing_again(now: Instant) -> Session {
    let mut session = serving(now);
    say(&mut session, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#, now);
    session.tick(false, now + DEBOUNCE);
    assert!(written(&mut session).contains(r#""id":3,"method":"tools/list""#));
    session
}

#[test]
fn a_server_that_reads_slowly_and_never_all_is_not_taken_for_one_that_does_not_read() {
    let now = Instant::now();
    let mut session = serving(now);
    for _ in 0..300_000 {
        say(&mut session, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, now);
        let waiting = session.context.out.server.len();
        session.context.out.server.drain(..waiting.saturating_sub(1000)); // it reads all but the last
    }
    assert_eq!(session.context.out.events, []);
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

#[test]
fn a_server_that_asks_and_does_not_read_the_answers_is_given_up() {
    let now = Instant::now();
    let mut session = serving(now);
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for _ in 0..50_000 {
        say(&mut session, ping, now);
        session.context.out.server.clear(); // it reads
    }
    assert_eq!(session.context.out.events, []);
    for _ in 0..100_000 {
        say(&mut session, ping, now);
    }
    assert!(
        matches!(session.context.out.events[..], [SessionEvent::Broken(EndReason::Limit(_))]),
        "{:?}",
        session.context.out.events
    );
    assert!(session.context.out.server.len() < 2 << 20, "{} bytes wait for it", session.context.out.server.len());
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
