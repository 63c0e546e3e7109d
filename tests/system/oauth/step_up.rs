//! Tokens with too few scopes: their clients are told which ones to ask for, and go on with a token that has them.

use reqwest::StatusCode;
use serde_json::json;

use super::{StandInAuthority, auth, config, hello, until_accepted};
use crate::support::{Answer, DEADLINE, Modern, Proxy, Session, ask, eventually, http_client};

async fn start(authority: &StandInAuthority) -> Proxy {
    let scopes = json!({
        "all": {},
        "read": {"tools": ["a__echo"]},
        "write": {"servers": ["b"]},
    });
    let mut auth = auth(authority, scopes);
    auth["oauth"]["initialScopes"] = json!(["read"]);
    let proxy = Proxy::launch(config(auth)).await;
    proxy.until_ready().await;
    until_accepted(&proxy, &authority.token("all")).await;
    proxy
}

/// The scopes that a client is told to ask for.
fn asked_for(answer: &Answer) -> Option<String> {
    let challenge = answer.header("www-authenticate")?;
    let (_, scope) = challenge.split_once("scope=\"")?;
    Some(scope.split('"').next()?.to_owned())
}

fn is_step_up(answer: &Answer, scopes: &str) -> bool {
    answer.status == StatusCode::FORBIDDEN
        && answer.header("www-authenticate").is_some_and(|told| {
            told.starts_with("Bearer error=\"insufficient_scope\"") && told.contains("resource_metadata=\"https://")
        })
        && asked_for(answer).as_deref() == Some(scopes)
}

#[tokio::test]
async fn a_call_that_needs_more_says_which_scopes_and_what_does_not_exist_is_unknown() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    assert_eq!(asked_for(&hello(&proxy, "/mcp", None).await).as_deref(), Some("read"));
    let reader = authority.token("read");
    let session = Session::open(&http_client(Some(&reader)), &proxy.url("/mcp")).await;
    assert_eq!(session.tools().await, ["a__echo"]);
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(&reader);
    let call = |name: &str| json!({"name": name, "arguments": {"text": "x"}});
    for (name, scopes) in [("b__echo", "read write"), ("a__echo_size", "read all"), ("mcproxy__status", "read all")] {
        let answer = modern.ask("tools/call", call(name)).await;
        assert!(is_step_up(&answer, scopes), "{name}: {answer:?}");
        let body = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call(name)});
        let answer = session.post(&body.to_string()).await;
        assert!(is_step_up(&answer, scopes), "{name}: {answer:?}");
    }
    for (method, params, scopes) in [
        ("prompts/get", json!({"name": "b__plain"}), "read write"),
        ("resources/read", json!({"uri": "a+fixture://static/text"}), "read all"),
    ] {
        let answer = modern.ask(method, params).await;
        assert!(is_step_up(&answer, scopes), "{method}: {answer:?}");
    }
    for unknown in ["b__nothing", "nobody__echo", "echo"] {
        let failure = modern.failure("tools/call", call(unknown)).await;
        assert!(failure["message"].as_str().is_some_and(|text| text.starts_with("Unknown tool")), "{failure}");
    }
    // Endpoints of which the token opens nothing.
    assert!(is_step_up(&hello(&proxy, "/servers/b/mcp", Some(&reader)).await, "read write"));
    assert_eq!(hello(&proxy, "/servers/nobody/mcp", Some(&reader)).await.status, 404);
    let nothing = hello(&proxy, "/mcp", Some(&authority.token("other"))).await;
    assert!(is_step_up(&nothing, "read"), "{nothing:?}");
}

#[tokio::test]
async fn a_session_goes_on_with_more_scopes_and_not_with_fewer() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    let (few, more) = (authority.token("read"), authority.token("read write"));
    let session = Session::open(&http_client(Some(&few)), &proxy.url("/mcp")).await;
    let mut stream = session.stream().await;
    let with = |token: &str, method: &str, params: serde_json::Value| {
        let body = json!({"jsonrpc": "2.0", "id": 9, "method": method, "params": params});
        let request = proxy.post("/mcp").header("mcp-session-id", &session.id).bearer_auth(token);
        ask(request.header("mcp-protocol-version", "2025-11-25").body(body.to_string()))
    };
    let call = || json!({"name": "b__echo", "arguments": {"text": "more"}});
    assert!(is_step_up(&with(&few, "tools/call", call()).await, "read write"));
    let answer = with(&more, "tools/call", call()).await;
    assert!(answer.status == 200 && answer.body.contains("more"), "{answer:?}");
    // What it listened by was opened with the token before.
    eventually("its stream ends", DEADLINE, async || stream.event().await.is_none().then_some(())).await;
    let tools = with(&more, "tools/list", json!({})).await;
    assert!(tools.body.contains("b__echo"), "{tools:?}");
    assert_eq!(with(&few, "tools/call", call()).await.status, 404, "it is for more now");
    let bob = authority.token_with(json!({"sub": "bob", "scope": "read write all"}));
    assert_eq!(with(&bob, "ping", json!({})).await.status, 404);
}
