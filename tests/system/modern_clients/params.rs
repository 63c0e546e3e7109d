//! Arguments that a call repeats in headers.

use serde_json::{Value, json};

use crate::support::{Answer, Modern, Proxy, ask, text};

async fn start() -> (Proxy, Modern) {
    let proxy = Proxy::of(&["a"]).await;
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    (proxy, client)
}

/// Calls the tool with these headers.
async fn call(client: &Modern, arguments: Value, headers: &[(&str, &str)]) -> Answer {
    let request = client.request("tools/call", json!({"name": "a__mirrored", "arguments": arguments}));
    ask(headers.iter().fold(client.post(&request), |post, (name, value)| post.header(*name, *value))).await
}

#[tokio::test]
async fn h09_mcp_param_c_missing_wrong_null_and_42_0_for_42() {
    let (_proxy, client) = start().await;
    let (region, count, dry) = ("Mcp-Param-Region", "mcp-param-count", "Mcp-Param-Dry-Run");
    for (arguments, headers) in [
        (json!({"region": "eu"}), &[][..]),
        (json!({"region": "eu"}), &[(region, "us")]),
        (json!({"region": "eu"}), &[(region, "eu"), (region, "eu")]),
        (json!({"region": "Hello"}), &[(region, "=?base64?SGVsbG8?=")]),
        (json!({"region": null}), &[(region, "null")]),
        (json!({}), &[(region, "eu")]),
        (json!({"count": 42}), &[(count, "43")]),
        (json!({"at": {"dry": true}}), &[]),
    ] {
        let answer = call(&client, arguments.clone(), headers).await;
        let response = answer.messages().pop().expect("an error");
        assert_eq!(answer.status, 400, "{arguments} {headers:?}");
        assert_eq!(response["error"]["code"], -32020, "{arguments} {headers:?}");
    }
    for (arguments, headers) in [
        (json!({"region": "eu"}), &[(region, "eu")][..]),
        (json!({"region": "größe"}), &[(region, "=?base64?Z3LDtsOfZQ==?=")]),
        (json!({"region": null}), &[]),
        (json!({"count": 42}), &[(count, "42.0")]),
        (json!({"count": 42.0, "at": {"dry": false}}), &[(count, "42"), (dry, "false")]),
        (json!({"ratio": 1.5}), &[]),
        (json!({}), &[("Mcp-Param-Ratio", "1.5"), ("Mcp-Param-Other", "x")]),
    ] {
        let answer = call(&client, arguments.clone(), headers).await;
        assert_eq!(answer.status, 200, "{arguments} {headers:?} {answer:?}");
        let response = answer.messages().pop().expect("a result");
        assert!(text(&response["result"]).contains(&arguments.to_string()), "{response}");
    }
}

#[tokio::test]
async fn an_annotation_that_would_cost_the_tool_is_not_shown() {
    let (_proxy, client) = start().await;
    let tools = client.result("tools/list", json!({})).await;
    let tools = tools["tools"].as_array().expect("tools");
    let tool = tools.iter().find(|tool| tool["name"] == "a__mirrored").expect("listed");
    let properties = &tool["inputSchema"]["properties"];
    assert_eq!(properties["ratio"], json!({"type": "number"}));
    assert_eq!(properties["region"], json!({"type": "string", "x-mcp-header": "Region"}));
}

#[tokio::test]
async fn sessions_know_nothing_of_such_headers() {
    let (proxy, _) = start().await;
    let session = proxy.session().await;
    assert!(session.say("a__mirrored", json!({"region": "eu"})).await.contains("eu"));
}
