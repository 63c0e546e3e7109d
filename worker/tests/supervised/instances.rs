//! A worker with an instance for each session, and gateways that come and go.

use std::time::Duration;

use mcproxy_ipc::{
    EndReason, InstanceRules, Instances, RunningInstances, SessionKey,
    control::{SupervisorToWorker, WorkerToSupervisor},
    data::{CallContext, GatewayToWorker, Outcome, WorkerToGateway},
};

use crate::{
    harness::{DEADLINE, Gateway, Worker, eventually, run, runs},
    support::fixture,
};

const ANN: SessionKey = SessionKey([1; 16]);
const BOB: SessionKey = SessionKey([2; 16]);

async fn start(rules: InstanceRules) -> Option<Worker> {
    let fixture = fixture()?;
    let mut worker = Worker::start(&fixture, &[], |spec| spec.instances = Instances::PerSession(rules)).await;
    loop {
        match worker.report().await {
            Some(WorkerToSupervisor::Ready(description)) => {
                assert!(description.counts.tools > 0);
                return Some(worker);
            }
            Some(WorkerToSupervisor::Instances(_)) => {}
            other => panic!("not ready: {other:?}"),
        }
    }
}

fn rules() -> InstanceRules {
    InstanceRules { max: 4, prewarm: 0, idle: None }
}

async fn call(gateway: &mut Gateway, session: SessionKey, id: u64, tool: &str, arguments: &str) {
    let params = format!("{{\"name\":\"{tool}\",\"arguments\":{arguments}}}");
    let context = CallContext { session: Some(session), ..CallContext::default() };
    let call = GatewayToWorker::Call { id, method: "tools/call".into(), meta_at: params.len(), context };
    gateway.to.send_with(&call, params.as_bytes()).await.expect("sent");
}

async fn say(gateway: &mut Gateway, session: SessionKey, id: u64, tool: &str, arguments: &str) -> String {
    call(gateway, session, id, tool, arguments).await;
    let (answered, outcome, payload) = gateway.done().await;
    assert_eq!((answered, outcome), (id, Outcome::Result), "{payload}");
    let result: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
    result["content"][0]["text"].as_str().expect("a text").to_owned()
}

#[test]
fn instances_outlive_the_gateway_and_its_answers_do_not() {
    run(async {
        let Some(mut worker) = start(rules()).await else { return };
        let mut first = worker.gateway().await;
        let pid = say(&mut first, ANN, 1, "pid", "{}").await;
        say(&mut first, ANN, 2, "remember", r#"{"text":"kept"}"#).await;
        let other = say(&mut first, BOB, 3, "pid", "{}").await;
        // Under way when the gateway is killed; the next one uses the same number for another call.
        call(&mut first, ANN, 4, "slow", r#"{"ms":300}"#).await;
        drop(first);
        let mut second = worker.gateway().await;
        assert!(matches!(second.next().await, Some((WorkerToGateway::Catalogue { .. }, _))), "the offer comes first");
        assert_eq!(say(&mut second, ANN, 4, "recall", "{}").await, "kept");
        assert_eq!(say(&mut second, ANN, 5, "pid", "{}").await, pid);
        assert_eq!(say(&mut second, BOB, 6, "pid", "{}").await, other);
        // By its own clock the abandoned call would have answered by now.
        assert_eq!(say(&mut second, ANN, 7, "slow", r#"{"ms":400}"#).await, "slept 400 ms");
        assert_eq!(say(&mut second, ANN, 8, "cancelled_count", "{}").await, "1");
    });
}

#[test]
fn a_release_ends_the_instance_and_a_stop_ends_all() {
    run(async {
        let Some(mut worker) = start(rules()).await else { return };
        let mut gateway = worker.gateway().await;
        let ann: u32 = say(&mut gateway, ANN, 1, "pid", "{}").await.parse().expect("a pid");
        let bob: u32 = say(&mut gateway, BOB, 2, "pid", "{}").await.parse().expect("a pid");
        gateway.to.send(&GatewayToWorker::Release { session: ANN }).await.expect("sent");
        eventually("it is gone", || !runs(ann)).await;
        assert_eq!(say(&mut gateway, BOB, 3, "pid", "{}").await, bob.to_string());
        loop {
            let report = worker.report().await.expect("the supervisor is told");
            if report == WorkerToSupervisor::Instances(RunningInstances { running: 1, pids: vec![bob], max: 4 }) {
                break;
            }
        }
        call(&mut gateway, BOB, 4, "hang", "{}").await;
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        let (id, outcome, error) = gateway.done().await;
        assert_eq!((id, outcome), (4, Outcome::Error), "{error}");
        assert_eq!(worker.ended().await.reason, EndReason::Stopped);
        assert!(!runs(bob));
    });
}

#[test]
fn what_an_instance_hid_goes_with_it_and_what_another_hid_stays() {
    run(async {
        let Some(mut worker) = start(rules()).await else { return };
        let mut gateway = worker.gateway().await;
        let ann: u32 = say(&mut gateway, ANN, 1, "double_fork", "{}").await.parse().expect("a pid");
        let bob: u32 = say(&mut gateway, BOB, 2, "double_fork", "{}").await.parse().expect("a pid");
        let hidden: u32 = say(&mut gateway, BOB, 3, "hidden_daemon", "{}").await.parse().expect("a pid");
        gateway.to.send(&GatewayToWorker::Release { session: ANN }).await.expect("sent");
        eventually("it is gone", || !runs(ann)).await;
        assert_eq!(say(&mut gateway, BOB, 4, "echo", r#"{"text":"x"}"#).await, "x");
        assert!(runs(bob) && runs(hidden), "not what may be another's");
        // With the last one nothing can be another session's.
        gateway.to.send(&GatewayToWorker::Release { session: BOB }).await.expect("sent");
        eventually("both are gone", || !runs(bob) && !runs(hidden)).await;
    });
}

#[test]
fn a_worker_with_instances_drains_like_any_other() {
    run(async {
        let Some(mut worker) = start(rules()).await else { return };
        let mut gateway = worker.gateway().await;
        let ann: u32 = say(&mut gateway, ANN, 1, "pid", "{}").await.parse().expect("a pid");
        worker.to.send(&SupervisorToWorker::Drain { grace: Duration::from_secs(600) }).await.expect("sent");
        // One that was there, and one that starts during the drain.
        assert_eq!(say(&mut gateway, ANN, 2, "echo", r#"{"text":"x"}"#).await, "x");
        assert_eq!(say(&mut gateway, BOB, 3, "echo", r#"{"text":"y"}"#).await, "y");
        drop(gateway);
        assert_eq!(worker.ended().await.reason, EndReason::Stopped);
        assert!(!runs(ann));
    });
}

#[test]
fn calls_that_wait_for_an_instance_are_cancelled_or_answered_once() {
    run(async {
        let Some(mut worker) = start(InstanceRules { max: 1, ..rules() }).await else { return };
        let mut gateway = worker.gateway().await;
        let ann: u32 = say(&mut gateway, ANN, 1, "pid", "{}").await.parse().expect("a pid");
        call(&mut gateway, BOB, 2, "pid", "{}").await;
        let (id, outcome, error) = gateway.done().await;
        assert_eq!((id, outcome), (2, Outcome::Error), "{error}");
        assert!(error.contains("too_many_instances"), "{error}");
        gateway.to.send(&GatewayToWorker::Release { session: ANN }).await.expect("sent");
        call(&mut gateway, BOB, 3, "pid", "{}").await;
        call(&mut gateway, BOB, 4, "pid", "{}").await;
        gateway.to.send(&GatewayToWorker::Cancel { id: 3, reason: None }).await.expect("sent");
        let (id, outcome, payload) = gateway.done().await;
        assert_eq!((id, outcome), (4, Outcome::Result), "{payload}");
        assert!(!runs(ann) && !payload.contains(&ann.to_string()));
        let quiet = tokio::time::timeout(DEADLINE / 40, gateway.from.next()).await;
        assert!(quiet.is_err(), "no answer to a cancelled call: {quiet:?}");
    });
}
