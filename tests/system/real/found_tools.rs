//! Five real servers, used through the endpoint where tools are found instead of listed, by clients of both eras.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fleet::{Column, PARTS, columns, files, servers};
use crate::support::{DEADLINE, Modern, Proxy, Real, Session, eventually, text};

const SERVERS: [&str; 5] = ["everything", "filesystem", "time", "git", "typescript"];
const ENDPOINT: &str = "/search/mcp";

async fn start(real: &Real) -> (Proxy, Vec<Column>, tempfile::TempDir) {
    let files = files().await;
    let dir = files.path().to_str().expect("a path");
    let is_one = |name: &str| SERVERS.contains(&name);
    let mut entries = servers(real, dir);
    entries.retain(|entry| entry["name"].as_str().is_some_and(is_one));
    for entry in &mut entries {
        entry["clientFeatures"] = json!(["elicitation", "sampling"]);
    }
    let proxy = Proxy::start(json!({"servers": entries})).await;
    let mut columns = columns(dir);
    columns.retain(|column| is_one(column.server));
    assert_eq!(columns.len(), SERVERS.len());
    (proxy, columns, files)
}

fn wrapped(tool: &str, arguments: Value) -> Value {
    json!({"name": "call_tool", "arguments": {"name": tool, "arguments": arguments}})
}

#[tokio::test]
async fn tools_of_real_servers_are_found_by_their_words_and_answer_as_if_called_directly() {
    let Some(real) = Real::with(&PARTS) else { return };
    let (proxy, columns, _files) = start(&real).await;
    let (session, direct) = (proxy.session_at(ENDPOINT).await, proxy.session().await);
    let status = proxy.cli(&["status", "--json"]).await.stdout;
    assert!(
        status.contains("\"suspiciousTools\"") && !proxy.log().contains("suspicious"),
        "real texts are honest: {status}"
    );
    let modern = Modern::new(&proxy.http, &proxy.url(ENDPOINT));
    let directly = Modern::new(&proxy.http, &proxy.url("/mcp"));
    for call in columns.iter().flat_map(|column| &column.calls) {
        let words = call.tool.replace("__", " ").replace('_', " ");
        let found = session.say("find_tools", json!({"query": words})).await;
        assert!(found.contains(&format!("{}(", call.tool)), "{words}: {found}");
        assert_eq!(modern.say("find_tools", json!({"query": words})).await, found);
        let described = session.say("describe_tools", json!({"names": [call.tool]})).await;
        let described: Value = serde_json::from_str(&described).expect("a definition");
        assert_eq!(described["name"], call.tool.as_str());

        let params = json!({"name": call.tool, "arguments": call.arguments});
        let result = session.request("tools/call", wrapped(&call.tool, call.arguments.clone())).await;
        assert!(text(&result).contains(&call.holds), "{result}");
        assert_eq!(result, direct.request("tools/call", params.clone()).await, "{}", call.tool);
        let result = modern.result("tools/call", wrapped(&call.tool, call.arguments.clone())).await;
        assert_eq!(result, directly.result("tools/call", params).await, "{}", call.tool);
    }
}

#[tokio::test]
async fn questions_progress_cancellation_and_tasks_of_real_servers_pass_through() {
    let Some(real) = Real::with(&PARTS) else { return };
    let (proxy, ..) = start(&real).await;
    let capable = json!({"elicitation": {"form": {}}, "tasks": {}});
    let session = Session::capable(&proxy.http, &proxy.url(ENDPOINT), capable.clone()).await;
    let mut modern = Modern::new(&proxy.http, &proxy.url(ENDPOINT));
    modern.capabilities = json!({"elicitation": {"form": {}}});

    // Questions.
    let accepted = json!({"action": "accept", "content": {"name": "Ann"}});
    let mut events = session.streamed(json!("q"), "tools/call", wrapped("typescript__ask", json!({}))).await;
    let asked = events.find("a question", |message| message["method"] == "elicitation/create").await;
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": accepted});
    assert_eq!(session.post(&answer.to_string()).await.status, 202);
    let done = events.find("the answer", |message| message["id"] == "q" && message.get("method").is_none()).await;
    assert_eq!(text(&done["result"]), "Hello, Ann");
    let mut params = wrapped("typescript__ask", json!({}));
    let asked = modern.result("tools/call", params.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let keys = asked["inputRequests"].as_object().expect("questions").keys();
    params["inputResponses"] = keys.map(|key| (key.clone(), accepted.clone())).collect::<Map<_, _>>().into();
    if let Some(state) = asked.get("requestState") {
        params["requestState"] = state.clone();
    }
    assert_eq!(text(&modern.result("tools/call", params).await), "Hello, Ann");

    // Progress.
    let long = |seconds: u32, steps: u32| {
        let arguments = json!({"duration": seconds, "steps": steps});
        let mut params = wrapped("everything__trigger-long-running-operation", arguments);
        params["_meta"] = json!({"progressToken": "p"});
        params
    };
    let is_progress =
        |message: &Value| message["method"] == "notifications/progress" && message["params"]["progressToken"] == "p";
    let messages = session.request_as(json!("long"), "tools/call", long(1, 4)).await;
    assert!(messages.iter().filter(|message| is_progress(message)).count() >= 4, "{messages:?}");
    let watching = Modern::new(&proxy.http, &proxy.url(ENDPOINT)).with_meta(json!({"progressToken": "p"}));
    let mut events = watching.stream("tools/call", long(1, 4)).await;
    events.find("progress", is_progress).await;
    events.find("the answer", |message| message.get("result").is_some()).await;

    // Cancellation: the call ends without an answer, long before it would be over.
    let body =
        json!({"jsonrpc": "2.0", "id": "given up", "method": "tools/call", "params": long(600, 600)}).to_string();
    let give_up = async {
        eventually("the call is under way", DEADLINE, async || {
            let metrics = proxy.get("/metrics").await.body;
            let in_flight = r#"mcproxy_calls_in_flight{server="everything"} 1"#;
            metrics.contains(in_flight).then_some(())
        })
        .await;
        session.notify("notifications/cancelled", json!({"requestId": "given up"})).await;
    };
    let answered = async { tokio::time::timeout(Duration::from_secs(60), session.post(&body)).await };
    let (answer, ()) = tokio::join!(answered, give_up);
    let answer = answer.expect("the call ends when it is given up");
    assert!(!answer.body.contains("\"result\""), "{answer:?}");

    // A task.
    let mut params = wrapped("everything__simulate-research-query", json!({"topic": "bridges"}));
    params["task"] = json!({"ttl": 60_000});
    let begun = session.request("tools/call", params).await;
    let task = begun["task"]["taskId"].as_str().unwrap_or_else(|| panic!("{begun}"));
    let result = session.request("tasks/result", json!({"taskId": task})).await;
    assert!(text(&result).contains("bridges"), "{result}");
}
