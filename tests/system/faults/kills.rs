use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mcproxy_ipc::control::{OperatorToSupervisor, SupervisorToOperator};
use serde_json::{Value, json};

use crate::support::{Proxy, ServerView, Session, ask, eventually, fixture, initialize, is_alive, kill};

/// A server that says something on stderr, beside one that nothing may happen to.
async fn two_servers() -> Proxy {
    Proxy::start(json!({
        "servers": [fixture("a", &["--stderr", "last words of a"]), fixture("b", &[])],
        "defaults": {"restart": {"initialDelay": 0.2}}
    }))
    .await
}

/// Fifty calls that only the end of their server can answer, while `fault` happens to it.
async fn fifty_errors(proxy: &Proxy, session: &Session, fault: impl AsyncFnOnce()) -> Vec<Value> {
    let calls = join_all((1000..1050).map(|id| {
        session.request_as(json!(id), "tools/call", json!({"name": "a__slow", "arguments": {"ms": 600_000}}))
    }));
    let strike = async {
        eventually("all calls are under way", Duration::from_secs(10), async || {
            let metrics = proxy.get("/metrics").await.body;
            metrics.contains("mcproxy_calls_in_flight{server=\"a\"} 50").then_some(())
        })
        .await;
        // Calls are written in their order: when this one is answered, the server has all the others.
        session.say("a__echo", json!({"text": "all there"})).await;
        fault().await;
    };
    let (answers, ()) = tokio::join!(calls, strike);
    answers
        .into_iter()
        .map(|mut messages| {
            assert_eq!(messages.len(), 1, "one answer and nothing else: {messages:?}");
            messages.pop().expect("an answer")["error"].clone()
        })
        .collect()
}

async fn back(proxy: &Proxy, before: &ServerView) -> ServerView {
    let after = proxy
        .server_until("ready again", &before.name, |server| server.is_ready() && server.generation > before.generation)
        .await;
    assert_ne!((after.worker_pid, after.server_pid), (before.worker_pid, before.server_pid));
    assert!(after.restarts > before.restarts, "{after:?}");
    after
}

#[tokio::test]
async fn a_killed_server_costs_its_calls_one_error_each_and_nobody_else_anything() {
    let proxy = two_servers().await;
    let (session, other) = (proxy.session().await, proxy.session().await);
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    let bystander = other.say("b__slow", json!({"ms": 1500}));
    let struck = fifty_errors(&proxy, &session, async || kill(a.pid()));
    let (errors, slept) = tokio::join!(struck, bystander);
    assert_eq!(slept, "slept 1500 ms");
    for error in &errors {
        assert_eq!((&error["code"], &error["data"]["server"]), (&json!(31003), &json!("a")), "{error}");
        assert_eq!(error["data"]["reason"], "server_exited", "{error}");
        assert!(error.to_string().contains("last words of a"), "the end of stderr is told: {error}");
    }
    back(&proxy, &a).await;
    assert_eq!(session.say("a__echo", json!({"text": "again"})).await, "again");
    let unharmed = proxy.server("b").await;
    assert_eq!((unharmed.server_pid, unharmed.worker_pid, unharmed.restarts), (b.server_pid, b.worker_pid, 0));
}

#[tokio::test]
async fn a_killed_worker_costs_its_calls_one_error_each_and_takes_its_server_with_it() {
    let proxy = two_servers().await;
    let session = proxy.session().await;
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    let errors = fifty_errors(&proxy, &session, async || kill(a.worker_pid.expect("a worker"))).await;
    for error in &errors {
        assert_eq!((&error["code"], &error["data"]["server"]), (&json!(31003), &json!("a")), "{error}");
    }
    back(&proxy, &a).await;
    assert!(!is_alive(a.pid()), "the old server ended with its worker");
    assert_eq!(session.say("a__echo", json!({"text": "again"})).await, "again");
    let unharmed = proxy.server("b").await;
    assert_eq!((unharmed.server_pid, unharmed.worker_pid, unharmed.restarts), (b.server_pid, b.worker_pid, 0));
}

#[tokio::test]
async fn a_killed_gateway_is_back_within_two_seconds_and_no_server_notices() {
    let proxy = two_servers().await;
    let session = proxy.session().await;
    let before = proxy.status().await;
    let (a, b) = (before.server("a").clone(), before.server("b").clone());
    kill(before.gateway_pid());
    let begun = Instant::now();
    // Connections wait in the listener's queue: the first answer may take its time, but none is refused.
    let hello = loop {
        match proxy.post("/mcp").body(initialize("2025-11-25").to_string()).send().await {
            Ok(response) => break response,
            Err(error) => {
                assert!(!error.is_connect(), "refused: {error}");
                assert!(begun.elapsed() < Duration::from_secs(2), "not back after {:?}: {error}", begun.elapsed());
            }
        }
    };
    assert_eq!(hello.status(), 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "back after {:?}", begun.elapsed());
    let fresh = proxy.session().await;
    assert_eq!(fresh.say("a__echo", json!({"text": "again"})).await, "again");
    assert!(fresh.tools().await.contains(&"b__echo".to_owned()));
    let after = proxy.status().await;
    assert_ne!(after.gateway_pid(), before.gateway_pid());
    assert_eq!(after.gateway.as_ref().map(|gateway| gateway.restarts), Some(1));
    for old in [a, b] {
        let now = after.server(&old.name);
        assert_eq!((now.server_pid, now.worker_pid, now.generation), (old.server_pid, old.worker_pid, old.generation));
    }
    let old = session.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
    assert_eq!(old.status, 200, "a session outlives its gateway: {old:?}");
}

#[tokio::test]
async fn a_gateway_that_is_killed_again_and_again_is_back_within_a_second_each_time() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let server = proxy.server("a").await;
    let mut last = 0;
    let mut took = Vec::new();
    for _ in 0..9 {
        let gateway = eventually("another gateway serves", Duration::from_secs(15), async || {
            let pid = proxy.try_status().await?.gateway?.pid;
            (pid != last).then_some(pid)
        })
        .await;
        last = gateway;
        kill(gateway);
        let begun = Instant::now();
        // One that was cut off is asked again; none is refused.
        while let Err(error) = proxy.http.get(proxy.url("/healthz")).send().await {
            assert!(!error.is_connect(), "refused: {error}");
        }
        took.push(begun.elapsed());
    }
    took.sort();
    // A busy machine may add something to some of them.
    assert!(took[took.len() / 2] < Duration::from_secs(1), "{took:?}");
    assert!(took.iter().all(|took| *took < Duration::from_secs(3)), "{took:?}");
    assert_eq!(session.say("a__echo", json!({"text": "still here"})).await, "still here");
    assert_eq!(proxy.server("a").await.server_pid, server.server_pid);
}

#[tokio::test]
async fn those_who_follow_the_log_do_not_keep_a_new_gateway_out() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.status().await;
    let socket = mcproxy_ipc::supervisor_socket(&proxy.dir().join("run"));
    let mut followers = Vec::new();
    for _ in 0..64 {
        let mut connection = mcproxy_ipc::connect(&socket).await.expect("the supervisor listens");
        mcproxy_ipc::introduce(&mut connection).await.expect("accepted");
        let (receiver, mut sender) = connection.control::<SupervisorToOperator, OperatorToSupervisor>();
        sender.send(&OperatorToSupervisor::Logs { server: None, lines: 0, follow: true }).await.expect("sent");
        followers.push((receiver, sender));
    }
    kill(before.gateway_pid());
    eventually("another gateway", Duration::from_secs(5), async || {
        let gateway = proxy.try_status().await?.gateway?.pid;
        (gateway != before.gateway_pid() && proxy.get("/healthz").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_connection_is_refused_while_the_gateway_is_killed_again_and_again() {
    let proxy = Proxy::of(&["a"]).await;
    let mut killed = 0;
    let begun = Instant::now();
    let mut last = 0;
    while killed < 3 {
        // Fresh connections only: a kept one dies with the gateway, which is no refusal.
        let request = proxy.http.get(proxy.url("/healthz")).header("connection", "close").send().await;
        if let Err(error) = request {
            assert!(!error.is_connect(), "refused: {error}");
        }
        let gateway = proxy.status().await.gateway.map_or(0, |gateway| gateway.pid);
        if gateway != 0 && gateway != last && proxy.get("/healthz").await.status == 200 {
            kill(gateway);
            (last, killed) = (gateway, killed + 1);
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "only {killed} kills");
    }
    eventually("it answers", Duration::from_secs(10), async || {
        proxy.http.get(proxy.url("/healthz")).send().await.ok()?.status().is_success().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_call_that_was_written_to_a_server_is_never_sent_again() {
    let proxy = two_servers().await;
    let session = proxy.session().await;
    let before = proxy.server("a").await;
    assert_eq!(session.refuse("a__crash", json!({"code": 3})).await["code"], 31003);
    let after = back(&proxy, &before).await;
    assert_eq!(session.say("a__echo", json!({"text": "once"})).await, "once");
    // Sent again, the call would have ended the new server, too.
    assert_eq!(proxy.server("a").await.generation, after.generation);
    assert!(after.last_error.is_none() && after.went_through("code 3"), "it is well again: {after:?}");
}

#[tokio::test]
async fn what_a_killed_server_started_is_gone_too() {
    let proxy = two_servers().await;
    let session = proxy.session().await;
    let mut children = Vec::new();
    for tool in ["a__child", "a__double_fork"] {
        let pid: u32 = session.say(tool, json!({})).await.parse().expect("a pid");
        assert!(is_alive(pid));
        children.push(pid);
    }
    let before = proxy.server("a").await;
    kill(before.pid());
    back(&proxy, &before).await;
    for pid in children {
        eventually("the child is gone", Duration::from_secs(5), async || (!is_alive(pid)).then_some(())).await;
    }
}

#[tokio::test]
async fn a_server_that_aborts_is_told_by_its_signal() {
    let proxy = two_servers().await;
    let session = proxy.session().await;
    let before = proxy.server("a").await;
    assert_eq!(session.refuse("a__abort", json!({})).await["code"], 31003);
    let after = back(&proxy, &before).await;
    assert!(after.went_through("signal 6"), "{after:?}");
}

#[tokio::test]
async fn a_server_that_closes_its_stdout_counts_as_dead() {
    let proxy = two_servers().await;
    let session = proxy.session().await;
    let before = proxy.server("a").await;
    assert_eq!(session.refuse("a__close_stdout", json!({})).await["code"], 31003);
    back(&proxy, &before).await;
    assert!(!is_alive(before.pid()));
}

#[tokio::test]
async fn after_a_manual_restart_the_server_is_another_and_its_neighbour_the_same() {
    let proxy = two_servers().await;
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    let finished = proxy.cli(&["restart", "a"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let after =
        proxy.server_until("another", "a", |server| server.is_ready() && server.generation > a.generation).await;
    assert_ne!(after.server_pid, a.server_pid);
    assert_eq!(proxy.server("b").await.server_pid, b.server_pid);
    assert_eq!(ask(proxy.http.get(proxy.url("/readyz"))).await.status, 200);
}

#[tokio::test]
async fn calls_of_a_killed_gateway_hold_no_place_at_the_server() {
    let mut server = fixture("a", &[]);
    server["limits"] = json!({"maxConcurrent": 2});
    let proxy = Proxy::start(json!({"servers": [server]})).await;
    let session = proxy.session().await;
    let slow = |id: u64| {
        let params = json!({"name": "a__slow", "arguments": {"ms": 600_000}});
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        session.http(reqwest::Method::POST).json(&body).header("accept", "*/*").send()
    };
    let strike = async {
        eventually("both are under way", Duration::from_secs(10), async || {
            let metrics = proxy.get("/metrics").await.body;
            metrics.contains("mcproxy_calls_in_flight{server=\"a\"} 2").then_some(())
        })
        .await;
        kill(proxy.status().await.gateway_pid());
    };
    // Their connections die with the gateway, before or after the headers.
    let (_, _, ()) = tokio::join!(slow(1), slow(2), strike);
    eventually("another gateway answers", Duration::from_secs(5), async || {
        let answer = proxy.http.get(proxy.url("/readyz")).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    let fresh = proxy.session().await;
    eventually("the server was told that nobody waits", Duration::from_secs(5), async || {
        let response = fresh.respond("tools/call", json!({"name": "a__cancelled_count", "arguments": {}})).await;
        (response["result"]["content"][0]["text"] == "2").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_call_in_flight_gets_one_answer_when_its_server_is_restarted_or_removed() {
    for by_hand in [true, false] {
        let proxy = two_servers().await;
        let session = proxy.session().await;
        let call = session.request_as(json!(1), "tools/call", json!({"name": "a__slow", "arguments": {"ms": 600_000}}));
        let fault = async {
            eventually("it is under way", Duration::from_secs(10), async || {
                let metrics = proxy.get("/metrics").await.body;
                metrics.contains("mcproxy_calls_in_flight{server=\"a\"} 1").then_some(())
            })
            .await;
            if by_hand {
                assert_eq!(proxy.cli(&["restart", "a"]).await.code, Some(0));
            } else {
                proxy.write_config(&json!({"servers": [fixture("b", &[])]}).to_string());
            }
        };
        let (messages, ()) = tokio::join!(call, fault);
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert_eq!(messages[0]["error"]["code"], 31003, "{messages:?}");
    }
}
