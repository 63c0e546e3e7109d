//! Calls of every kind of client to a server of 2026-07-28.

use serde_json::{Value, json};

use super::{capable, client_of, modern, start};
use crate::support::{DEADLINE, Proxy, eventually, text};

const RESERVED: &str = "io.modelcontextprotocol/";

#[tokio::test]
async fn t01_the_same_call_of_every_client_to_every_server() {
    let proxy = Proxy::start(json!({"servers": [modern("m", &[]), crate::support::fixture("l", &[])]})).await;
    let (b, mut a, c) = (proxy.session().await, proxy.legacy_session().await, client_of(&proxy));
    for server in ["m", "l"] {
        let (name, arguments) = (format!("{server}__echo"), json!({"text": "same"}));
        let results = [
            a.call(&name, arguments.clone()).await,
            b.call(&name, arguments.clone()).await,
            c.call(&name, arguments).await,
        ];
        for (result, of_c) in results.iter().zip([false, false, true]) {
            assert_eq!(text(result), "same", "{server}: {result}");
            assert_eq!(result.get("resultType").is_some(), of_c, "{server}: {result}");
        }
        assert_eq!(results[2]["resultType"], "complete");
    }
}

#[tokio::test]
async fn i01_a_session_opens_in_every_version_before_such_a_server_alone() {
    let proxy = start().await;
    for (version, answered) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
    ] {
        let body = crate::support::initialize(version);
        let answer = crate::support::ask(proxy.post("/mcp").body(body.to_string())).await;
        let result = answer.json()["result"].clone();
        assert_eq!(result["protocolVersion"], answered, "{result}");
        assert_eq!(result["capabilities"]["tools"]["listChanged"], true, "{result}");
        assert!(result.get("resultType").is_none(), "{result}");
    }
}

#[tokio::test]
async fn i02_discover_before_such_a_server() {
    let proxy = start().await;
    let result = client_of(&proxy).result("server/discover", json!({})).await;
    assert_eq!(result["supportedVersions"][0], "2026-07-28", "{result}");
    assert!(result["capabilities"]["resources"]["subscribe"] == true && result["ttlMs"].is_u64(), "{result}");
}

#[tokio::test]
async fn a_request_tells_the_server_whose_it_is() {
    let proxy = start().await;
    let mut client = client_of(&proxy).with_meta(json!({"vendor.example/trace": 7}));
    client.capabilities = json!({"elicitation": {}});
    let said: Value = serde_json::from_str(&client.say("m__request", json!({})).await).expect("JSON");
    let meta = &said["_meta"];
    assert_eq!(meta["vendor.example/trace"], 7, "{meta}");
    assert_eq!(meta[format!("{RESERVED}protocolVersion")], "2026-07-28", "{meta}");
    assert_eq!(meta[format!("{RESERVED}clientInfo")]["name"], "system-test", "{meta}");
    assert_eq!(meta[format!("{RESERVED}clientCapabilities")], json!({"elicitation": {}}), "{meta}");
    let session = capable(&proxy).await;
    session.request("logging/setLevel", json!({"level": "warning"})).await;
    let said: Value = serde_json::from_str(&session.say("m__request", json!({})).await).expect("JSON");
    let meta = &said["_meta"];
    assert_eq!(meta[format!("{RESERVED}clientInfo")]["name"], "system-test", "{meta}");
    assert_eq!(meta[format!("{RESERVED}logLevel")], "warning", "{meta}");
    assert!(meta[format!("{RESERVED}clientCapabilities")]["sampling"].is_object(), "{meta}");
}

#[tokio::test]
async fn t04_a_cancellation_of_a_session_reaches_it() {
    let proxy = start().await;
    let session = proxy.session().await;
    let mut events =
        session.streamed(json!(9), "tools/call", json!({"name": "m__slow", "arguments": {"ms": 600_000}})).await;
    session.notify("notifications/cancelled", json!({"requestId": 9})).await;
    assert_eq!(events.event().await, None, "it is not answered");
    cancelled(&proxy).await;
}

#[tokio::test]
async fn t05_a_stream_that_is_closed_cancels_at_it() {
    let proxy = start().await;
    let arguments = json!({"steps": 1000, "interval_ms": 20});
    let client = client_of(&proxy).with_meta(json!({"progressToken": "p"}));
    let mut events = client.stream("tools/call", json!({"name": "m__progress", "arguments": arguments})).await;
    let first = events.notification("notifications/progress").await;
    assert_eq!(first["params"]["progressToken"], "p");
    drop(events);
    cancelled(&proxy).await;
}

async fn cancelled(proxy: &Proxy) {
    let session = proxy.session().await;
    eventually("the server heard of it", DEADLINE, async || {
        (session.say("m__cancelled_count", json!({})).await == "1").then_some(())
    })
    .await;
}

#[tokio::test]
async fn r03_what_is_not_there_has_the_code_of_the_clients_time() {
    let proxy = start().await;
    let uri = json!({"uri": "m+fixture://nothing"});
    let error = proxy.session().await.failure("resources/read", uri.clone()).await;
    assert_eq!((&error["code"], &error["data"]["uri"]), (&json!(-32002), &json!("m+fixture://nothing")), "{error}");
    let error = client_of(&proxy).failure("resources/read", uri).await;
    assert_eq!(error["code"], -32602, "{error}");
    let error = proxy.session().await.failure("tools/call", json!({"name": "m__nothing"})).await;
    assert_eq!(error["code"], -32602, "t10 {error}");
}

#[tokio::test]
async fn r08_completions_prompts_and_resources_of_it() {
    let proxy = start().await;
    let (b, c) = (proxy.session().await, client_of(&proxy));
    let complete =
        json!({"ref": {"type": "ref/prompt", "name": "m__greet"}, "argument": {"name": "style", "value": ""}});
    let read = json!({"uri": "m+fixture://static/text"});
    let get = json!({"name": "m__plain"});
    for (method, params, key) in [
        ("completion/complete", complete, "completion"),
        ("resources/read", read, "contents"),
        ("prompts/get", get, "messages"),
    ] {
        let (of_b, of_c) = (b.request(method, params.clone()).await, c.result(method, params).await);
        assert_eq!(of_b[key], of_c[key], "{method}");
        for newer in ["resultType", "ttlMs", "cacheScope"] {
            assert!(of_b.get(newer).is_none(), "{method}: {of_b}");
        }
        assert_eq!(of_c["resultType"], "complete", "{method}");
    }
    let of_c = c.result("resources/read", json!({"uri": "m+fixture://static/text"})).await;
    assert_eq!(of_c["contents"][0]["uri"], "m+fixture://static/text");
    assert!(of_c["ttlMs"].is_u64(), "{of_c}");
}

#[tokio::test]
async fn structured_content_of_any_kind_reaches_old_clients_as_text() {
    let proxy = start().await;
    let (b, c) = (proxy.session().await, client_of(&proxy));
    let of_b = b.call("m__a_text", json!({})).await;
    assert!(of_b.get("structuredContent").is_none() && text(&of_b).contains("only structured"), "{of_b}");
    let of_b = b.call("m__a_list", json!({})).await;
    assert!(of_b.get("structuredContent").is_none() && text(&of_b) == "[1,2,3]", "{of_b}");
    let of_c = c.call("m__a_list", json!({})).await;
    assert_eq!(of_c["structuredContent"], json!([1, 2, 3]), "{of_c}");
    let of_c = c.result("tools/list", json!({})).await;
    let schema = |name: &str| {
        let tools = of_c["tools"].as_array().expect("a list");
        tools.iter().find(|tool| tool["name"] == name).expect("it is listed")["outputSchema"]["type"].clone()
    };
    assert_eq!((schema("m__a_list"), schema("m__a_text")), (json!("array"), json!("string")));
    let tools = b.list("tools/list", "tools").await;
    let schemas = tools.as_array().expect("a list").iter().filter_map(|tool| tool.get("outputSchema"));
    assert!(schemas.into_iter().all(|schema| schema["type"] == "object"), "{tools}");
}

#[tokio::test]
async fn l04_the_strictest_server_says_how_long_a_list_is_true() {
    let hints = |ttl| ["--era", "modern", "--ttl-ms", ttl, "--cache-scope", "public"];
    let servers = json!([crate::support::fixture("a", &hints("9000")), crate::support::fixture("b", &hints("5000"))]);
    let proxy = Proxy::start(json!({"listTtlMs": 7000, "servers": servers})).await;
    let result = client_of(&proxy).result("tools/list", json!({})).await;
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(5000), &json!("public")), "{result}");
    let own = crate::support::Modern::new(&proxy.http, &proxy.url("/servers/a/mcp"));
    assert_eq!(own.result("tools/list", json!({})).await["ttlMs"], 9000);
    let of_b = proxy.session().await.request("tools/list", json!({})).await;
    assert!(of_b.get("ttlMs").is_none() && of_b.get("resultType").is_none(), "{of_b}");
}

#[tokio::test]
async fn l02_all_pages_of_it_are_listed() {
    let proxy = Proxy::start(json!({"servers": [modern("m", &["--tools", "100", "--page-size", "7"])]})).await;
    let tools = proxy.session().await.tools().await;
    assert!((0..100).all(|n| tools.contains(&format!("m__tool_{n:04}"))), "{tools:?}");
}

#[tokio::test]
async fn t09_a_call_that_its_end_interrupted_is_not_made_again() {
    let proxy = start().await;
    let error = client_of(&proxy).failure("tools/call", json!({"name": "m__crash", "arguments": {"code": 1}})).await;
    assert_eq!(error["code"], 31003, "{error}");
    proxy.server_until("ready again", "m", |server| server.is_ready() && server.generation == 2).await;
    assert_eq!(proxy.session().await.say("m__echo", json!({"text": "back"})).await, "back");
}

#[tokio::test]
async fn t07_progress_resets_its_timeout_and_silence_does_not() {
    let mut entry = modern("m", &[]);
    entry["timeout"] = json!(1.0);
    let proxy = Proxy::start(json!({"servers": [entry]})).await;
    let session = proxy.session().await;
    session.call("m__progress", json!({"steps": 5, "interval_ms": 400})).await;
    let error = session.refuse("m__slow", json!({"ms": 600_000})).await;
    assert_eq!(error["code"], 31001, "{error}");
    cancelled(&proxy).await;
}

#[tokio::test]
async fn g01_log_lines_come_at_the_level_of_the_request() {
    let proxy = start().await;
    let level = |level: &str| json!({format!("{RESERVED}logLevel"): level});
    let log = json!({"name": "m__log", "arguments": {"level": "info", "text": "hello"}});
    for (meta, hears) in [(level("debug"), true), (level("error"), false), (json!({}), false)] {
        let answer = client_of(&proxy).with_meta(meta.clone()).ask("tools/call", log.clone()).await;
        let heard = answer.messages().iter().any(|message| message["method"] == "notifications/message");
        assert_eq!(heard, hears, "{meta}: {answer:?}");
    }
    let session = proxy.session().await;
    session.request("logging/setLevel", json!({"level": "info"})).await;
    let mut events = session.streamed(json!(5), "tools/call", log).await;
    let message = events.notification("notifications/message").await;
    assert_eq!(message["params"]["level"], "info", "{message}");
}
