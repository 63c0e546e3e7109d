//! Tokens that may use a part of the servers: what they see and call, through every door.

use std::time::{Duration, SystemTime};

use reqwest::Client;
use serde_json::{Value, json};

use super::PING;
use crate::support::{
    DEADLINE, LegacySession, Modern, Proxy, Session, ask, eventually, fixture, http_client, initialize, names, text,
    within,
};

const ALL: &str = "the-secret-of-all-0";
const ANN: &str = "the-secret-of-ann-1";
const TOOL: &str = "the-secret-of-tool-2";
const HOME: &str = "the-secret-of-home-3";
const FOUND: &str = "the-secret-of-found-4";
const NOBODY: &str = "the-secret-of-nobody-5";

fn tokens() -> Vec<Value> {
    vec![
        json!({"name": "all", "token": ALL}),
        json!({"name": "ann", "token": ANN, "servers": ["a", "mcproxy"]}),
        json!({"name": "tool", "token": TOOL, "tools": ["a__echo", "a__ech*"]}),
        json!({"name": "home", "token": HOME, "groups": ["home"]}),
        json!({"name": "found", "token": FOUND, "servers": ["a"], "tools": ["a__echo", "a__calls"], "view": "search"}),
        json!({"name": "nobody", "token": NOBODY, "servers": []}),
    ]
}

fn config(tokens: &[Value]) -> Value {
    config_of(json!({"tokens": tokens}))
}

/// Two servers and two groups of them, with this `auth`.
pub(crate) fn config_of(auth: Value) -> Value {
    json!({
        "servers": [fixture("a", &[]), fixture("b", &[])],
        "auth": auth,
        "groups": {
            "home": {"servers": ["a"], "tools": {"deny": ["a__slow", "mcproxy__*"], "rename": {"a__echo": "say"}}},
            "work": {"servers": ["b"]},
        },
    })
}

async fn start() -> Proxy {
    let proxy = Proxy::launch(config(&tokens())).await;
    proxy.until_ready().await;
    proxy
}

async fn session(proxy: &Proxy, token: &str, path: &str) -> Session {
    Session::open(&http_client(Some(token)), &proxy.url(path)).await
}

async fn status_of(http: &Client, url: &str) -> u16 {
    let request = http.post(url).header("content-type", "application/json");
    let request = request.header("accept", "application/json, text/event-stream");
    ask(request.body(initialize("2025-11-25").to_string())).await.status.as_u16()
}

fn uris(list: &Value) -> Vec<String> {
    let uris = list.as_array().expect("a list").iter().filter_map(|item| item["uri"].as_str().map(str::to_owned));
    uris.collect()
}

/// What a client of 2026-07-28 is told of something that there is not.
async fn is_unknown(modern: &Modern, method: &str, params: Value) {
    let failure = modern.failure(method, params.clone()).await;
    let message = failure["message"].as_str().unwrap_or_default();
    let unknown = ["Unknown tool", "Unknown prompt", "there is no resource", "there is no prompt", "no task"];
    assert!(unknown.iter().any(|text| message.contains(text)), "{method} {params}: {failure}");
}

#[tokio::test]
async fn a_token_sees_and_calls_its_servers_through_every_door() {
    let proxy = start().await;
    sees_and_calls_a_alone(&proxy, ANN).await;
    // Who may use everything sees all of it.
    let all = session(&proxy, ALL, "/mcp").await;
    assert_eq!(all.say("b__echo", json!({"text": "all"})).await, "all");
}

/// What the holder of a token sees and calls who may use `a` and the built-in server of two servers, through every door.
pub(crate) async fn sees_and_calls_a_alone(proxy: &Proxy, token: &str) {
    let http = http_client(Some(token));
    let ann = Session::open(&http, &proxy.url("/mcp")).await;
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(token);
    let (mut legacy, hello) = LegacySession::open(&http, &proxy.base, "/sse").await;

    // Lists.
    let tools = ann.tools().await;
    assert!(tools.contains(&"a__echo".to_owned()) && tools.contains(&"mcproxy__status".to_owned()), "{tools:?}");
    assert!(!tools.iter().any(|name| name.starts_with("b__")), "{tools:?}");
    assert_eq!(names(&modern.result("tools/list", json!({})).await["tools"]), tools);
    assert_eq!(names(&legacy.request("tools/list", json!({})).await["tools"]), tools);
    let prompts = names(&ann.list("prompts/list", "prompts").await);
    assert!(!prompts.is_empty() && prompts.iter().all(|name| name.starts_with("a__")), "{prompts:?}");
    let resources = uris(&ann.list("resources/list", "resources").await);
    assert!(!resources.is_empty() && resources.iter().all(|uri| uri.contains("a+fixture")), "{resources:?}");
    let templates = ann.list("resources/templates/list", "resourceTemplates").await.to_string();
    assert!(templates.contains("a+fixture") && !templates.contains("b+fixture"), "{templates}");
    for hello in [&ann.hello, &hello] {
        let instructions = hello["instructions"].as_str().unwrap_or_default();
        assert!(!instructions.contains("b__") && !instructions.contains("\"b\""), "{hello}");
    }

    // Calls.
    assert_eq!(ann.say("a__echo", json!({"text": "hi"})).await, "hi");
    assert_eq!(modern.say("a__echo", json!({"text": "hi"})).await, "hi");
    assert_eq!(text(&legacy.call("a__echo", json!({"text": "hi"})).await), "hi");
    for (method, params) in [
        ("tools/call", json!({"name": "b__echo", "arguments": {"text": "x"}})),
        ("tools/call", json!({"name": "b__unlisted", "arguments": {}})),
        ("prompts/get", json!({"name": "b__plain"})),
        ("resources/read", json!({"uri": "b+fixture://static/text"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "b__greet"},
            "argument": {"name": "style", "value": "f"}}),
        ),
    ] {
        is_unknown(&modern, method, params.clone()).await;
        let of_session = ann.failure(method, params.clone()).await;
        assert_eq!(of_session["message"], modern.failure(method, params.clone()).await["message"], "{method}");
        assert!(legacy.respond(method, params).await["error"].is_object(), "{method}");
    }
    let refused = ann.failure("resources/subscribe", json!({"uri": "b+fixture://watched"})).await;
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("there is no resource")), "{refused}");
    ann.request("resources/subscribe", json!({"uri": "a+fixture://watched"})).await;
    let wanted = json!({"notifications": {"resourceSubscriptions": ["a+fixture://watched", "b+fixture://watched"]}});
    let mut listener = modern.stream("subscriptions/listen", wanted).await;
    let said = listener.notification("notifications/subscriptions/acknowledged").await;
    let said = said.to_string();
    assert!(said.contains("a+fixture://watched") && !said.contains("b+fixture://watched"), "{said}");
    for method in ["tasks/get", "tasks/cancel"] {
        assert!(modern.failure(method, json!({"taskId": "b__1"})).await["code"].is_i64(), "{method}");
    }

    // Endpoints.
    assert_eq!(session(proxy, token, "/servers/a/mcp").await.say("echo", json!({"text": "own"})).await, "own");
    assert_eq!(session(proxy, token, "/groups/home/mcp").await.say("a__say", json!({"text": "own"})).await, "own");
    for path in ["/servers/b/mcp", "/groups/work/mcp", "/groups/work/search/mcp", "/servers/nothing/mcp"] {
        assert_eq!(status_of(&http, &proxy.url(path)).await, 404, "{path}");
        assert_eq!(ask(http.get(proxy.url(&path.replace("/mcp", "/sse")))).await.status, 404, "{path}");
    }
    let search = session(proxy, token, "/search/mcp").await;
    let found = search.say("find_tools", json!({"query": "echo", "limit": 25})).await;
    assert!(found.contains("a__echo(") && !found.contains("b__"), "{found}");
    let described = search.say("describe_tools", json!({"names": ["b__echo"]})).await;
    assert!(described.contains("There is no tool"), "{described}");
    let called = search
        .respond(
            "tools/call",
            json!({"name": "call_tool", "arguments":
        {"name": "b__echo", "arguments": {"text": "x"}}}),
        )
        .await;
    assert!(called["error"].is_object() || called["result"]["isError"] == true, "{called}");

    // The built-in tools, at every endpoint that has them.
    for path in ["/mcp", "/servers/mcproxy/mcp"] {
        let own = session(proxy, token, path).await;
        let tool = |name: &str| if path == "/mcp" { format!("mcproxy__{name}") } else { name.to_owned() };
        let status = own.call(&tool("status"), json!({})).await.to_string();
        assert!(status.contains("\"a\"") && !status.contains("\"b\""), "{path}: {status}");
        let logs = own.call(&tool("logs"), json!({"server": "b"})).await;
        assert!(text(&logs).contains("there is no server"), "{path}: {logs}");
    }

    // Pages.
    let health = ask(http.get(proxy.url("/health"))).await.json();
    assert_eq!(names(&health["servers"]), ["a"], "{health}");
    let metrics = ask(http.get(proxy.url("/metrics"))).await.body;
    assert!(metrics.contains("server=\"a\"") && !metrics.contains("server=\"b\""), "{metrics}");
    assert!(metrics.trim_end().ends_with("# EOF"), "{metrics}");
    let waiting = ask(http.get(proxy.url("/readyz?require=a,b"))).await;
    assert_eq!(waiting.json()["waiting"], json!([{"server": "b", "state": "unknown"}]), "{waiting:?}");

    // The web page's interface.
    let page = async |path: &str| ask(http.get(proxy.url(path)).header("X-MCProxy-UI", "1")).await;
    let state = page("/ui/api/state").await.json();
    assert_eq!(names(&state["servers"]), ["a"], "{state}");
    assert_eq!(page("/ui/api/servers/a").await.status, 200);
    assert_eq!(page("/ui/api/servers/b").await.status, 404);
    for path in ["/ui/api/config", "/ui/api/logs?server=b"] {
        assert_eq!(page(path).await.status, 403, "{path}");
    }

    // The command line.
    let mut connect = proxy.cli_command(&["connect", &proxy.url("/mcp")]);
    connect.env("MCPROXY_TOKEN", token);
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {}});
    let lines = format!(
        "{}\n{}\n{list}\n",
        initialize("2025-11-25"),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
    );
    let finished = crate::support::run(&mut connect, &lines).await;
    assert!(finished.stdout.contains("a__echo") && !finished.stdout.contains("b__echo"), "{finished:?}");
}

#[tokio::test]
async fn a_token_of_tools_alone_has_these_tools_and_nothing_else() {
    let proxy = start().await;
    let http = http_client(Some(TOOL));
    let one = Session::open(&http, &proxy.url("/mcp")).await;
    let tools = one.tools().await;
    assert!(tools.contains(&"a__echo".to_owned()), "{tools:?}");
    assert!(tools.iter().all(|name| name.starts_with("a__ech")), "{tools:?}");
    assert_eq!(one.say("a__echo", json!({"text": "hi"})).await, "hi");
    for path in ["/mcp", "/servers/a/mcp"] {
        let one = Session::open(&http, &proxy.url(path)).await;
        let prefix = |text: &str, own: &str| if path == "/mcp" { format!("{text}{own}") } else { own.to_owned() };
        for (method, key) in [("prompts/list", "prompts"), ("resources/list", "resources")] {
            assert_eq!(one.list(method, key).await, json!([]), "{path} {method}");
        }
        for (method, params) in [
            ("resources/read", json!({"uri": prefix("a+", "fixture://static/text")})),
            ("resources/subscribe", json!({"uri": prefix("a+", "fixture://watched")})),
            ("prompts/get", json!({"name": prefix("a__", "plain")})),
            ("tools/call", json!({"name": prefix("a__", "slow"), "arguments": {"ms": 1}})),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/resource", "uri": prefix("a+", "fixture://item/{id}")},
                "argument": {"name": "id", "value": "1"}}),
            ),
        ] {
            one.failure(method, params).await;
        }
    }
    assert_eq!(status_of(&http, &proxy.url("/servers/mcproxy/mcp")).await, 404);
}

#[tokio::test]
async fn a_token_of_a_group_is_held_to_the_rules_of_the_group_at_every_endpoint() {
    let proxy = start().await;
    let all = session(&proxy, HOME, "/mcp").await;
    let tools = all.tools().await;
    assert!(tools.contains(&"a__echo".to_owned()) && !tools.contains(&"a__slow".to_owned()), "{tools:?}");
    assert!(tools.iter().all(|name| name.starts_with("a__")), "{tools:?}");
    for hidden in ["a__slow", "mcproxy__status", "b__echo"] {
        let failure = all.refuse(hidden, json!({"ms": 1})).await;
        assert!(failure["message"].as_str().is_some_and(|text| text.starts_with("Unknown tool")), "{failure}");
    }
    let of_server = session(&proxy, HOME, "/servers/a/mcp").await;
    assert!(!of_server.tools().await.contains(&"slow".to_owned()));
    of_server.refuse("slow", json!({"ms": 1})).await;
    let group = session(&proxy, HOME, "/groups/home/mcp").await;
    assert_eq!(group.say("a__say", json!({"text": "hi"})).await, "hi");
}

#[tokio::test]
async fn tools_are_found_instead_of_listed_by_a_token_that_wants_that() {
    let proxy = start().await;
    for path in ["/mcp", "/groups/home/mcp", "/search/mcp"] {
        let found = session(&proxy, FOUND, path).await;
        assert_eq!(found.tools().await, ["find_tools", "describe_tools", "call_tool"], "{path}");
    }
    let found = session(&proxy, FOUND, "/mcp").await;
    let hits = found.say("find_tools", json!({"query": "echo slow calls", "limit": 25})).await;
    assert!(hits.contains("a__echo(") && !hits.contains("a__slow") && !hits.contains("mcproxy__"), "{hits}");
    let call = |name: &str| json!({"name": "call_tool", "arguments": {"name": name, "arguments": {"text": "x"}}});
    assert_eq!(text(&found.request("tools/call", call("a__echo")).await), "x");
    let hidden = found.respond("tools/call", call("a__echo_size")).await;
    assert!(hidden["error"].is_object() || hidden["result"]["isError"] == true, "{hidden}");
}

#[tokio::test]
async fn a_token_of_nothing_reads_pages_and_calls_nothing() {
    let proxy = start().await;
    let nobody = session(&proxy, NOBODY, "/mcp").await;
    assert_eq!(nobody.tools().await, Vec::<String>::new());
    nobody.refuse("a__echo", json!({"text": "x"})).await;
    let health = ask(http_client(Some(NOBODY)).get(proxy.url("/health"))).await.json();
    assert_eq!(health["servers"], json!([]), "{health}");
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_as_unknown_as_one_that_is() {
    let mut slow = fixture("b", &["--never-init"]);
    slow["timeout"] = json!(600);
    let config = json!({"servers": [fixture("a", &[]), slow], "listWait": 0, "auth": {"tokens": [
        {"name": "ann", "token": ANN, "servers": ["a"]}, {"name": "tool", "token": TOOL, "tools": ["b__echo"]}]}});
    let proxy = Proxy::launch(config).await;
    eventually("`a` answers calls", DEADLINE, async || {
        let page = http_client(Some(ANN)).get(proxy.url("/readyz?require=a"));
        (ask(page).await.status == 200).then_some(())
    })
    .await;
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(ANN);
    is_unknown(&modern, "tools/call", json!({"name": "b__echo", "arguments": {}})).await;
    is_unknown(&modern, "prompts/get", json!({"name": "b__plain"})).await;
    is_unknown(&modern, "resources/read", json!({"uri": "b+fixture://static/text"})).await;
    let tool = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(TOOL);
    is_unknown(&tool, "tools/call", json!({"name": "b__slow", "arguments": {}})).await;
    is_unknown(&tool, "prompts/get", json!({"name": "b__plain"})).await;
    is_unknown(&tool, "resources/read", json!({"uri": "b+fixture://static/text"})).await;
    assert_eq!(proxy.server("b").await.state, "starting");
}

#[tokio::test]
async fn what_a_token_opened_ends_when_it_may_use_less_and_goes_on_when_it_may_use_more() {
    let proxy = start().await;
    let http = http_client(Some(ANN));
    let ann = Session::open(&http, &proxy.url("/mcp")).await;
    let mut hears = ann.stream().await;
    let mut more = tokens();
    more[1]["servers"] = json!(["a", "b", "mcproxy"]);
    proxy.write_config(&config(&more).to_string());
    hears.notification("notifications/tools/list_changed").await;
    assert_eq!(ann.say("b__echo", json!({"text": "more"})).await, "more");

    let (legacy, _) = LegacySession::open(&http, &proxy.base, "/sse").await;
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(ANN);
    let listener = modern.stream("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await;
    let others = session(&proxy, HOME, "/mcp").await;
    let slow = tokio::spawn(async move {
        modern.ask("tools/call", json!({"name": "b__slow", "arguments": {"ms": 600_000}})).await
    });
    eventually("the call is under way", DEADLINE, async || {
        let page = ask(http_client(Some(ALL)).get(proxy.url("/metrics"))).await.body;
        page.contains("mcproxy_calls_in_flight{server=\"b\"} 1").then_some(())
    })
    .await;
    let mut less = tokens();
    less[1]["servers"] = json!(["a"]);
    proxy.write_config(&config(&less).to_string());
    for mut stream in [hears, legacy.events, listener] {
        within("a stream ends", DEADLINE, async { while stream.event().await.is_some() {} }).await;
    }
    // It ends with its connection, so the client's library says so by a panic.
    let _ = within("the call ends", DEADLINE, slow).await;
    assert_eq!(ann.post(PING).await.status, 404);
    let again = Session::open(&http, &proxy.url("/mcp")).await;
    assert!(!again.tools().await.iter().any(|name| name.starts_with("b__")));
    again.refuse("b__echo", json!({"text": "less"})).await;
    assert_eq!(others.say("a__echo", json!({"text": "undisturbed"})).await, "undisturbed");
}

#[tokio::test]
async fn a_name_changes_its_token_without_a_gap() {
    let token = |token: &str| json!({"name": "ann", "token": token, "servers": ["a"]});
    let (old, new) = ("the-old-secret-of-ann", "the-new-secret-of-ann");
    let proxy = Proxy::launch(config(&[token(old), token(new)])).await;
    proxy.until_ready().await;
    let of = |secret: &str| http_client(Some(secret));
    let begun = Session::open(&of(old), &proxy.url("/mcp")).await;
    // Both are the same principal, so a client that was given the new one goes on with its session.
    let both = |secret: &str| {
        let request = of(secret).post(proxy.url("/mcp")).header("mcp-session-id", &begun.id);
        request.header("content-type", "application/json").header("accept", "application/json, text/event-stream")
    };
    assert_eq!(ask(both(new).body(PING)).await.status, 200);
    proxy.write_config(&config(&[token(new)]).to_string());
    eventually("the old one is refused", DEADLINE, async || {
        (ask(both(old).body(PING)).await.status == 401).then_some(())
    })
    .await;
    assert_eq!(ask(both(new).body(PING)).await.status, 200, "the session is the principal's");
}

#[tokio::test]
async fn a_token_ends_at_its_time_with_all_that_it_opened() {
    let soon = SystemTime::now() + Duration::from_secs(4);
    let mut expiring = json!({"name": "ann", "token": ANN});
    expiring["expires"] = json!(rfc3339(soon));
    let proxy = Proxy::launch(config(&[expiring, json!({"name": "all", "token": ALL})])).await;
    let http = http_client(Some(ANN));
    let ann = Session::open(&http, &proxy.url("/mcp")).await;
    let mut stream = ann.stream().await;
    within("its stream ends", DEADLINE, async { while stream.event().await.is_some() {} }).await;
    assert!(SystemTime::now() + Duration::from_secs(1) >= soon, "not before its time");
    let refused = ann.post(PING).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").is_some_and(|text| text.contains("expired")), "{refused:?}");
    assert!(refused.body.contains("has expired"), "{refused:?}");
    session(&proxy, ALL, "/mcp").await;
}

#[tokio::test]
async fn a_token_is_made_shown_once_and_listed_with_its_last_use() {
    let proxy = start().await;
    let made = proxy.cli(&["token", "new", "new", "--servers", "a", "--expires", "90d", "--json"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let made: Value = serde_json::from_str(&made.stdout).expect("JSON");
    let (secret, entry) = (made["token"].as_str().expect("a token"), made["entry"].clone());
    assert!(!entry.to_string().contains(secret), "the entry has the hash alone");
    let mut all = tokens();
    all.push(entry);
    proxy.write_config(&config(&all).to_string());
    eventually("it is accepted", DEADLINE, async || {
        (ask(http_client(Some(secret)).get(proxy.url("/health"))).await.status == 200).then_some(())
    })
    .await;
    assert!(session_tools(&proxy, secret).await.iter().all(|name| name.starts_with("a__")));
    let listed = eventually("its use is known", Duration::from_secs(20), async || {
        let listed = proxy.cli(&["token", "list", "--json"]).await;
        let listed: Value = serde_json::from_str(&listed.stdout).ok()?;
        let its_own = listed.as_array()?.iter().find(|token| token["name"] == "new")?.clone();
        its_own["lastUsed"].is_string().then_some(its_own)
    })
    .await;
    assert_eq!((&listed["servers"], &listed["tools"]), (&json!(["a"]), &Value::Null), "{listed}");
    assert!(listed["expires"].as_str().is_some_and(|text| text.ends_with('Z')), "{listed}");
    let text = proxy.cli(&["token", "list"]).await.stdout;
    assert!(text.contains("group home") && text.contains("not since the start") && !text.contains(secret), "{text}");
}

async fn session_tools(proxy: &Proxy, token: &str) -> Vec<String> {
    session(proxy, token, "/mcp").await.tools().await
}

fn rfc3339(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs();
    let mut date = std::process::Command::new("date");
    date.args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"]);
    String::from_utf8(date.output().expect("date runs").stdout).expect("text").trim().to_owned()
}
