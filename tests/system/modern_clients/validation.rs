//! What a request must get past before anything is done for it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Modern, Proxy, ask, fixture, initialize};

const VERSION: &str = "mcp-protocol-version";

async fn client_of(proxy: &Proxy) -> Modern {
    Modern::new(&proxy.http, &proxy.url("/mcp"))
}

#[tokio::test]
async fn h03_h04_h05_h06_what_the_version_header_says_must_be_what_the_body_says() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy).await;
    let list = client.request("tools/list", json!({}));
    let missing = ask(client.bare(&list).header("mcp-method", "tools/list")).await;
    assert_eq!((missing.status.as_u16(), missing.code()), (400, -32020), "h03 {missing:?}");
    assert_eq!(missing.json()["id"], list["id"], "an error names its request");
    for (case, version) in [("h04", "2025-11-25"), ("h04", "1900-01-01")] {
        let other = ask(client.bare(&list).header(VERSION, version).header("mcp-method", "tools/list")).await;
        assert_eq!((other.status.as_u16(), other.code()), (400, -32020), "{case} {other:?}");
    }
    let mut old = list.clone();
    old["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "1900-01-01".into();
    let unknown = ask(client.bare(&old).header(VERSION, "1900-01-01").header("mcp-method", "tools/list")).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (400, -32022), "h05 {unknown:?}");
    let data = unknown.json()["error"]["data"].clone();
    assert_eq!((&data["requested"], &data["supported"][0]), (&json!("1900-01-01"), &json!("2026-07-28")));
    for params in [Value::Null, json!({}), json!({"_meta": {}}), json!({"_meta": {"progressToken": 1}})] {
        let bare = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": params});
        let answer = ask(client.post(&bare)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, -32602), "h06 {answer:?}");
    }
    for key in ["protocolVersion", "clientCapabilities"] {
        let mut part = client.request("tools/list", json!({}));
        let meta = part["params"]["_meta"].as_object_mut().expect("an object");
        meta.remove(&format!("io.modelcontextprotocol/{key}"));
        let answer = ask(client.post(&part)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, -32602), "{key} {answer:?}");
    }
    let mut nameless = client.request("tools/list", json!({}));
    nameless["params"]["_meta"].as_object_mut().expect("an object").remove("io.modelcontextprotocol/clientInfo");
    assert_eq!(ask(client.post(&nameless)).await.status, 200, "who asks may stay unsaid");
}

#[tokio::test]
async fn h07_h08_a_name_in_the_headers_is_the_name_in_the_body() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &["--tool-name", "größe"])]})).await;
    let client = client_of(&proxy).await;
    let call = client.request("tools/call", json!({"name": "a__echo", "arguments": {"text": "x"}}));
    let with = |name: Option<&str>, method: &str| {
        let request = client.bare(&call).header(VERSION, "2026-07-28").header("mcp-method", method);
        match name {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    };
    let cases = [
        (Some("echo"), "tools/call"),
        (Some("A__ECHO"), "tools/call"),
        (Some("=?base64?YV9fZWNobw?="), "tools/call"),
        (None, "tools/call"),
        (Some("a__echo"), "tools/list"),
        (Some("a__echo"), "TOOLS/CALL"),
    ];
    for (name, method) in cases {
        let answer = ask(with(name, method)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, -32020), "h07 {name:?} {method} {answer:?}");
    }
    let twice = ask(with(Some("a__echo"), "tools/call").header("mcp-name", "a__fail")).await;
    assert_eq!((twice.status.as_u16(), twice.code()), (400, -32020), "two readers, two names: {twice:?}");
    for name in ["a__echo", "  a__echo  ", "=?base64?YV9fZWNobw==?="] {
        assert_eq!(ask(with(Some(name), "tools/call")).await.status, 200, "{name:?}");
    }
    let odd = client.request("tools/call", json!({"name": "a__größe", "arguments": {}}));
    let answer = ask(client.post(&odd)).await;
    assert!(odd.to_string().contains("größe") && answer.status == 200, "h08 {answer:?}");
}

#[tokio::test]
async fn h10_methods_that_are_not_there_are_not_found() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy).await;
    for method in ["foo/bar", "ping", "initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]
    {
        let answer = client.ask(method, json!({"level": "info", "uri": "a+fixture://watched"})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, -32601), "{method} {answer:?}");
    }
    let session = proxy.session().await;
    let answer = session.post(r#"{"jsonrpc":"2.0","id":1,"method":"foo/bar"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (200, -32601), "{answer:?}");
}

#[tokio::test]
async fn h11_h12_there_is_nothing_but_requests_by_post() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy).await;
    let response = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let answer = ask(client.bare(&response).header(VERSION, "2026-07-28")).await;
    assert_eq!(answer.status, 400, "h11 {answer:?}");
    let told = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    let answer = ask(client.bare(&told).header(VERSION, "2026-07-28")).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (202, ""), "{answer:?}");
    let session = proxy.session().await;
    assert_eq!(session.post(&response.to_string()).await.status, 202, "h11 of a session");
    for method in [Method::GET, Method::DELETE] {
        let request = proxy.http.request(method.clone(), proxy.url("/mcp")).header("accept", "text/event-stream");
        let request = request.header("mcp-session-id", &session.id);
        let answer = ask(request.header(VERSION, "2026-07-28")).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")), "h12 {method} {answer:?}");
    }
    assert!(session.tools().await.contains(&"a__echo".to_owned()), "the session is still there");
}

#[tokio::test]
async fn h14_h15_batches_and_clients_that_take_no_streams_are_refused() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy).await;
    let list = client.request("tools/list", json!({}));
    let answer = ask(client.bare(&json!([list])).header(VERSION, "2026-07-28")).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32600), "h14 {answer:?}");
    let old = crate::support::Session::of_version(&proxy.http, &proxy.url("/mcp"), "2025-03-26").await;
    let answer = old.post(&json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, list]).to_string()).await;
    let answers = answer.json();
    assert_eq!((answer.status.as_u16(), &answers[0]["result"]), (200, &json!({})), "h14 in a session {answer:?}");
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&list["id"], &json!(-32020)), "{answer:?}");
    let request = proxy.http.post(proxy.url("/mcp")).header("content-type", "application/json");
    let request = request.header("accept", "application/json").header(VERSION, "2026-07-28");
    let answer = ask(request.header("mcp-method", "tools/list").body(list.to_string())).await;
    assert_eq!(answer.status, 406, "h15 {answer:?}");
}

#[tokio::test]
async fn i04_i05_each_era_has_its_own_beginning() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy).await;
    let session = proxy.session().await;
    let answer = session.post(r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (200, -32601), "i04 {answer:?}");
    let answer = ask(client.bare(&initialize("2025-11-25")).header(VERSION, "2026-07-28")).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32020), "i05 {answer:?}");
}

#[tokio::test]
async fn a_request_that_only_its_body_says_to_be_of_2026_07_28_is_refused_with_a_session_and_without_one() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy).await;
    let session = proxy.session().await;
    for (method, params) in [
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "a__echo", "arguments": {"text": "x"}})),
        ("initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})),
    ] {
        let request = client.request(method, params);
        let alone = ask(client.bare(&request)).await;
        assert_eq!((alone.status.as_u16(), alone.code()), (400, -32020), "{method} {alone:?}");
        let answer = session.post(&request.to_string()).await;
        assert_eq!((answer.code(), &answer.json()["id"]), (-32020, &request["id"]), "{method} {answer:?}");
    }
    assert_eq!(session.say("a__echo", json!({"text": "x"})).await, "x", "the session goes on");
}

#[tokio::test]
async fn what_belongs_to_sessions_means_nothing_to_a_request_of_its_own() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy).await;
    let list = client.request("tools/list", json!({}));
    let answer = ask(client.post(&list).header("mcp-session-id", "nobody").header("last-event-id", "7")).await;
    assert_eq!((answer.status.as_u16(), answer.header("mcp-session-id")), (200, None), "{answer:?}");
    let session = proxy.session().await;
    let said = json!({"text": r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#});
    assert!(session.say("a__echo", said.clone()).await.contains("protocolVersion"), "text is no claim");
    let nested = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}});
    assert!(session.say("a__request", nested).await.contains("id"), "an argument is no claim");
}
