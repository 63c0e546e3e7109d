//! Tools that are found by what they mean (`search.embeddings`), with a model in the test itself.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::upstream::{Received, Upstream, answer};
use crate::support::{DEADLINE, Modern, Proxy, Session, eventually, fixture, free_port, within};

const SERVER: &str = "mcproxy-embeddings";
const KEY: &str = "sk-zT9qLw4Xv7Rb2Nc8";
/// Longer texts are too long for the model.
const LONGEST: usize = 512;
/// Words that no description has, for what the tool `echo` does.
const QUERY: &str = "Gesprochenes wiederholen";

/// A model whose vectors say whether a text is about repeating what was said. What it does can be changed.
struct StandIn {
    upstream: Upstream,
    mode: Arc<AtomicUsize>,
    texts: Arc<Mutex<Vec<String>>>,
    /// Requests with texts that were too long.
    refused: Arc<AtomicUsize>,
}

/// What a model does, and what is said of it: a status, or a body.
const MODES: [(&str, &str, &str); 8] = [
    ("well", "200 OK", ""),
    ("silent", "200 OK", "\u{0}"),
    (
        "refuses the key",
        "401 Unauthorized",
        r#"{"error":{"message":"Incorrect API key provided: sk-zT9qLw4Xv7Rb2Nc8"}}"#,
    ),
    ("fails", "500 Internal Server Error", "oh"),
    ("talks", "200 OK", "<html>hello</html>"),
    ("gives too few", "200 OK", r#"{"data":[]}"#),
    ("changes its dimension", "200 OK", r#"{"data":[{"index":0,"embedding":[1,2,3,4,5]}]}"#),
    ("floods", "200 OK", "\u{1}"),
];

impl StandIn {
    async fn start() -> Self {
        let (mode, texts) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let refused = Arc::new(AtomicUsize::new(0));
        let (now, seen, too_long) = (mode.clone(), texts.clone(), refused.clone());
        let upstream = Upstream::with("legacy", move |request| {
            let (_, status, body) = MODES[now.load(Ordering::SeqCst)];
            Some(match body {
                "" => respond(request, &seen, &too_long),
                // The rest of the body never comes.
                "\u{0}" => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{".to_owned(),
                "\u{1}" => answer(status, "", &" ".repeat(9 << 20)),
                body => answer(status, "Content-Type: application/json\r\n", body),
            })
        });
        Self { upstream: upstream.await, mode, texts, refused }
    }

    fn does(&self, mode: &str) {
        let at = MODES.iter().position(|(name, ..)| *name == mode).expect("a mode");
        self.mode.store(at, Ordering::SeqCst);
    }

    fn entry(&self) -> Value {
        json!({"url": self.upstream.url().replace("/mcp", "/v1/embeddings"), "model": "words-1", "key": KEY})
    }

    /// Texts of tools that it was sent so far; they begin with the names of their servers.
    fn tools(&self) -> Vec<String> {
        let texts = self.texts.lock().expect("no panic");
        texts.iter().filter(|text| text.contains(": ")).cloned().collect()
    }
}

fn respond(request: &Received, seen: &Mutex<Vec<String>>, too_long: &AtomicUsize) -> String {
    let well_said = request.headers.get("authorization").map(String::as_str) == Some(&*format!("Bearer {KEY}"));
    if !well_said || request.body["model"] != "words-1" {
        return answer("401 Unauthorized", "", "{}");
    }
    let texts: Vec<String> = serde_json::from_value(request.body["input"].clone()).expect("texts");
    if texts.iter().any(|text| text.len() > LONGEST) {
        too_long.fetch_add(1, Ordering::SeqCst);
        return answer("413 Payload Too Large", "", r#"{"error":"too many tokens"}"#);
    }
    let vector = |text: &String| {
        let is_about = text == QUERY || text.starts_with("a: echo\n");
        if is_about { json!([1, 0.1, 0]) } else { json!([0, 0.1, text.len() % 7 + 1]) }
    };
    // In another order than the texts.
    let data = texts.iter().enumerate().rev().map(|(at, text)| json!({"index": at, "embedding": vector(text)}));
    let body = json!({"object": "list", "data": data.collect::<Vec<_>>(), "model": "words-1"}).to_string();
    seen.lock().expect("no panic").extend(texts);
    answer("200 OK", "Content-Type: application/json\r\n", &body)
}

async fn start(entry: Value) -> Proxy {
    let mut a = fixture("a", &[]);
    a["tools"] = json!({"describe": {"echo": "Says what was said. ".repeat(LONGEST / 10)}});
    let config = json!({
        "hardening": "best-effort",
        "servers": [a, fixture("b", &["--tools", "60"])],
        "search": {"embeddings": entry},
    });
    let proxy = Proxy::launch(config).await;
    proxy.until_ready().await;
    proxy
}

async fn found(session: &Session, query: &str) -> String {
    let search = session.say("find_tools", json!({"query": query}));
    within("a search", Duration::from_secs(10), search).await
}

async fn until_found(session: &Session) {
    eventually("the tool is found by what it means", DEADLINE, async || {
        found(session, QUERY).await.contains("a__echo(").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_tool_is_found_by_what_it_means_and_no_client_sees_how() {
    let model = StandIn::start().await;
    let proxy = start(model.entry()).await;
    let session = proxy.session_at("/search/mcp").await;
    until_found(&session).await;
    let said = found(&session, QUERY).await;
    assert!(said.lines().find(|line| line.contains("__")).is_some_and(|first| first.contains("a__echo(")), "{said}");
    let of_b = session.say("find_tools", json!({"query": QUERY, "server": "b"})).await;
    assert!(!of_b.contains("a__echo") && of_b.contains("b__"), "{of_b}");
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp"));
    assert!(modern.say("mcproxy__search_tools", json!({"query": QUERY})).await.contains("a__echo"));
    assert!(model.refused.load(Ordering::SeqCst) > 0, "texts that are too long are sent again, cut");
    proxy.server_until("it is shown", SERVER, |server| server.is_ready()).await;
    let all = proxy.session().await;
    let ours = |name: &String| name.starts_with(SERVER);
    assert!(!all.tools().await.iter().any(ours));
    for path in [format!("/servers/{SERVER}/mcp"), format!("/servers/{SERVER}/sse")] {
        assert_eq!(proxy.get(&path).await.status, 404, "{path}");
    }
    let params = json!({"texts": ["x"], "keep": false});
    all.failure("mcproxy/embed", params.clone()).await;
    let tool = json!({"name": format!("{SERVER}__embed"), "arguments": params});
    assert!(all.respond("tools/call", tool).await["error"].is_object());
    let uri = json!({"uri": format!("{SERVER}+x://y")});
    assert!(all.respond("resources/read", uri).await["error"].is_object());
    assert!(!model.texts.lock().expect("no panic").iter().any(|text| text == "x"));
    assert!(!proxy.log().contains(KEY));
}

#[tokio::test]
async fn what_was_embedded_is_kept_and_a_changed_model_is_asked_anew() {
    let model = StandIn::start().await;
    let mut proxy = start(model.entry()).await;
    until_found(&proxy.session_at("/search/mcp").await).await;
    let all = async |proxy: &Proxy| proxy.session().await.tools().await.len();
    let tools = all(&proxy).await;
    eventually("all tools are embedded", DEADLINE, async || (model.tools().len() >= tools).then_some(())).await;
    assert_eq!(model.tools().len(), tools, "each once: {:?}", model.tools());
    proxy.start_over().await;
    proxy.until_ready().await;
    until_found(&proxy.session_at("/search/mcp").await).await;
    assert_eq!(model.tools().len(), tools, "none of them again");
    // Of a killed gateway as well.
    let gateway = proxy.status().await.gateway.expect("it runs").pid;
    crate::support::kill(gateway);
    let session = eventually("another gateway", DEADLINE, async || {
        let status = proxy.try_status().await?;
        status.gateway.filter(|new| new.pid != gateway)?;
        proxy.get("/readyz").await.status.is_success().then_some(())
    });
    session.await;
    until_found(&proxy.session_at("/search/mcp").await).await;
    assert_eq!(model.tools().len(), tools);
}

#[tokio::test]
async fn without_an_answer_in_time_the_words_alone_decide() {
    let model = StandIn::start().await;
    let proxy = start(model.entry()).await;
    let session = proxy.session_at("/search/mcp").await;
    until_found(&session).await;
    for (mode, ..) in &MODES[1..] {
        model.does(mode);
        // More often than it takes for the worker to give up, in whatever state that is.
        for _ in 0..4 {
            let begun = std::time::Instant::now();
            let by_words = found(&session, "echo the text that was sent").await;
            assert!(by_words.contains("a__echo("), "{mode}: {by_words}");
            assert!(begun.elapsed() < Duration::from_secs(5), "{mode}: {:?}", begun.elapsed());
            let in_vain = found(&session, QUERY).await;
            assert!(!in_vain.contains("a__echo("), "{mode}: {in_vain}");
        }
        if *mode == "refuses the key" {
            let server = proxy.server_until("it says why", SERVER, |server| {
                let error = server.last_error.as_deref().unwrap_or_default();
                server.state == "backoff" && error.contains("check `search.embeddings.key`") && error.contains("***")
            });
            assert!(!format!("{:?}", server.await).contains(KEY));
        }
        model.does("well");
        assert_eq!(proxy.cli(&["restart", SERVER]).await.code, Some(0), "{mode}");
        until_found(&session).await;
    }
    let status = proxy.cli(&["status", "--json"]).await;
    let logs = proxy.cli(&["logs", SERVER]).await;
    for text in [proxy.log(), status.stdout, logs.stdout] {
        assert!(!text.contains(KEY), "{text}");
    }
}

#[tokio::test]
async fn a_model_that_is_not_there_or_has_no_key_harms_nothing() {
    let nowhere = json!({"url": format!("http://127.0.0.1:{}/v1/embeddings", free_port()), "model": "m"});
    let proxy = start(nowhere).await;
    let is_said = |server: &crate::support::ServerView| {
        server.state == "backoff"
            && server.last_error.as_ref().is_some_and(|error| error.contains("connection refused"))
    };
    proxy.server_until("it says why", SERVER, is_said).await;
    let session = proxy.session_at("/search/mcp").await;
    assert!(found(&session, "echo the text").await.contains("a__echo("));
    assert!(found(&session, QUERY).await.contains("No tool matches"));

    // A model takes over while MCProxy runs, once its key is there.
    let model = StandIn::start().await;
    let config = |entry: Value| json!({"servers": [fixture("a", &[])], "search": {"embeddings": entry}}).to_string();
    let mut entry = model.entry();
    entry["key"] = json!("${NO_SUCH_KEY}");
    proxy.write_config(&config(entry));
    let is_blocked = |server: &crate::support::ServerView| {
        server.state == "blocked" && server.last_error.as_ref().is_some_and(|error| error.contains("NO_SUCH_KEY"))
    };
    proxy.server_until("it lacks its key", SERVER, is_blocked).await;
    assert!(found(&session, "echo the text").await.contains("a__echo("));
    proxy.write_config(&config(model.entry()));
    until_found(&session).await;
    proxy.write_config(&json!({"servers": [fixture("a", &[])]}).to_string());
    eventually("it is gone", DEADLINE, async || {
        proxy.try_status().await?.servers.iter().all(|server| server.name != SERVER).then_some(())
    })
    .await;
    eventually("the words alone decide", DEADLINE, async || {
        found(&session, QUERY).await.contains("No tool matches").then_some(())
    })
    .await;
}
