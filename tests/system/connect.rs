//! `mcproxy connect` for clients of 2026-07-28.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use crate::support::{DEADLINE, Modern, Proxy, eventually, fixture, text, within};

/// A client on the pipes of `mcproxy connect`.
struct Connect {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Makes the requests.
    client: Modern,
}

impl Connect {
    fn start(proxy: &Proxy) -> Self {
        let mut command = proxy.cli_command(&["connect"]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let stdin = child.stdin.take().expect("a pipe");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut client = Modern::new(&proxy.http, &proxy.url("/mcp"));
        client.capabilities = json!({"elicitation": {}});
        Self { child, stdin, lines, client }
    }

    async fn send(&mut self, message: &Value) {
        self.stdin.write_all(format!("{message}\n").as_bytes()).await.expect("it reads");
    }

    /// Sends a request; its id.
    async fn begin(&mut self, method: &str, params: Value) -> Value {
        let request = self.client.request(method, params);
        self.send(&request).await;
        request["id"].clone()
    }

    async fn message(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        within("a message", DEADLINE, async {
            loop {
                let line = self.lines.next_line().await.expect("it reads").expect("a line");
                let message: Value = serde_json::from_str(&line).expect("a line of JSON");
                if wanted(&message) {
                    return message;
                }
            }
        })
        .await
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params).await;
        self.message(|message| message["id"] == id).await
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// Ends its stdin; its exit code.
    async fn end(mut self) -> Option<i32> {
        drop(self.stdin);
        within("it ends with its stdin", DEADLINE, self.child.wait()).await.expect("its status").code()
    }
}

async fn start() -> (Proxy, Connect) {
    let mut entry = fixture("a", &[]);
    entry["clientFeatures"] = json!(["elicitation"]);
    let proxy = Proxy::start(json!({"servers": [entry]})).await;
    let connect = Connect::start(&proxy);
    (proxy, connect)
}

#[tokio::test]
async fn requests_that_stand_for_themselves_are_carried_with_their_headers() {
    let (_proxy, mut connect) = start().await;
    // A client that does not know yet who it talks to.
    connect.send(&json!({"jsonrpc": "2.0", "id": "who", "method": "server/discover"})).await;
    let refused = connect.message(|message| message["id"] == "who").await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let found = connect.ask("server/discover", json!({})).await;
    assert_eq!(found["result"]["supportedVersions"][0], "2026-07-28", "{found}");
    // It has listed nothing so far: what the call must repeat is found out for it.
    let arguments = json!({"region": "größe", "count": 42, "at": {"dry": true}});
    let answer = connect.call("a__mirrored", arguments.clone()).await;
    assert!(text(&answer["result"]).contains("größe"), "{answer}");
    let tools = connect.ask("tools/list", json!({})).await;
    assert_eq!(tools["result"]["resultType"], "complete", "{tools}");
    assert!(connect.call("a__mirrored", arguments).await["result"].is_object());
    let prompt = connect.ask("resources/read", json!({"uri": "a+fixture://static/text"})).await;
    assert!(prompt["result"]["contents"][0].is_object(), "{prompt}");
    let error = connect.ask("ping", json!({})).await;
    assert_eq!(error["error"]["code"], -32601, "{error}");
    assert_eq!(connect.end().await, Some(0));
}

#[tokio::test]
async fn what_a_server_asks_for_is_brought_back_the_same_way() {
    let (_proxy, mut connect) = start().await;
    let mut params = json!({"name": "a__elicit", "arguments": {"message": "well?"}});
    let asked = connect.ask("tools/call", params.clone()).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let key = asked["result"]["inputRequests"].as_object().and_then(|all| all.keys().next()).expect("a question");
    params["inputResponses"] = json!({key: {"action": "accept", "content": {"answer": "very"}}});
    params["requestState"] = asked["result"]["requestState"].clone();
    let answer = connect.ask("tools/call", params).await;
    assert!(text(&answer["result"]).contains("very"), "{answer}");
}

#[tokio::test]
async fn progress_and_listeners_reach_the_client_and_a_listener_keeps_nobody_from_ending() {
    let (_proxy, mut connect) = start().await;
    let meta = json!({"progressToken": "t"});
    let mut request = connect.client.request("tools/call", json!({"name": "a__progress", "arguments": {"steps": 2}}));
    request["params"]["_meta"]["progressToken"] = meta["progressToken"].clone();
    connect.send(&request).await;
    connect.message(|m| m["method"] == "notifications/progress" && m["params"]["progressToken"] == "t").await;
    let id = request["id"].clone();
    connect.message(|message| message["id"] == id).await;
    connect.begin("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await;
    connect.message(|message| message["method"] == "notifications/subscriptions/acknowledged").await;
    connect.call("a__add_tool", json!({"name": "new"})).await;
    connect.message(|message| message["method"] == "notifications/tools/list_changed").await;
    let begun = std::time::Instant::now();
    assert_eq!(connect.end().await, Some(0));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn t05_a_cancelled_request_is_closed_and_its_server_told() {
    let (proxy, mut connect) = start().await;
    let id = connect.begin("tools/call", json!({"name": "a__slow", "arguments": {"ms": 600_000}})).await;
    // It is under way once another that was sent after it is answered.
    connect.call("a__echo", json!({"text": "x"})).await;
    connect.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})).await;
    let mut other = Connect::start(&proxy);
    eventually("the server was told", DEADLINE, async || {
        let count = other.call("a__cancelled_count", json!({})).await;
        (text(&count["result"]) == "1").then_some(())
    })
    .await;
    assert_eq!(connect.end().await, Some(0), "nothing is waited for");
}

#[tokio::test]
async fn one_client_may_speak_both_eras() {
    let (_proxy, mut connect) = start().await;
    connect.send(&crate::support::initialize("2025-11-25")).await;
    connect.message(|message| message["id"] == 0).await;
    connect.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    let call = json!({"name": "a__echo", "arguments": {"text": "old"}});
    connect.send(&json!({"jsonrpc": "2.0", "id": "s", "method": "tools/call", "params": call})).await;
    let old = connect.message(|message| message["id"] == "s").await;
    assert!(old["result"].get("resultType").is_none() && text(&old["result"]) == "old", "{old}");
    let new = connect.call("a__echo", json!({"text": "new"})).await;
    assert_eq!((&new["result"]["resultType"], text(&new["result"])), (&json!("complete"), "new"));
    assert_eq!(connect.end().await, Some(0));
}

#[tokio::test]
async fn the_url_of_the_old_transport_leads_to_the_endpoint_beside_it() {
    let proxy = Proxy::of(&["a"]).await;
    let initialize = crate::support::initialize("2025-11-25");
    for path in ["/sse", "/servers/a/sse"] {
        let finished = proxy.cli_with(&["connect", &proxy.url(path)], &format!("{initialize}\n")).await;
        assert!(finished.code == Some(0) && finished.stdout.contains("protocolVersion"), "{finished:?}");
        let said = format!("using {}", proxy.url(&path.replace("/sse", "/mcp")));
        assert!(finished.stderr.contains(&said), "{finished:?}");
    }
}
