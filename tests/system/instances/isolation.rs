use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{pid, recall, remember, start, under_way};
use crate::support::{DEADLINE, Session, eventually, is_alive, kill, text};

/// Longer than anything that is said takes to arrive.
const QUIET: Duration = Duration::from_millis(600);

#[tokio::test]
async fn sessions_do_not_see_each_others_state() {
    let proxy = start(json!({})).await;
    let (one, two) = (proxy.session().await, proxy.session_at("/servers/a/mcp").await);
    let mut old = proxy.legacy_session().await;
    remember(&one, "of the first").await;
    assert_eq!(two.say("recall", json!({})).await, "<nothing>");
    two.say("remember", json!({"text": "of the second"})).await;
    assert_eq!(text(&old.call("a__recall", json!({})).await), "<nothing>");
    old.call("a__remember", json!({"text": "of the third"})).await;
    assert_eq!(recall(&one).await, "of the first");
    assert_eq!(two.say("recall", json!({})).await, "of the second");
    assert_eq!(text(&old.call("a__recall", json!({})).await), "of the third");
    assert_eq!(proxy.server("a").await.running(), 3);
}

#[tokio::test]
async fn calls_of_many_sessions_at_once_reach_their_own_instances() {
    let proxy = start(json!({"maxInstances": 6})).await;
    let sessions = join_all((0..6).map(|_| proxy.session())).await;
    join_all(sessions.iter().enumerate().map(|(n, session)| async move {
        // The first ones wait for the instance, all at once.
        join_all((0..8).map(|_| pid(session))).await;
        remember(session, &format!("{n}")).await;
        for _ in 0..20 {
            assert_eq!(recall(session).await, format!("{n}"));
        }
    }))
    .await;
}

#[tokio::test]
async fn an_instance_that_is_killed_costs_its_own_session_only() {
    let proxy = start(json!({"clientFeatures": []})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    remember(&one, "lost").await;
    remember(&two, "kept").await;
    let (first, second) = (pid(&one).await, pid(&two).await);
    let before = proxy.server("a").await;
    let (hanging, slow, ()) =
        tokio::join!(one.refuse("a__hang", json!({})), two.say("a__slow", json!({"ms": 1500})), async {
            under_way(&proxy, 2).await;
            // Read after the one that hangs.
            one.say("a__echo", json!({"text": "x"})).await;
            kill(first);
        });
    assert_eq!((&hanging["code"], &hanging["data"]["reason"]), (&json!(31003), &json!("server_exited")), "{hanging}");
    assert_eq!(slow, "slept 1500 ms");
    // A fresh one, and nothing else has changed.
    assert_eq!(recall(&one).await, "<nothing>");
    assert_ne!(pid(&one).await, first);
    assert_eq!((pid(&two).await, recall(&two).await.as_str()), (second, "kept"));
    let after = proxy.server("a").await;
    assert_eq!((after.worker_pid, after.generation, after.restarts), (before.worker_pid, before.generation, 0));
    assert!(!is_alive(first));
    proxy.logged(&["instance ended", "instance: ", "signal 9"]).await;
}

#[tokio::test]
async fn log_lines_and_levels_are_each_sessions_own() {
    let proxy = start(json!({})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let (mut first, mut second) = (one.stream().await, two.stream().await);
    // Before there is an instance: it is told when it starts.
    one.request("logging/setLevel", json!({"level": "error"})).await;
    assert_eq!(proxy.server("a").await.running(), 1, "a level needs no instance");
    two.request("logging/setLevel", json!({"level": "debug"})).await;
    let logs = async |session: &Session, level: &str| {
        let params = json!({"name": "a__log", "arguments": {"level": level, "text": level}});
        let messages = session.request_as(json!(level), "tools/call", params).await;
        messages.iter().filter(|message| message["method"] == "notifications/message").count()
    };
    assert_eq!((logs(&one, "info").await, logs(&one, "error").await), (0, 1));
    assert_eq!((logs(&two, "info").await, logs(&two, "debug").await), (1, 1));
    one.request("logging/setLevel", json!({"level": "info"})).await;
    assert_eq!((logs(&one, "debug").await, logs(&one, "info").await), (0, 1));
    let none = |messages: Vec<Value>| messages.iter().all(|message| message["method"] != "notifications/message");
    assert!(none(first.rest(QUIET).await) && none(second.rest(QUIET).await), "and none on anybody's other stream");
}

#[tokio::test]
async fn a_subscription_is_its_sessions_and_outlives_the_instance() {
    let proxy = start(json!({})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let uri = one.list("resources/list", "resources").await[0]["uri"].as_str().expect("a uri").to_owned();
    for session in [&one, &two] {
        session.request("resources/subscribe", json!({"uri": uri})).await;
    }
    let (mut first, mut second) = (one.stream().await, two.stream().await);
    one.say("a__touch_resource", json!({})).await;
    first.notification("notifications/resources/updated").await;
    let others = second.rest(QUIET).await;
    assert!(others.iter().all(|message| message["method"] != "notifications/resources/updated"), "{others:?}");
    let before = pid(&one).await;
    kill(before);
    eventually("it is gone", DEADLINE, async || (proxy.server("a").await.running() == 1).then_some(())).await;
    assert_ne!(one.say("a__subscriptions", json!({})).await, "[]", "the fresh instance was told");
    two.request("resources/unsubscribe", json!({"uri": uri})).await;
    assert_eq!(two.say("a__subscriptions", json!({})).await, "[]");
    assert_ne!(one.say("a__subscriptions", json!({})).await, "[]");
}

#[tokio::test]
async fn what_a_session_does_to_its_lists_is_not_shown_to_others() {
    let proxy = start(json!({})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let before = two.tools().await;
    let mut stream = two.stream().await;
    stream.rest(QUIET).await;
    one.say("a__add_tool", json!({"name": "mine"})).await;
    let messages = stream.rest(QUIET).await;
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(two.tools().await, before);
    assert_eq!(proxy.session().await.tools().await, before);
}
