//! Lists that are as new as they can be, and calls of what is in none.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Events, Modern, Proxy, Session, eventually, fixture, text};

const CHANGED: &str = "notifications/tools/list_changed";
/// Longer than changes are gathered before they are announced.
const QUIET: Duration = Duration::from_millis(600);

fn silent(name: &str, flags: &[&str], members: Value) -> Value {
    let mut entry = fixture(name, &[&["--unannounced"], flags].concat());
    entry.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    entry
}

async fn until_listed(session: &Session, tool: &str) {
    eventually(&format!("{tool} is listed"), DEADLINE, async || {
        session.tools().await.contains(&tool.to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_list_that_was_refused_is_asked_for_again_and_the_status_says_why_it_is_missing() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &["--refuse-tools", "3"]), fixture("b", &[])]})).await;
    proxy.until_ready().await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    let status: Value = serde_json::from_str(&proxy.cli(&["status", "a", "--json"]).await.stdout).expect("JSON");
    let failure = &status["listFailures"][0];
    assert_eq!((&failure["method"], status["state"].as_str()), (&json!("tools/list"), Some("ready")), "{status}");
    assert!(failure["error"].as_str().is_some_and(|error| error.contains("there is no network yet")), "{status}");
    assert!(failure["retryInSeconds"].as_f64().is_some_and(|seconds| seconds <= 4.0), "{status}");
    let people = proxy.cli(&["status"]).await.stdout;
    assert!(people.contains("tools/list failed: "), "{people}");
    stream.notification(CHANGED).await;
    until_listed(&session, "a__echo").await;
    assert_eq!(session.say("b__echo", json!({"text": "x"})).await, "x");
    eventually("nothing is missing any more", DEADLINE, async || {
        let status: Value = serde_json::from_str(&proxy.cli(&["status", "a", "--json"]).await.stdout).expect("JSON");
        (status["listFailures"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_announces_nothing_is_asked_again_when_a_client_asks() {
    let proxy = Proxy::start(json!({"servers": [silent("a", &[], json!({"listTtl": 0.5}))]})).await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    session.say("a__add_tool", json!({"name": "extra"})).await;
    until_listed(&session, "a__extra").await;
    stream.notification(CHANGED).await;
}

#[tokio::test]
async fn a_list_whose_time_is_over_is_not_given_to_the_next_client_that_asks() {
    let flags = ["--era", "modern", "--ttl-ms", "0", "--cache-scope", "public"];
    let proxy = Proxy::start(json!({"servers": [silent("a", &flags, json!({"listTtl": null}))]})).await;
    let (session, client) = (proxy.session().await, Modern::new(&proxy.http, &proxy.url("/mcp")));
    assert!(!session.tools().await.contains(&"a__extra".to_owned()));
    client.say("a__add_tool", json!({"name": "extra"})).await;
    until_listed(&session, "a__extra").await;
    let tools = client.result("tools/list", json!({})).await;
    assert!(tools.to_string().contains("a__extra"), "{tools}");
}

#[tokio::test]
async fn a_tool_in_no_list_goes_to_the_server_that_its_name_points_to() {
    let mut entry = silent("a", &[], json!({}));
    entry["tools"] = json!({"deny": ["secret*"], "rename": {"crash": "fall"}});
    let proxy = Proxy::start(json!({"servers": [entry, fixture("b", &[])]})).await;
    let session = proxy.session().await;
    for name in ["extra", "secret_one"] {
        session.say("a__add_tool", json!({"name": name})).await;
    }
    assert!(!session.tools().await.contains(&"a__extra".to_owned()), "nobody has announced it");
    assert!(session.say("a__extra", json!({})).await.contains("extra"));
    assert!(proxy.session_at("/servers/a/mcp").await.say("extra", json!({})).await.contains("extra"));
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    assert!(client.say("a__extra", json!({})).await.contains("extra"));
    let mut legacy = proxy.legacy_session().await;
    assert!(text(&legacy.call("a__extra", json!({})).await).contains("extra"));
    // What the server does not know it says itself, in its own words.
    let error = session.refuse("a__nothing", json!({})).await;
    assert_eq!((&error["code"], error["message"].as_str()), (&json!(-32602), Some("Unknown tool: nothing")), "{error}");
    // Rules hold for what is not listed as well.
    for name in ["a__secret_one", "a__crash", "b__", "c__extra", "extra"] {
        let error = session.refuse(name, json!({})).await;
        assert!(error["message"].as_str().is_some_and(|text| text.contains(name)), "{name} reached nobody: {error}");
        assert_eq!(client.failure("tools/call", json!({"name": name})).await["code"], -32602, "{name}");
    }
    assert_eq!(session.failure("prompts/get", json!({"name": "a__nothing"})).await["code"], -32602);
    let reference = json!({"ref": {"type": "ref/prompt", "name": "a__new"}, "argument": {"name": "x", "value": ""}});
    let completed = session.respond("completion/complete", reference).await;
    assert!(!completed.to_string().contains("Unknown prompt: a__new"), "the server was asked: {completed}");
}

#[tokio::test]
async fn an_announcement_that_changes_nothing_reaches_those_who_listen() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let (session, other) = (proxy.session().await, proxy.session_at("/servers/b/mcp").await);
    let (mut stream, mut others) = (session.stream().await, other.stream().await);
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let request = client.request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let mut listener = Events::open(client.post(&request)).await;
    listener.notification("notifications/subscriptions/acknowledged").await;
    stream.rest(QUIET).await;
    others.rest(QUIET).await;
    let before = session.tools().await;
    for _ in 0..3 {
        session.say("a__notify", json!({"method": CHANGED})).await;
    }
    stream.notification(CHANGED).await;
    listener.notification(CHANGED).await;
    assert_eq!(session.tools().await, before);
    assert!(stream.rest(QUIET).await.is_empty(), "one for all three");
    assert!(others.rest(QUIET).await.is_empty(), "it concerns the other endpoint");
}
