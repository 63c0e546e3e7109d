//! Tasks of 2025-11-25 at a real server: `server-everything` has a tool that can only be run as one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Modern, Proxy, Real, Session, eventually, text};

const PARTS: [&str; 1] = ["node_modules/@modelcontextprotocol/server-everything"];
const QUIET: Duration = Duration::from_millis(600);
const TOOL: &str = "simulate-research-query";

async fn start(real: &Real) -> Proxy {
    let script = real.node("@modelcontextprotocol/server-everything/dist/index.js");
    let server = |name: &str, mode: &str| json!({"name": name, "command": "node", "args": [script], "instances": mode});
    Proxy::start(json!({"servers": [server("e", "shared"), server("own", "per-session")]})).await
}

async fn planner(proxy: &Proxy) -> Session {
    Session::capable(&proxy.http, &proxy.url("/mcp"), json!({"tasks": {}})).await
}

fn arguments() -> Value {
    json!({"topic": "bridges"})
}

#[tokio::test]
async fn a_tool_that_needs_a_task_answers_callers_that_know_none() {
    let Some(real) = Real::with(&PARTS) else { return };
    let proxy = start(&real).await;
    let session = proxy.session().await;
    assert!(session.hello["capabilities"].get("tasks").is_none(), "{}", session.hello);
    let tools = session.request("tools/list", json!({})).await;
    let listed = tools["tools"].as_array().and_then(|all| all.iter().find(|tool| tool["name"] == format!("e__{TOOL}")));
    assert_eq!(listed.expect("it is listed")["execution"]["taskSupport"], "optional");
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let (at_e, at_own) = (format!("e__{TOOL}"), format!("own__{TOOL}"));
    let (shared, own, newer) = tokio::join!(
        session.call(&at_e, arguments()),
        session.call(&at_own, arguments()),
        modern.call(&at_e, arguments())
    );
    for result in [shared, own, newer] {
        assert!(text(&result).contains("bridges") && !result.to_string().contains("related-task"), "{result}");
    }
}

#[tokio::test]
async fn a_client_that_knows_tasks_looks_after_its_own_and_no_others() {
    let Some(real) = Real::with(&PARTS) else { return };
    let proxy = start(&real).await;
    let session = planner(&proxy).await;
    assert!(session.hello["capabilities"]["tasks"]["requests"]["tools"]["call"].is_object(), "{}", session.hello);
    let begin = async |session: &Session, server: &str| {
        let params = json!({"name": format!("{server}__{TOOL}"), "arguments": arguments(), "task": {"ttl": 60_000}});
        let begun = session.request("tools/call", params).await;
        assert_eq!(begun["task"]["status"], "working", "{begun}");
        begun["task"]["taskId"].as_str().expect("an id").to_owned()
    };
    for server in ["e", "own"] {
        let task = begin(&session, server).await;
        assert!(task.starts_with(&format!("{server}+")), "{task}");
        let found = session.request("tasks/get", json!({"taskId": task})).await;
        assert_eq!(found["taskId"], task.as_str(), "{found}");
        let listed = session.request("tasks/list", json!({})).await;
        assert!(
            listed["tasks"].as_array().is_some_and(|all| all.iter().any(|one| one["taskId"] == task.as_str())),
            "{listed}"
        );
        let other = planner(&proxy).await;
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let error = other.failure(method, json!({"taskId": task})).await;
            assert_eq!(error["code"], -32602, "{method}: {error}");
        }
        assert_eq!(other.request("tasks/list", json!({})).await, json!({"tasks": []}));
        let (mut stream, mut others) = (session.stream().await, other.stream().await);
        let result = session.request("tasks/result", json!({"taskId": task})).await;
        assert!(text(&result).contains("bridges"), "{result}");
        assert_eq!(result["_meta"]["io.modelcontextprotocol/related-task"]["taskId"], task.as_str(), "{result}");
        let is_told = |message: &Value| message["method"] == "notifications/tasks/status";
        let told = stream.find("how the task stands", is_told).await;
        assert_eq!(told["params"]["taskId"], task.as_str(), "{told}");
        assert!(!others.rest(QUIET).await.iter().any(is_told), "others are not told");
        let task = begin(&session, server).await;
        session.request("tasks/cancel", json!({"taskId": task})).await;
        eventually("it is cancelled", DEADLINE, async || {
            let found = session.request("tasks/get", json!({"taskId": task})).await;
            (found["status"] == "cancelled").then_some(())
        })
        .await;
    }
    // A tool that makes no tasks does not make one because it is asked to.
    let params = json!({"name": "e__echo", "arguments": {"message": "hi"}, "task": {}});
    let answer = session.respond("tools/call", params).await;
    assert!(answer["result"].get("task").is_none(), "{answer}");
}
