//! The promises of questions within calls, and outside of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use mcproxy_ipc::{
    ClientFeatures, Instances, SessionKey,
    data::{CallContext, GatewayToWorker, Resumption, WorkerToGateway},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    output::SessionOutput,
    tests::{say, serving, spec, written},
    *,
};
use crate::lines::ServerLine;

/// A session with a server that may ask for everything, and what was seen of both.
struct World {
    session: Session,
    now: Instant,
    /// Requests of the server that it was not answered, and those that it took back.
    asked: BTreeSet<u64>,
    withdrawn: BTreeSet<u64>,
    last_ask: u64,
    last_call: u64,
    /// Calls that were not answered, by the gateway's number.
    calls: BTreeSet<u64>,
    /// The requests that the server knows of; whether they are over for it.
    requests: BTreeMap<u64, bool>,
    handles: Vec<u64>,
}

impl World {
    fn new(instances: Instances) -> Self {
        let now = Instant::now();
        let features = ClientFeatures { roots_changed: true, ..ClientFeatures::LISTED };
        let spec = WorkerSpec { features: Some(features), instances, ..spec() };
        let log = Logger::root(slog::Discard, slog::o!());
        let session = Session::new(&spec, true, log, now);
        let mut world = Self {
            session,
            now,
            asked: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            last_ask: 0,
            last_call: 0,
            calls: BTreeSet::new(),
            requests: BTreeMap::new(),
            handles: Vec::new(),
        };
        let greeting = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "f", "version": "1"}});
        world.say(&json!({"jsonrpc": "2.0", "id": 1, "result": greeting}));
        world.say(&json!({"jsonrpc": "2.0", "id": 2, "result": {"tools": [{"name": "a"}]}}));
        assert!(matches!(world.session.context.phase, SessionPhase::Serving));
        world.session.context.out = SessionOutput::default();
        world
    }

    fn say(&mut self, message: &Value) {
        let line = ServerLine::Text(Bytes::from(message.to_string()));
        self.session.line(line, self.now);
    }

    fn ask(&mut self, method: &str) -> u64 {
        self.last_ask += 1;
        self.asked.insert(self.last_ask);
        self.say(&json!({"jsonrpc": "2.0", "id": format!("s{}", self.last_ask), "method": method, "params": {}}));
        self.look();
        self.last_ask
    }

    fn call(&mut self, client: Option<u8>, capabilities: Option<&str>) -> u64 {
        self.last_call += 1;
        self.calls.insert(self.last_call);
        let context = CallContext {
            client_capabilities: capabilities.map(str::to_owned),
            client: client.map(|n| SessionKey([n; 16])),
            ..CallContext::default()
        };
        let call = GatewayToWorker::Call { id: self.last_call, method: "tools/call".into(), meta_at: 2, context };
        self.session.frame(call, b"{}", self.now);
        self.look();
        self.last_call
    }

    fn resume(&mut self, handle: u64) {
        self.last_call += 1;
        self.calls.insert(self.last_call);
        let message = GatewayToWorker::Resume { id: self.last_call, handle, context: CallContext::default() };
        self.session.frame(message, b"{}", self.now);
        self.look();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.tick(false, self.now);
        self.look();
    }

    /// Takes in what the server and the gateway are told, and holds it against what they may be told.
    fn look(&mut self) {
        let written = String::from_utf8(std::mem::take(&mut self.session.context.out.server)).expect("UTF-8");
        for line in written.lines() {
            let message: Value = serde_json::from_str(line).expect("JSON");
            match (message["method"].as_str(), &message["id"]) {
                (Some("tools/call"), id) => {
                    let before = self.requests.insert(id.as_u64().expect("an id"), false);
                    assert_eq!(before, None, "a call is sent once");
                }
                (Some("notifications/cancelled"), _) => {
                    let id = message["params"]["requestId"].as_u64().expect("an id");
                    let before = self.requests.insert(id, true);
                    assert_eq!(before, Some(false), "only what it was sent and has not answered");
                }
                (Some(_), _) => {}
                (None, id) => {
                    let n = id.as_str().and_then(|id| id.strip_prefix('s')).and_then(|n| n.parse().ok()).expect("ours");
                    assert!(self.asked.remove(&n) || self.withdrawn.remove(&n), "{n} is answered once: {line}");
                }
            }
        }
        for (message, _) in std::mem::take(&mut self.session.context.out.gateway) {
            match message {
                WorkerToGateway::Done { id, .. } => assert!(self.calls.remove(&id), "one answer: {id}"),
                WorkerToGateway::NeedsInput { id, resumption: Resumption::Parked { handle } } => {
                    assert!(self.calls.remove(&id), "one answer: {id}");
                    self.handles.push(handle);
                }
                _ => {}
            }
        }
    }
}

const ALL: Option<&str> = Some(r#"{"sampling":{},"elicitation":{},"roots":{"listChanged":true}}"#);

#[test]
fn a_call_is_sent_when_the_roots_that_the_server_asked_for_before_are_known() {
    let mut world = World::new(Instances::SingleClient);
    world.ask("roots/list");
    world.call(None, None);
    assert_eq!((world.requests.len(), world.asked.len()), (1, 1), "no client can be asked in a call of our own");
    world.call(Some(1), ALL);
    assert_eq!((world.requests.len(), world.handles.len()), (1, 1), "its client is asked first");
    let handle = world.handles[0];
    world.resume(handle);
    assert!(world.asked.is_empty() && world.requests.len() == 1);
    world.pass(Duration::from_millis(50));
    assert_eq!(world.requests.len(), 2);
}

#[test]
fn roots_that_are_asked_for_within_a_call_that_is_over_at_once_are_asked_for_in_the_next() {
    let mut world = World::new(Instances::SingleClient);
    world.call(Some(1), ALL);
    world.ask("roots/list");
    let request = *world.requests.keys().next().expect("it was sent");
    world.requests.insert(request, true);
    world.say(&json!({"jsonrpc": "2.0", "id": request, "result": {}}));
    (0..2).for_each(|_| world.pass(Duration::from_millis(10)));
    assert_eq!((world.asked.len(), world.handles.len()), (1, 0));
    world.call(Some(1), ALL);
    let handle = *world.handles.first().expect("its client is asked");
    world.resume(handle);
    assert!(world.asked.is_empty());
}

#[test]
fn a_call_that_was_never_sent_is_not_cancelled_at_the_server() {
    let mut world = World::new(Instances::SingleClient);
    world.ask("roots/list");
    world.call(Some(1), ALL);
    let handle = world.handles[0];
    world.session.frame(GatewayToWorker::Abandon { handle }, b"", world.now);
    world.look();
    world.pass(Duration::from_secs(1));
    assert!(world.asked.is_empty() && world.requests.is_empty(), "{:?}", world.requests);
    world.ask("roots/list");
    world.call(Some(1), ALL);
    let handle = world.handles[1];
    world.resume(handle);
    let id = world.last_call;
    world.session.frame(GatewayToWorker::Cancel { id, reason: None }, b"", world.now);
    world.pass(Duration::from_secs(1));
    assert!(world.requests.is_empty(), "{:?}", world.requests);
}

#[derive(Debug, Clone)]
enum StopStep {
    Call(u8),
    Ask(&'static str),
    Answer(usize),
    Resume(usize),
    Abandon(usize),
    Cancel(usize),
    Withdraw(usize),
    RootsChanged,
    Pass(u64),
}

fn step() -> impl Strategy<Value = StopStep> {
    let methods = vec!["roots/list", "sampling/createMessage", "elicitation/create", "ping"];
    prop_oneof![
        4 => (0..4u8).prop_map(StopStep::Call),
        6 => prop::sample::select(methods).prop_map(StopStep::Ask),
        3 => (0..4usize).prop_map(StopStep::Answer),
        3 => (0..4usize).prop_map(StopStep::Resume),
        1 => (0..4usize).prop_map(StopStep::Abandon),
        1 => (0..4usize).prop_map(StopStep::Cancel),
        1 => (0..4usize).prop_map(StopStep::Withdraw),
        1 => Just(StopStep::RootsChanged),
        3 => prop_oneof![Just(10u64), Just(50), Just(2_000), Just(700_000)].prop_map(StopStep::Pass),
    ]
}

proptest! {
    /// What `World` asserts after each step; and in the end no request is left without an answer.
    #[test]
    fn every_question_and_every_call_is_answered_once(of_one: bool, steps in prop::collection::vec(step(), 0..60)) {
        let mut world = World::new(if of_one { Instances::SingleClient } else { Instances::Shared });
        for step in steps {
            match step {
                StopStep::Call(0) => { world.call(None, None); }
                StopStep::Call(1) => { world.call(None, ALL); }
                StopStep::Call(n) => { world.call(Some(if of_one { 2 } else { n }), ALL); }
                StopStep::Ask(method) => { world.ask(method); }
                StopStep::Answer(n) => {
                    let open = world.requests.iter().filter(|(_, over)| !**over).map(|(id, _)| *id).nth(n);
                    if let Some(id) = open {
                        world.requests.insert(id, true);
                        world.say(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
                    }
                }
                StopStep::Resume(n) if n < world.handles.len() => {
                    let handle = world.handles.remove(n);
                    world.resume(handle);
                }
                StopStep::Abandon(n) if n < world.handles.len() => {
                    let handle = world.handles.remove(n);
                    world.session.frame(GatewayToWorker::Abandon { handle }, b"", world.now);
                }
                StopStep::Cancel(n) => if let Some(id) = world.calls.iter().copied().nth(n) {
                    world.calls.remove(&id);
                    world.session.frame(GatewayToWorker::Cancel { id, reason: None }, b"", world.now);
                },
                StopStep::Withdraw(n) => if let Some(ask) = world.asked.iter().copied().nth(n) {
                    world.asked.remove(&ask);
                    world.withdrawn.insert(ask);
                    world.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": format!("s{ask}")}}));
                },
                StopStep::RootsChanged => world.session.frame(GatewayToWorker::RootsChanged { session: SessionKey([2; 16]) }, b"", world.now),
                StopStep::Pass(ms) => world.pass(Duration::from_millis(ms)),
                StopStep::Resume(_) | StopStep::Abandon(_) => {}
            }
            world.look();
            prop_assert!(matches!(world.session.context.phase, SessionPhase::Serving), "it would be given up");
            world.session.health.heard(world.now);
        }
        // What is held waits for a call, and there is one when others have taken their time.
        world.pass(Duration::from_secs(700_000));
        world.session.health.heard(world.now);
        world.call(Some(2), ALL);
        world.pass(Duration::from_secs(700_000));
        world.session.health.heard(world.now);
        world.session.link_down();
        world.look();
        // What was gathered until then finds that its call is over.
        (0..2).for_each(|_| world.pass(Duration::from_millis(10)));
        prop_assert!(world.calls.is_empty(), "{:?}", world.calls);
        // Roots that were asked for too late for one call are for the next.
        world.session.link_up(world.now);
        world.call(Some(2), ALL);
        world.session.link_down();
        world.look();
        prop_assert!(world.asked.is_empty(), "{:?}", world.asked);
    }
}

#[test]
fn the_gateway_hears_what_a_server_takes_back_and_that_it_does_not_wait() {
    let mut world = World::new(Instances::Shared);
    world.call(Some(1), ALL);
    let upstream = *world.requests.keys().last().expect("it was sent");
    for _ in 0..2 {
        world.ask("sampling/createMessage");
    }
    world.pass(Duration::ZERO);
    world.pass(Duration::from_millis(20));
    let handle = *world.handles.last().expect("it waits");
    world.say(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "s1", "reason": "why"}}),
    );
    let told = std::mem::take(&mut world.session.context.out.gateway);
    let expected = WorkerToGateway::Withdrawn { handle, key: "r1".into(), reason: Some("why".into()) };
    assert!(matches!(told.as_slices().0, [(message, _)] if *message == expected), "{told:?}");
    world.say(&json!({"jsonrpc": "2.0", "id": upstream, "result": {}}));
    let told = std::mem::take(&mut world.session.context.out.gateway);
    let expected = WorkerToGateway::ParkedDone { handle };
    assert!(matches!(told.as_slices().0, [(message, _)] if *message == expected), "{told:?}");
    world.withdrawn.insert(1);
    world.resume(handle);
    assert!(world.calls.is_empty(), "the call has its answer");
}

#[test]
fn progress_of_the_client_goes_to_the_server_under_its_own_token() {
    let mut world = World::new(Instances::Shared);
    world.call(Some(1), ALL);
    let params = json!({"_meta": {"progressToken": "theirs"}});
    world.say(&json!({"jsonrpc": "2.0", "id": "s1", "method": "sampling/createMessage", "params": params}));
    world.asked.insert(1);
    world.pass(Duration::ZERO);
    world.pass(Duration::from_millis(20));
    let handle = *world.handles.last().expect("it waits");
    for key in ["r1", "r2"] {
        let message = GatewayToWorker::InputProgress { handle, key: key.into() };
        world.session.frame(message, br#"{"progress":1.50}"#, world.now);
    }
    let written = String::from_utf8(std::mem::take(&mut world.session.context.out.server)).expect("UTF-8");
    let expected =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"theirs","progress":1.50}}"#;
    assert_eq!(written.trim_end(), expected, "no client wants to hear of the other");
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
