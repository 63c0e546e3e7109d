//! Operators who decide, at the command line and on the web page, and calls on which nobody does.

use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};

use super::{call, calls, id, start, start_with, until_held};
use crate::support::{Answer, DEADLINE, Proxy, Session, ask, eventually, http_client};

const ADMIN: &str = "the-secret-of-admin-1";
const BOB: &str = "the-secret-of-bob-2";

#[tokio::test]
async fn who_looks_at_approvals_decides_where_the_client_cannot_ask() {
    let proxy = start(json!({}), json!({"audit": {"dir": "records"}})).await;
    let session = proxy.session().await;
    for (act, text) in [("allow", "made"), ("refuse", "not made")] {
        let call = async { session.respond("tools/call", call(text)).await };
        let decide = async {
            let waiting = until_held(&proxy, 1).await;
            assert_eq!((&waiting[0]["server"], &waiting[0]["tool"]), (&json!("a"), &json!("echo")), "{waiting:?}");
            assert_eq!(waiting[0]["arguments"], format!("{{\"text\":\"{text}\"}}"), "{waiting:?}");
            let shown = proxy.cli(&["approvals"]).await.stdout;
            assert!(shown.contains(id(&waiting[0])) && shown.contains("wants to call echo of a"), "{shown}");
            let done = proxy.cli(&["approvals", act, id(&waiting[0])]).await;
            assert_eq!(done.code, Some(0), "{done:?}");
            let twice = proxy.cli(&["approvals", act, id(&waiting[0])]).await;
            assert!(twice.code == Some(1) && twice.stderr.contains("mcproxy approvals"), "{twice:?}");
        };
        let (answer, ()) = tokio::join!(call, decide);
        match act {
            "allow" => assert_eq!(crate::support::text(&answer["result"]), text),
            _ => {
                assert_eq!(answer["error"]["code"], 31002, "{answer}");
                assert_eq!(answer["error"]["data"]["reason"], "not_approved", "{answer}");
            }
        }
    }
    assert_eq!(calls(&session).await, 2);
    let records = proxy.dir().join("records/audit.jsonl");
    let lines = eventually("the calls are recorded", DEADLINE, async || {
        let text = std::fs::read_to_string(&records).unwrap_or_default();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (lines.len() >= 3).then_some(lines)
    })
    .await;
    assert_eq!(lines[0]["approval"], json!({"by": "operator", "how": "once"}), "{lines:?}");
    assert_eq!((&lines[0]["outcome"], &lines[1]["outcome"]), (&json!("result"), &json!("unavailable")), "{lines:?}");
    assert_eq!(lines[1]["approval"], json!({"by": "operator", "how": "refused"}), "{lines:?}");
    assert_eq!(lines[1]["reason"], "not_approved", "{lines:?}");
    assert_eq!(lines[2]["approval"], Value::Null, "{lines:?}");
    proxy.logged(&["call decided on by an operator"]).await;
}

#[tokio::test]
async fn what_nobody_decides_on_is_refused_in_time_and_says_so() {
    let proxy = start(json!({"timeout": 0.5}), json!({})).await;
    let session = proxy.session().await;
    let error = session.refuse(super::HELD, json!({"text": "x"})).await;
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(31002), &json!("approval_expired")), "{error}");
    let message = error["message"].as_str().expect("a text");
    assert!(message.contains("nobody decided on it within 0.5 s (approvals.timeout)"), "{message}");
    assert_eq!(calls(&session).await, 1);
    let page = proxy.get("/metrics").await.body;
    assert!(page.contains("mcproxy_approvals_total{server=\"a\",outcome=\"expired\"} 1"), "{page}");
    assert!(page.contains("mcproxy_calls_held 0"), "{page}");
}

/// A request of the page.
fn page(proxy: &Proxy, token: &str, method: Method, path: &str) -> RequestBuilder {
    let request = http_client(Some(token)).request(method, proxy.url(&format!("/ui/api{path}")));
    request.header("x-mcproxy-ui", "1").header("sec-fetch-site", "same-origin").timeout(DEADLINE)
}

async fn act(proxy: &Proxy, token: &str, order: Value) -> Answer {
    let request = page(proxy, token, Method::POST, "/act").header(header::CONTENT_TYPE, "application/json");
    ask(request.body(order.to_string())).await
}

#[tokio::test]
async fn the_web_page_decides_for_those_who_may_administer() {
    let auth =
        json!({"auth": {"tokens": [{"name": "admin", "token": ADMIN, "admin": true}, {"name": "bob", "token": BOB}]}});
    let proxy = start_with(&[], json!({}), json!({"remember": "always"}), auth).await;
    let bob = Session::open(&http_client(Some(BOB)), &proxy.url("/mcp")).await;
    let call = async { bob.respond("tools/call", call("x")).await };
    let decide = async {
        let needs = |token| {
            let proxy = &proxy;
            async move { ask(page(proxy, token, Method::GET, "/state")).await.json()["needs"].clone() }
        };
        let need = eventually("the page shows it", DEADLINE, async || {
            let needs = needs(ADMIN).await;
            needs.as_array()?.iter().find(|need| need["kind"] == "approval").cloned()
        })
        .await;
        assert!(need["text"].as_str().is_some_and(|text| text.contains("bob wants to call `echo`")), "{need}");
        assert!(!needs(BOB).await.to_string().contains("approval"), "others do not see it");
        let order = |act: &str, remember: Value| json!({"act": act, "held": need["held"], "remember": remember});
        assert_eq!(act(&proxy, BOB, order("allow", Value::Null)).await.status, 403);
        assert_eq!(act(&proxy, ADMIN, order("allow", json!("ever"))).await.status, 400);
        assert_eq!(act(&proxy, ADMIN, json!({"act": "allow"})).await.status, 400);
        let done = act(&proxy, ADMIN, order("allow", json!("always"))).await;
        assert_eq!(done.status, 200, "{done:?}");
        assert_eq!(act(&proxy, ADMIN, order("allow", Value::Null)).await.status, 409, "it is decided");
    };
    let (answer, ()) = tokio::join!(call, decide);
    assert_eq!(crate::support::text(&answer["result"]), "x");
    let rules = proxy.cli(&["approvals", "rules", "--json"]).await.stdout;
    let rules: Value = serde_json::from_str(&rules).expect("a list");
    assert_eq!((&rules[0]["by"], &rules[0]["principal"]), (&json!("page:admin"), &json!("bob")), "{rules}");
    proxy.logged(&["act on the web page", "allow call"]).await;
}
