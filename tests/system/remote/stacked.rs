//! MCProxy behind MCProxy: all that a call carries goes through both.

use serde_json::{Value, json};

use super::{at, in_front_of};
use crate::support::{DEADLINE, Finished, Modern, Proxy, Session, binary, eventually, fixture, run, text};

const ALL: [&str; 4] = ["sampling", "elicitation", "elicitation.url", "roots"];

/// The upstream: a scripted server `a` of this era, which may ask for everything.
async fn upstream(era: &str) -> Proxy {
    let mut entry = fixture("a", &["--era", era]);
    entry["clientFeatures"] = json!(ALL);
    Proxy::start(json!({"servers": [entry]})).await
}

fn everything() -> Value {
    json!({"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": true}})
}

#[tokio::test]
async fn every_client_calls_a_server_behind_two_gateways_in_both_eras() {
    for server in ["legacy", "modern"] {
        let upstream = upstream(server).await;
        for era in ["legacy", "modern"] {
            let proxy = in_front_of(&upstream, json!({"era": era})).await;
            let (b, mut a) = (proxy.session().await, proxy.legacy_session().await);
            let c = Modern::new(&proxy.http, &proxy.url("/mcp"));
            let arguments = json!({"text": "same"});
            let results = [
                a.call("r__echo", arguments.clone()).await,
                b.call("r__echo", arguments.clone()).await,
                c.call("r__echo", arguments).await,
            ];
            for result in &results {
                assert_eq!(text(result), "same", "{server} over {era}: {result}");
            }
            let status = proxy.server("r").await;
            let version = status.server.expect("it is ready")["protocolVersion"].clone();
            assert_eq!(version, if era == "legacy" { "2025-11-25" } else { "2026-07-28" });
            let params = json!({"name": "r__progress", "arguments": {"steps": 3, "interval_ms": 1}, "_meta": {"progressToken": "t"}});
            let messages = b.request_as(json!(77), "tools/call", params).await;
            let reports = messages.iter().filter(|message| message["method"] == "notifications/progress");
            assert!(reports.clone().count() >= 2, "{server} over {era}: {messages:?}");
            assert!(reports.clone().all(|report| report["params"]["progressToken"] == "t"), "{messages:?}");
        }
    }
}

#[tokio::test]
async fn a_question_of_the_server_and_its_answer_go_through_both() {
    for era in ["legacy", "modern"] {
        let upstream = upstream("legacy").await;
        let proxy = in_front_of(&upstream, json!({"era": era, "clientFeatures": ALL})).await;
        let session = Session::capable(&proxy.http, &proxy.url("/mcp"), everything()).await;
        let params = json!({"name": "r__elicit", "arguments": {"message": "what?"}});
        let mut events = session.streamed(json!(5), "tools/call", params).await;
        let asked = events.find("a question", |message| message["method"] == "elicitation/create").await;
        assert_eq!(asked["params"]["message"], "what?", "{era}");
        let result = json!({"action": "accept", "content": {"answer": "that"}});
        let body = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
        assert_eq!(session.post(&body.to_string()).await.status, 202);
        let response = events.find("the answer", |message| message["id"] == 5 && message.get("method").is_none()).await;
        assert!(text(&response["result"]).contains("that"), "{era}: {response}");
        assert_eq!(session.say("r__calls", json!({})).await, "2", "{era}: the call was made once");
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_at_the_server() {
    for era in ["legacy", "modern"] {
        let upstream = upstream("legacy").await;
        let proxy = in_front_of(&upstream, json!({"era": era})).await;
        let session = proxy.session().await;
        let params = json!({"name": "r__slow", "arguments": {"ms": 600_000}});
        let mut slow = session.streamed(json!(6), "tools/call", params).await;
        let direct = upstream.session_at("/servers/a/mcp").await;
        eventually("the server has the call", DEADLINE, async || {
            (direct.say("calls", json!({})).await.parse::<u64>().ok()? >= 2).then_some(())
        })
        .await;
        session.notify("notifications/cancelled", json!({"requestId": 6})).await;
        assert_eq!(slow.event().await, None);
        eventually("the server hears of it", DEADLINE, async || {
            (direct.say("cancelled_count", json!({})).await == "1").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_changed_list_is_heard_of_behind_both() {
    for era in ["legacy", "modern"] {
        let upstream = upstream("legacy").await;
        let proxy = in_front_of(&upstream, json!({"era": era})).await;
        let session = proxy.session().await;
        let mut stream = session.stream().await;
        session.say("r__add_tool", json!({"name": "fresh"})).await;
        stream.notification("notifications/tools/list_changed").await;
        eventually("the new tool is listed", DEADLINE, async || {
            session.tools().await.contains(&"r__fresh".to_owned()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn each_session_has_a_session_of_its_own_where_that_is_wanted() {
    let upstream = upstream("legacy").await;
    let members = json!({"instances": "per-session", "era": "legacy"});
    let proxy = in_front_of(&upstream, members).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    for session in [&one, &two] {
        assert_eq!(session.say("r__echo", json!({"text": "x"})).await, "x");
    }
    proxy.server_until("two of them", "r", |server| server.instances.is_some_and(|all| all.running >= 2)).await;
}

#[tokio::test]
async fn a_token_and_a_header_reach_the_server_and_nobody_else() {
    let upstream = Proxy::start(json!({
        "auth": {"tokens": [{"name": "front", "token": "front-token-front-token"}]},
        "servers": [fixture("a", &[])]
    }))
    .await;
    let url = upstream.url("/servers/a/mcp");
    let without = at("without", &url, json!({}));
    let wrong = at("wrong", &url, json!({"bearerToken": "wrong-token-wrong-token"}));
    let right = at("right", &url, json!({"bearerToken": "front-token-front-token"}));
    let proxy = Proxy::launch(json!({"servers": [without, wrong, right]})).await;
    proxy.server_until("it is let in", "right", |server| server.is_ready()).await;
    for (name, said) in [("without", "wants credentials"), ("wrong", "does not accept the credentials")] {
        let needs_login = |server: &crate::support::ServerView| {
            server.last_error.as_ref().is_some_and(|error| error.starts_with("needs login") && error.contains(said))
        };
        proxy.server_until("it needs a login", name, needs_login).await;
    }
    assert_eq!(proxy.session().await.say("right__echo", json!({"text": "x"})).await, "x");
    let log = proxy.log();
    assert!(!log.contains("front-token") && !log.contains("wrong-token"), "{log}");
    let mut command = tokio::process::Command::new(binary("mcproxy-worker"));
    let file = proxy.dir().join("mcp-servers.json");
    command.arg("--config").arg(file).args(["--server", "right", "--list", "--trace"]);
    let Finished { code, stdout, stderr } = run(&mut command, "").await;
    assert_eq!(code, Some(0), "{stderr}");
    let seen = ["→ POST /servers/a/mcp", "authorization: ***", "200 OK", "\"tools/list\""];
    assert!(seen.iter().all(|part| stderr.contains(part)), "the exchange is shown: {stderr}");
    assert!(!stdout.contains("front-token") && !stderr.contains("front-token"), "{stdout}{stderr}");
}
