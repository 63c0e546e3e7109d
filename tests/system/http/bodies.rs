use reqwest::Method;
use serde_json::{Value, json};

use super::{PING, proxy, refused};
use crate::support::{Proxy, Session, ask, fixture, initialize};

#[tokio::test]
async fn a_body_that_is_not_json_is_a_parse_error() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let mut legacy = proxy.legacy_session().await;
    for body in ["", "{", "nonsense", "{\"jsonrpc\":\"2.0\",}", "\u{0}", "{\"jsonrpc\":\"2.0\"} trailing"] {
        refused(&session.post(body).await, 400, -32700);
        refused(&legacy.post_text(body).await, 400, -32700);
    }
    assert_eq!(session.request("ping", json!({})).await, json!({}), "the session goes on");
    assert_eq!(legacy.request("ping", json!({})).await, json!({}), "the session goes on");
}

#[tokio::test]
async fn json_that_is_no_message_is_an_invalid_request() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for body in [
        "{}",
        r#""text""#,
        "17",
        "null",
        "[]",
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#,
    ] {
        refused(&session.post(body).await, 400, -32600);
    }
    assert_eq!(session.request("ping", json!({})).await, json!({}), "the session goes on");
}

#[tokio::test]
async fn json_nested_a_hundred_thousand_deep_is_refused_at_the_door() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let mut legacy = proxy.legacy_session().await;
    let (gateway, before) = (proxy.status().await.gateway_pid(), proxy.server("a").await);
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let call = |levels: usize| {
        let arguments = format!(r#"{{"text":"deep","extra":{}}}"#, nested(levels));
        let params = format!(r#"{{"name":"a__echo","arguments":{arguments}}}"#);
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
    };
    for body in [nested(100_000), call(100_000), call(600), call(125)] {
        refused(&session.post(&body).await, 400, -32600);
        refused(&legacy.post_text(&body).await, 400, -32600);
    }
    // 124 and the three around them: what a server on serde_json still reads.
    let answer = session.post(&call(124)).await;
    assert_eq!(answer.messages()[0]["result"]["content"][0]["text"], "deep", "{answer:?}");
    assert_eq!(legacy.request("ping", json!({})).await, json!({}), "the session goes on");
    let after = proxy.server("a").await;
    assert_eq!((proxy.status().await.gateway_pid(), after.worker_pid), (gateway, before.worker_pid));
}

#[tokio::test]
async fn a_body_of_another_type_is_unsupported() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let request = session.http(Method::POST).header("accept", "application/json, text/event-stream");
        let answer = ask(request.header("content-type", kind).body(PING)).await;
        assert_eq!(answer.status, 415, "{kind}: {answer:?}");
    }
    let request = session.http(Method::POST).header("accept", "*/*");
    let answer = ask(request.header("content-type", "Application/JSON; charset=utf-8").body(PING)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_client_must_accept_json_and_streams() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let post = |accept: &'static str| {
        let request = session.http(Method::POST).header("content-type", "application/json");
        ask(request.header("accept", accept).body(PING))
    };
    for accept in ["application/json", "text/event-stream", "text/html"] {
        assert_eq!(post(accept).await.status, 406, "{accept}");
    }
    for accept in ["*/*", "application/json, text/event-stream", "text/event-stream;q=0.5,application/json;q=1"] {
        assert_eq!(post(accept).await.status, 200, "{accept}");
    }
    let stream = ask(session.http(Method::GET).header("accept", "application/json")).await;
    assert_eq!(stream.status, 406, "{stream:?}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large_and_one_below_is_not() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "limits": {"maxBody": 4096}})).await;
    let session = proxy.session().await;
    let echo = |length: usize| {
        let params = json!({"name": "a__echo", "arguments": {"text": "x".repeat(length)}});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    };
    assert_eq!(session.post(&echo(3000)).await.status, 200);
    assert_eq!(session.post(&echo(5000)).await.status, 413);
    let legacy = proxy.legacy_session().await;
    assert_eq!(legacy.post_text(&echo(5000)).await.status, 413);
    assert_eq!(session.say("a__echo", json!({"text": "goes on"})).await, "goes on");
}

#[tokio::test]
async fn an_unknown_method_is_answered_and_an_unknown_notification_is_borne() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for method in ["foo/bar", "server/discover", "tasks/list"] {
        assert_eq!(session.failure(method, json!({})).await["code"], -32601, "{method}");
    }
    session.notify("notifications/nobody/knows", json!({"x": 1})).await;
    let answer = session.post(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (202, ""), "a response to nothing");
}

#[tokio::test]
async fn batches_exist_on_2025_03_26_only() {
    let proxy = proxy().await;
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":"two","method":"tools/call","params":{"name":"a__echo","arguments":{"text":"hi"}}}]"#;
    let old = Session::of_version(&proxy.http, &proxy.url("/mcp"), "2025-03-26").await;
    let answer = old.post(batch).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let messages: Vec<Value> = answer
        .messages()
        .into_iter()
        .flat_map(|message| match message {
            Value::Array(many) => many,
            one => vec![one],
        })
        .collect();
    let by_id = |id: Value| {
        messages.iter().find(|message| message["id"] == id).unwrap_or_else(|| panic!("no {id}: {messages:?}"))
    };
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(by_id(json!(1))["result"], json!({}));
    assert_eq!(by_id(json!("two"))["result"]["content"][0]["text"], "hi");
    assert_eq!(old.post(r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#).await.status, 202);
    refused(&old.post("[]").await, 400, -32600);
    let with_initialize = old.post(&format!("[{}]", initialize("2025-03-26"))).await.json();
    assert_eq!(with_initialize[0]["error"]["code"], -32600, "{with_initialize}");

    refused(&proxy.session().await.post(batch).await, 400, -32600);
}
