//! Servers that are started by their first call and stopped when nobody needs them.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{DEADLINE, Proxy, binary, eventually, fixture, kill, text};

/// A server that is started by calls, with this many seconds until it rests.
fn lazy(name: &str, idle: f64, flags: &[&str]) -> Value {
    let mut server = fixture(name, flags);
    server["start"] = json!("lazy");
    server["idleTimeout"] = json!(idle);
    server
}

/// Lets another server come to rest several times, which takes several times its timeout.
async fn meanwhile(proxy: &Proxy, other: &str) {
    let session = proxy.session().await;
    for _ in 0..4 {
        session.say(&format!("{other}__echo"), json!({"text": "x"})).await;
        until_idle(proxy, other).await;
    }
}

async fn until_idle(proxy: &Proxy, name: &str) {
    let server = proxy.server_until("at rest", name, |server| server.state == "idle").await;
    assert_eq!((server.worker_pid, server.server_pid), (None, None), "{server:?}");
}

#[tokio::test]
async fn ten_lazy_servers_at_rest_cost_no_process_and_are_listed() {
    let names: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
    let servers: Vec<Value> = names.iter().map(|name| lazy(name, 0.3, &[])).collect();
    let mut proxy = Proxy::launch(json!({"servers": servers})).await;
    // The first time they have to be started, to learn what they offer; and then they rest.
    let all = proxy.session().await.tools().await;
    for name in &names {
        assert!(all.contains(&format!("{name}__echo")), "{all:?}");
        until_idle(&proxy, name).await;
    }
    proxy.start_over().await;
    let session = proxy.session().await;
    assert_eq!(session.tools().await, all);
    let status = proxy.status().await;
    for server in &status.servers {
        assert_eq!((server.state.as_str(), server.generation, server.stale), ("idle", 0, true), "nothing was started");
    }
    let processes = proxy.processes();
    assert_eq!(processes.len(), 2, "a supervisor and a gateway: {processes:?}");
    assert_eq!(proxy.get("/readyz").await.status, 200, "nothing is wrong with a server at rest");
    assert_eq!(proxy.get("/readyz?require=s3").await.status, 200);
    let table = proxy.cli(&["status"]).await.stdout;
    assert!(table.contains("idle"), "{table}");
    // One call, one server.
    assert_eq!(session.say("s3__echo", json!({"text": "good morning"})).await, "good morning");
    let status = proxy.status().await;
    let started: Vec<&str> = status.servers.iter().filter(|s| s.generation > 0).map(|s| s.name.as_str()).collect();
    assert_eq!(started, ["s3"]);
    until_idle(&proxy, "s3").await;
}

#[tokio::test]
async fn every_kind_of_call_wakes_a_server_and_none_is_lost_in_the_rush() {
    let proxy = Proxy::launch(json!({"servers": [lazy("a", 0.4, &["--start-delay-ms", "500"])]})).await;
    let session = proxy.session().await;
    session.tools().await;
    let mut old = proxy.legacy_session().await;
    let own = proxy.session_at("/servers/a/mcp").await;
    for _ in 0..2 {
        until_idle(&proxy, "a").await;
        let (said, legacy, read, prompt, direct) = tokio::join!(
            session.say("a__echo", json!({"text": "one"})),
            old.call("a__echo", json!({"text": "two"})),
            session.request("resources/read", json!({"uri": "a+fixture://static/text"})),
            session.request("prompts/get", json!({"name": "a__plain"})),
            own.say("echo", json!({"text": "three"})),
        );
        assert_eq!((said.as_str(), text(&legacy), direct.as_str()), ("one", "two", "three"));
        assert_eq!(read["contents"][0]["text"], "A text that is fixed");
        assert_eq!(prompt["messages"][0]["role"], "user");
    }
    let server = proxy.server("a").await;
    assert_eq!((server.generation, server.restarts), (3, 0), "a rest is no failure: {server:?}");
}

#[tokio::test]
async fn no_call_fails_around_the_moment_a_server_comes_to_rest() {
    const IDLE: f64 = 0.15;
    let proxy = Proxy::launch(json!({"servers": [lazy("a", IDLE, &[])]})).await;
    let session = proxy.session().await;
    session.tools().await;
    let begun = Instant::now();
    let mut calls = 0;
    // Pauses that end just before, at, and just after the moment, from 100 to 220 ms.
    while begun.elapsed() < Duration::from_secs(12) {
        let pause = Duration::from_millis(100 + (calls * 7) % 120);
        let (one, two) = tokio::join!(
            session.say("a__echo", json!({"text": "still"})),
            session.say("a__slow", json!({"ms": calls % 40})),
        );
        assert_eq!(one, "still");
        assert!(!two.is_empty());
        calls += 1;
        tokio::time::sleep(pause).await;
    }
    until_idle(&proxy, "a").await;
    let server = proxy.server("a").await;
    assert!(server.generation > 3, "it did come to rest meanwhile: {server:?} after {calls} rounds");
    assert_eq!(server.restarts, 0, "{server:?}");
}

#[tokio::test]
async fn a_long_call_keeps_its_server_awake() {
    let proxy = Proxy::launch(json!({"servers": [lazy("a", 0.2, &[]), lazy("other", 0.2, &[])]})).await;
    let session = proxy.session().await;
    session.tools().await;
    let call = session.say("a__slow", json!({"ms": 8000}));
    let look = async {
        let before = proxy.server_until("called", "a", |server| server.is_ready()).await;
        let begun = Instant::now();
        meanwhile(&proxy, "other").await;
        let after = proxy.server("a").await;
        assert!(after.pid() == before.pid() || begun.elapsed() > Duration::from_secs(6), "{after:?}");
    };
    tokio::join!(call, look);
    until_idle(&proxy, "a").await;
}

#[tokio::test]
async fn a_subscription_keeps_its_server_awake_until_it_is_given_up() {
    const URI: &str = "a+fixture://watched";
    let proxy = Proxy::launch(json!({"servers": [lazy("a", 0.2, &[]), lazy("other", 0.2, &[])]})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    one.tools().await;
    until_idle(&proxy, "a").await;
    let mut stream = one.stream().await;
    one.request("resources/subscribe", json!({"uri": URI})).await;
    let pid = proxy.server("a").await.pid();
    meanwhile(&proxy, "other").await;
    assert_eq!(proxy.server("a").await.pid(), pid);
    two.say("a__touch_resource", json!({})).await;
    stream.notification("notifications/resources/updated").await;
    one.delete().await;
    until_idle(&proxy, "a").await;
}

#[tokio::test]
async fn who_calls_a_lazy_server_that_cannot_start_learns_why_and_the_next_call_tries_again() {
    let script = "test ! -e broken || { echo no database >&2; exit 7; }; exec \"$0\" --name a";
    let proxy = Proxy::launch(json!({
        "servers": [{
            "name": "a", "command": "sh", "args": ["-c", script, binary("mcproxy-fixture")], "cwd": ".",
            "start": "lazy", "idleTimeout": 0.2, "restart": {"initialDelay": 0.5, "maxDelay": 1.0}
        }, lazy("other", 0.2, &[])]
    }))
    .await;
    let session = proxy.session().await;
    assert!(session.tools().await.contains(&"a__echo".to_owned()));
    until_idle(&proxy, "a").await;
    fs::write(proxy.dir().join("broken"), "").expect("written");
    let error = session.refuse("a__echo", json!({"text": "x"})).await;
    assert_eq!((&error["code"], &error["data"]["server"]), (&json!(31002), &json!("a")), "{error}");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("code 7") && message.contains("no database"), "{message}");
    // Nobody calls: it is not tried again and again.
    let failed = proxy.server_until("at rest after the delay", "a", |server| server.state == "idle").await;
    meanwhile(&proxy, "other").await;
    assert_eq!(proxy.server("a").await.generation, failed.generation);
    assert!(session.tools().await.contains(&"a__echo".to_owned()), "a call is the way to find out whether it is well");
    fs::remove_file(proxy.dir().join("broken")).expect("removed");
    assert_eq!(session.say("a__echo", json!({"text": "well again"})).await, "well again");
}

#[tokio::test]
async fn a_lazy_server_whose_offer_is_unknown_is_tried_until_it_is_known() {
    let script = "test ! -e broken || exit 7; exec \"$0\" --name a";
    let proxy = Proxy::launch_with(
        json!({
            "servers": [{
                "name": "a", "command": "sh", "args": ["-c", script, binary("mcproxy-fixture")], "cwd": ".",
                "start": "lazy", "restart": {"initialDelay": 0.2, "maxDelay": 0.5}
            }]
        }),
        |command| {
            fs::write(command.get_current_dir().expect("a directory").join("broken"), "").expect("written");
        },
    )
    .await;
    proxy.server_until("tried again", "a", |server| server.generation >= 3).await;
    fs::remove_file(proxy.dir().join("broken")).expect("removed");
    let session = proxy.session().await;
    eventually("its tools are listed", DEADLINE, async || {
        session.tools().await.contains(&"a__echo".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lazy_server_starts_by_hand_and_one_that_becomes_eager_starts_by_itself() {
    let proxy = Proxy::launch(json!({"servers": [lazy("a", 0.3, &[])]})).await;
    proxy.session().await.tools().await;
    until_idle(&proxy, "a").await;
    let before = proxy.server("a").await.generation;
    assert_eq!(proxy.cli(&["restart", "a"]).await.code, Some(0));
    proxy.server_until("started", "a", |server| server.generation > before).await;
    until_idle(&proxy, "a").await;
    proxy.write_config(&json!({"servers": [fixture("a", &[])]}).to_string());
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    proxy.write_config(&json!({"servers": [lazy("a", 0.3, &[])]}).to_string());
    until_idle(&proxy, "a").await;
}

#[tokio::test]
async fn without_an_idle_timeout_a_lazy_server_stays_once_it_was_called() {
    let mut server = lazy("a", 1.0, &[]);
    server["idleTimeout"] = Value::Null;
    let mut proxy = Proxy::launch(json!({"servers": [server]})).await;
    proxy.session().await.tools().await;
    assert!(proxy.server("a").await.is_ready());
    proxy.start_over().await;
    let session = proxy.session().await;
    session.tools().await;
    assert_eq!(proxy.server("a").await.state, "idle");
    session.say("a__echo", json!({"text": "x"})).await;
    assert!(proxy.server("a").await.is_ready());
}

#[tokio::test]
async fn a_new_gateway_starts_no_server_that_rests() {
    let proxy = Proxy::launch(json!({"servers": [lazy("a", 0.3, &[]), lazy("b", 600.0, &[])]})).await;
    let session = proxy.session().await;
    let all = session.tools().await;
    until_idle(&proxy, "a").await;
    let before = (proxy.server("a").await.generation, proxy.server("b").await.pid());
    kill(proxy.status().await.gateway_pid());
    eventually("another gateway answers", DEADLINE, async || {
        let other = proxy.try_status().await?.gateway.is_some_and(|gateway| gateway.restarts > 0);
        (other && proxy.http.get(proxy.url("/healthz")).send().await.is_ok()).then_some(())
    })
    .await;
    assert_eq!(proxy.session().await.tools().await, all);
    assert_eq!((proxy.server("a").await.generation, proxy.server("b").await.pid()), before);
}
