//! Tasks: the extension of 2026-07-28, through the common endpoint and the server's own.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use super::{client_of, everything, modern};
use crate::support::{DEADLINE, Events, Modern, Proxy, eventually, fixture, text};

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

const QUIET: Duration = Duration::from_millis(600);

/// A stream for these tasks, and what of them is acknowledged.
async fn listen(client: &Modern, tasks: &[&Value]) -> (Events, Value) {
    let request = client.request("subscriptions/listen", json!({"notifications": {"taskIds": tasks}}));
    let mut stream = Events::open(client.post(&request)).await;
    let acknowledged = stream.notification("notifications/subscriptions/acknowledged").await;
    (stream, acknowledged["params"]["notifications"].clone())
}

/// Waits until the latest `subscriptions/listen` at the server is for these tasks, by the ids that it gave them.
async fn until_asked_for(record: &Path, mut tasks: Vec<&str>) {
    tasks.sort_unstable();
    let expected = if tasks.is_empty() { Value::Null } else { json!(tasks) };
    eventually(&format!("a stream for {expected}"), DEADLINE, async || {
        let lines = std::fs::read_to_string(record).unwrap_or_default();
        let listens = |line: &Value| line["method"] == "subscriptions/listen";
        let last = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).rfind(listens)?;
        (last["params"]["notifications"]["taskIds"] == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn g02_who_listens_to_a_task_is_told_of_it_and_nobody_else() {
    let records = tempfile::tempdir().expect("a directory");
    let server = |name: &str, mode: &str| {
        let record = records.path().join(name).display().to_string();
        let mut server = modern(name, &["--tasks", "--record", &record]);
        server["instances"] = mode.into();
        server
    };
    let servers = json!([server("m", "shared"), server("own", "per-session"), fixture("l", &[])]);
    let proxy = Proxy::start(json!({"servers": servers})).await;
    for (path, name, tools, ids) in
        [("/mcp", "m", "m__", "m+"), ("/mcp", "own", "own__", "own+"), ("/servers/m/mcp", "m", "", "")]
    {
        let (client, record) = (patient(&proxy, path), records.path().join(name));
        let begin =
            async || client.call(&format!("{tools}slow_compute"), json!({"seconds": 600})).await["taskId"].clone();
        let (first, second) = (begin().await, begin().await);
        let own = |task: &Value| task.as_str().and_then(|id| id.strip_prefix(ids)).expect("an id").to_owned();
        let unknown = json!(format!("{ids}unknown"));
        let mut wish = vec![&first, &unknown];
        let strange = [json!("l+1"), json!("nobody+1")];
        if path == "/mcp" {
            wish.extend(&strange);
        }
        let (mut one, acknowledged) = listen(&client, &wish).await;
        assert_eq!(acknowledged, json!({"taskIds": [first]}), "{name}: what is not taken is left out");
        let (mut two, acknowledged) = listen(&client, &[&second]).await;
        assert_eq!(acknowledged, json!({"taskIds": [second]}), "{name}");
        until_asked_for(&record, vec![&own(&first), &own(&second)]).await;
        let link = json!({"type": "resource_link", "uri": "fixture://watched", "name": "w"});
        let task = json!({"taskId": own(&first), "status": "completed", "result": {"content": [link]}});
        client.call(&format!("{tools}notify"), json!({"method": "notifications/tasks", "params": task})).await;
        let told = one.notification("notifications/tasks").await;
        assert_eq!((&told["params"]["taskId"], &told["params"]["status"]), (&first, &json!("completed")), "{told}");
        assert!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].is_number(), "{told}");
        let uri = &told["params"]["result"]["content"][0]["uri"];
        assert!(uri.as_str().is_some_and(|uri| uri.ends_with(&format!("{ids}fixture://watched"))), "{told}");
        assert_eq!(two.rest(QUIET).await, Vec::<Value>::new(), "{name}");
        drop(one);
        until_asked_for(&record, vec![&own(&second)]).await;
        drop(two);
        until_asked_for(&record, vec![]).await;
    }
}

#[tokio::test]
async fn g02_who_takes_no_tasks_cannot_listen_to_one() {
    let proxy = start().await;
    let wish = json!({"notifications": {"taskIds": ["m+1"]}});
    let error = client_of(&proxy).failure("subscriptions/listen", wish).await;
    assert_eq!(error["code"], -32021, "{error}");
    assert!(error["data"]["requiredCapabilities"]["extensions"][EXTENSION].is_object(), "{error}");
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
