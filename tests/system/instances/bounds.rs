use std::time::Duration;

use serde_json::json;

use super::{pid, recall, remember, start};
use crate::support::{DEADLINE, eventually, is_alive};

#[tokio::test]
async fn a_session_beyond_the_limit_is_told_so_and_served_when_another_is_over() {
    let proxy = start(json!({"maxInstances": 2})).await;
    let (one, two, three) = (proxy.session().await, proxy.session().await, proxy.session().await);
    let gone = pid(&one).await;
    remember(&two, "kept").await;
    let error = three.refuse("a__pid", json!({})).await;
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(31002), &json!("too_many_instances")), "{error}");
    assert_eq!(error["data"]["maxInstances"], 2);
    assert!(error["message"].as_str().expect("a message").contains("maxInstances"), "{error}");
    one.delete().await;
    // Its call waits for the end of the other process.
    let fresh = eventually("room for the third", DEADLINE, async || {
        let answer = three.respond("tools/call", json!({"name": "a__pid", "arguments": {}})).await;
        answer.get("result").map(|result| crate::support::text(result).parse::<u32>().expect("a pid"))
    })
    .await;
    assert!(!is_alive(gone) && fresh != gone);
    assert_eq!(recall(&two).await, "kept");
}

#[tokio::test]
async fn an_instance_that_nobody_calls_ends_and_the_next_call_starts_another() {
    let proxy = start(json!({"idleTimeout": 1})).await;
    let session = proxy.session().await;
    let other = proxy.session().await;
    let first = pid(&session).await;
    // One that is called often enough stays.
    remember(&other, "busy").await;
    eventually("the instance ends", DEADLINE, async || {
        assert_eq!(recall(&other).await, "busy");
        (!is_alive(first)).then_some(())
    })
    .await;
    let server = proxy.server_until("one instance", "a", |server| server.running() == 1).await;
    assert!(server.is_ready());
    assert_eq!(recall(&session).await, "<nothing>");
    // A call that takes longer than the idle time is no idleness.
    assert_eq!(session.say("a__slow", json!({"ms": 2500})).await, "slept 2500 ms");
    drop(other);
    // Without any instance the server is as ready as before, and lists what it did.
    let server = proxy.server_until("no instance", "a", |server| server.running() == 0).await;
    assert!(server.is_ready() && server.server_pid.is_none());
    assert!(!proxy.session().await.tools().await.is_empty());
    assert_eq!(recall(&session).await, "<nothing>");
}

#[tokio::test]
async fn spare_instances_are_kept_ready_for_new_sessions() {
    // Told nothing, they are for every client.
    let proxy = start(json!({"prewarm": 2, "maxInstances": 4, "clientFeatures": []})).await;
    let server = proxy.server_until("two spare ones", "a", |server| server.running() == 2).await;
    assert_eq!(server.instances.expect("instances").max, 4);
    let one = proxy.session().await;
    assert_eq!(pid(&one).await, server.pid(), "the eldest is ready");
    proxy.server_until("another spare one", "a", |server| server.running() == 3).await;
    let two = proxy.session().await;
    assert_ne!(pid(&two).await, pid(&one).await);
    proxy.server_until("the last one", "a", |server| server.running() == 4).await;
}

#[tokio::test]
async fn the_end_of_a_session_is_the_end_of_its_instance_over_every_transport() {
    let proxy = start(json!({"idleTimeout": null})).await;
    let session = proxy.session().await;
    let mut legacy = proxy.legacy_session().await;
    let pids =
        [pid(&session).await, crate::support::text(&legacy.call("a__pid", json!({})).await).parse().expect("a pid")];
    session.delete().await;
    drop(legacy);
    eventually("both end", DEADLINE, async || pids.iter().all(|pid| !is_alive(*pid)).then_some(())).await;
    proxy.server_until("no instance is left", "a", |server| server.running() == 0).await;
}

#[tokio::test]
async fn a_session_that_crashes_its_instance_again_and_again_is_slowed_down() {
    let proxy = start(json!({})).await;
    let session = proxy.session().await;
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        let error = session.refuse("a__crash", json!({})).await;
        assert_eq!(error["code"], 31003, "{error}");
    }
    // At once after the first, a second after the second: what follows the third is not waited for.
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(proxy.server("a").await.restarts, 0);
    assert_eq!(recall(&proxy.session().await).await, "<nothing>", "nobody else waits");
}
