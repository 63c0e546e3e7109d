//! The records of calls: what is in them, what happens when they cannot be written, and whether a change of them shows.

use std::{fs, path::PathBuf};

use reqwest::Client;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{DEADLINE, LegacySession, Modern, Proxy, Session, eventually, fixture, http_client, kill};

const ANN: &str = "the-secret-of-ann-1";

fn config(audit: Value) -> Value {
    json!({"servers": [fixture("a", &[])], "audit": audit,
        "auth": {"tokens": [{"name": "ann", "token": ANN}]}})
}

async fn start(audit: Value) -> Proxy {
    let proxy = Proxy::launch(config(audit)).await;
    proxy.until_ready().await;
    proxy
}

fn dir(proxy: &Proxy) -> PathBuf {
    proxy.dir().join("records")
}

fn text(proxy: &Proxy) -> String {
    fs::read_to_string(dir(proxy).join("audit.jsonl")).unwrap_or_default()
}

fn lines(proxy: &Proxy) -> Vec<Value> {
    text(proxy).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn recorded(proxy: &Proxy, count: usize) -> Vec<Value> {
    eventually("the calls are recorded", DEADLINE, async || {
        let lines = lines(proxy);
        (lines.len() >= count).then_some(lines)
    })
    .await
}

fn ann() -> Client {
    http_client(Some(ANN))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn verify(proxy: &Proxy) -> (Option<i32>, String) {
    let finished = proxy.cli(&["audit", "verify", dir(proxy).to_str().expect("a path")]).await;
    (finished.code, finished.stdout)
}

#[tokio::test]
async fn each_call_has_a_line_that_says_who_what_and_how_it_went_and_never_the_arguments() {
    let proxy = start(json!({"dir": "records"})).await;
    let session = Session::open(&ann(), &proxy.url("/mcp")).await;
    let arguments = r#"{"text": "hunter2"}"#;
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"a__echo","arguments":{arguments}}}}}"#
    );
    session.post(&call).await;
    let modern = Modern::new(&proxy.http, &proxy.url("/servers/a/mcp")).with_token(ANN);
    modern.say("echo", json!({"text": "x"})).await;
    let (mut legacy, _) = LegacySession::open(&ann(), &proxy.base, "/sse").await;
    legacy.request("prompts/get", json!({"name": "a__plain"})).await;
    session.request("resources/read", json!({"uri": "a+fixture://static/text"})).await;
    session.call("mcproxy__status", json!({})).await;
    session.respond("tools/call", json!({"name": "a__no_such_tool", "arguments": {}})).await;
    session.refuse("b__secret", json!({})).await;
    let lines = recorded(&proxy, 7).await;
    let seen: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line["method"].as_str().unwrap_or_default(), line["name"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        seen,
        [
            ("tools/call", "echo"),
            ("tools/call", "echo"),
            ("prompts/get", "plain"),
            ("resources/read", ""),
            ("tools/call", "status"),
            ("tools/call", "no_such_tool"),
            ("tools/call", "b__secret"),
        ]
    );
    let first = &lines[0];
    assert_eq!((&first["n"], &first["principal"], &first["server"]), (&json!(1), &json!("ann"), &json!("a")));
    assert_eq!((&first["outcome"], &first["endpoint"]), (&json!("result"), &json!("all")));
    assert_eq!(
        (&first["argumentsSha256"], &first["argumentsBytes"]),
        (&json!(sha256(arguments)), &json!(arguments.len()))
    );
    assert!(first["durationMs"].is_f64() && first["resultBytes"].as_u64() > Some(0), "{first}");
    assert!(first["client"].as_str().is_some_and(|client| !client.is_empty()), "{first}");
    assert_eq!(first["definitionSha256"], lines[1]["definitionSha256"], "the same tool");
    assert!(lines[1]["client"].is_string() && lines[1]["session"] == "none", "{}", lines[1]);
    assert_eq!(lines[4]["server"], "mcproxy");
    assert_eq!(lines[5]["outcome"], "error");
    assert_eq!((&lines[6]["server"], &lines[6]["outcome"]), (&json!(""), &json!("not_called")));
    assert!(lines.iter().all(|line| line.get("arguments").is_none()) && !text(&proxy).contains("hunter2"));
    let (code, said) = verify(&proxy).await;
    assert!(code == Some(0) && said.contains("7 lines are as they were written"), "{said}");
}

#[tokio::test]
async fn a_call_that_is_given_up_has_a_line_and_a_change_of_a_line_shows() {
    let proxy = start(json!({"dir": "records", "arguments": true, "redact": ["/text"]})).await;
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(ANN);
    modern.say("a__echo", json!({"text": "hunter2"})).await;
    let request = modern.request("tools/call", json!({"name": "a__slow", "arguments": {"ms": 600_000}}));
    let slow = tokio::spawn(modern.post(&request).send());
    eventually("the call is under way", DEADLINE, async || {
        let page = ann().get(proxy.url("/metrics")).send().await.ok()?.text().await.ok()?;
        page.contains("mcproxy_calls_in_flight{server=\"a\"} 1").then_some(())
    })
    .await;
    slow.abort();
    let lines = recorded(&proxy, 2).await;
    assert_eq!((&lines[0]["arguments"]["text"], &lines[1]["arguments"]["ms"]), (&json!("***"), &json!(600_000)));
    assert_eq!((&lines[1]["name"], &lines[1]["outcome"]), (&json!("slow"), &json!("cancelled")));
    modern.say("a__echo", json!({"text": "last"})).await;
    recorded(&proxy, 3).await;
    assert_eq!(verify(&proxy).await.0, Some(0));
    let path = dir(&proxy).join("audit.jsonl");
    let whole = fs::read_to_string(&path).expect("the file");
    let mut without: Vec<&str> = whole.lines().collect();
    without.remove(1);
    for (how, changed, part) in [
        ("removed", without.join("\n") + "\n", "audit.jsonl:2: this line is number 3"),
        ("changed", whole.replacen("\"slow\"", "\"echo\"", 1), "audit.jsonl:3: line 2 was changed"),
    ] {
        fs::write(&path, changed).expect("written");
        let (code, said) = verify(&proxy).await;
        assert!(code == Some(1) && said.contains(part), "{how}: {said}");
    }
}

#[tokio::test]
async fn the_trail_goes_on_after_a_crash_of_the_gateway_and_a_restart() {
    let mut proxy = start(json!({"dir": "records"})).await;
    let say = async |proxy: &Proxy, text: &str| {
        let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(ANN);
        modern.say("a__echo", json!({"text": text})).await;
    };
    say(&proxy, "1").await;
    recorded(&proxy, 1).await;
    let before = proxy.status().await.gateway_pid();
    kill(before);
    eventually("another gateway serves", DEADLINE, async || {
        let now = proxy.try_status().await?.gateway.as_ref()?.pid;
        (now != before && proxy.get("/healthz").await.status == 200).then_some(())
    })
    .await;
    say(&proxy, "2").await;
    proxy.start_over().await;
    proxy.until_ready().await;
    say(&proxy, "3").await;
    let lines = recorded(&proxy, 3).await;
    assert_eq!(lines.iter().map(|line| line["n"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    assert_eq!(verify(&proxy).await.0, Some(0));
}

#[tokio::test]
async fn while_records_cannot_be_written_calls_go_on_or_are_refused_as_the_file_says() {
    for fail in ["open", "closed"] {
        let proxy = Proxy::launch(config(json!({"dir": "records", "fail": fail}))).await;
        // It is no directory, so nothing can be written below it.
        fs::write(dir(&proxy), "in the way").expect("written");
        proxy.until_ready().await;
        let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(ANN);
        let echo =
            async || modern.ask("tools/call", json!({"name": "a__echo", "arguments": {"text": "x"}})).await.json();
        echo().await;
        proxy.logged(&["audit cannot be written"]).await;
        let refused = eventually("the gateway knows", DEADLINE, async || {
            let answer = echo().await;
            (fail == "open" || answer["error"].is_object()).then_some(answer)
        })
        .await;
        if fail == "closed" {
            assert_eq!(refused["error"]["data"]["reason"], "not_recorded", "{refused}");
        } else {
            assert!(refused["result"].is_object(), "{refused}");
        }
        fs::remove_file(dir(&proxy)).expect("removed");
        eventually("calls are made again", DEADLINE, async || echo().await["result"].is_object().then_some(())).await;
        let lines = recorded(&proxy, if fail == "open" { 3 } else { 2 }).await;
        assert_eq!(lines[0]["name"], "echo", "what was called before is recorded, too");
        assert_eq!(verify(&proxy).await.0, Some(0));
    }
}
