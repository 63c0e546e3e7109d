//! A worker that is told to drain.

use std::time::Duration;

use mcproxy_ipc::{
    EndReason,
    control::SupervisorToWorker,
    data::{Outcome, WorkerToGateway},
};

use crate::{
    harness::{DEADLINE, Worker, run, runs},
    support::fixture,
};

const LONG: Duration = Duration::from_secs(600);

#[test]
fn a_worker_that_drains_serves_on_until_its_gateway_lets_go() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        let (pid, _) = worker.ready().await;
        let mut gateway = worker.gateway().await;
        // A gateway sends calls once it knows what is offered; by then the worker has taken its connection.
        gateway.next().await.expect("the catalogue");
        gateway.call(1, "slow", r#"{"ms":300}"#).await;
        worker.to.send(&SupervisorToWorker::Drain { grace: LONG }).await.expect("sent");
        // The one that was under way, and one that came afterwards.
        assert_eq!(gateway.done().await.1, Outcome::Result);
        assert_eq!(gateway.text(2, "echo", r#"{"text":"still here"}"#).await, "still here");
        drop(gateway);
        assert_eq!(worker.ended().await.reason, EndReason::Stopped);
        assert!(!runs(pid));
    });
}

#[test]
fn a_drain_without_a_gateway_ends_at_once() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        worker.ready().await;
        worker.to.send(&SupervisorToWorker::Drain { grace: LONG }).await.expect("sent");
        assert_eq!(worker.ended().await.reason, EndReason::Stopped);
    });
}

#[test]
fn when_the_grace_of_a_drain_is_over_each_call_gets_its_one_error() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |spec| spec.timeouts.idle = 10 * DEADLINE).await;
        worker.ready().await;
        let mut gateway = worker.gateway().await;
        for id in 0..3 {
            gateway.call(id, "hang", "{}").await;
        }
        assert_eq!(gateway.text(3, "echo", r#"{"text":"all arrived"}"#).await, "all arrived");
        worker.to.send(&SupervisorToWorker::Drain { grace: Duration::from_millis(200) }).await.expect("sent");
        let mut answered = Vec::new();
        while let Some((message, payload)) = gateway.next().await {
            let WorkerToGateway::Done { id, outcome: Outcome::Error, .. } = message else { panic!("{message:?}") };
            let error: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
            assert_eq!((&error["code"], &error["data"]["reason"]), (&31003.into(), &"server_stopped".into()));
            answered.push(id);
        }
        answered.sort_unstable();
        assert_eq!(answered, [0, 1, 2]);
        assert_eq!(worker.ended().await.reason, EndReason::Stopped);
    });
}
