//! Which calls wait: by server, tool, group and token, by what tools say of themselves, at every endpoint and in every form.

use serde_json::{Value, json};

use super::{id, until_held};
use crate::support::{Proxy, Session, fixture, http_client, text};

const ANN: &str = "a-token-of-ann-that-is-long-enough";
const BOB: &str = "a-token-of-bob-that-is-long-enough";

/// Soon enough for tests in which nobody decides.
const SHORT: f64 = 0.4;

/// Whether a call is held: then nobody decides, and it is refused.
async fn is_held(session: &Session, tool: &str, arguments: Value) -> bool {
    let answer = session.respond("tools/call", json!({"name": tool, "arguments": arguments})).await;
    match answer["error"]["data"]["reason"].as_str() {
        Some("approval_expired") => true,
        Some(other) => panic!("{other}: {answer}"),
        None => {
            assert!(answer["result"].is_object(), "{answer}");
            false
        }
    }
}

async fn launch(config: Value) -> Proxy {
    let proxy = Proxy::launch(config).await;
    proxy.until_ready().await;
    proxy
}

#[tokio::test]
async fn destructive_is_what_is_not_said_to_be_harmless() {
    let mut server = fixture("a", &[]);
    server["approve"] = json!("destructive");
    server["tools"] = json!({"annotations": {"calls": {"destructiveHint": false}}});
    let proxy = launch(json!({"servers": [server], "approvals": {"timeout": SHORT}})).await;
    let session = proxy.session().await;
    assert!(is_held(&session, "a__echo", json!({"text": "x"})).await, "it says nothing of itself");
    assert!(!is_held(&session, "a__structured", json!({})).await, "its server says that it only reads");
    assert!(!is_held(&session, "a__calls", json!({})).await, "the configuration says so");
}

#[tokio::test]
async fn the_strictest_of_server_tool_group_and_token_counts() {
    let mut strict = fixture("s", &[]);
    strict["approve"] = json!("always");
    let config = json!({
        "servers": [fixture("a", &[]), strict],
        "groups": {"plain": {"servers": ["a"]}, "careful": {"servers": ["a"], "approve": "always"}},
        "auth": {"tokens": [
            {"name": "ann", "token": ANN},
            {"name": "bob", "token": BOB, "approve": "destructive"},
            {"name": "eve", "token": "a-token-of-eve-that-is-long-enough", "groups": ["careful"]},
        ]},
        "approvals": {"timeout": SHORT},
    });
    let proxy = launch(config).await;
    let open = |token, path| {
        let (http, url) = (http_client(Some(token)), proxy.url(path));
        async move { Session::open(&http, &url).await }
    };
    let arguments = || json!({"text": "x"});
    let ann = open(ANN, "/mcp").await;
    assert!(!is_held(&ann, "a__echo", arguments()).await);
    assert!(is_held(&ann, "s__echo", arguments()).await, "its server says so");
    assert!(!is_held(&open(ANN, "/groups/plain/mcp").await, "a__echo", arguments()).await);
    assert!(
        is_held(&open(ANN, "/groups/careful/mcp").await, "a__echo", arguments()).await,
        "the endpoint's group says so"
    );
    let bob = open(BOB, "/mcp").await;
    assert!(is_held(&bob, "a__echo", arguments()).await, "his token says so");
    assert!(!is_held(&bob, "a__structured", json!({})).await);
    assert!(is_held(&bob, "s__structured", json!({})).await, "the stricter one counts");
    let eve = open("a-token-of-eve-that-is-long-enough", "/mcp").await;
    assert!(is_held(&eve, "a__echo", arguments()).await, "the group that lets her in says so, wherever she calls");
}

#[tokio::test]
async fn every_way_to_a_tool_holds_it() {
    let mut server = fixture("a", &[]);
    server["tools"] = json!({"approve": {"ec*": "always"}, "rename": {"echo": "say"}});
    let config = json!({
        "servers": [server],
        "groups": {"g": {"servers": ["a"], "tools": {"rename": {"a__say": "tell"}}}},
        "approvals": {"timeout": SHORT},
    });
    let proxy = launch(config).await;
    let arguments = json!({"text": "x"});
    for (path, name) in [("/mcp", "a__say"), ("/servers/a/mcp", "say"), ("/groups/g/mcp", "a__tell")] {
        let session = proxy.session_at(path).await;
        assert!(is_held(&session, name, arguments.clone()).await, "{path}");
    }
    let search = proxy.session_at("/search/mcp").await;
    let wrapped = json!({"name": "a__say", "arguments": arguments});
    assert!(is_held(&search, "call_tool", wrapped.clone()).await);
    let call = async { search.respond("tools/call", json!({"name": "call_tool", "arguments": wrapped})).await };
    let decide = async {
        let waiting = until_held(&proxy, 1).await;
        assert_eq!(waiting[0]["tool"], "echo", "it is the real tool: {waiting:?}");
        proxy.cli(&["approvals", "allow", id(&waiting[0])]).await
    };
    let (_, ()) = tokio::join!(call, async {
        // Time may be over on a slow machine; then there is nothing to decide.
        let _ = decide.await;
    });
}

#[tokio::test]
async fn instances_and_lazy_servers_are_not_started_for_what_nobody_agreed_to() {
    let mut server = fixture("a", &[]);
    server["approve"] = json!("always");
    server["start"] = json!("lazy");
    server["instances"] = json!("per-session");
    let proxy = Proxy::launch(json!({"servers": [server], "approvals": {"timeout": SHORT}})).await;
    let session = proxy.session().await;
    assert!(is_held(&session, "a__echo", json!({"text": "x"})).await);
    let call = async { session.respond("tools/call", json!({"name": "a__echo", "arguments": {"text": "y"}})).await };
    let decide = async {
        let waiting = until_held(&proxy, 1).await;
        proxy.cli(&["approvals", "allow", id(&waiting[0])]).await
    };
    let (answer, _) = tokio::join!(call, decide);
    let is_expired = answer["error"]["data"]["reason"] == "approval_expired";
    assert!(is_expired || text(&answer["result"]) == "y", "{answer}");
}

#[tokio::test]
async fn a_client_has_a_bound_and_leaves_room_for_others() {
    let mut server = fixture("a", &[]);
    server["tools"] = json!({"approve": {"echo": "always"}});
    let proxy = launch(json!({"servers": [server]})).await;
    let session = proxy.session().await;
    let body = |id: u64| {
        let params = json!({"name": "a__echo", "arguments": {"text": "x"}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
    };
    let mut waiting = Vec::new();
    for number in 0..32 {
        let request = session.http(reqwest::Method::POST).header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream").body(body(100 + number));
        waiting.push(tokio::spawn(request.send()));
    }
    until_held(&proxy, 32).await;
    let refused = session.refuse("a__echo", json!({"text": "x"})).await;
    assert_eq!(refused["data"]["reason"], "too_many_held", "{refused}");
    let other = proxy.session().await;
    let call = async { other.respond("tools/call", json!({"name": "a__echo", "arguments": {"text": "other"}})).await };
    let decide = async {
        let all = until_held(&proxy, 33).await;
        let last = all.iter().find(|call| call["arguments"].to_string().contains("other")).expect("it waits");
        assert_eq!(proxy.cli(&["approvals", "allow", id(last)]).await.code, Some(0));
    };
    let (answer, ()) = tokio::join!(call, decide);
    assert_eq!(text(&answer["result"]), "other");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}
