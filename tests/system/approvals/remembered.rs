//! Answers that count for later calls.

use serde_json::{Value, json};

use super::{call, chosen, forms, id, start, until_held};
use crate::support::{DEADLINE, Proxy, Session, eventually, http_client, text};

const ANN: &str = "a-token-of-ann-that-is-long-enough";
const BOB: &str = "a-token-of-bob-that-is-long-enough";

/// Calls, answers the question, and returns what was asked with the answer; `None`: nothing was asked.
async fn ask_and_answer(session: &Session, number: u64, word: &str) -> (Option<Value>, Value) {
    let body = json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call("x")});
    let request = session.http(reqwest::Method::POST).header("content-type", "application/json");
    let response = request
        .header("accept", "application/json, text/event-stream")
        .body(body.to_string())
        .send()
        .await
        .expect("an answer");
    let is_stream = response.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/event-stream"));
    if !is_stream {
        return (None, response.json().await.expect("JSON"));
    }
    let mut events = crate::support::Events::of(response);
    let asked = events.find("a question", |message| message["method"] == "elicitation/create").await;
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": chosen(word)});
    assert_eq!(session.post(&answer.to_string()).await.status, 202);
    let response = events.find("the answer", |message| message["id"] == number).await;
    (Some(asked), response)
}

async fn open(proxy: &Proxy, token: Option<&str>) -> Session {
    Session::capable(&http_client(token), &proxy.url("/mcp"), forms()).await
}

#[tokio::test]
async fn for_this_session_is_for_this_session() {
    let proxy = start(json!({}), json!({})).await;
    let (one, other) = (open(&proxy, None).await, open(&proxy, None).await);
    let (asked, made) = ask_and_answer(&one, 505, "allow for this session").await;
    assert!(asked.is_some() && text(&made["result"]) == "x", "{made}");
    let (asked, made) = ask_and_answer(&one, 506, "refuse").await;
    assert!(asked.is_none() && text(&made["result"]) == "x", "{made}");
    let (asked, refused) = ask_and_answer(&other, 505, "refuse").await;
    assert!(asked.is_some() && refused["error"].is_object(), "{refused}");
    // A configuration that lets answers count for less asks again.
    let config = std::fs::read_to_string(proxy.dir().join("mcp-servers.json")).expect("text");
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    config["approvals"] = json!({"remember": "never"});
    proxy.write_config(&config.to_string());
    assert_eq!(proxy.cli(&["reload"]).await.code, Some(0));
    proxy.logged(&["settings changed"]).await;
    let (asked, _) = ask_and_answer(&one, 507, "refuse").await;
    assert!(asked.is_some());
}

#[tokio::test]
async fn always_is_for_one_principal_outlives_a_restart_and_can_be_forgotten() {
    let tokens = json!({"auth": {"tokens": [{"name": "ann", "token": ANN}, {"name": "bob", "token": BOB}]}});
    let mut proxy = start(json!({"remember": "always"}), tokens).await;
    let ann = open(&proxy, Some(ANN)).await;
    let (asked, made) = ask_and_answer(&ann, 505, "always allow").await;
    assert!(asked.is_some() && text(&made["result"]) == "x", "{made}");
    let (asked, _) = ask_and_answer(&open(&proxy, Some(ANN)).await, 505, "refuse").await;
    assert!(asked.is_none(), "another session of hers");
    let (asked, _) = ask_and_answer(&open(&proxy, Some(BOB)).await, 505, "refuse").await;
    assert!(asked.is_some(), "his are asked for");
    let file = proxy.dir().join("state/approvals.json");
    eventually("it is written", DEADLINE, async || file.exists().then_some(())).await;
    proxy.start_over().await;
    proxy.until_ready().await;
    let ann = open(&proxy, Some(ANN)).await;
    let (asked, made) = ask_and_answer(&ann, 505, "refuse").await;
    assert!(asked.is_none() && text(&made["result"]) == "x", "{made}");
    let listed = proxy.cli(&["approvals", "rules"]).await;
    assert!(listed.stdout.contains("ann") && listed.stdout.contains("echo"), "{listed:?}");
    let rules = proxy.cli(&["approvals", "rules", "--json"]).await.stdout;
    let rules: Value = serde_json::from_str(&rules).expect("a list");
    let unknown = proxy.cli(&["approvals", "forget", "none"]).await;
    assert!(unknown.code == Some(1) && unknown.stderr.contains("mcproxy approvals rules"), "{unknown:?}");
    assert_eq!(proxy.cli(&["approvals", "forget", id(&rules[0])]).await.code, Some(0));
    eventually("it is asked for again", DEADLINE, async || {
        let (asked, _) = ask_and_answer(&ann, 506, "refuse").await;
        asked
    })
    .await;
    assert_eq!(proxy.cli(&["approvals", "forget", "--all"]).await.code, Some(0));
}

#[tokio::test]
async fn an_operator_cannot_make_an_answer_count_for_longer_than_the_file_says() {
    let proxy = start(json!({}), json!({})).await;
    let session = proxy.session().await;
    let call = async { session.respond("tools/call", call("x")).await };
    let decide = async {
        let waiting = until_held(&proxy, 1).await;
        let always = proxy.cli(&["approvals", "allow", id(&waiting[0]), "--always"]).await;
        assert!(always.code == Some(1) && always.stderr.contains("approvals.remember"), "{always:?}");
        assert_eq!(proxy.cli(&["approvals", "allow", id(&waiting[0]), "--session"]).await.code, Some(0));
    };
    let (made, ()) = tokio::join!(call, decide);
    assert_eq!(text(&made["result"]), "x");
    assert_eq!(session.say(super::HELD, json!({"text": "again"})).await, "again");
}

#[tokio::test]
async fn a_file_of_approvals_that_cannot_be_read_counts_as_nothing_and_is_told() {
    let mut proxy = start(json!({"remember": "always"}), json!({})).await;
    proxy.terminate();
    assert_eq!(proxy.exit_code(std::time::Duration::from_secs(25)).await, Some(0));
    std::fs::write(proxy.dir().join("state/approvals.json"), "no JSON").expect("written");
    proxy.start_again().await;
    proxy.logged(&["approvals of before cannot be read"]).await;
    assert!(proxy.cli(&["approvals", "rules"]).await.stderr.contains("no approval is kept"));
}
