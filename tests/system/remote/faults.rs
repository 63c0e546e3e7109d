//! Servers that cannot be reached, or not any more.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::{at, in_front_of, upstream::Upstream};
use crate::support::{DEADLINE, Proxy, eventually, fixture, kill};

#[tokio::test]
async fn an_upstream_that_is_killed_costs_each_of_its_calls_one_error_and_no_session() {
    let upstream = Proxy::of(&["a"]).await;
    for era in ["legacy", "modern"] {
        let proxy = in_front_of(&upstream, json!({"era": era})).await;
        let session = proxy.session().await;
        let direct = upstream.session_at("/servers/a/mcp").await;
        let before: u64 = direct.say("calls", json!({})).await.parse().expect("a number");
        let (mut asked, mut streams) = (0, Vec::new());
        for id in 1..=5 {
            let params = json!({"name": "r__slow", "arguments": {"ms": 600_000}});
            streams.push(session.streamed(json!(id), "tools/call", params).await);
        }
        eventually("the server has the calls", DEADLINE, async || {
            let calls: u64 = direct.say("calls", json!({})).await.parse().ok()?;
            asked += 1;
            (calls >= before + asked + 5).then_some(())
        })
        .await;
        kill(upstream.status().await.gateway_pid());
        for (stream, id) in streams.iter_mut().zip(1..) {
            let response = stream.find("its error", |message| message["id"] == id).await;
            assert_eq!(response["error"]["data"]["server"], "r", "{era}: {response}");
            assert_eq!(stream.event().await, None, "and nothing more");
        }
        eventually("calls are answered again", DEADLINE, async || {
            let params = json!({"name": "r__echo", "arguments": {"text": "again"}});
            let response = session.respond("tools/call", params).await;
            response.to_string().contains("again").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_upstream_that_is_restarted_under_load_gets_no_call_twice_and_costs_no_session() {
    const CLIENTS: usize = 16;
    for era in ["legacy", "modern"] {
        let first = Upstream::start(era).await;
        let port = first.port;
        let proxy = Proxy::start(json!({"servers": [at("r", &first.url(), json!({}))]})).await;
        let sessions = (0..CLIENTS).map(|_| proxy.session());
        let sessions = futures_util::future::join_all(sessions).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let loads = sessions.into_iter().enumerate().map(|(client, session)| {
            let mut stopped = stopped.clone();
            tokio::spawn(async move {
                let (mut errors, mut call) = (Vec::new(), 0);
                while !*stopped.borrow_and_update() {
                    let params = json!({"name": "r__headers", "arguments": {"tag": format!("{client}-{call}")}});
                    // One response, whatever it is: this fails for none, and for two.
                    let response = session.respond("tools/call", params).await;
                    errors.extend(response.get("error").map(ToString::to_string));
                    call += 1;
                }
                (session, errors)
            })
        });
        let loads: Vec<_> = loads.collect();
        let under_load = async |upstream: &Upstream, calls: usize| {
            eventually("it is under load", DEADLINE, async || {
                (upstream.received("tools/call").len() >= calls).then_some(())
            })
            .await;
        };
        under_load(&first, 200).await;
        let before = first.received("tools/call");
        drop(first);
        let began = std::time::Instant::now();
        let second = Upstream::at(port, era, |_| None).await;
        under_load(&second, 200).await;
        // The first step of the backoff is a second, with jitter; before that it is tried at once.
        assert!(began.elapsed() < Duration::from_secs(15), "{era}: {:?}", began.elapsed());
        stop.send(true).expect("they listen");
        let mut tags = BTreeSet::new();
        for call in before.iter().chain(&second.received("tools/call")) {
            let tag = call.body["params"]["arguments"]["tag"].to_string();
            assert!(tags.insert(tag.clone()), "{era}: {tag} was sent twice");
        }
        for load in loads {
            let (session, errors) = load.await.expect("each call has one response");
            for error in &errors {
                assert!(error.contains("\"r\""), "{era}: {error}");
            }
            session.call("r__headers", json!({})).await;
        }
        let server = proxy.server("r").await;
        assert!(server.is_ready() && server.restarts <= 3, "{era}: {server:?}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_says_why_and_is_tried_again_later_and_later() {
    let upstream = Proxy::of(&["a"]).await;
    let port = upstream.base.rsplit(':').next().expect("a port");
    let cases = [
        ("refused", "http://127.0.0.1:1/mcp".to_owned(), json!({}), "connection refused; is the server running?"),
        ("dns", "http://no-such-host.invalid/mcp".to_owned(), json!({}), "`no-such-host.invalid` has no address"),
        ("path", upstream.url("/nothing/here"), json!({"type": "http"}), "check `url`"),
        ("text", upstream.url("/healthz"), json!({}), "is it the address of an MCP server?"),
        ("tls", format!("https://127.0.0.1:{port}/mcp"), json!({}), "does not speak TLS at this port"),
        ("cloud", "http://169.254.169.254/latest".to_owned(), json!({}), "clouds hand out credentials"),
        ("private", upstream.url("/mcp"), json!({"denyPrivate": true}), "private address"),
        ("ca", "https://127.0.0.1:1/mcp".to_owned(), json!({"tls": {"ca": "/no/such/ca.pem"}}), "cannot read `tls.ca`"),
    ];
    let entries: Vec<_> = cases.iter().map(|(name, url, members, _)| at(name, url, members.clone())).collect();
    let mut servers = entries;
    servers.push(at("socket", "ws://127.0.0.1:1/", json!({"type": "ws"})));
    servers.push(fixture("fine", &[]));
    let proxy = Proxy::launch(json!({"servers": servers})).await;
    for (name, _, _, said) in &cases {
        let is_said = |server: &crate::support::ServerView| {
            server.state == "backoff" && server.last_error.as_ref().is_some_and(|error| error.contains(said))
        };
        proxy.server_until("it says why", name, is_said).await;
    }
    proxy.server_until("the others run", "fine", |server| server.is_ready()).await;
    let socket = proxy.server("socket").await;
    assert_eq!(socket.state, "blocked");
    assert!(socket.last_error.is_some_and(|error| error.contains("servers of type `ws` are not known")));
    // One second, two, four: no more starts than that.
    let refused = proxy.server("refused").await;
    let limit = Duration::from_secs(60).as_secs_f64() * 1.1;
    assert!(refused.restarts <= 6 && refused.retry_in_seconds.is_none_or(|wait| wait <= limit), "{refused:?}");
    let error = proxy.session().await.refuse("refused__x", json!({})).await;
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[tokio::test]
async fn a_worker_that_only_connects_serves_under_hardening() {
    let upstream = Proxy::of(&["a"]).await;
    let entry = at("r", &upstream.url("/servers/a/mcp"), json!({}));
    let proxy = Proxy::start(json!({"hardening": "best-effort", "servers": [entry]})).await;
    assert_eq!(proxy.session().await.say("r__echo", json!({"text": "x"})).await, "x");
    let named = upstream.url("/servers/a/mcp").replace("127.0.0.1", "localhost");
    let entry = at("r", &named, json!({}));
    let proxy = Proxy::start(json!({"hardening": "best-effort", "servers": [entry]})).await;
    assert_eq!(proxy.session().await.say("r__echo", json!({"text": "x"})).await, "x", "names are looked up");
}
