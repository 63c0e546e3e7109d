//! Servers that do not wait for what they asked, and clients that say how far they are with it.

use serde_json::{Value, json};

use super::asks::start;
use crate::support::{DEADLINE, Events, Modern, Proxy, Session, eventually, text};

async fn session(proxy: &Proxy) -> Session {
    Session::capable(&proxy.http, &proxy.url("/mcp"), json!({"sampling": {}})).await
}

async fn question(events: &mut Events) -> Value {
    events.find("a question", |message| message["method"] == "sampling/createMessage").await
}

async fn answer(session: &Session, id: &Value) {
    let result = json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "sampled"}});
    let answer = session.post(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn a_question_that_the_server_gave_up_does_not_hold_the_result() {
    for members in [json!({}), json!({"instances": "per-session"})] {
        let proxy = start(members.clone()).await;
        let session = session(&proxy).await;
        for (call, cancel) in [(5, false), (6, true)] {
            let params = json!({"name": "a__ask_and_leave", "arguments": {"ms": 300, "cancel": cancel}});
            let mut events = session.streamed(json!(call), "tools/call", params).await;
            let asked = question(&mut events).await["id"].clone();
            let cancelled = events.notification("notifications/cancelled").await;
            assert_eq!(cancelled["params"]["requestId"], asked, "under the id that the client knows");
            if cancel {
                assert_eq!(cancelled["params"]["reason"], "no longer needed", "in the server's words");
            }
            let response = events.find("the result", |message| message["id"] == call).await;
            assert!(text(&response["result"]).contains("left"), "{members} {response}");
            // An answer that comes too late is nothing.
            answer(&session, &asked).await;
            assert_eq!(session.say("a__echo", json!({"text": "on"})).await, "on");
        }
    }
}

#[tokio::test]
async fn a_client_without_a_session_that_comes_back_with_nothing_gets_the_result_of_a_call_that_is_over() {
    let proxy = start(json!({})).await;
    let mut client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    client.capabilities = json!({"sampling": {}});
    let mut params = json!({"name": "a__ask_and_leave", "arguments": {"ms": 500}});
    let result = client.result("tools/call", params.clone()).await;
    assert_eq!(result["resultType"], "input_required", "{result}");
    params["requestState"] = result["requestState"].clone();
    let result = eventually("the server is done", DEADLINE, async || {
        let result = client.result("tools/call", params.clone()).await;
        (result["resultType"] == "complete").then_some(result)
    })
    .await;
    assert!(text(&result).contains("left"), "{result}");
}

#[tokio::test]
async fn progress_of_a_client_with_a_question_reaches_the_server_under_its_own_token() {
    for members in [json!({}), json!({"instances": "per-session"})] {
        let proxy = start(members.clone()).await;
        let session = session(&proxy).await;
        let params = json!({"name": "a__sample_with_progress"});
        let mut events = session.streamed(json!("asks"), "tools/call", params).await;
        let asked = question(&mut events).await;
        let token = asked["params"]["_meta"]["progressToken"].clone();
        assert_eq!(token, asked["id"], "no token of another server is the same: {asked}");
        for (token, progress) in [(json!("another"), 1), (token.clone(), 2)] {
            session.notify("notifications/progress", json!({"progressToken": token, "progress": progress})).await;
        }
        let heard = eventually("the server heard of it", DEADLINE, async || {
            let heard: Value = serde_json::from_str(&session.say("a__heard", json!({})).await).expect("JSON");
            (heard != json!([])).then_some(heard)
        })
        .await;
        // Its SDK takes only what comes under the token that it gave.
        assert_eq!(heard.as_array().map(Vec::len), Some(1), "a token of nobody goes nowhere: {heard}");
        assert_eq!(heard[0]["params"]["progress"], 2.0, "{heard}");
        answer(&session, &asked["id"]).await;
        let response = events.find("the result", |message| message["id"] == "asks").await;
        assert!(text(&response["result"]).contains("sampled"), "{members} {response}");
    }
}
