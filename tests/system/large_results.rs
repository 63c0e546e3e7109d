//! `limits.maxResult`: clients get the beginning of what is larger, and read the whole in parts.

use serde_json::{Value, json};

use crate::support::{DEADLINE, Modern, Proxy, Session, eventually, fixture, text};

const MOST: usize = 8192;
const READ: &str = "mcproxy__read_result";

/// A server with the bound, and one without.
fn config() -> Value {
    let mut bounded = fixture("a", &[]);
    bounded["limits"] = json!({"maxResult": MOST});
    json!({"servers": [bounded, fixture("b", &[])]})
}

async fn start() -> Proxy {
    let proxy = Proxy::launch(config()).await;
    proxy.until_ready().await;
    proxy
}

/// The link in a shortened result.
fn link(result: &Value) -> &str {
    let blocks = result["content"].as_array().expect("content");
    let link = blocks.iter().find(|block| block["type"] == "resource_link");
    link.and_then(|link| link["uri"].as_str()).unwrap_or_else(|| panic!("no link: {result}"))
}

#[tokio::test]
async fn a_large_result_is_shown_from_its_beginning_and_read_in_parts() {
    let proxy = start().await;
    let session = proxy.session().await;
    let whole = proxy.session().await.say("b__echo_size", json!({"bytes": 50_000, "tag": "é tag"})).await;
    assert_eq!(whole.len(), 50_000, "what has no bound is whole");
    let small = session.call("a__echo_size", json!({"bytes": 4000})).await;
    assert_eq!((text(&small).len(), small["content"].as_array().map(Vec::len)), (4000, Some(1)));

    let result = session.call("a__echo_size", json!({"bytes": 50_000, "tag": "é tag"})).await;
    assert!(text(&result).len() <= MOST + "…".len() && result.to_string().len() < MOST + 1024, "{result}");
    let uri = link(&result);
    let note = result["content"][1]["text"].as_str().expect("a note");
    let (offset, said) = (MOST, [READ, uri, "50000 bytes", "limits.maxResult", "8192"]);
    assert!(said.iter().all(|word| note.contains(word)), "{note}");

    // As a model reads on.
    let (mut read, mut at) = (text(&result)[..offset].to_owned(), offset);
    while at < 50_000 {
        let part = session.call(READ, json!({"uri": uri, "offset": at, "length": 20_000})).await;
        read.push_str(text(&part));
        at = read.len();
        let end = if at < 50_000 { format!("it goes on at offset {at}") } else { "this is its end".to_owned() };
        assert!(part["content"][1]["text"].as_str().is_some_and(|note| note.contains(&end)), "{part}");
    }
    assert_eq!(read, whole);
    // As an application does.
    let resource = session.request("resources/read", json!({"uri": uri})).await;
    assert_eq!(resource["contents"][0]["text"], whole.as_str());
    assert_eq!(resource["contents"][0]["mimeType"], "text/plain");
    let part = session.request("resources/read", json!({"uri": format!("{uri}?offset=3&length=5")})).await;
    assert_eq!(part["contents"][0]["text"], whole[3..8]);
    let wrong = session.failure("resources/read", json!({"uri": format!("{uri}?line=3")})).await;
    assert!(wrong["message"].as_str().is_some_and(|why| why.contains("offset")), "{wrong}");
}

#[tokio::test]
async fn a_kept_result_is_for_its_session_and_ends_with_it() {
    let proxy = start().await;
    let session = proxy.session().await;
    let result = session.call("a__echo_size", json!({"bytes": 20_000})).await;
    let uri = link(&result);
    let other = proxy.session().await;
    let refused = other.failure("resources/read", json!({"uri": uri})).await;
    assert_eq!(refused["code"], -32002, "{refused}");
    let refused = other.call(READ, json!({"uri": uri})).await;
    assert!(refused["isError"] == true && text(&refused).contains("call the tool again"), "{refused}");
    let held = async || {
        let metrics = proxy.get("/metrics").await.body;
        let line =
            metrics.lines().find(|line| line.starts_with("mcproxy_held_bytes{purpose=\"results\"}")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{metrics}"))
    };
    assert!(held().await.ends_with(" 20000"), "{}", held().await);
    session.http(reqwest::Method::DELETE).send().await.expect("an answer");
    eventually("its room is given back", DEADLINE, async || held().await.ends_with(" 0").then_some(())).await;
}

#[tokio::test]
async fn clients_of_every_era_can_read_on() {
    let proxy = start().await;
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let result = modern.call("a__echo_size", json!({"bytes": 20_000})).await;
    let read = modern.result("resources/read", json!({"uri": link(&result)})).await;
    assert_eq!(read["contents"][0]["text"].as_str().map(str::len), Some(20_000));
    let by_call = modern.say(READ, json!({"uri": link(&result), "length": 10})).await;
    assert_eq!(by_call, "x".repeat(10));

    // Such a client knows no links, and is told the URI in words.
    let old = Session::of_version(&proxy.http, &proxy.url("/mcp"), "2025-03-26").await;
    let result = old.call("a__echo_size", json!({"bytes": 20_000})).await;
    let blocks = result["content"].as_array().expect("content");
    assert!(blocks.iter().all(|block| block["type"] == "text") && blocks.len() == 2, "{result}");
    assert!(blocks[1]["text"].as_str().is_some_and(|note| note.contains("mcproxy://results/")), "{result}");

    // Where the built-in tools are not shown, it is read as a resource.
    let alone = proxy.session_at("/servers/a/mcp").await;
    let result = alone.call("echo_size", json!({"bytes": 20_000})).await;
    let note = result["content"][1]["text"].as_str().expect("a note");
    assert!(note.contains("read the resource") && !note.contains(READ), "{note}");
    let read = alone.request("resources/read", json!({"uri": link(&result)})).await;
    assert_eq!(read["contents"][0]["text"].as_str().map(str::len), Some(20_000));

    // Structured content keeps the shape that the tool's schema promises.
    let session = proxy.session().await;
    let result = session.call("a__structured", json!({"blob": "y".repeat(30_000)})).await;
    let structured = &result["structuredContent"];
    assert!(structured["big"].is_number() && structured["arguments"]["blob"].is_string(), "{structured}");
    assert!(result.to_string().len() < 2 * MOST, "{}", result.to_string().len());
    let read = session.request("resources/read", json!({"uri": link(&result)})).await;
    assert!(read["contents"][0]["text"].as_str().is_some_and(|text| text.contains(&"y".repeat(30_000))), "{read}");
}

#[tokio::test]
async fn the_tool_that_reads_on_is_listed_where_results_are_bounded() {
    let proxy = start().await;
    let session = proxy.session().await;
    assert!(session.tools().await.iter().any(|tool| tool == READ));
    let found = proxy.session_at("/search/mcp").await;
    let wrapped = |tool: &str, arguments: Value| json!({"name": tool, "arguments": arguments});
    let result = found.call("call_tool", wrapped("a__echo_size", json!({"bytes": 20_000}))).await;
    let read = found.say("call_tool", wrapped(READ, json!({"uri": link(&result), "length": 7}))).await;
    assert_eq!(read, "xxxxxxx");

    // A reload changes it, and starts no server again.
    let worker = proxy.server("a").await.worker_pid;
    proxy.write_config(&json!({"servers": [fixture("a", &[]), fixture("b", &[])]}).to_string());
    eventually("the tool is gone", DEADLINE, async || {
        (!session.tools().await.iter().any(|tool| tool == READ)).then_some(())
    })
    .await;
    assert_eq!(session.say("a__echo_size", json!({"bytes": 20_000})).await.len(), 20_000);
    assert_eq!(proxy.server("a").await.worker_pid, worker);
}
