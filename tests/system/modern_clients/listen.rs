//! `subscriptions/listen`: a stream for what belongs to no request.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Events, Modern, Proxy, ask, eventually, fixture, within};

/// Longer than changes are gathered before they are announced.
const QUIET: Duration = Duration::from_millis(600);
const ID: &str = "io.modelcontextprotocol/subscriptionId";

fn client_of(proxy: &Proxy) -> Modern {
    Modern::new(&proxy.http, &proxy.url("/mcp"))
}

/// Listens, and returns what was acknowledged, too.
async fn listen(client: &Modern, wish: Value) -> (Events, Value, Value) {
    let request = client.request("subscriptions/listen", json!({"notifications": wish}));
    let mut stream = Events::open(client.post(&request)).await;
    let first = stream.find("the first message", |_| true).await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    assert_eq!(first["params"]["_meta"][ID], request["id"], "{first}");
    (stream, first["params"]["notifications"].clone(), request["id"].clone())
}

async fn subscribed(client: &Modern, tool: &str, expected: &str) {
    eventually(&format!("the server has {expected} subscribed"), DEADLINE, async || {
        (client.say(tool, json!({})).await == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn r05_a_listener_hears_what_it_asked_for_and_nothing_else() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let client = client_of(&proxy);
    let wish = json!({"toolsListChanged": true, "resourceSubscriptions": ["a+fixture://watched", "nobody+x:y"]});
    let (mut stream, honoured, id) = listen(&client, wish).await;
    let expected = json!({"toolsListChanged": true, "resourceSubscriptions": ["a+fixture://watched"]});
    assert_eq!(honoured, expected, "what nobody has is left out");
    let (mut deaf, honoured, _) = listen(&client, json!({"promptsListChanged": true})).await;
    assert_eq!(honoured, json!({"promptsListChanged": true}));
    for name in ["one", "two", "three", "four"] {
        client.say("b__add_tool", json!({"name": name})).await;
    }
    client.say("a__touch_resource", json!({"uri": "fixture://watched"})).await;
    client.say("a__touch_resource", json!({"uri": "fixture://static/text"})).await;
    let heard = stream.rest(QUIET).await;
    let methods: Vec<&str> = heard.iter().filter_map(|message| message["method"].as_str()).collect();
    assert_eq!(methods.iter().filter(|m| **m == "notifications/tools/list_changed").count(), 1, "r07 {heard:?}");
    assert_eq!(methods.iter().filter(|m| **m == "notifications/resources/updated").count(), 1, "{heard:?}");
    assert!(methods.len() == 2 && heard.iter().all(|message| message["params"]["_meta"][ID] == id), "{heard:?}");
    let updated = heard.iter().find(|message| message["params"]["uri"].is_string()).expect("an update");
    assert_eq!(updated["params"]["uri"], "a+fixture://watched");
    assert_eq!(deaf.rest(Duration::ZERO).await, Vec::<Value>::new());
}

#[tokio::test]
async fn r05_a_listener_is_told_of_the_end_in_order() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    let client = client_of(&proxy);
    let (mut stream, _, id) = listen(&client, json!({"toolsListChanged": true})).await;
    proxy.terminate();
    let last = stream.find("the result", |message| message.get("result").is_some()).await;
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&id, &json!("complete")), "{last}");
    assert_eq!(last["result"]["_meta"][ID], id);
    within("the end of the stream", DEADLINE, async { assert!(stream.event().await.is_none()) }).await;
    assert_eq!(proxy.exit_code(Duration::from_secs(25)).await, Some(0), "nobody waits for it");
}

#[tokio::test]
async fn an_endpoint_that_is_taken_away_ends_what_is_listened_to_there() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let own = Modern::new(&proxy.http, &proxy.url("/servers/b/mcp"));
    let (mut stream, _, id) = listen(&own, json!({"toolsListChanged": true})).await;
    let (mut other, ..) = listen(&client_of(&proxy), json!({"toolsListChanged": true})).await;
    proxy.write_config(&json!({"servers": [fixture("a", &[])]}).to_string());
    let last = stream.find("the result", |message| message.get("result").is_some()).await;
    assert_eq!(last["id"], id);
    other.notification("notifications/tools/list_changed").await;
}

#[tokio::test]
async fn a_server_sees_the_first_and_the_last_who_listen_and_a_new_incarnation_is_told() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy);
    let watched = json!({"resourceSubscriptions": ["a+fixture://watched"]});
    let (first, ..) = listen(&client, watched.clone()).await;
    let (mut second, ..) = listen(&client, watched).await;
    let session = proxy.session().await;
    session.request("resources/subscribe", json!({"uri": "a+fixture://watched"})).await;
    let held = r#"["fixture://watched"]"#;
    subscribed(&client, "a__subscriptions", held).await;
    drop(first);
    session.request("resources/unsubscribe", json!({"uri": "a+fixture://watched"})).await;
    client.say("a__touch_resource", json!({})).await;
    second.notification("notifications/resources/updated").await;
    client.failure("tools/call", json!({"name": "a__crash", "arguments": {}})).await;
    eventually("the next generation knows of it", DEADLINE, async || {
        let answer = client.ask("tools/call", json!({"name": "a__subscriptions", "arguments": {}})).await;
        answer.body.contains("fixture://watched").then_some(())
    })
    .await;
    client.say("a__touch_resource", json!({})).await;
    second.notification("notifications/resources/updated").await;
    drop(second);
    subscribed(&client, "a__subscriptions", "[]").await;
}

#[tokio::test]
async fn what_is_no_filter_is_refused() {
    let proxy = Proxy::of(&["a"]).await;
    let client = client_of(&proxy);
    for params in [json!({}), json!({"notifications": []}), json!({"notifications": {"toolsListChanged": "yes"}})] {
        let answer = ask(client.post(&client.request("subscriptions/listen", params.clone()))).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, -32602), "{params} {answer:?}");
    }
}

#[tokio::test]
async fn each_principal_hears_of_its_own_instance() {
    let mut server = fixture("a", &[]);
    server["instances"] = "per-session".into();
    let tokens = json!([{"name": "ann", "token": "0123456789abcdef"}, {"name": "bob", "token": "fedcba9876543210"}]);
    let proxy = Proxy::launch(json!({"servers": [server], "auth": {"tokens": tokens}})).await;
    let (ann, bob) =
        (client_of(&proxy).with_token("0123456789abcdef"), client_of(&proxy).with_token("fedcba9876543210"));
    ann.say("a__echo", json!({"text": "wake up"})).await;
    let watched = json!({"resourceSubscriptions": ["a+fixture://watched"]});
    let (mut of_ann, ..) = listen(&ann, watched.clone()).await;
    let (mut of_bob, ..) = listen(&bob, watched).await;
    subscribed(&ann, "a__subscriptions", r#"["fixture://watched"]"#).await;
    ann.say("a__touch_resource", json!({})).await;
    of_ann.notification("notifications/resources/updated").await;
    assert_eq!(of_bob.rest(QUIET).await, Vec::<Value>::new());
    drop(of_ann);
    subscribed(&ann, "a__subscriptions", "[]").await;
}
