//! Real servers of both eras that ask, and clients of both eras that are asked.

use serde_json::{Value, json};

use super::fleet::PARTS;
use crate::support::{Modern, Proxy, Real, Session, text};

/// Servers with a tool `ask`, and the field of the form that they ask for.
const SERVERS: [(&str, &str); 4] =
    [("fastmcp-2", "value"), ("fastmcp-4", "name"), ("typescript", "name"), ("strict", "name")];

async fn start(real: &Real) -> Proxy {
    let script = Real::server;
    let environment = json!({"MCPROXY_REAL": real.path("")});
    let server = |name: &str, command: &str, args: &[String]| json!({"name": name, "command": command, "args": args, "env": environment, "clientFeatures": ["elicitation"]});
    Proxy::start(json!({"servers": [
        server("fastmcp-2", &real.path("venv/bin/python"), &[script("on_fastmcp.py")]),
        server("fastmcp-4", &real.path("modern/bin/python"), &[script("on_fastmcp.py")]),
        server("typescript", "node", &[script("on-typescript-sdk.mjs")]),
        server("strict", "node", &[script("on-typescript-sdk.mjs"), "--strict".to_owned()]),
    ]}))
    .await
}

fn accepted(field: &str) -> Value {
    json!({"action": "accept", "content": {field: "Ann"}})
}

/// E01, E06: the question comes as a request on the call's own stream, whatever the server speaks.
#[tokio::test]
async fn a_client_with_a_session_is_asked_by_real_servers_of_both_eras() {
    let Some(real) = Real::with(&PARTS) else { return };
    let proxy = start(&real).await;
    let session = Session::capable(&proxy.http, &proxy.url("/mcp"), json!({"elicitation": {"form": {}}})).await;
    for (id, (server, field)) in (1..).zip(SERVERS) {
        let params = json!({"name": format!("{server}__ask"), "arguments": {}});
        let mut events = session.streamed(json!(id), "tools/call", params).await;
        let asked = events.find("a question", |message| message["method"] == "elicitation/create").await;
        assert_eq!(asked["params"]["message"], "What is your name?", "{server}");
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": accepted(field)});
        assert_eq!(session.post(&answer.to_string()).await.status, 202);
        let done = events.find("the answer", |message| message["id"] == id && message.get("method").is_none()).await;
        assert_eq!(text(&done["result"]), "Hello, Ann", "{server}: {done}");
    }
}

/// E03, E10: the call ends with the question, and the same call again, with the answer, has the result.
#[tokio::test]
async fn a_client_of_2026_07_28_is_asked_by_real_servers_of_both_eras() {
    let Some(real) = Real::with(&PARTS) else { return };
    let proxy = start(&real).await;
    let mut client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    client.capabilities = json!({"elicitation": {"form": {}}});
    for (server, field) in SERVERS {
        let mut params = json!({"name": format!("{server}__ask"), "arguments": {}});
        let asked = client.result("tools/call", params.clone()).await;
        assert_eq!(asked["resultType"], "input_required", "{server}: {asked}");
        let (key, question) = asked["inputRequests"].as_object().and_then(|all| all.iter().next()).expect("a question");
        assert_eq!(question["params"]["message"], "What is your name?", "{server}");
        params["inputResponses"] = json!({key: accepted(field)});
        if let Some(state) = asked.get("requestState") {
            params["requestState"] = state.clone();
        }
        let done = client.result("tools/call", params).await;
        assert_eq!(text(&done), "Hello, Ann", "{server}: {done}");
    }
}

/// E09: a server with a process for each session asks for the roots at its start, before anybody calls it, and the first call
/// finds the directories of its own client.
#[tokio::test]
async fn a_real_server_works_in_the_directories_of_its_sessions_client_from_the_first_call_on() {
    let part = "node_modules/@modelcontextprotocol/server-filesystem";
    let Some(real) = Real::with(&[part]) else { return };
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a directory")).collect();
    let path = |n: usize| dirs[n].path().to_str().expect("a path").to_owned();
    let entry = json!({"name": "fs", "command": "node", "instances": "per-session",
        "args": [real.path(&format!("{part}/dist/index.js")), path(0)]});
    let proxy = Proxy::start(json!({"servers": [entry]})).await;
    for n in [1, 2] {
        let session = Session::capable(&proxy.http, &proxy.url("/mcp"), json!({"roots": {}})).await;
        let params = json!({"name": "fs__list_allowed_directories", "arguments": {}});
        let mut events = session.streamed(json!(1), "tools/call", params).await;
        let asked = events.find("a question", |message| message["method"] == "roots/list").await;
        let root = json!({"roots": [{"uri": format!("file://{}", path(n))}]});
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": root});
        assert_eq!(session.post(&answer.to_string()).await.status, 202);
        let done = events.find("the answer", |message| message["id"] == 1 && message.get("method").is_none()).await;
        let allowed = text(&done["result"]);
        assert!(allowed.contains(&path(n)) && !allowed.contains(&path(0)), "{allowed}");
    }
    // A client without any gets what the server was started with.
    let session = Session::open(&proxy.http, &proxy.url("/mcp")).await;
    assert!(session.say("fs__list_allowed_directories", json!({})).await.contains(&path(0)));
}
