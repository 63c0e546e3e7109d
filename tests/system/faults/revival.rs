//! What comes back at once: a server after its first crash, a gateway after thousands of sessions.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::interval};

use crate::support::{Events, Proxy, Session, eventually, fixture, kill, within};

/// Between two calls.
const APART: Duration = Duration::from_millis(20);
/// What was under way at the kill, or came before anybody could know of it.
const UNKNOWN: Duration = Duration::from_millis(20);

/// One call: when it began, and the error that it got.
async fn echo(session: Arc<Session>, number: u64) -> (Instant, Option<Value>) {
    let begun = Instant::now();
    let response =
        session.respond("tools/call", json!({"name": "a__echo", "arguments": {"text": number.to_string()}})).await;
    (begun, response.get("error").cloned())
}

/// Fifty calls a second for two seconds, the kill of `pid` among them: when that was, and the calls.
async fn calls_around_a_kill(session: &Arc<Session>, pid: u32) -> (Instant, Vec<(Instant, Option<Value>)>) {
    let (mut pace, mut calls, mut struck) = (interval(APART), JoinSet::new(), Instant::now());
    for number in 0..100 {
        pace.tick().await;
        calls.spawn(echo(session.clone(), number));
        if number == 35 {
            kill(pid);
            struck = Instant::now();
        }
    }
    (struck, calls.join_all().await)
}

async fn until_quiet(stream: &mut Events) {
    stream.rest(Duration::from_millis(500)).await;
}

#[tokio::test]
async fn a_killed_server_is_back_at_once_and_calls_that_come_meanwhile_wait_for_it() {
    for victim in ["server", "worker"] {
        let proxy = Proxy::of(&["a", "b"]).await;
        let session = Arc::new(proxy.session().await);
        let mut stream = session.stream().await;
        until_quiet(&mut stream).await;
        let before = proxy.server("a").await;
        let pid = if victim == "server" { before.pid() } else { before.worker_pid.expect("a worker") };
        let slow = session.respond("tools/call", json!({"name": "a__slow", "arguments": {"ms": 600_000}}));
        let ((struck, calls), lost) = join(calls_around_a_kill(&session, pid), slow).await;
        assert_eq!(lost["error"]["code"], 31003, "{victim}: what was under way gets its one error: {lost}");
        let late: Vec<_> = calls.iter().filter(|(begun, error)| *begun > struck + UNKNOWN && error.is_some()).collect();
        assert!(late.is_empty(), "{victim}: calls that came after the end were refused: {late:?}");
        let after = proxy.server_until("ready again", "a", |server| server.is_ready() && server.restarts == 1).await;
        assert_eq!(after.generation, before.generation + 1);
        assert!(!after.went_through("the delay is over"), "{victim}: {after:?}");
        let heard = stream.rest(Duration::from_millis(700)).await;
        assert!(
            heard.iter().all(|message| message["method"] != "notifications/tools/list_changed"),
            "{victim}: {heard:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_returns_keeps_its_tools_in_the_lists_meanwhile() {
    // It takes its time to come back.
    let proxy = Proxy::start(json!({"servers": [fixture("a", &["--start-delay-ms", "700"])]})).await;
    let session = proxy.session().await;
    kill(proxy.server("a").await.pid());
    eventually("it is on its way", Duration::from_secs(10), async || {
        (proxy.server("a").await.state == "starting").then_some(())
    })
    .await;
    assert!(session.tools().await.contains(&"a__echo".to_owned()));
    assert_eq!(proxy.get("/readyz").await.status, 503, "a monitor sees that it is away");
    assert_eq!(session.say("a__echo", json!({"text": "waited"})).await, "waited");
}

#[tokio::test]
async fn a_gateway_that_follows_many_large_notes_serves_at_once_and_knows_those_who_come_back() {
    const SESSIONS: usize = 120;
    let proxy = Proxy::of(&["a"]).await;
    let open = async |number: usize| {
        let session = proxy.session().await;
        for part in 0..2 {
            let uri = format!("a+fixture://{number}/{part}/{}", "u".repeat(7900));
            session.respond("resources/subscribe", json!({"uri": uri})).await;
        }
        session
    };
    let mut sessions = Vec::new();
    for begin in (0..SESSIONS).step_by(40) {
        sessions.extend(join_all((begin..begin + 40).map(open)).await);
    }
    for _ in 0..3 {
        let before = proxy.status().await.gateway_pid();
        kill(before);
        let begun = Instant::now();
        within("the next gateway answers", Duration::from_secs(10), async {
            while proxy.http.get(proxy.url("/healthz")).send().await.is_err() {}
        })
        .await;
        // Of a debug build on a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        for session in sessions.iter().step_by(10) {
            assert_eq!(session.say("a__echo", json!({"text": "on"})).await, "on");
        }
    }
    assert!(!proxy.log().contains("gateway does not read"), "{}", proxy.log());
    assert_eq!(proxy.status().await.gateway.expect("a gateway").restarts, 3);
}
