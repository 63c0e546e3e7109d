//! What depends on who asks: tokens that leave the configuration, and what is told to those without one.

use std::time::{Duration, Instant};

use reqwest::{Client, header};
use serde_json::{Value, json};

use super::PING;
use crate::support::{Events, LegacySession, Modern, Proxy, Raw, Session, ask, eventually, fixture, within};

const ANN: &str = "the-secret-of-ann-1";
const BOB: &str = "the-secret-of-bob-2";
/// Within this everything of a token that is gone has ended.
const GONE: Duration = Duration::from_secs(2);

fn config(tokens: &[(&str, &str)]) -> Value {
    let tokens: Vec<Value> = tokens.iter().map(|(name, token)| json!({"name": name, "token": token})).collect();
    json!({"servers": [fixture("a", &[])], "auth": {"tokens": tokens}})
}

async fn start(config: Value) -> Proxy {
    let proxy = Proxy::launch(config).await;
    proxy.until_ready().await;
    proxy
}

fn client(token: &str) -> Client {
    let bearer =
        header::HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {token}").parse().expect("a value"))]);
    Client::builder().default_headers(bearer).no_proxy().build().expect("a client")
}

/// What a client has under way: streams of all kinds, and a call.
struct UnderWay {
    streams: Vec<Events>,
    call: tokio::task::JoinHandle<bool>,
}

impl UnderWay {
    async fn of(proxy: &Proxy, token: &str) -> Self {
        let http = client(token);
        let session = Session::open(&http, &proxy.url("/mcp")).await;
        let listening = session.stream().await;
        let (legacy, _) = LegacySession::open(&http, &proxy.base, "/sse").await;
        let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(token);
        let listener =
            modern.stream("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await;
        let call = tokio::spawn(async move {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": "a__slow", "arguments": {"ms": 600_000}}});
            let request = session.http(reqwest::Method::POST).header("content-type", "application/json");
            let request = request.header("accept", "application/json, text/event-stream").body(body.to_string());
            // However it ends: it ends.
            request.send().await.is_ok()
        });
        eventually("the call is under way", Duration::from_secs(10), async || {
            let page = http.get(proxy.url("/metrics")).send().await.ok()?.text().await.ok()?;
            page.contains("mcproxy_calls_in_flight{server=\"a\"} 1").then_some(())
        })
        .await;
        Self { streams: vec![listening, legacy.events, listener], call }
    }

    /// Waits for the end of all of it.
    async fn over(self) {
        for mut stream in self.streams {
            within("a stream ends", GONE, async { while stream.event().await.is_some() {} }).await;
        }
        let _ = within("the call ends", GONE, self.call).await;
    }
}

#[tokio::test]
async fn what_a_token_opened_ends_when_it_leaves_the_configuration() {
    let all = [("ann", ANN), ("bob", BOB)];
    let changes = [
        ("removed", config(&[("ann", ANN)])),
        ("of another value", config(&[("ann", ANN), ("bob", "another-secret-of-bob")])),
        ("under another name", config(&[("ann", ANN), ("carol", BOB)])),
        ("needed no more", json!({"servers": [fixture("a", &[])]})),
    ];
    for (how, after) in changes {
        let proxy = start(config(&all)).await;
        let bob = UnderWay::of(&proxy, BOB).await;
        let ann = Session::open(&client(ANN), &proxy.url("/mcp")).await;
        let mut ann_hears = ann.stream().await;
        proxy.write_config(&after.to_string());
        let begun = Instant::now();
        proxy.logged(&["tokens changed"]).await;
        within(how, GONE, bob.over()).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{how}: {:?}", begun.elapsed());
        if how != "needed no more" {
            assert_eq!(ann.say("a__echo", json!({"text": how})).await, how);
            ann.say("a__add_tool", json!({"name": "new"})).await;
            ann_hears.notification("notifications/tools/list_changed").await;
        }
    }
}

#[tokio::test]
async fn what_was_opened_without_a_token_ends_when_one_is_needed() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    proxy.write_config(&config(&[("ann", ANN)]).to_string());
    proxy.logged(&["tokens changed"]).await;
    within("the stream ends", GONE, async { while stream.event().await.is_some() {} }).await;
    assert_eq!(session.post(PING).await.status, 401);
}

#[tokio::test]
async fn readiness_without_a_token_is_a_word_and_names_nothing() {
    let mut config = config(&[("ann", ANN)]);
    config["servers"].as_array_mut().expect("servers").push(json!({"name": "payroll-db", "command": "/nonexistent"}));
    let proxy = Proxy::launch(config).await;
    eventually("`a` answers calls", Duration::from_secs(20), async || {
        let answer = client(ANN).get(proxy.url("/readyz?require=a")).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    let stranger = proxy.get("/readyz").await;
    assert_eq!((stranger.status.as_u16(), stranger.json()), (503, json!({"ready": false})));
    let wrong = ask(proxy.http.get(proxy.url("/readyz")).bearer_auth("no-token-of-anybody")).await;
    assert_eq!((wrong.status.as_u16(), wrong.json()), (503, json!({"ready": false})));
    for guess in ["a", "payroll-db", "nobody", ""] {
        let answer = proxy.get(&format!("/readyz?require={guess}")).await;
        assert_eq!(answer.status, 401, "{guess}");
        assert!(answer.header("www-authenticate").is_some() && !answer.body.contains("payroll"), "{answer:?}");
    }
    let ann = ask(client(ANN).get(proxy.url("/readyz"))).await;
    assert_eq!((ann.status.as_u16(), &ann.json()["waiting"][0]["server"]), (503, &json!("payroll-db")));
    let root = proxy.get("/").await;
    assert!(root.status == 404 && !root.body.contains("payroll"), "{root:?}");
    for path in ["/health", "/metrics", "/servers/a/mcp", "/servers/nobody/mcp", "/groups/x/mcp"] {
        let answer = proxy.get(path).await;
        assert!(answer.status == 401 && !answer.body.contains("payroll"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_header_that_says_who_where_or_what_may_be_there_once() {
    let proxy = start(config(&[("ann", ANN)])).await;
    let session = Session::open(&client(ANN), &proxy.url("/mcp")).await;
    let address = proxy.base.strip_prefix("http://").expect("a URL").to_owned();
    let head = [
        ("Host", address.as_str()),
        ("Authorization", &format!("Bearer {ANN}")),
        ("Origin", "http://localhost:1"),
        ("Content-Type", "application/json"),
        ("Mcp-Session-Id", &session.id),
        ("Mcp-Protocol-Version", "2025-11-25"),
        ("Accept", "application/json"),
        ("Accept", "text/event-stream"),
    ];
    let ask = async |more: Option<(&str, &str)>| {
        let lines: String =
            head.iter().copied().chain(more).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut raw = Raw::connect(&proxy).await;
        let request =
            format!("POST /mcp HTTP/1.1\r\n{lines}Connection: close\r\nContent-Length: {}\r\n\r\n{PING}", PING.len());
        raw.send(request.as_bytes()).await;
        raw.rest(Duration::from_secs(10)).await.0
    };
    let once = ask(None).await;
    assert!(once.starts_with("HTTP/1.1 200"), "{once}");
    for twice in head.iter().filter(|(name, _)| *name != "Accept").copied().chain([
        ("host", "evil.example"),
        ("authorization", "Bearer of-another"),
        ("ORIGIN", "https://evil.example"),
        ("Mcp-Session-Id", "another"),
        ("Content-Length", "3"),
    ]) {
        let answer = ask(Some(twice)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{twice:?}: {answer}");
    }
}

#[tokio::test]
async fn refused_requests_are_logged_once_a_second_and_all_of_them_counted() {
    let proxy = start(config(&[("ann", ANN)])).await;
    let http = Client::builder().no_proxy().build().expect("a client");
    let refused = |http: Client, url: String, token: Option<&'static str>, host: Option<&'static str>| async move {
        let mut request = http.get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        request.send().await.expect("an answer").status().as_u16()
    };
    for _ in 0..5 {
        assert_eq!(refused(http.clone(), proxy.url("/mcp"), None, None).await, 401);
    }
    assert_eq!(refused(http.clone(), proxy.url("/mcp"), Some("wrong-but-long-enough"), None).await, 401);
    assert_eq!(refused(http.clone(), proxy.url("/mcp"), Some(ANN), Some("evil.example")).await, 403);
    proxy.logged(&["request refused", "credentials", "peer: 127.0.0.1", "needs a bearer token"]).await;
    proxy.logged(&["request refused", "evil.example"]).await;
    let page = client(ANN).get(proxy.url("/metrics")).send().await.expect("a page").text().await.expect("text");
    assert!(page.contains("mcproxy_requests_refused_total{reason=\"credentials\"} 6"), "{page}");
    assert!(page.contains("mcproxy_requests_refused_total{reason=\"host\"} 1"), "{page}");
    let log = proxy.log();
    assert!(!log.contains("wrong-but-long-enough"), "a token is never logged, a wrong one neither");
}

#[tokio::test]
async fn a_token_is_added_and_revoked_at_the_command_line_and_what_it_opened_ends() {
    let text = format!(
        "{{\n  // who may\n  \"auth\": {{\n    \"tokens\": [\n      {{\"name\": \"ann\", \"token\": \"{ANN}\"}} // hers\n    ]\n  }},\n  \"servers\": [{}]\n}}\n",
        fixture("a", &[])
    );
    let proxy = start(config(&[("ann", ANN)])).await;
    proxy.write_config(&text);
    let file = proxy.dir().join("mcp-servers.json");
    let file = file.to_str().expect("a path");
    let refused = proxy.cli(&["token", "revoke", "ann", "--config", file]).await;
    assert!(refused.code == Some(64) && refused.stderr.contains("it is the last token"), "{refused:?}");
    let new = proxy.cli(&["token", "new", "bob", "--add", "--config", file, "--json"]).await;
    assert_eq!(new.code, Some(0), "{new:?}");
    let token: Value = serde_json::from_str(&new.stdout).expect("JSON");
    let token = token["token"].as_str().expect("a token");
    let edited = std::fs::read_to_string(file).expect("the file");
    assert!(edited.contains("// who may") && edited.contains("// hers") && !edited.contains(token), "{edited}");
    let bob = UnderWay::of(&proxy, token).await;
    let ann = Session::open(&client(ANN), &proxy.url("/mcp")).await;
    let unknown = proxy.cli(&["token", "revoke", "eve", "--config", file]).await;
    assert!(unknown.code == Some(64) && unknown.stderr.contains("no token is named"), "{unknown:?}");
    let shown = proxy.cli(&["token", "revoke", "bob", "--dry-run", "--config", file]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert_eq!(std::fs::read_to_string(file).expect("the file"), edited, "nothing was written");
    let revoked = proxy.cli(&["token", "revoke", "bob", "--config", file]).await;
    assert!(revoked.code == Some(0) && revoked.stderr.contains("revoked the token of `bob`"), "{revoked:?}");
    within("bob is out", GONE, bob.over()).await;
    assert_eq!(std::fs::read_to_string(file).expect("the file"), text, "without a trace");
    assert_eq!(std::fs::read_to_string(format!("{file}.bak")).expect("a backup"), edited);
    assert_eq!(ann.post(PING).await.status, 200);
}
