//! A changed server is tried beside the old one, which serves until the new one is ready (generation swap).

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Proxy, ServerView, SystemView, eventually, fixture, is_alive};

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

fn ten(changed: &[&str]) -> String {
    let flags = |name: &str| if name == "a" { changed } else { &[] };
    json!({"servers": NAMES.map(|name| fixture(name, flags(name)))}).to_string()
}

#[tokio::test]
async fn editing_one_of_ten_servers_under_load_fails_no_call_and_touches_no_other() {
    let proxy = Proxy::start(serde_json::from_str(&ten(&[])).expect("JSON")).await;
    let listener = proxy.session().await;
    let mut stream = listener.stream().await;
    let before = proxy.status().await;
    let (over, failed, made) = (Cell::new(false), RefCell::new(Vec::new()), Cell::new(0));
    let load = join_all(NAMES.iter().flat_map(|name| [name, name]).enumerate().map(async |(number, name)| {
        let session = proxy.session().await;
        while !over.get() {
            let text = format!("{name} {number} {}", made.get());
            let params = json!({"name": format!("{name}__echo"), "arguments": {"text": text}});
            let answer = session.respond("tools/call", params).await;
            made.set(made.get() + 1);
            if answer["result"]["content"][0]["text"] != text {
                failed.borrow_mut().push(answer);
            }
        }
    }));
    let change = async {
        let mut generation = before.server("a").generation;
        for tools in ["1", "2"] {
            proxy.write_config(&ten(&["--tools", tools]));
            let wanted = format!("a__tool_{:04}", tools.parse::<usize>().expect("a number") - 1);
            stream.notification("notifications/tools/list_changed").await;
            eventually("the new tool is listed", Duration::from_secs(30), async || {
                listener.tools().await.contains(&wanted).then_some(())
            })
            .await;
            let a = proxy.server("a").await;
            assert!(a.is_ready() && a.generation > generation, "{a:?}");
            generation = a.generation;
        }
        eventually("the old one is gone", Duration::from_secs(30), async || {
            (!is_alive(before.server("a").pid())).then_some(())
        })
        .await;
        over.set(true);
    };
    tokio::join!(load, change);
    assert!(
        failed.borrow().is_empty(),
        "{} of {} calls failed: {:?}",
        failed.borrow().len(),
        made.get(),
        failed.borrow()
    );
    assert!(made.get() > 100, "there was load: {}", made.get());
    let after = proxy.status().await;
    for name in &NAMES[1..] {
        let pids = |status: &SystemView| (status.server(name).server_pid, status.server(name).worker_pid);
        assert_eq!(pids(&after), pids(&before), "{name}");
    }
}

#[tokio::test]
async fn a_change_that_does_not_start_leaves_the_old_server_in_force_and_says_so_until_it_is_mended() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    let broken = fixture("a", &["--stderr", "no such database", "--exit-before-init", "3"]);
    proxy.write_config(&json!({"servers": [broken, fixture("b", &[])]}).to_string());
    let changed = proxy.server_until("tells of the failure", "a", ServerView::change_failed).await;
    assert_eq!((changed.state.as_str(), changed.server_pid, changed.generation), ("ready", a.server_pid, a.generation));
    let change = changed.change.expect("seen above");
    let error = change["error"].as_str().expect("a text");
    assert!(error.contains("code 3") && error.contains("no such database"), "{error}");
    assert_eq!(session.say("a__echo", json!({"text": "still here"})).await, "still here");
    let health: Value = serde_json::from_str(&proxy.get("/health").await.body).expect("JSON");
    assert_eq!(health["servers"][0]["change"]["state"], "failed", "{health}");
    let status = proxy.cli(&["status"]).await.stdout;
    assert!(status.contains("change failed"), "{status}");
    let details = proxy.cli(&["status", "a"]).await.stdout;
    assert!(details.contains("no such database"), "{details}");
    proxy.logged(&["changed configuration does not work", "no such database"]).await;
    // Asked for, it is tried again, and the answer is honest.
    let reload = proxy.cli(&["reload"]).await;
    assert_ne!(reload.code, Some(0), "{reload:?}");
    assert!(reload.stderr.contains("a goes on as before") && reload.stderr.contains("no such database"), "{reload:?}");
    proxy.write_config(&json!({"servers": [fixture("a", &["--tools", "1"]), fixture("b", &[])]}).to_string());
    let mended =
        proxy.server_until("mended", "a", |server| server.is_ready() && server.generation > a.generation).await;
    assert_eq!(mended.change, None);
    assert_eq!(proxy.cli(&["reload"]).await.code, Some(0));
    assert!(session.say("a__tool_0000", json!({})).await.contains("tool_0000"));
    assert_eq!(proxy.server("b").await.server_pid, b.server_pid);
}

#[tokio::test]
async fn a_call_in_flight_outlives_the_change_and_ends_on_the_old_server() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let before = proxy.server("a").await;
    let slow = session.say("a__slow", json!({"ms": 3000}));
    let change = async {
        eventually("the call is under way", Duration::from_secs(10), async || {
            let metrics = proxy.get("/metrics").await.body;
            metrics.contains("mcproxy_calls_in_flight{server=\"a\"} 1").then_some(())
        })
        .await;
        proxy.write_config(&json!({"servers": [fixture("a", &["--tools", "1"])]}).to_string());
        proxy
            .server_until("the new one", "a", |server| server.is_ready() && server.generation > before.generation)
            .await;
        assert!(is_alive(before.pid()), "it has a call to answer");
    };
    let (slept, ()) = tokio::join!(slow, change);
    assert_eq!(slept, "slept 3000 ms");
    eventually("the old one is gone", Duration::from_secs(20), async || (!is_alive(before.pid())).then_some(())).await;
}

#[tokio::test]
async fn a_server_that_cannot_exist_twice_is_stopped_before_its_successor_is_started() {
    let exclusive = |flags: &[&str]| {
        let mut entry = fixture("a", flags);
        entry["onChange"] = json!("restart");
        json!({"servers": [entry]})
    };
    let proxy = Proxy::start(exclusive(&[])).await;
    let before = proxy.server("a").await;
    proxy.write_config(&exclusive(&["--tools", "1", "--start-delay-ms", "1500"]).to_string());
    let next = proxy
        .server_until("the next one", "a", |server| {
            server.server_pid.is_some() && server.generation > before.generation
        })
        .await;
    assert!(!is_alive(before.pid()), "both lived at once");
    assert_eq!(next.state, "starting");
    proxy.until_ready().await;
}

#[tokio::test]
async fn the_status_of_a_start_says_how_long_it_takes_and_what_the_server_says() {
    let entry = fixture("a", &["--stderr", "downloading the internet", "--start-delay-ms", "4000"]);
    let proxy = Proxy::launch(json!({"servers": [entry]})).await;
    let starting = proxy
        .server_until("says what it does", "a", |server| {
            server.start.as_ref().is_some_and(|start| start["lastLine"] == "downloading the internet")
        })
        .await;
    let start = starting.start.expect("seen above");
    assert_eq!(start["limitSeconds"], 60.0);
    assert!(start["elapsedSeconds"].as_f64().is_some_and(|seconds| seconds < 60.0), "{start}");
    proxy.until_ready().await;
    assert_eq!(proxy.server("a").await.start, None);
}
