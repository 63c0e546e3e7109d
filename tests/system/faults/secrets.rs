//! A server that says what it was told in confidence.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Proxy, binary, eventually, fixture, kill};

const SECRET: &str = "sup3rs3cr3tvalue";
const ARGUMENT: &str = "t0ken-0f-the-c0mmand-line";

/// It writes its environment and its arguments to stderr in several forms, then serves.
fn talker(name: &str, then: &str) -> Value {
    let script = format!(
        "echo \"GET https://x/?key=$API_KEY&token=$4\" >&2; printf '{{\"key\":\"%s\"}}\\n' \"$API_KEY\" >&2; \
         printf 'basic %s\\n' \"$(printf 'me:%s' \"$API_KEY\" | base64)\" >&2; \
         printf '%s' sup3r >&2; sleep 0.1; printf 's3cr3tvalue in two\\n' >&2; \
         echo \"garbage $API_KEY\"; {then}; exec \"$2\" --name {name}"
    );
    json!({
        "name": name,
        "command": "sh",
        "args": ["-c", script, "sh", "", binary("mcproxy-fixture"), "", "${C17_ARGUMENT}"],
        "env": {"API_KEY": "${C17_SECRET}", "LOG_LEVEL": "debug"},
    })
}

/// Whether a text has a secret in it, also in base64.
fn leaks(text: &str) -> bool {
    [SECRET, ARGUMENT, "s3cr3t", "c3VwM3JzM2NyM3R2YWx1Z", "1cDNyczNjcjN0dmFsdW"]
        .iter()
        .any(|secret| text.contains(secret))
}

async fn launch(servers: Value) -> Proxy {
    let config = json!({"servers": servers, "groups": {"g": {"servers": ["b"]}}});
    Proxy::launch_with(config, |command| {
        command.env("C17_SECRET", SECRET).env("C17_ARGUMENT", ARGUMENT);
    })
    .await
}

#[tokio::test]
async fn what_a_server_says_of_its_secrets_is_masked_wherever_it_is_shown() {
    let proxy = launch(json!([talker("a", ":"), talker("failing", "exit 3"), fixture("b", &[])])).await;
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    proxy.server_until("failed", "failing", |server| server.last_error.is_some()).await;
    proxy.logged(&["in two", "***"]).await;
    let session = proxy.session().await;
    let mut shown = vec![proxy.log(), proxy.cli(&["logs", "a"]).await.stdout, proxy.cli(&["logs"]).await.stdout];
    assert!(shown[1].contains("key=***&token=***") && shown[1].contains("basic "), "{}", shown[1]);
    for server in ["a", "failing"] {
        shown.push(session.say("mcproxy__logs", json!({"server": server, "lines": 500})).await);
    }
    shown.push(session.call("mcproxy__status", json!({})).await.to_string());
    shown.push(proxy.cli(&["status", "--json"]).await.stdout);
    shown.push(proxy.cli(&["status", "failing"]).await.stdout);
    shown.push(session.respond("tools/call", json!({"name": "failing__echo", "arguments": {}})).await.to_string());
    shown.push(proxy.get("/health").await.body);
    let call = tokio::spawn({
        let other = proxy.session().await;
        async move { other.respond("tools/call", json!({"name": "a__hang", "arguments": {}})).await.to_string() }
    });
    let pid = proxy.server("a").await.pid();
    tokio::time::timeout(Duration::from_secs(5), session.say("a__echo", json!({"text": "there"})))
        .await
        .expect("in time");
    kill(pid);
    shown.push(call.await.expect("answered"));
    shown.push(proxy.log());
    for text in &shown {
        assert!(!leaks(text), "{text}");
    }
}

#[tokio::test]
async fn a_groups_client_sees_the_logs_and_the_status_of_its_own_servers_only() {
    let proxy = launch(json!([fixture("a", &["--stderr", "of a"]), fixture("b", &["--stderr", "of b"])])).await;
    proxy.until_ready().await;
    let (all, group) = (proxy.session().await, proxy.session_at("/groups/g/mcp").await);
    eventually("both are logged", Duration::from_secs(10), async || {
        let of = async |server| all.say("mcproxy__logs", json!({"server": server})).await;
        (of("a").await.contains("of a") && of("b").await.contains("of b")).then_some(())
    })
    .await;
    assert!(group.say("mcproxy__logs", json!({"server": "b"})).await.contains("of b"));
    let refused = group.call("mcproxy__logs", json!({"server": "a"})).await;
    assert!(refused["isError"] == true && !refused.to_string().contains("of a"), "{refused}");
    let unknown = group.call("mcproxy__logs", json!({"server": "nobody"})).await.to_string();
    assert_eq!(refused.to_string().replace("`a`", "`nobody`"), unknown, "nothing tells whether there is one");
    let status = group.say("mcproxy__status", json!({})).await;
    assert!(status.contains("1 of 1 servers ready"), "{status}");
}
