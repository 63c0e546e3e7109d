//! What a session is shown of a server that has an instance for each.

use serde_json::json;

use super::start;
use crate::support::{DEADLINE, Modern, Session, eventually, kill, names};

/// The tool that a session adds to its own instance.
const MINE: &str = "a__mine";

async fn sees(session: &Session) -> bool {
    session.tools().await.contains(&MINE.to_owned())
}

#[tokio::test]
async fn a_session_is_told_of_the_tools_of_its_own_instance_sees_them_and_may_call_them() {
    let proxy = start(json!({})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let mut stream = one.stream().await;
    assert!(!sees(&one).await && !sees(&two).await);
    one.say("a__add_tool", json!({"name": "mine"})).await;
    stream.notification("notifications/tools/list_changed").await;
    assert!(sees(&one).await, "its own instance has it");
    one.call(MINE, json!({})).await;
    two.say("a__pid", json!({})).await;
    assert!(!sees(&two).await && !sees(&proxy.session().await).await, "nobody else's has");
    assert_eq!(two.refuse(MINE, json!({})).await["code"], -32602);
    let client = Modern::new(&proxy.http, &proxy.url("/mcp"));
    let listed = client.result("tools/list", json!({})).await;
    assert!(!names(&listed["tools"]).contains(&MINE.to_owned()), "lists of 2026-07-28 do not depend on who asks");
    one.say("a__remove_tool", json!({"name": "mine"})).await;
    stream.notification("notifications/tools/list_changed").await;
    assert!(!sees(&one).await);
}

#[tokio::test]
async fn what_a_session_is_shown_outlives_the_gateway_and_ends_with_the_session() {
    let proxy = start(json!({})).await;
    let session = proxy.session().await;
    session.say("a__add_tool", json!({"name": "mine"})).await;
    eventually("it is shown", DEADLINE, async || sees(&session).await.then_some(())).await;
    kill(proxy.status().await.gateway_pid());
    eventually("another gateway shows it", DEADLINE, async || {
        let other = proxy.try_status().await?.gateway.is_some_and(|gateway| gateway.restarts > 0);
        (other && proxy.http.get(proxy.url("/healthz")).send().await.is_ok() && sees(&session).await).then_some(())
    })
    .await;
    session.delete().await;
    assert!(!sees(&proxy.session().await).await);
}
