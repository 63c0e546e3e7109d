use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{LegacySession, Proxy, Session, text};

#[tokio::test]
async fn t02_t03_two_clients_with_the_same_ids_and_tokens_never_see_each_others_messages() {
    let proxy = Proxy::of(&["a"]).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let mut legacy = proxy.legacy_session().await;
    // The number of steps says whose it is.
    let params = |steps: u64| json!({"name": "a__progress", "arguments": {"steps": steps, "interval_ms": 15}, "_meta": {"progressToken": "same"}});
    for round in 0..3 {
        let id = json!(round);
        let all = async |session: &Session, steps: u64| {
            check(&session.request_as(id.clone(), "tools/call", params(steps)).await, steps)
        };
        let old = async |session: &mut LegacySession, steps: u64| {
            session.post(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params(steps)})).await;
            let answer = session.events.find("the answer", |message| message["id"] == id).await;
            let mut messages = session.events.rest(std::time::Duration::from_millis(50)).await;
            messages.push(answer);
            check(&messages, steps);
        };
        tokio::join!(all(&one, 4), all(&two, 7), old(&mut legacy, 9));
    }
}

fn check(messages: &[Value], steps: u64) {
    let (response, others) = messages.split_last().expect("messages");
    // What a stream has to say besides belongs to no call.
    let reports: Vec<&Value> = others.iter().filter(|message| message["method"] == "notifications/progress").collect();
    assert_eq!(text(&response["result"]), format!("{steps} steps done"));
    assert_eq!(reports.len() as u64, steps, "{reports:?}");
    for report in reports {
        assert_eq!(report["params"]["total"].as_f64(), Some(steps as f64), "a report of another call: {report}");
    }
}

#[tokio::test]
async fn a_hundred_calls_of_ten_clients_with_the_same_ids_get_their_own_answers() {
    let proxy = Proxy::of(&["a"]).await;
    let sessions = join_all((0..10).map(|_| proxy.session())).await;
    let calls = sessions.iter().enumerate().flat_map(|(client, session)| {
        (0..10).map(move |id| async move {
            let tag = format!("client {client} call {id}");
            let params = json!({"name": "a__echo", "arguments": {"text": tag}});
            let messages = session.request_as(json!(id), "tools/call", params).await;
            assert_eq!(text(&messages[0]["result"]), tag);
        })
    });
    join_all(calls).await;
}

#[tokio::test]
async fn an_id_comes_back_as_it_was_sent() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    for id in ["1", "\"1\"", "-5", "9007199254740991", "\"\\u00e4 \\\" id\"", "\"\""] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"a__echo","arguments":{{"text":"x"}}}}}}"#
        );
        let answer = session.post(&body).await.json();
        let expected: Value = serde_json::from_str(id).expect("an id");
        assert_eq!(answer["id"], expected, "{answer}");
    }
}

#[tokio::test]
async fn an_id_that_is_under_way_cannot_be_used_again_by_the_same_client() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let slow = || session.request_as(json!(1), "tools/call", json!({"name": "a__slow", "arguments": {"ms": 500}}));
    let (first, second) = tokio::join!(slow(), slow());
    let failed: Vec<i64> = [&first, &second].iter().filter_map(|m| m[0]["error"]["code"].as_i64()).collect();
    assert_eq!(failed, [-32600], "{first:?} {second:?}");
}

#[tokio::test]
async fn a_string_and_a_number_are_different_ids() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let slow =
        |id: Value, ms: u64| session.request_as(id, "tools/call", json!({"name": "a__slow", "arguments": {"ms": ms}}));
    let (number, string) = tokio::join!(slow(json!(1), 150), slow(json!("1"), 151));
    assert_eq!(text(&number[0]["result"]), "slept 150 ms");
    assert_eq!(text(&string[0]["result"]), "slept 151 ms");
}
