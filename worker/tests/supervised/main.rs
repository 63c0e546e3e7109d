//! The worker under a supervisor and with a gateway, both played by the test.

mod drain;
mod harness;
mod instances;
mod pressure;
mod starts;
#[path = "../support/mod.rs"]
mod support;
mod trees;

use std::{path::Path, time::Duration};

use harness::{DEADLINE, Worker, kill, run, runs};
use mcproxy_ipc::{
    EndReason,
    control::{SupervisorToWorker, WorkerToSupervisor},
    data::{GatewayToWorker, Outcome, WorkerToGateway},
};
use support::fixture;
use tokio::time::timeout;

#[test]
fn a_worker_serves_and_stops_and_leaves_nothing_behind() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        let (pid, description) = worker.ready().await;
        assert_eq!((description.era.as_str(), description.name.as_str()), ("legacy", "fixture"));
        let mut gateway = worker.gateway().await;
        let (first, payload) = gateway.next().await.expect("the catalogue");
        assert!(matches!(first, WorkerToGateway::Catalogue { revision: 1, .. }));
        let catalogue: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        assert_eq!(catalogue["tools"].as_array().expect("tools").len(), description.counts.tools);
        assert_eq!(gateway.text(7, "echo", r#"{"text":"hi"}"#).await, "hi");
        worker.to.send(&SupervisorToWorker::Ping(3)).await.expect("sent");
        assert_eq!(worker.report().await, Some(WorkerToSupervisor::Pong(3)));
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        assert_eq!(worker.ended().await.reason, EndReason::Stopped);
        assert!(!runs(pid));
    });
}

#[test]
fn a_killed_server_costs_every_call_in_flight_one_error() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &["--stderr", "famous last words"], |_| {}).await;
        let (pid, _) = worker.ready().await;
        let mut gateway = worker.gateway().await;
        for id in 0..100 {
            gateway.call(id, "hang", "{}").await;
        }
        assert_eq!(gateway.text(100, "echo", r#"{"text":"all arrived"}"#).await, "all arrived");
        kill(pid);
        let mut answered = std::collections::BTreeSet::new();
        while let Some((message, payload)) = gateway.next().await {
            let WorkerToGateway::Done { id, outcome: Outcome::Error, .. } = message else { panic!("{message:?}") };
            let error: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
            assert_eq!((&error["code"], &error["data"]["reason"]), (&31003.into(), &"server_exited".into()));
            assert!(error["data"]["stderrTail"].as_str().expect("a tail").contains("famous last words"));
            assert!(answered.insert(id), "{id} was answered twice");
        }
        assert_eq!(answered.len(), 100);
        let ended = worker.ended().await;
        assert_eq!(ended.reason, EndReason::Exited { code: None, signal: Some(9) });
        assert!(ended.stderr_tail.contains("famous last words"));
    });
}

#[test]
fn a_server_that_ignores_every_request_to_end_is_killed() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &["--ignore-term"], |_| {}).await;
        let (pid, _) = worker.ready().await;
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        assert_eq!(worker.ended().await.reason, EndReason::Stopped);
        assert!(!runs(pid));
    });
}

#[test]
fn the_way_a_server_ends_is_told_apart() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let missing = Worker::start(Path::new("no-such-program"), &[], |_| {}).await;
        assert_eq!(missing.ended().await.reason, EndReason::CommandNotFound { program: "no-such-program".into() });
        let early = Worker::start(&fixture, &["--exit-before-init", "3", "--stderr", "why"], |_| {}).await;
        let ended = early.ended().await;
        assert_eq!(
            (ended.reason, ended.stderr_tail.as_str()),
            (EndReason::Exited { code: Some(3), signal: None }, "why\n")
        );
        let silent =
            Worker::start(&fixture, &["--never-init"], |spec| spec.start_timeout = Duration::from_millis(200)).await;
        assert_eq!(silent.ended().await.reason, EndReason::StartTimeout);
        let mut mute = Worker::start(&fixture, &[], |_| {}).await;
        mute.ready().await;
        let mut gateway = mute.gateway().await; // a caller that leaves would cancel its call
        gateway.call(1, "close_stdout", "{}").await;
        assert_eq!(mute.ended().await.reason, EndReason::StdoutClosed);
        let mut noisy = Worker::start(&fixture, &[], |_| {}).await;
        noisy.ready().await;
        let mut gateway = noisy.gateway().await;
        gateway.call(1, "garbage", r#"{"lines":1500}"#).await;
        assert!(matches!(noisy.ended().await.reason, EndReason::Limit(_)));
    });
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_server_and_never_answered() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        worker.ready().await;
        let mut gateway = worker.gateway().await;
        gateway.call(1, "slow", r#"{"ms":60000}"#).await;
        assert_eq!(gateway.text(2, "echo", r#"{"text":"x"}"#).await, "x");
        gateway.to.send(&GatewayToWorker::Cancel { id: 1, reason: Some("enough".into()) }).await.expect("sent");
        let mut id = 2;
        loop {
            id += 1;
            match gateway.text(id, "cancelled_count", "{}").await.as_str() {
                "1" => break,
                _ => assert!(id < 10_000, "the server never heard of it"),
            }
        }
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        worker.ended().await;
    });
}

#[test]
fn a_newer_gateway_takes_the_place_of_an_older_one() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        worker.ready().await;
        let mut older = worker.gateway().await;
        assert_eq!(older.text(1, "echo", r#"{"text":"old"}"#).await, "old");
        older.call(2, "slow", r#"{"ms":60000}"#).await;
        let mut newer = worker.gateway().await;
        assert_eq!(newer.text(2, "echo", r#"{"text":"new"}"#).await, "new");
        while older.next().await.is_some() {}
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        worker.ended().await;
    });
}

#[test]
fn sigterm_stops_a_worker_as_its_supervisor_would() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        worker.ready().await;
        let pid = rustix::process::Pid::from_raw(i32::try_from(worker.process.id()).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
        assert_eq!(worker.ended().await.reason, EndReason::Stopped);
    });
}

#[test]
fn changed_tools_are_announced_to_gateway_and_supervisor() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        let (_, description) = worker.ready().await;
        let mut gateway = worker.gateway().await;
        gateway.call(1, "add_tool", r#"{"name":"fresh"}"#).await;
        let changed = loop {
            if let (WorkerToGateway::Catalogue { revision: 2, .. }, payload) =
                gateway.next().await.expect("not the end")
            {
                break payload;
            }
        };
        assert!(String::from_utf8_lossy(&changed).contains("\"fresh\""));
        match worker.report().await {
            Some(WorkerToSupervisor::Counts(counts)) => assert_eq!(counts.tools, description.counts.tools + 1),
            other => panic!("{other:?}"),
        }
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        worker.ended().await;
    });
}

#[test]
fn calls_that_nobody_had_read_yet_are_given_back_at_the_end_of_their_server() {
    run(async {
        let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;
        // What holds the server's stdin open keeps the worker's backlog full, so that the calls after it are left unread.
        let holder = "echo holder:$$ >&2; echo \"$1\"; exec sleep 60 >/dev/null 2>&1";
        let script = format!("exec 3<&0; read line; setsid sh -c '{holder}' sh '{greeting}' <&3 & exec sleep 1000");
        let mut worker = Worker::start(Path::new("sh"), &["-c", &script], |_| {}).await;
        let (pid, _) = worker.ready().await;
        let mut gateway = worker.gateway().await;
        gateway.call(0, "x", &format!("{{\"a\":\"{}\"}}", "y".repeat(3 << 19))).await;
        for id in 1..150 {
            gateway.call(id, "x", "{}").await;
        }
        kill(pid);
        let (mut last_words, mut unsent) = (String::new(), 0);
        for _ in 0..150 {
            let (id, outcome, error) = gateway.done().await;
            if outcome == Outcome::Unsent {
                // The first one was on its way to the server.
                assert!(id != 0 && error.is_empty(), "{id}: {error}");
                unsent += 1;
                continue;
            }
            assert!(error.contains("31003") && error.contains("server_exited"), "{id}: {error}");
            let error: serde_json::Value = serde_json::from_str(&error).expect("JSON");
            last_words = error["data"]["stderrTail"].as_str().expect("a tail").to_owned();
        }
        assert!(unsent > 0, "the others may be called at the next one");
        let holder = last_words.trim().strip_prefix("holder:").expect("the tail").parse().expect("a pid");
        assert_eq!(worker.ended().await.reason, EndReason::Exited { code: None, signal: Some(9) });
        assert!(!runs(holder), "it hid in a session of its own");
    });
}

#[test]
fn the_end_of_a_session_is_logged_once() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        worker.ready().await;
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        let mut logged = 0;
        while let Some((message, _)) = timeout(DEADLINE, worker.from.next()).await.expect("in time").expect("a frame") {
            logged += usize::from(format!("{message:?}").contains("session over"));
        }
        assert_eq!(logged, 1);
    });
}
