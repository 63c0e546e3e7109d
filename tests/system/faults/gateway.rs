//! Sessions of Streamable HTTP outlive the gateway that opened them.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, RequestBuilder, header};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::support::{Answer, Proxy, Session, ask, eventually, fixture, initialize, kill, within};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const WATCHED: &str = "a+fixture://watched";

/// Kills the gateway and waits for the next one.
async fn next_gateway(proxy: &Proxy) {
    let before = proxy.status().await.gateway_pid();
    kill(before);
    gateway_after(proxy, before).await;
}

async fn gateway_after(proxy: &Proxy, before: u32) {
    eventually("another gateway runs", Duration::from_secs(20), async || {
        let gateway = proxy.try_status().await?.gateway?;
        (gateway.pid != before).then_some(())
    })
    .await;
}

/// A ping in a session; how it fares says whether the session lives.
async fn status_of(proxy: &Proxy, path: &str, id: &str, token: Option<&str>) -> u16 {
    let request = proxy.post(path).header("mcp-session-id", id).body(PING);
    ask(with(request, token)).await.status.as_u16()
}

fn with(request: RequestBuilder, token: Option<&str>) -> RequestBuilder {
    match token {
        Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    }
}

#[tokio::test]
async fn a_session_outlives_its_gateway_with_its_level_and_its_subscriptions() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    session.request("logging/setLevel", json!({"level": "error"})).await;
    session.request("resources/subscribe", json!({"uri": WATCHED})).await;
    for round in 0..2 {
        next_gateway(&proxy).await;
        assert_eq!(session.say("a__echo", json!({"text": "the same session"})).await, "the same session");
        assert!(session.tools().await.contains(&"b__echo".to_owned()), "round {round}");
        let mut stream = session.stream().await;
        // What changed meanwhile is not known, so the client is asked to look.
        stream.notification("notifications/tools/list_changed").await;
        eventually("the subscription is known to the server", Duration::from_secs(10), async || {
            session.say("a__subscriptions", json!({})).await.contains("fixture://watched").then_some(())
        })
        .await;
        session.say("a__touch_resource", json!({})).await;
        let updated = stream.notification("notifications/resources/updated").await;
        assert_eq!(updated["params"]["uri"], WATCHED);
        let mut other = proxy.session().await.stream().await;
        let call = |level: &str| json!({"name": "a__log", "arguments": {"level": level, "text": level}});
        for (level, wanted) in [("warning", false), ("error", true)] {
            let messages = session.request_as(json!(level), "tools/call", call(level)).await;
            let heard = messages.iter().any(|message| message["method"] == "notifications/message");
            assert!(wanted || !heard, "the level was forgotten in round {round}: {messages:?}");
        }
        assert!(other.rest(Duration::from_millis(300)).await.iter().all(|m| m["method"] != "notifications/message"));
    }
    assert_eq!(session.delete().await.status, 204);
    assert_eq!(status_of(&proxy, "/mcp", &session.id, None).await, 404);
}

#[tokio::test]
async fn a_session_that_ended_stays_dead_in_every_later_gateway() {
    let config = json!({"servers": [fixture("a", &[])], "limits": {"maxSessions": 3}});
    let proxy = Proxy::start(config).await;
    let evicted = proxy.session().await;
    let deleted = proxy.session().await;
    let kept = proxy.session().await;
    let newest = proxy.session().await;
    assert_eq!(deleted.delete().await.status, 204);
    for _ in 0..2 {
        next_gateway(&proxy).await;
        assert_eq!(status_of(&proxy, "/mcp", &kept.id, None).await, 200);
        assert_eq!(status_of(&proxy, "/mcp", &newest.id, None).await, 200);
        assert_eq!(status_of(&proxy, "/mcp", &evicted.id, None).await, 404);
        assert_eq!(status_of(&proxy, "/mcp", &deleted.id, None).await, 404);
    }
    // Taken up and ended here: it must not be taken up once more.
    assert_eq!(kept.delete().await.status, 204);
    assert_eq!(status_of(&proxy, "/mcp", &kept.id, None).await, 404);
    let mut forged = newest.id.clone().into_bytes();
    let at = forged.len() / 2;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("text");
    assert_eq!(status_of(&proxy, "/mcp", &forged, None).await, 404);
}

#[tokio::test]
async fn a_session_that_was_idle_for_too_long_stays_dead_in_the_next_gateway() {
    let config = json!({"servers": [fixture("a", &[])], "limits": {"sessionIdle": 3}});
    let proxy = Proxy::start(config).await;
    let idle = proxy.session().await;
    proxy.logged(&["session expired"]).await;
    next_gateway(&proxy).await;
    assert_eq!(status_of(&proxy, "/mcp", &idle.id, None).await, 404);
    // One that does not come back within that time is idle for at least as long.
    let gateway = proxy.status().await.gateway_pid();
    let away = proxy.session().await;
    kill(gateway);
    gateway_after(&proxy, gateway).await;
    proxy.logged(&["restorable sessions expired"]).await;
    assert_eq!(status_of(&proxy, "/mcp", &away.id, None).await, 404);
}

#[tokio::test]
async fn the_next_gateway_knows_a_session_for_its_own_caller_and_endpoint_only() {
    const TOKENS: [&str; 2] = ["the-secret-of-ann-1", "the-secret-of-bob-2"];
    let config = json!({
        "servers": [fixture("a", &[])],
        "groups": {"g": {"servers": ["a"]}},
        "auth": {"tokens": [{"name": "ann", "token": TOKENS[0]}, {"name": "bob", "token": TOKENS[1]}]}
    });
    let proxy = Proxy::start(config).await;
    let open = async |path: &str| {
        let request = proxy.post(path).body(initialize("2025-11-25").to_string());
        let answer = ask(with(request, Some(TOKENS[0]))).await;
        answer.header("mcp-session-id").expect("a session").to_owned()
    };
    let ids = [("/mcp", open("/mcp").await), ("/groups/g/mcp", open("/groups/g/mcp").await)];
    for gateway in 0..2 {
        for (home, id) in &ids {
            for path in ["/mcp", "/groups/g/mcp", "/servers/a/mcp"] {
                assert_eq!(status_of(&proxy, path, id, Some(TOKENS[1])).await, 404, "{gateway} {path}");
                if path != *home {
                    assert_eq!(status_of(&proxy, path, id, Some(TOKENS[0])).await, 404, "{gateway} {path}");
                }
            }
            let delete = with(proxy.http.delete(proxy.url(home)).header("mcp-session-id", id), Some(TOKENS[1]));
            assert_eq!(ask(delete).await.status, 404, "somebody else must not end it");
            let stream = proxy.http.get(proxy.url(home)).header("accept", "text/event-stream");
            assert_eq!(ask(with(stream.header("mcp-session-id", id), Some(TOKENS[1]))).await.status, 404);
            assert_eq!(status_of(&proxy, home, id, Some(TOKENS[0])).await, 200, "it is alive all the same");
        }
        next_gateway(&proxy).await;
    }
    assert!(proxy.log().contains("client presented a session of another principal"));
}

#[tokio::test]
async fn mcproxy_connect_keeps_its_session_over_the_end_of_the_gateway() {
    let proxy = Proxy::of(&["a"]).await;
    let mut command = proxy.cli_command(&["connect", &proxy.url("/mcp")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("mcproxy starts");
    let mut input = child.stdin.take().expect("piped");
    let mut output = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut exchange = async move |message: Value| {
        input.write_all(format!("{message}\n").as_bytes()).await.expect("it reads");
        let wanted = message["id"].clone();
        within("an answer", Duration::from_secs(30), async {
            loop {
                let line = output.next_line().await.expect("it writes").expect("it runs");
                let answer: Value = serde_json::from_str(&line).expect("JSON");
                if answer["id"] == wanted {
                    return answer;
                }
            }
        })
        .await
    };
    let call = |id: &str| {
        let params = json!({"name": "a__echo", "arguments": {"text": id}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    };
    let hello = exchange(initialize("2025-11-25")).await;
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(exchange(call("before")).await["result"]["content"][0]["text"], "before");
    next_gateway(&proxy).await;
    assert_eq!(exchange(call("after")).await["result"]["content"][0]["text"], "after");
    drop(exchange);
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).await.expect("readable");
    assert!(!said.contains("new one") && !said.contains("forgotten"), "it kept its session: {said}");
    child.wait().await.expect("it ends with its input");
}

/// One request on a connection of its own.
async fn fresh(session: &Session, body: String) -> Result<Answer, reqwest::Error> {
    // Reading the machine's authorities takes longer than a call.
    let http = Client::builder().no_proxy().tls_certs_only([]).pool_max_idle_per_host(0);
    let http = http.build().expect("an HTTP client");
    let request = session.http(Method::POST).header("content-type", "application/json").body(body);
    let request = request.header("accept", "application/json, text/event-stream").build()?;
    let response = http.execute(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Answer { status, headers, body: response.text().await? })
}

#[tokio::test]
async fn fifty_requests_a_second_meet_no_refused_connection_when_the_gateway_is_killed() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    let before = proxy.status().await;
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let (mut tasks, mut killed) = (tokio::task::JoinSet::new(), None);
    let session = std::sync::Arc::new(session);
    for number in 0..150u64 {
        pace.tick().await;
        if number == 50 {
            kill(before.gateway_pid());
            killed = Some(Instant::now());
        }
        let session = session.clone();
        tasks.spawn(async move {
            let params = json!({"name": "a__echo", "arguments": {"text": number.to_string()}});
            let body = json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params});
            let answer = fresh(&session, body.to_string()).await;
            (number, answer, Instant::now())
        });
    }
    let killed = killed.expect("it was killed");
    let (mut broken, mut back) = (Vec::new(), None::<Instant>);
    for (number, answer, at) in tasks.join_all().await {
        match answer {
            Ok(answer) => {
                let messages: Vec<Value> = answer.messages();
                let last = messages.last().unwrap_or_else(|| panic!("no answer to {number}: {answer:?}"));
                assert_eq!(answer.status, 200, "{number}: {answer:?}");
                assert_eq!(last["result"]["content"][0]["text"], number.to_string(), "{answer:?}");
                if number > 50 {
                    back = Some(back.map_or(at, |before| before.min(at)));
                }
            }
            Err(error) => {
                assert!(!error.is_connect(), "request {number} was refused: {error:?}");
                broken.push(number);
            }
        }
    }
    // Whatever the old gateway read and had not answered is lost with it; nothing that came later is.
    assert!(broken.iter().all(|number| *number <= 60), "broken connections: {broken:?}");
    let away = back.expect("somebody was answered").duration_since(killed);
    assert!(away < Duration::from_secs(2), "back after {away:?}");
    let after = proxy.status().await;
    for name in ["a", "b"] {
        let (old, new) = (before.server(name), after.server(name));
        assert_eq!((old.server_pid, old.worker_pid), (new.server_pid, new.worker_pid));
    }
}
