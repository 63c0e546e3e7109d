//! Real servers over HTTP, of several SDKs and both transports.

use serde_json::{Value, json};

use super::at;
use crate::support::{Modern, Proxy, Real, RealServer, Session, text};

fn protocol(server: &Value) -> &str {
    server["protocolVersion"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn server_everything_over_both_transports() {
    let Some(real) = Real::with(&["node_modules/@modelcontextprotocol/server-everything"]) else { return };
    let streamable = RealServer::everything(&real, "streamableHttp").await;
    let sse = RealServer::everything(&real, "sse").await;
    let features = json!({"clientFeatures": ["sampling", "elicitation"]});
    // Nothing says that the second one is of the old transport.
    let servers = [at("http", &streamable.url("/mcp"), features.clone()), at("sse", &sse.url("/sse"), features)];
    let proxy = Proxy::start(json!({"servers": servers})).await;
    // No roots: it asks for those whenever it likes, and a call that waits for its client tells of no progress.
    let capabilities = json!({"sampling": {}, "elicitation": {}});
    let session = Session::capable(&proxy.http, &proxy.url("/mcp"), capabilities).await;
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp"));
    for name in ["http", "sse"] {
        let said = session.say(&format!("{name}__echo"), json!({"message": "here"})).await;
        assert!(said.contains("here"), "{name}: {said}");
        assert!(modern.say(&format!("{name}__get-sum"), json!({"a": 2, "b": 3})).await.contains('5'), "{name}");
        let long = format!("{name}__trigger-long-running-operation");
        let params = json!({"name": long, "arguments": {"duration": 1, "steps": 4}, "_meta": {"progressToken": "p"}});
        let messages = session.request_as(json!(long), "tools/call", params).await;
        let reports = messages.iter().filter(|message| message["method"] == "notifications/progress").count();
        assert!(reports >= 3, "{name}: {messages:?}");
        let params = json!({"name": format!("{name}__trigger-sampling-request"), "arguments": {"prompt": "p"}});
        let mut events = session.streamed(json!(name), "tools/call", params).await;
        let asked = events.find("a question", |message| message["method"] == "sampling/createMessage").await;
        let sampled = json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "sampled"}});
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": sampled});
        assert_eq!(session.post(&answer.to_string()).await.status, 202);
        let response = events.find("the answer", |message| message["id"] == name).await;
        assert!(response.to_string().contains("sampled"), "{name}: {response}");
    }
}

#[tokio::test]
async fn fastmcp_of_both_generations_over_http() {
    let parts = ["venv/bin/python", "modern/bin/python"];
    let Some(real) = Real::with(&parts) else { return };
    let old = RealServer::python(real.path(parts[0]), "on_fastmcp.py", "http").await;
    let old_sse = RealServer::python(real.path(parts[0]), "on_fastmcp.py", "sse").await;
    let new = RealServer::python(real.path(parts[1]), "on_fastmcp.py", "http").await;
    let servers = [
        at("old", &old.url("/mcp"), json!({})),
        at("sse", &old_sse.url("/sse"), json!({"type": "sse"})),
        // Starlette sends it to the other with 307.
        at("new", &new.url("/mcp/"), json!({})),
    ];
    let proxy = Proxy::start(json!({"servers": servers})).await;
    let session = proxy.session().await;
    for (name, version) in [("old", "2025-11-25"), ("sse", "2025-11-25"), ("new", "2026-07-28")] {
        assert_eq!(session.say(&format!("{name}__echo"), json!({"text": name})).await, name);
        let result = session.call(&format!("{name}__add"), json!({"a": 1, "b": 2})).await;
        assert_eq!(text(&result), "3", "{name}");
        let server = proxy.server(name).await.server.expect("it is ready");
        assert_eq!(protocol(&server), version, "{name}: {server}");
    }
}
