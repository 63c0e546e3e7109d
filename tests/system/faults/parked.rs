//! A call that waits for its client while a process that it waits in is taken away.

use serde_json::{Value, json};

use crate::support::{DEADLINE, Modern, Proxy, SystemView, eventually, fixture, kill, text};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Gateway,
    Worker,
    Server,
}

impl Victim {
    fn pid(self, status: &SystemView) -> u32 {
        match self {
            Self::Gateway => status.gateway_pid(),
            Self::Worker => status.server("a").worker_pid.expect("a worker"),
            Self::Server => status.server("a").pid(),
        }
    }
}

/// The retry of a call, with an answer to each of its questions.
fn again(params: &Value, asked: &Value) -> Value {
    let questions = asked["inputRequests"].as_object().expect("questions");
    let answer = json!({"action": "accept", "content": {"answer": "a tree"}});
    let answers: serde_json::Map<_, _> = questions.keys().map(|key| (key.clone(), answer.clone())).collect();
    let mut params = params.clone();
    params["requestState"] = asked["requestState"].clone();
    params["inputResponses"] = answers.into();
    params
}

/// Kills each of them while a call waits. The retry gets one answer, and the next call goes all the way.
async fn each_victim(era: &str) {
    let mut entry = fixture("a", &["--era", era]);
    entry["clientFeatures"] = json!(["elicitation"]);
    let proxy = Proxy::start(json!({"servers": [entry], "defaults": {"restart": {"initialDelay": 0.1}}})).await;
    let mut client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    client.capabilities = json!({"elicitation": {"form": {}}});
    let params = json!({"name": "a__elicit", "arguments": {"message": "what is it?"}});
    for victim in [Victim::Gateway, Victim::Worker, Victim::Server] {
        let what = format!("{victim:?} of a server of the {era} era");
        let asked = client.result("tools/call", params.clone()).await;
        assert_eq!(asked["resultType"], "input_required", "{what}: {asked}");
        let before = proxy.status().await;
        kill(victim.pid(&before));
        eventually(&format!("{what}: another one serves"), DEADLINE, async || {
            let status = proxy.try_status().await?;
            let gateway = status.gateway.as_ref()?.pid;
            let server = status.server("a");
            let new = gateway != before.gateway_pid() || server.generation > before.server("a").generation;
            (new && server.is_ready()).then_some(())
        })
        .await;
        eventually(&format!("{what}: the gateway answers"), DEADLINE, async || {
            proxy.http.get(proxy.url("/healthz")).send().await.ok()?.status().is_success().then_some(())
        })
        .await;
        let answer = client.ask("tools/call", again(&params, &asked)).await;
        let responses = answer.messages();
        assert_eq!(responses.len(), 1, "{what}: {answer:?}");
        if era == "legacy" {
            // What waited is gone with the process: the client is told so, and begins anew.
            assert_eq!(responses[0]["error"]["code"], -32602, "{what}: {answer:?}");
        } else {
            // Nothing waited: all that a server of 2026-07-28 needs is in the request.
            assert!(text(&responses[0]["result"]).contains("a tree"), "{what}: {answer:?}");
        }
        let asked = client.result("tools/call", params.clone()).await;
        let result = client.result("tools/call", again(&params, &asked)).await;
        assert!(text(&result).contains("a tree"), "{what}: {result}");
    }
}

#[tokio::test]
async fn whoever_is_killed_while_a_call_waits_for_its_client_the_retry_gets_one_answer() {
    each_victim("legacy").await;
}

#[tokio::test]
async fn whoever_is_killed_while_a_modern_servers_client_is_asked_the_retry_is_answered() {
    each_victim("modern").await;
}
