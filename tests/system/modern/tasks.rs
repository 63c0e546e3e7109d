//! Tasks: the extension of 2026-07-28, through the common endpoint and the server's own.

use serde_json::{Value, json};

use super::{client_of, everything, modern};
use crate::support::{DEADLINE, Modern, Proxy, eventually, fixture, text};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";

async fn start() -> Proxy {
    let servers = json!([modern("m", &["--tasks"]), fixture("l", &[])]);
    Proxy::start(json!({"servers": servers})).await
}

/// A client that takes tasks.
fn patient(proxy: &Proxy, path: &str) -> Modern {
    let mut client = Modern::new(&proxy.http, &proxy.url(path));
    client.capabilities = everything();
    client.capabilities["extensions"] = json!({EXTENSION: {}});
    client
}

async fn until(client: &Modern, task: &Value, status: &str) -> Value {
    eventually(&format!("the task is {status}"), DEADLINE, async || {
        let found = client.result("tasks/get", json!({"taskId": task})).await;
        assert_eq!(found["taskId"], *task, "{found}");
        (found["status"] == status).then_some(found)
    })
    .await
}

#[tokio::test]
async fn g02_a_task_is_looked_after_under_the_name_of_its_server() {
    let proxy = start().await;
    for (path, tool, prefix) in [("/mcp", "m__slow_compute", "m+"), ("/servers/m/mcp", "slow_compute", "")] {
        let client = patient(&proxy, path);
        let begun = client.call(tool, json!({"seconds": 0.3})).await;
        let task = begun["taskId"].clone();
        assert!(begun["resultType"] == "task" && task.as_str().is_some_and(|id| id.starts_with(prefix)), "{begun}");
        let over = until(&client, &task, "completed").await;
        assert!(text(&over["result"]).contains("computed for"), "{over}");
    }
}

#[tokio::test]
async fn g02_a_task_asks_and_is_answered_and_another_is_given_up() {
    let proxy = start().await;
    let client = patient(&proxy, "/mcp");
    let task = client.call("m__confirm_delete", json!({"filename": "x"})).await["taskId"].clone();
    let asks = until(&client, &task, "input_required").await;
    let key = asks["inputRequests"].as_object().expect("questions").keys().next().expect("one").clone();
    let answers = json!({key: {"action": "accept", "content": {"confirm": "yes"}}});
    client.result("tasks/update", json!({"taskId": task, "inputResponses": answers})).await;
    let over = until(&client, &task, "completed").await;
    assert!(text(&over["result"]).contains("yes"), "{over}");
    let task = client.call("m__slow_compute", json!({"seconds": 600})).await["taskId"].clone();
    client.result("tasks/cancel", json!({"taskId": task})).await;
    until(&client, &task, "cancelled").await;
}

#[tokio::test]
async fn g02_who_takes_no_tasks_gets_none() {
    let proxy = start().await;
    let discovered = client_of(&proxy).result("server/discover", json!({})).await;
    assert!(discovered["capabilities"]["extensions"][EXTENSION].is_object(), "{discovered}");
    let body = crate::support::initialize("2025-11-25");
    let welcome = crate::support::ask(proxy.post("/mcp").body(body.to_string())).await.json();
    assert!(!welcome.to_string().contains(EXTENSION), "{welcome}");
    let session = proxy.session().await;
    assert!(text(&session.call("m__slow_compute", json!({"seconds": 0})).await).contains("computed"));
    let error = session.failure("tasks/get", json!({"taskId": "m+1"})).await;
    assert_eq!(error["code"], -32601, "{error}");
    let result = session.call("m__failing_job", json!({})).await;
    assert!(result["isError"] == true && text(&result).contains(EXTENSION), "{result}");
    for id in ["l+1", "nobody+1", "1", "m+unknown"] {
        let error = patient(&proxy, "/mcp").failure("tasks/get", json!({"taskId": id})).await;
        assert_eq!(error["code"], -32602, "{id}: {error}");
    }
}
