//! Tools that are not as they were when they were first seen: what is said, what is held, and what an approval does.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::support::{DEADLINE, Proxy, eventually, fixture};

/// Answers of a server whose tools are these: names with their descriptions.
fn offer(answers: &Path, tools: &[(&str, &str)]) {
    let tools: Vec<Value> = tools
        .iter()
        .map(|(name, about)| json!({"name": name, "description": about, "inputSchema": {"type": "object"}}))
        .collect();
    let answer = json!({"jsonrpc": "2.0", "result": {"tools": tools}}).to_string();
    fs::write(answers.join("tools.list"), answer.replacen('{', "{\"id\":$ID,", 1)).expect("written");
    for name in ["read", "write", "send"] {
        let answer = json!({"jsonrpc": "2.0", "result": {"content": [{"type": "text", "text": name}]}}).to_string();
        let answer = answer.replacen('{', "{\"id\":$ID,", 1);
        fs::write(answers.join(format!("tools.call.{name}")), answer).expect("written");
    }
}

async fn start(pins: &str, answers: &Path) -> Proxy {
    let answers = answers.to_str().expect("a path");
    let server = fixture("s", &["--profile", "verbatim", "--answers", answers]);
    let proxy = Proxy::launch(json!({"servers": [server], "pins": pins})).await;
    proxy.until_ready().await;
    proxy
}

/// The tools of `s` that clients see, once they are these.
async fn listed(proxy: &Proxy, expected: &[&str]) {
    eventually(&format!("{expected:?} are listed"), DEADLINE, async || {
        let tools = proxy.session().await.tools().await;
        let of_s: Vec<&String> = tools.iter().filter(|name| name.starts_with("s__")).collect();
        (of_s.len() == expected.len() && of_s.iter().zip(expected).all(|(name, expected)| *name == expected))
            .then_some(())
    })
    .await;
}

async fn pinned(proxy: &Proxy) {
    let file = proxy.dir().join("state/pins/s.json");
    eventually("its tools are pinned", Duration::from_secs(20), async || file.exists().then_some(())).await;
}

async fn diff(proxy: &Proxy) -> (Option<i32>, String) {
    let state = proxy.dir().join("state");
    let finished = proxy.cli(&["tools", "diff", "--state-dir", state.to_str().expect("a path")]).await;
    (finished.code, finished.stdout)
}

#[tokio::test]
async fn tools_that_changed_are_held_until_somebody_approves_them() {
    let answers = tempfile::tempdir().expect("a directory");
    offer(answers.path(), &[("read", "Reads a file"), ("write", "Writes a file")]);
    let proxy = start("hold", answers.path()).await;
    listed(&proxy, &["s__read", "s__write"]).await;
    pinned(&proxy).await;
    assert_eq!(diff(&proxy).await, (Some(0), "all tools are as they were pinned\n".to_owned()));

    offer(answers.path(), &[("read", "Reads a secret file"), ("write", "Writes a file"), ("send", "Sends it away")]);
    assert_eq!(proxy.cli(&["restart", "s"]).await.code, Some(0));
    proxy.logged(&["tools are held", "mcproxy tools approve s"]).await;
    listed(&proxy, &["s__write"]).await;
    let session = proxy.session().await;
    assert_eq!(session.say("s__write", json!({})).await, "write");
    for held in ["s__read", "s__send"] {
        let failure = session.refuse(held, json!({})).await;
        assert!(failure["message"].as_str().is_some_and(|text| text.starts_with("Unknown tool")), "{held}: {failure}");
    }
    let page = proxy.get("/metrics").await.body;
    assert!(page.contains("mcproxy_server_tools_unapproved{server=\"s\"} 2"), "{page}");
    // It is kept a moment after it is offered.
    eventually("the difference can be seen", DEADLINE, async || (diff(&proxy).await.0 == Some(1)).then_some(())).await;
    let (_, said) = diff(&proxy).await;
    assert!(said.contains("/description: Reads a {+secret +}file") && said.contains("s: send: is new"), "{said}");

    let approved = proxy.cli(&["tools", "approve", "s"]).await;
    assert!(approved.code == Some(0) && approved.stdout.contains("approved"), "{approved:?}");
    listed(&proxy, &["s__read", "s__write", "s__send"]).await;
    assert_eq!(diff(&proxy).await.0, Some(0));
    assert_eq!(proxy.session().await.say("s__send", json!({})).await, "send");
}

#[tokio::test]
async fn a_change_is_said_and_offered_unless_the_file_says_otherwise_and_known_after_a_restart() {
    let answers = tempfile::tempdir().expect("a directory");
    offer(answers.path(), &[("read", "Reads a file")]);
    let mut proxy = start("alert", answers.path()).await;
    listed(&proxy, &["s__read"]).await;
    pinned(&proxy).await;
    offer(answers.path(), &[("read", "Reads a secret file")]);
    proxy.start_over().await;
    proxy.until_ready().await;
    let line = proxy.logged(&["tools are not as they were pinned"]).await;
    assert!(line.contains("read"), "{line}");
    listed(&proxy, &["s__read"]).await;
    assert_eq!(proxy.session().await.say("s__read", json!({})).await, "read");
}
