//! The same over the transport of 2024-11-05.

use serde_json::json;

use super::asks::{everything, start};
use crate::support::{LegacySession, text};

#[tokio::test]
async fn e01_elicit_a_l() {
    let proxy = start(json!({})).await;
    let (mut session, _) = LegacySession::capable(&proxy.http, &proxy.base, "/sse", everything()).await;
    let call = json!({"name": "a__elicit", "arguments": {"message": "?"}});
    session.post(&json!({"jsonrpc": "2.0", "id": 70, "method": "tools/call", "params": call})).await;
    let asked = session.events.find("a question", |message| message["method"] == "elicitation/create").await;
    let result = json!({"action": "accept", "content": {"answer": "by SSE"}});
    session.post(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).await;
    let response = session.events.find("the answer", |message| message["id"] == 70).await;
    assert!(text(&response["result"]).contains("by SSE"), "{response}");
}
