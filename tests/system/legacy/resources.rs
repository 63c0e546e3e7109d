use serde_json::{Value, json};

use crate::support::{Proxy, Session, fixture};

async fn read(session: &Session, uri: &str) -> Value {
    session.request("resources/read", json!({"uri": uri})).await["contents"][0].clone()
}

#[tokio::test]
async fn r01_the_same_uri_of_two_servers_stays_apart() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    let resources = session.list("resources/list", "resources").await;
    let uris: Vec<&str> = resources.as_array().expect("resources").iter().filter_map(|r| r["uri"].as_str()).collect();
    for uri in ["a+fixture://static/text", "b+fixture://static/text"] {
        assert!(uris.contains(&uri), "{uri} in {uris:?}");
        let content = read(&session, uri).await;
        assert_eq!((&content["uri"], &content["text"]), (&json!(uri), &json!("A text that is fixed")));
    }
    assert_eq!(resources[0]["size"], 19, "what else is said of a resource stays");
}

#[tokio::test]
async fn a_template_is_listed_and_what_it_makes_can_be_read() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let templates = session.list("resources/templates/list", "resourceTemplates").await;
    assert_eq!(templates[0]["uriTemplate"], "a+fixture://item/{id}");
    let content = read(&session, "a+fixture://item/41").await;
    assert_eq!((&content["uri"], &content["text"]), (&json!("a+fixture://item/41"), &json!("{\"id\":\"41\"}")));
}

#[tokio::test]
async fn r02_links_and_embedded_resources_of_a_result_can_be_read() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let content = session.call("a__link", json!({})).await["content"].clone();
    let link = content[0]["uri"].as_str().expect("a link").to_owned();
    assert_eq!(link, "a+fixture://static/text");
    assert_eq!(read(&session, &link).await["text"], "A text that is fixed");
    assert_eq!(content[1]["resource"]["uri"], "a+fixture://item/7");
    assert_eq!(content[2]["type"], "image");
}

#[tokio::test]
async fn a_resource_of_nobody_is_not_found() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    for uri in ["fixture://static/text", "nobody+fixture://static/text", "x"] {
        let error = session.failure("resources/read", json!({"uri": uri})).await;
        assert_eq!((&error["code"], &error["data"]["uri"]), (&json!(-32002), &json!(uri)), "{error}");
    }
    assert_eq!(session.failure("resources/read", json!({})).await["code"], -32602);
}

#[tokio::test]
async fn subscriptions_are_counted_and_changes_go_to_subscribers_only() {
    const QUIET: std::time::Duration = std::time::Duration::from_millis(400);
    const URI: &str = "a+fixture://watched";
    let proxy = Proxy::of(&["a"]).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let mut legacy = proxy.legacy_session().await;
    let (mut first, mut second) = (one.stream().await, two.stream().await);
    let updates = |messages: Vec<Value>| {
        let updated = messages.into_iter().filter(|message| message["method"] == "notifications/resources/updated");
        updated.map(|message| message["params"]["uri"].clone()).collect::<Vec<Value>>()
    };
    let held = async || one.say("a__subscriptions", json!({})).await;

    one.request("resources/subscribe", json!({"uri": URI})).await;
    two.request("resources/subscribe", json!({"uri": URI})).await;
    legacy.request("resources/subscribe", json!({"uri": URI})).await;
    assert_eq!(held().await, "[\"fixture://watched\"]");
    one.say("a__touch_resource", json!({})).await;
    assert_eq!(updates(first.rest(QUIET).await), [json!(URI)]);
    assert_eq!(updates(second.rest(QUIET).await), [json!(URI)]);
    assert_eq!(updates(legacy.events.rest(QUIET).await), [json!(URI)]);

    two.request("resources/unsubscribe", json!({"uri": URI})).await;
    assert_eq!(held().await, "[\"fixture://watched\"]", "others still hold it");
    one.say("a__touch_resource", json!({})).await;
    assert_eq!(updates(first.rest(QUIET).await), [json!(URI)]);
    assert_eq!(updates(second.rest(QUIET).await), [] as [Value; 0]);

    one.request("resources/unsubscribe", json!({"uri": URI})).await;
    drop(legacy);
    crate::support::eventually(
        "the server is told when the last holder leaves",
        crate::support::DEADLINE,
        async || (held().await == "[]").then_some(()),
    )
    .await;
}

#[tokio::test]
async fn a_subscription_outlives_the_server() {
    let proxy = Proxy::start(json!({
        "servers": [fixture("a", &[])],
        "defaults": {"restart": {"initialDelay": 0.1}}
    }))
    .await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    session.request("resources/subscribe", json!({"uri": "a+fixture://watched"})).await;
    let before = proxy.server("a").await.generation;
    session.refuse("a__crash", json!({})).await;
    proxy.server_until("back", "a", |server| server.is_ready() && server.generation > before).await;
    crate::support::eventually("the new server knows the subscription", crate::support::DEADLINE, async || {
        (session.say("a__subscriptions", json!({})).await == "[\"fixture://watched\"]").then_some(())
    })
    .await;
    session.say("a__touch_resource", json!({})).await;
    stream.notification("notifications/resources/updated").await;
}

#[tokio::test]
async fn r09_the_page_of_a_tool_is_found_under_its_name_here() {
    for era in ["legacy", "modern"] {
        let proxy = Proxy::start(json!({"servers": [fixture("a", &["--era", era]), fixture("b", &[])]})).await;
        let session = proxy.session().await;
        let tools = session.list("tools/list", "tools").await;
        let tool =
            tools.as_array().expect("tools").iter().find(|tool| tool["name"] == "a__viewed").expect("it is there");
        let uri = tool["_meta"]["ui"]["resourceUri"].as_str().expect("a URI");
        assert_eq!((uri, &tool["_meta"]["ui/resourceUri"]), ("ui://a+fixture/view", &json!("ui://a+fixture/view")));
        let content = read(&session, uri).await;
        assert_eq!((&content["uri"], &content["text"]), (&json!(uri), &json!("<p>Hello</p>")), "{era}");
    }
}
