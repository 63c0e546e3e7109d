//! What there is, and for how long that stays true.

use serde_json::json;

use crate::support::{DEADLINE, Modern, Proxy, ask, eventually, fixture, names};

#[tokio::test]
async fn i02_discover_says_what_there_is_at_once() {
    let slow = fixture("slow", &["--start-delay-ms", "600000"]);
    let proxy = Proxy::launch(json!({"servers": [fixture("a", &[]), slow]})).await;
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let found = client.result("server/discover", json!({})).await;
    let versions = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
    assert_eq!(found["supportedVersions"], json!(versions));
    assert_eq!(found["capabilities"]["tools"], json!({"listChanged": true}));
    assert_eq!((&found["ttlMs"], &found["cacheScope"]), (&json!(0), &json!("public")));
    assert_eq!(found["resultType"], "complete");
    assert_eq!(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "mcproxy");
    let own = Modern::new(&proxy.http, &proxy.url("/servers/a/mcp"));
    let found = eventually("the server has said what it offers", DEADLINE, async || {
        let found = own.result("server/discover", json!({})).await;
        (found["instructions"] == "fixture a").then_some(found)
    })
    .await;
    assert_eq!(found["capabilities"]["resources"], json!({"subscribe": true, "listChanged": true}));
    assert!(found["capabilities"].get("completions").is_some(), "{found}");
}

#[tokio::test]
async fn l01_lists_are_the_same_bytes_each_time_in_the_order_of_the_file() {
    let proxy = Proxy::of(&["b", "a"]).await;
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let request = client.request("tools/list", json!({}));
    let first = ask(client.post(&request)).await;
    let second = ask(client.post(&request)).await;
    assert_eq!(first.body, second.body);
    let tools = names(&first.json()["result"]["tools"]);
    let at = |name: &str| tools.iter().position(|tool| tool == name).unwrap_or_else(|| panic!("{name} in {tools:?}"));
    assert!(at("b__echo") < at("a__echo") && at("a__echo") < at("mcproxy__status"), "{tools:?}");
    let session = proxy.session().await;
    assert_eq!(session.tools().await, tools, "both eras see the same");
}

#[tokio::test]
async fn l04_lists_say_how_long_they_may_be_kept() {
    let servers = json!([fixture("a", &["--tools", "1500"])]);
    let proxy = Proxy::start(json!({"servers": servers.clone(), "listTtlMs": 2500})).await;
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
        let list = client.result(method, json!({})).await;
        let said = (&list["ttlMs"], &list["cacheScope"], &list["resultType"]);
        assert_eq!(said, (&json!(2500), &json!("public"), &json!("complete")), "{method}");
    }
    let first = client.result("tools/list", json!({})).await;
    let cursor = first["nextCursor"].as_str().expect("more than a page");
    let second = client.result("tools/list", json!({"cursor": cursor})).await;
    assert_eq!((&second["ttlMs"], &second["cacheScope"]), (&first["ttlMs"], &first["cacheScope"]));
    let read = client.result("resources/read", json!({"uri": "a+fixture://static/text"})).await;
    assert_eq!((&read["ttlMs"], &read["cacheScope"]), (&json!(0), &json!("private")), "the server says nothing of it");
    assert_eq!(client.failure("tools/list", json!({"cursor": "nonsense"})).await["code"], -32602);

    let tokens = json!([{"name": "ann", "token": "0123456789abcdef"}]);
    let config = json!({"servers": servers, "auth": {"tokens": tokens}, "listTtlMs": 2500});
    let proxy = Proxy::launch(config).await;
    let ann = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token("0123456789abcdef");
    let list = ann.result("tools/list", json!({})).await;
    assert_eq!((&list["ttlMs"], &list["cacheScope"]), (&json!(2500), &json!("private")), "one sees what a token shows");
}

#[tokio::test]
async fn l05_a_server_that_is_down_takes_nothing_else_away() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let crash = client.failure("tools/call", json!({"name": "a__crash", "arguments": {}})).await;
    assert_eq!(crash["code"], 31003, "{crash}");
    let tools = names(&client.result("tools/list", json!({})).await["tools"]);
    assert!(tools.contains(&"b__echo".to_owned()), "{tools:?}");
}
