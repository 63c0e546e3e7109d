//! Servers that ask the client of a call for something.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Events, Proxy, Session, eventually, fixture, text};

const ALL: [&str; 4] = ["sampling", "elicitation", "elicitation.url", "roots"];

pub(super) fn everything() -> Value {
    json!({"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": true}})
}

/// A proxy with a server `a` that may ask for everything; `members` are further keys of its entry.
pub(super) async fn start(members: Value) -> Proxy {
    let mut entry = fixture("a", &[]);
    let entry_members = entry.as_object_mut().expect("an object");
    entry_members.insert("clientFeatures".into(), json!(ALL));
    entry_members.extend(members.as_object().expect("an object").clone());
    Proxy::start(json!({"servers": [entry]})).await
}

async fn session(proxy: &Proxy, capabilities: Value) -> Session {
    Session::capable(&proxy.http, &proxy.url("/mcp"), capabilities).await
}

async fn begin(session: &Session, id: u64, tool: &str, arguments: Value) -> Events {
    session.streamed(json!(id), "tools/call", json!({"name": tool, "arguments": arguments})).await
}

async fn question(events: &mut Events, method: &str) -> Value {
    let found = events.find(method, |message| message["method"] == method && message.get("id").is_some()).await;
    found["id"].clone()
}

async fn answer(session: &Session, id: &Value, result: Value) {
    let answer = session.post(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

async fn result_of(events: &mut Events, id: u64) -> Value {
    events.find("the answer", |message| message["id"] == id && message.get("method").is_none()).await
}

fn accepted(word: &str) -> Value {
    json!({"action": "accept", "content": {"answer": word}})
}

/// Asks until it is so: how many calls the server had.
async fn calls(session: &Session) -> u64 {
    session.say("a__calls", json!({})).await.parse().expect("a number")
}

#[tokio::test]
async fn e01_elicit_b_l_per_session() {
    let proxy = start(json!({"instances": "per-session"})).await;
    let (one, two) = (session(&proxy, everything()).await, session(&proxy, everything()).await);
    let mut streams = [
        begin(&one, 5, "a__elicit", json!({"message": "one?"})).await,
        begin(&two, 5, "a__elicit", json!({"message": "two?"})).await,
    ];
    for (session, events, word) in [(&two, 1, "two"), (&one, 0, "one")] {
        let events = &mut streams[events];
        let asked = events.find("a question", |message| message["method"] == "elicitation/create").await;
        assert_eq!(asked["params"]["message"], format!("{word}?"), "each client is asked what concerns its own call");
        answer(session, &asked["id"], accepted(word)).await;
        let response = result_of(events, 5).await;
        assert!(text(&response["result"]).contains(&format!("\"{word}\"")), "{response}");
        assert_eq!(calls(session).await, 2, "the call was made once");
    }
}

#[tokio::test]
async fn e01_one_call_at_a_time_of_a_shared_server_may_ask() {
    let proxy = start(json!({"limits": {"maxConcurrent": 1}})).await;
    let session = session(&proxy, everything()).await;
    let mut events = begin(&session, 5, "a__ask_twice", json!({})).await;
    for word in ["first", "second"] {
        let id = question(&mut events, "elicitation/create").await;
        let error = session.refuse("a__echo", json!({"text": "x"})).await;
        assert_eq!(error["data"]["reason"], "too_many_calls", "a call that waits counts");
        answer(&session, &id, accepted(word)).await;
    }
    let response = result_of(&mut events, 5).await;
    assert!(text(&response["result"]).contains("second"), "{response}");
}

#[tokio::test]
async fn e01_calls_of_one_session_may_all_ask() {
    let proxy = start(json!({})).await;
    let session = session(&proxy, everything()).await;
    let mut slow = begin(&session, 1, "a__slow", json!({"ms": 600_000})).await;
    let mut streams = Vec::new();
    for id in [2, 3] {
        streams.push(begin(&session, id, "a__elicit", json!({"message": format!("question {id}")})).await);
    }
    // Which call a question belongs to is not said; the client is the same for all of them.
    for (stream, id) in streams.iter_mut().zip([2, 3]) {
        let asked = stream.find("a question", |message| message["method"] == "elicitation/create").await;
        let message = asked["params"]["message"].as_str().expect("a message").to_owned();
        answer(&session, &asked["id"], accepted(&message)).await;
        let response = result_of(stream, id).await;
        assert!(text(&response["result"]).contains(&format!("question {id}")), "{response}");
    }
    session.notify("notifications/cancelled", json!({"requestId": 1})).await;
    assert_eq!(slow.event().await, None, "its client was asked nothing there");
}

#[tokio::test]
async fn e02_elicit_shared_ambiguous() {
    let proxy = start(json!({})).await;
    let (one, two) = (session(&proxy, everything()).await, session(&proxy, everything()).await);
    let mut slow = begin(&two, 6, "a__slow", json!({"ms": 600_000})).await;
    let response = one.respond("tools/call", json!({"name": "a__elicit", "arguments": {"message": "?"}})).await;
    assert!(response.to_string().contains("ambiguous"), "the server is told, and nobody else: {response}");
    two.notify("notifications/cancelled", json!({"requestId": 6})).await;
    assert_eq!(slow.event().await, None, "its client was asked nothing");
}

#[tokio::test]
async fn e05_a_client_without_the_capability_is_not_asked() {
    let proxy = start(json!({})).await;
    let session = session(&proxy, json!({"roots": {}})).await;
    let response = session.respond("tools/call", json!({"name": "a__elicit", "arguments": {"message": "?"}})).await;
    assert!(response.to_string().contains("has not declared"), "{response}");
}

#[tokio::test]
async fn e08_only_pages_of_the_web_are_asked_for() {
    let proxy = start(json!({})).await;
    let session = session(&proxy, everything()).await;
    for url in ["file:///etc/passwd", "javascript:alert(1)", "vscode://x/y", "https:"] {
        let asked = json!({"name": "a__ask_page", "arguments": {"url": url}});
        let messages = session.request_as(json!(url), "tools/call", asked).await;
        assert_eq!(messages.len(), 1, "the client is asked nothing: {messages:?}");
        assert!(messages[0].to_string().contains("only http and https"), "the server is told why: {messages:?}");
    }
    let error = session.refuse("a__gate", json!({"url": "file:///etc/passwd"})).await;
    assert_eq!(error["data"]["reason"], "no_web_page", "{error}");
    assert!(!error.to_string().contains("etc/passwd"), "{error}");
    proxy.logged(&["a question of a server is refused", "server: a"]).await;
}

#[tokio::test]
async fn e09_sampling_roots_and_a_form_at_once() {
    let proxy = start(json!({})).await;
    let session = session(&proxy, everything()).await;
    let mut events = begin(&session, 5, "a__ask_all", json!({})).await;
    for _ in 0..3 {
        let asked =
            events.find("a question", |message| message.get("method").is_some() && message.get("id").is_some()).await;
        let result = match asked["method"].as_str().expect("a method") {
            "sampling/createMessage" => {
                json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "sampled"}})
            }
            "elicitation/create" => accepted("formed"),
            _ => json!({"roots": [{"uri": "file:///rooted"}]}),
        };
        answer(&session, &asked["id"], result).await;
    }
    let response = result_of(&mut events, 5).await;
    let said = text(&response["result"]);
    assert!(["sampled", "formed", "file:///rooted"].iter().all(|word| said.contains(word)), "{response}");
}

#[tokio::test]
async fn an_error_of_the_client_reaches_the_server() {
    let proxy = start(json!({})).await;
    let session = session(&proxy, everything()).await;
    let mut events = begin(&session, 5, "a__roots", json!({})).await;
    let id = question(&mut events, "roots/list").await;
    let body = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32603, "message": "no roots today"}});
    assert_eq!(session.post(&body.to_string()).await.status, 202);
    assert!(result_of(&mut events, 5).await.to_string().contains("no roots today"));
    assert_eq!(session.say("a__echo", json!({"text": "on"})).await, "on");
}

#[tokio::test]
async fn e08_a_page_is_asked_of_those_who_can_open_one() {
    let proxy = start(json!({})).await;
    let can = session(&proxy, everything()).await;
    let mut events = begin(&can, 5, "a__ask_page", json!({})).await;
    let asked = events.find("a page", |message| message["method"] == "elicitation/create").await;
    assert_eq!(asked["params"]["elicitationId"], "page-1");
    answer(&can, &asked["id"], json!({"action": "accept"})).await;
    assert!(text(&result_of(&mut events, 5).await["result"]).contains("accept"));
    let cannot = session(&proxy, json!({"elicitation": {}})).await;
    let response = cannot.respond("tools/call", json!({"name": "a__ask_page"})).await;
    assert!(response.to_string().contains("has not declared"), "{response}");
}

#[tokio::test]
async fn e08_whoever_was_asked_to_visit_a_page_hears_that_it_is_done() {
    let proxy = Proxy::of(&["a"]).await;
    let (asked, other) = (session(&proxy, everything()).await, session(&proxy, everything()).await);
    let (mut hears, mut does_not) = (asked.stream().await, other.stream().await);
    let error = asked.refuse("a__gate", json!({})).await;
    assert_eq!(
        (&error["code"], &error["data"]["elicitations"][0]["elicitationId"]),
        (&json!(-32042), &json!("gate-1"))
    );
    assert_eq!(other.say("a__gate", json!({})).await, "come in");
    let done = hears.notification("notifications/elicitation/complete").await;
    assert_eq!(done["params"]["elicitationId"], "gate-1");
    other.say("a__add_tool", json!({"name": "later"})).await;
    let is_one = |message: &Value| message["method"].as_str().is_some_and(|m| m.starts_with("notifications/"));
    let first = does_not.find("a notification", is_one).await;
    assert_eq!(first["method"], "notifications/tools/list_changed", "nobody else hears of it");
}

#[tokio::test]
async fn a_client_that_was_cut_off_finds_the_question_when_it_comes_back() {
    let proxy = start(json!({})).await;
    let session = session(&proxy, everything()).await;
    let mut events = begin(&session, 5, "a__elicit", json!({"message": "still there?"})).await;
    let prime = events.prime().await;
    question(&mut events, "elicitation/create").await;
    drop(events);
    let mut events = Events::open(session.after(&prime)).await;
    let id = question(&mut events, "elicitation/create").await;
    answer(&session, &id, accepted("yes")).await;
    assert!(text(&result_of(&mut events, 5).await["result"]).contains("yes"));
}

#[tokio::test]
async fn a_call_that_is_given_up_takes_its_question_with_it() {
    let proxy = start(json!({"limits": {"maxConcurrent": 1}})).await;
    let session = session(&proxy, everything()).await;
    let mut events = begin(&session, 5, "a__elicit", json!({"message": "?"})).await;
    let id = question(&mut events, "elicitation/create").await;
    session.notify("notifications/cancelled", json!({"requestId": 5})).await;
    let taken = events.find("the question is taken back", |m| m["method"] == "notifications/cancelled").await;
    assert_eq!(taken["params"]["requestId"], id);
    assert_eq!(events.event().await, None, "there is no answer");
    answer(&session, &id, accepted("late")).await;
    eventually("the server is free again", DEADLINE, async || {
        let response = session.respond("tools/call", json!({"name": "a__echo", "arguments": {"text": "x"}})).await;
        response.get("result").map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_takes_its_question_with_it() {
    let proxy = start(json!({"limits": {"maxConcurrent": 1}})).await;
    let (gone, other) = (session(&proxy, everything()).await, session(&proxy, everything()).await);
    let mut events = begin(&gone, 5, "a__elicit", json!({"message": "?"})).await;
    question(&mut events, "elicitation/create").await;
    assert_eq!(gone.delete().await.status, 204);
    eventually("the server is free again", DEADLINE, async || {
        let response = other.respond("tools/call", json!({"name": "a__echo", "arguments": {"text": "x"}})).await;
        response.get("result").map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn a_user_who_does_not_answer_is_not_waited_for_for_ever_but_longer_than_for_a_call() {
    let proxy = start(json!({"timeout": 0.5, "inputTimeout": 3})).await;
    let session = session(&proxy, everything()).await;
    let begun = std::time::Instant::now();
    let mut events = begin(&session, 5, "a__elicit", json!({"message": "?"})).await;
    question(&mut events, "elicitation/create").await;
    let response = result_of(&mut events, 5).await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "the call's own time stands still: {response}");
    assert_eq!(response["result"]["isError"], true, "{response}");
    assert!(text(&response["result"]).contains("inputTimeout"), "{response}");
}

#[tokio::test]
async fn g03_what_is_not_configured_is_not_declared() {
    let proxy = Proxy::of(&["a"]).await;
    let session = session(&proxy, everything()).await;
    assert_eq!(session.say("a__capabilities", json!({})).await, "{}");
    let response = session.respond("tools/call", json!({"name": "a__elicit", "arguments": {"message": "?"}})).await;
    assert!(response.to_string().contains("has not declared"), "{response}");
    let proxy = start(json!({})).await;
    let session = self::session(&proxy, json!({})).await;
    let declared = session.say("a__capabilities", json!({})).await;
    assert!(["sampling", "elicitation", "url", "roots"].iter().all(|word| declared.contains(word)), "{declared}");
}

#[tokio::test]
async fn a_clients_answer_of_many_mebibytes_reaches_the_server_and_costs_nobody_anything() {
    let proxy = start(json!({})).await;
    let (asked, other) = (session(&proxy, everything()).await, session(&proxy, json!({})).await);
    for (id, size) in [(5, 1_100_000), (6, 3_000_000)] {
        let mut events = begin(&asked, id, "a__sample", json!({"prompt": "an image"})).await;
        let question = question(&mut events, "sampling/createMessage").await;
        let mut slow = begin(&other, id, "a__slow", json!({"ms": 600_000})).await;
        let image = json!({"type": "text", "text": "A".repeat(size)});
        answer(&asked, &question, json!({"role": "assistant", "model": "m", "content": image})).await;
        let response = result_of(&mut events, id).await;
        assert!(text(&response["result"]).len() >= size, "it arrived whole");
        other.notify("notifications/cancelled", json!({"requestId": id})).await;
        assert_eq!(slow.event().await, None, "a call of another client went on until it was given up");
    }
    assert_eq!(proxy.server("a").await.restarts, 0);
}
