//! What servers of 2026-07-28 tell of their own accord: one `subscriptions/listen` for all who want to hear.

use std::time::Duration;

use serde_json::{Value, json};

use super::{client_of, modern, start};
use crate::support::{DEADLINE, Events, Modern, Proxy, Session, eventually};

const QUIET: Duration = Duration::from_millis(600);
const ID: &str = "io.modelcontextprotocol/subscriptionId";

async fn listen(client: &Modern, wish: Value) -> (Events, Value) {
    let request = client.request("subscriptions/listen", json!({"notifications": wish}));
    let mut stream = Events::open(client.post(&request)).await;
    stream.notification("notifications/subscriptions/acknowledged").await;
    (stream, request["id"].clone())
}

/// What the server's open streams listen to.
async fn heard_by(session: &Session) -> Vec<Value> {
    let text = session.say("m__listeners", json!({})).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn until_it_listens_to(session: &Session, uris: &[&str]) {
    let expected = if uris.is_empty() { Value::Null } else { json!(uris) };
    eventually(&format!("one stream for {uris:?}"), DEADLINE, async || {
        let streams = heard_by(session).await;
        matches!(&streams[..], [one] if one.get("resourceSubscriptions").cloned().unwrap_or_default() == expected)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn r04_subscriptions_of_sessions_become_one_stream_and_reach_only_who_subscribed() {
    let proxy = start().await;
    let (one, two, third) = (proxy.session().await, proxy.session().await, proxy.session().await);
    let mut streams = [one.stream().await, two.stream().await, third.stream().await];
    until_it_listens_to(&third, &[]).await;
    let watched = json!({"uri": "m+fixture://watched"});
    for session in [&one, &two] {
        assert_eq!(session.request("resources/subscribe", watched.clone()).await, json!({}));
    }
    until_it_listens_to(&third, &["fixture://watched"]).await;
    assert_eq!(two.request("resources/unsubscribe", watched.clone()).await, json!({}));
    third.say("m__touch_resource", json!({"uri": "fixture://watched"})).await;
    let update = streams[0].notification("notifications/resources/updated").await;
    assert_eq!(update["params"], watched, "nothing of the stream between gateway and server shows");
    for stream in &mut streams[1..] {
        assert_eq!(stream.rest(QUIET).await, Vec::<Value>::new());
    }
    one.request("resources/unsubscribe", watched).await;
    until_it_listens_to(&third, &[]).await;
}

#[tokio::test]
async fn r04_subscriptions_outlive_the_servers_process() {
    let proxy = start().await;
    let session = proxy.session().await;
    session.request("resources/subscribe", json!({"uri": "m+fixture://watched"})).await;
    crate::support::kill(proxy.server("m").await.pid());
    proxy.server_until("ready again", "m", |server| server.is_ready() && server.generation == 2).await;
    until_it_listens_to(&session, &["fixture://watched"]).await;
}

#[tokio::test]
async fn r05_a_listener_hears_it_under_its_own_name() {
    let proxy = start().await;
    let client = client_of(&proxy);
    let wish = json!({"toolsListChanged": true, "resourceSubscriptions": ["m+fixture://watched"]});
    let (mut stream, id) = listen(&client, wish).await;
    until_it_listens_to(&proxy.session().await, &["fixture://watched"]).await;
    client.say("m__touch_resource", json!({"uri": "fixture://watched"})).await;
    let update = stream.notification("notifications/resources/updated").await;
    assert_eq!(update["params"], json!({"uri": "m+fixture://watched", "_meta": {ID: id}}));
    for name in ["one", "two", "three"] {
        client.say("m__add_tool", json!({"name": name})).await;
    }
    let change = stream.notification("notifications/tools/list_changed").await;
    assert_eq!(change["params"]["_meta"][ID], id, "{change}");
    assert_eq!(stream.rest(QUIET).await, Vec::<Value>::new(), "r07 one for all three");
}

#[tokio::test]
async fn r07_a_session_hears_of_changed_lists_on_its_own_stream() {
    let proxy = start().await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    session.say("m__add_tool", json!({"name": "extra"})).await;
    stream.notification("notifications/tools/list_changed").await;
    assert!(session.tools().await.contains(&"m__extra".to_owned()));
}

#[tokio::test]
async fn a_stream_that_the_server_ends_is_opened_again() {
    let proxy = start().await;
    let session = proxy.session().await;
    session.request("resources/subscribe", json!({"uri": "m+fixture://watched"})).await;
    session.say("m__end_listening", json!({})).await;
    until_it_listens_to(&session, &["fixture://watched"]).await;
    let mut stream = session.stream().await;
    session.say("m__add_tool", json!({"name": "extra"})).await;
    stream.notification("notifications/tools/list_changed").await;
    assert_eq!(proxy.server("m").await.restarts, 0);
}

#[tokio::test]
async fn r06_a_server_that_knows_no_such_stream_serves_all_the_same() {
    let proxy = Proxy::start(json!({"servers": [modern("m", &["--no-listen"])]})).await;
    let client = client_of(&proxy);
    let (mut stream, _) = listen(&client, json!({"toolsListChanged": true})).await;
    assert_eq!(client.say("m__echo", json!({"text": "fine"})).await, "fine");
    let session = proxy.session().await;
    let error = session.failure("resources/subscribe", json!({"uri": "m+fixture://watched"})).await;
    assert_eq!(error["code"], -32601, "{error}");
    assert_eq!(stream.rest(QUIET).await, Vec::<Value>::new());
}
