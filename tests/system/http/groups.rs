//! Groups with rules and paths of their own, groups that need no token, and the ways in which a token is shown.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{LegacySession, Modern, Proxy, Session, ask, eventually, fixture, http_client, names, within};

const ANN: &str = "the-secret-of-ann-1";

fn config() -> Value {
    json!({
        "servers": [fixture("a", &[]), fixture("b", &[])],
        "auth": {"tokens": [{"name": "ann", "token": ANN}], "queryKey": true},
        "groups": {
            "open": {
                "servers": ["a"],
                "auth": "none",
                "paths": ["/metamcp/my__home", "/other"],
                "tools": {
                    "deny": ["mcproxy__*", "*__slow"],
                    "rename": {"a__echo": "say"},
                    "describe": {"a__echo": "Says it"},
                    "title": {"a__echo": "Say"},
                    "annotations": {"a__echo": {"readOnlyHint": true, "title": "T"}},
                },
            },
            "closed": {"servers": ["a", "b"], "paths": ["/metamcp/work"], "tools": {"allow": ["a__echo", "b__*"]}},
        },
    })
}

async fn start(config: Value) -> Proxy {
    let proxy = Proxy::launch(config).await;
    proxy.until_ready().await;
    proxy
}

async fn tools(session: &Session) -> Vec<Value> {
    session.list("tools/list", "tools").await.as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_group_shows_its_servers_tools_by_rules_of_its_own() {
    let proxy = start(config()).await;
    let open = Session::open(&proxy.http, &proxy.url("/groups/open/mcp")).await;
    let listed = tools(&open).await;
    let shown = names(&json!(listed));
    assert!(shown.iter().all(|name| name.starts_with("a__") && name != "a__slow" && name != "a__echo"), "{shown:?}");
    let said = listed.iter().find(|tool| tool["name"] == "a__say").expect("the tool by its new name");
    assert_eq!((&said["description"], &said["title"]), (&json!("Says it"), &json!("Say")));
    assert_eq!((&said["annotations"]["readOnlyHint"], &said["annotations"]["title"]), (&json!(true), &json!("T")));
    assert_eq!(open.say("a__say", json!({"text": "hello"})).await, "hello");
    for hidden in ["a__echo", "a__slow", "b__echo", "mcproxy__status"] {
        let failure = open.failure("tools/call", json!({"name": hidden, "arguments": {"text": "x"}})).await;
        assert!(
            failure["message"].as_str().is_some_and(|text| text.starts_with("Unknown tool")),
            "{hidden}: {failure}"
        );
    }
    let ann = http_client(Some(ANN));
    let closed = Session::open(&ann, &proxy.url("/groups/closed/mcp")).await;
    let shown = names(&json!(tools(&closed).await));
    assert!(shown.contains(&"a__echo".to_owned()) && shown.contains(&"b__slow".to_owned()), "{shown:?}");
    assert!(!shown.contains(&"a__slow".to_owned()) && !shown.contains(&"mcproxy__status".to_owned()), "{shown:?}");
    let all = Session::open(&ann, &proxy.url("/mcp")).await;
    let shown = names(&json!(tools(&all).await));
    assert!(
        shown.contains(&"a__echo".to_owned()) && shown.contains(&"a__slow".to_owned()),
        "rules of groups are theirs"
    );
    // Of 2026-07-28, too.
    let modern = Modern::new(&proxy.http, &proxy.url("/groups/open/mcp"));
    assert_eq!(modern.say("a__say", json!({"text": "modern"})).await, "modern");
}

#[tokio::test]
async fn a_changed_list_of_a_server_is_announced_to_a_group_and_follows_its_rules() {
    let proxy = start(config()).await;
    let open = Session::open(&proxy.http, &proxy.url("/groups/open/mcp")).await;
    let mut hears = open.stream().await;
    open.say("a__add_tool", json!({"name": "new"})).await;
    hears.notification("notifications/tools/list_changed").await;
    let shown = names(&json!(tools(&open).await));
    assert!(shown.contains(&"a__new".to_owned()) && shown.contains(&"a__say".to_owned()), "{shown:?}");
    let mut other = config();
    other["groups"]["open"]["tools"]["rename"]["a__echo"] = json!("tell");
    proxy.write_config(&other.to_string());
    hears.notification("notifications/tools/list_changed").await;
    assert_eq!(open.say("a__tell", json!({"text": "renamed"})).await, "renamed");
}

#[tokio::test]
async fn a_group_is_served_at_its_further_paths_in_every_dialect() {
    let proxy = start(config()).await;
    for path in ["/metamcp/my__home", "/other", "/groups/open"] {
        let session = Session::open(&proxy.http, &proxy.url(&format!("{path}/mcp"))).await;
        assert_eq!(session.say("a__say", json!({"text": path})).await, path);
        let (mut legacy, _) = LegacySession::open(&proxy.http, &proxy.base, &format!("{path}/sse")).await;
        assert_eq!(crate::support::text(&legacy.call("a__say", json!({"text": path})).await), path);
        let slash = Session::open(&proxy.http, &proxy.url(&format!("{path}/mcp/"))).await;
        assert_eq!(slash.say("a__say", json!({"text": path})).await, path);
    }
    let ann = http_client(Some(ANN));
    for unknown in ["/metamcp/my__home/api", "/metamcp/other/mcp"] {
        assert_eq!(ask(ann.get(proxy.url(unknown))).await.status, 404, "{unknown}");
    }
}

#[tokio::test]
async fn a_token_is_taken_from_each_place_where_clients_put_it_and_is_never_logged() {
    let proxy = start(config()).await;
    let with_key = |name: &'static str, value: &'static str| {
        let headers = reqwest::header::HeaderMap::from_iter([(
            reqwest::header::HeaderName::from_static(name),
            reqwest::header::HeaderValue::from_static(value),
        )]);
        reqwest::Client::builder().default_headers(headers).no_proxy().build().expect("a client")
    };
    let in_query = proxy.url(&format!("/metamcp/work/mcp?api_key={ANN}"));
    for (client, url) in [
        (http_client(Some(ANN)), proxy.url("/metamcp/work/mcp")),
        (with_key("x-api-key", ANN), proxy.url("/metamcp/work/mcp")),
        (proxy.http.clone(), in_query.clone()),
    ] {
        let session = Session::open(&client, &url).await;
        assert_eq!(session.say("b__echo", json!({"text": "in"})).await, "in");
    }
    // The endpoint that the stream names has the key, as its posts are requests of their own.
    for path in ["/metamcp/work/sse", "/sse"] {
        let (mut legacy, _) = LegacySession::open(&proxy.http, &proxy.base, &format!("{path}?apikey={ANN}")).await;
        assert_eq!(crate::support::text(&legacy.call("b__echo", json!({"text": "in"})).await), "in");
    }
    let wrong = ask(with_key("x-api-key", "another-secret-of-ann").get(proxy.url("/metamcp/work/mcp"))).await;
    assert_eq!(wrong.status, 401);
    assert_eq!(ask(proxy.http.get(proxy.url("/metamcp/work/mcp?api_key=wrong"))).await.status, 401);
    assert!(!proxy.log().contains(ANN), "a token is in the log");

    let mut other = config();
    other["auth"]["queryKey"] = json!(false);
    proxy.write_config(&other.to_string());
    eventually("a token in a URL is none", Duration::from_secs(10), async || {
        (ask(proxy.http.get(&in_query)).await.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_group_without_a_token_opens_nothing_else_and_ends_when_it_needs_one() {
    let proxy = start(config()).await;
    for closed in ["/mcp", "/sse", "/groups/closed/mcp", "/metamcp/work/mcp", "/servers/a/mcp", "/health", "/metrics"] {
        assert_eq!(proxy.get(closed).await.status, 401, "{closed}");
    }
    let session = Session::open(&proxy.http, &proxy.url("/groups/open/mcp")).await;
    let mut stream = session.stream().await;
    let stale = Session::open(&http_client(Some("an-old-token-of-nobody")), &proxy.url("/other/mcp")).await;
    assert_eq!(stale.say("a__say", json!({"text": "x"})).await, "x", "whatever a client sends there");

    let mut other = config();
    other["groups"]["open"].as_object_mut().expect("a group").remove("auth");
    proxy.write_config(&other.to_string());
    within("the stream ends", Duration::from_secs(10), async { while stream.event().await.is_some() {} }).await;
    assert_eq!(session.post(super::PING).await.status, 401);
}
