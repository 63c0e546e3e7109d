//! A gateway that does not read, a server that does not, and output without end.

use std::path::Path;

use mcproxy_ipc::{
    EndReason,
    control::{SupervisorToWorker, WorkerToSupervisor},
    data::{Outcome, WorkerToGateway},
};
use tokio::time::timeout;

use crate::{
    harness::{DEADLINE, Worker, kill, run, runs},
    support::fixture,
};

#[test]
fn answers_over_the_limit_and_large_ones_below_it_are_told_apart() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        worker.ready().await;
        let mut gateway = worker.gateway().await;
        gateway.call(1, "hang", "{}").await;
        gateway.call(2, "echo_size", r#"{"bytes":20000000,"tag":"t"}"#).await;
        let (id, outcome, error) = gateway.done().await;
        assert_eq!((id, outcome), (2, Outcome::Error), "{error}");
        assert!(error.contains("over the limit"), "{error}");
        assert_eq!(gateway.text(3, "echo_size", r#"{"bytes":3000000,"tag":"t"}"#).await.len(), 3_000_000);
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        worker.ended().await;
    });
}

#[test]
fn a_gateway_that_does_not_read_stops_neither_itself_nor_the_worker() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        worker.ready().await;
        let mut gateway = worker.gateway().await;
        for id in 0..60 {
            gateway.call(id, "echo_size", r#"{"bytes":3000000,"tag":"t"}"#).await;
        }
        worker.to.send(&SupervisorToWorker::Ping(9)).await.expect("sent");
        assert_eq!(worker.report().await, Some(WorkerToSupervisor::Pong(9)));
        for _ in 0..60 {
            assert_eq!(gateway.done().await.1, Outcome::Result);
        }
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        worker.ended().await;
    });
}

#[test]
fn a_server_that_does_not_read_its_stdin_is_given_up_and_its_call_answered() {
    run(async {
        let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;
        let script = format!("read line; echo '{greeting}'; sleep 1000");
        let mut worker = Worker::start(Path::new("sh"), &["-c", &script], |_| {}).await;
        let (pid, _) = worker.ready().await;
        let mut gateway = worker.gateway().await;
        gateway.call(1, "x", &format!("{{\"a\":\"{}\"}}", "y".repeat(1 << 20))).await;
        let (id, _, error) = gateway.done().await;
        assert!(id == 1 && error.contains("31003"), "{error}");
        assert_eq!(worker.ended().await.reason, EndReason::Unresponsive);
        assert!(!runs(pid));
    });
}

#[test]
fn a_flood_on_stderr_delays_no_call_and_is_cut_in_the_log() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        worker.ready().await;
        let mut gateway = worker.gateway().await;
        gateway.call(1, "stderr_flood", r#"{"lines":200000}"#).await;
        assert_eq!(gateway.done().await.1, Outcome::Result);
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        let (mut logged, mut dropped) = (0, 0);
        loop {
            match timeout(DEADLINE, worker.from.next())
                .await
                .expect("in time")
                .expect("a frame")
                .expect("not the end")
                .0
            {
                WorkerToSupervisor::Log(record) => (logged, dropped) = (logged + 1, dropped + record.dropped),
                WorkerToSupervisor::Ended(_) => break,
                _ => {}
            }
        }
        assert!(logged < 20_000, "{logged} lines were logged");
        assert!(dropped + logged >= 190_000, "{dropped} dropped, {logged} logged");
    });
}

#[test]
fn a_leader_that_ended_is_noticed_though_its_child_floods_stdout() {
    run(async {
        let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;
        let flood = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
        let script = format!("read line; echo '{greeting}'; read line; yes '{flood}' & exec sleep 1000");
        let mut worker = Worker::start(Path::new("sh"), &["-c", &script], |_| {}).await;
        let (pid, _) = worker.ready().await;
        let mut gateway = worker.gateway().await;
        while !matches!(gateway.next().await, Some((WorkerToGateway::Log { .. }, _))) {}
        drop(gateway); // from here on the flood is read as fast as it comes
        kill(pid);
        assert_eq!(worker.ended().await.reason, EndReason::Exited { code: None, signal: Some(9) });
    });
}
