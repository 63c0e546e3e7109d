//! The processes of a server go with it, and with its worker.

use std::time::Duration;

use mcproxy_ipc::{EndReason, control::SupervisorToWorker, processes};

use crate::{
    harness::{Worker, eventually, kill, run, runs},
    support::fixture,
};

#[test]
fn the_server_dies_with_its_worker() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &["--ignore-term"], |_| {}).await;
        let (pid, _) = worker.ready().await;
        kill(worker.process.id());
        eventually("the server is dead", || !runs(pid)).await;
        worker.process.wait().expect("waited");
    });
}

#[test]
fn a_worker_without_its_supervisor_stops_its_server_and_ends() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        let (pid, _) = worker.ready().await;
        let Worker { mut process, from, to, dir: _dir } = worker;
        drop((from, to));
        eventually("the worker is gone", || process.try_wait().expect("waits").is_some()).await;
        assert!(!runs(pid));
    });
}

#[test]
fn what_the_server_started_in_its_group_goes_with_it() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        let (pid, _) = worker.ready().await;
        let mut gateway = worker.gateway().await;
        let child: u32 = gateway.text(1, "child", "{}").await.trim().parse().expect("a pid");
        assert!(runs(child));
        kill(pid);
        assert!(matches!(worker.ended().await.reason, EndReason::Exited { signal: Some(9), .. }));
        eventually("the child is dead", || !runs(child)).await;
    });
}

#[test]
fn a_daemon_that_hides_is_gone_with_its_server_before_the_last_word() {
    let Some(fixture) = fixture() else { return };
    run(async {
        for stop in [true, false] {
            let mut worker = Worker::start(&fixture, &[], |_| {}).await;
            let (pid, _) = worker.ready().await;
            let mut gateway = worker.gateway().await;
            let daemon: u32 = gateway.text(1, "hidden_daemon", "{}").await.parse().expect("a pid");
            assert!(runs(daemon));
            match stop {
                true => worker.to.send(&SupervisorToWorker::Stop).await.expect("sent"),
                false => kill(pid),
            }
            worker.ended().await;
            assert!(!runs(daemon), "stop: {stop}");
        }
    });
}

#[test]
fn a_tree_that_grows_again_when_it_is_cut_is_gone_before_the_last_word() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        let (pid, _) = worker.ready().await;
        let mut gateway = worker.gateway().await;
        gateway.text(1, "respawning_tree", r#"{"depth":6}"#).await;
        let us = worker.process.id();
        eventually("it has grown", || processes::below(us, |_| false).len() >= 127).await;
        let tree: Vec<u32> = processes::below(us, |_| false).iter().map(|process| process.pid).collect();
        let begun = std::time::Instant::now();
        kill(pid);
        worker.ended().await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(!tree.iter().any(|pid| runs(*pid)), "{tree:?}");
    });
}

#[test]
fn what_a_worker_adopted_and_has_ended_is_collected_while_its_server_lives() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &[], |_| {}).await;
        worker.ready().await;
        let us = worker.process.id();
        let mut gateway = worker.gateway().await;
        for id in 1..20 {
            let daemon: u32 = gateway.text(id, "hidden_daemon", "{}").await.parse().expect("a pid");
            kill(daemon);
        }
        eventually("only the server is left", || processes::children(us).len() == 1).await;
        assert_eq!(gateway.text(20, "echo", r#"{"text":"still here"}"#).await, "still here");
        worker.to.send(&SupervisorToWorker::Stop).await.expect("sent");
        worker.ended().await;
    });
}

#[test]
fn a_worker_without_its_supervisor_leaves_nothing_behind_even_of_a_server_that_ignores_everything() {
    let Some(fixture) = fixture() else { return };
    run(async {
        let mut worker = Worker::start(&fixture, &["--ignore-term"], |_| {}).await;
        let (pid, _) = worker.ready().await;
        let daemon: u32 = worker.gateway().await.text(1, "hidden_daemon", "{}").await.parse().expect("a pid");
        let Worker { mut process, from, to, dir: _dir } = worker;
        let begun = std::time::Instant::now();
        drop((from, to));
        eventually("the worker is gone", || process.try_wait().expect("waits").is_some()).await;
        assert!(!runs(pid) && !runs(daemon));
        // Not even asked: the ladder alone takes five seconds.
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    });
}
