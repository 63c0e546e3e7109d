use serde_json::{Value, json};

use crate::support::{LegacySession, Proxy, Session, fixture, names};

#[tokio::test]
async fn the_merged_list_is_in_the_order_of_the_file_and_byte_for_byte_the_same_twice() {
    let proxy = Proxy::start(json!({"servers": [
        fixture("zeta", &["--tools", "3"]),
        fixture("alpha", &["--tools", "2", "--start-delay-ms", "300"]),
    ]}))
    .await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let (first, again, other) = (one.post(list).await.body, one.post(list).await.body, two.post(list).await.body);
    assert_eq!(first, again);
    assert_eq!(first, other);
    let names = one.tools().await;
    let place = |name: &str| names.iter().position(|n| n == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
    assert!(place("zeta__echo") < place("zeta__tool_0000"));
    assert!(place("zeta__tool_0000") < place("zeta__tool_0002"));
    assert!(place("zeta__tool_0002") < place("alpha__echo"));
    for builtin in ["mcproxy__status", "mcproxy__logs", "mcproxy__search_tools"] {
        place(builtin);
    }
}

#[tokio::test]
async fn all_pages_of_every_list_of_a_server_are_drained() {
    let flags = ["--tools", "25", "--prompts", "13", "--resources", "14", "--page-size", "5"];
    let proxy = Proxy::start(json!({"servers": [fixture("a", &flags), fixture("b", &["--page-size", "1"])]})).await;
    let session = proxy.session().await;
    let tools = session.tools().await;
    assert_eq!(tools.iter().filter(|name| name.starts_with("a__tool_")).count(), 25);
    assert!(tools.iter().any(|name| name == "b__echo") && tools.iter().any(|name| name == "b__bad_answer"));
    let mut unique = tools.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), tools.len(), "no tool twice");
    let prompts = names(&session.list("prompts/list", "prompts").await);
    assert_eq!(prompts.iter().filter(|name| name.starts_with("a__prompt_")).count(), 13);
    let resources = session.list("resources/list", "resources").await;
    let extra = |resource: &&Value| resource["uri"].as_str().is_some_and(|uri| uri.starts_with("a+fixture://extra/"));
    assert_eq!(resources.as_array().expect("resources").iter().filter(extra).count(), 14);
}

#[tokio::test]
async fn a_server_whose_pages_never_end_is_cut_off_and_still_usable() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &["--endless-pages"]), fixture("b", &[])]})).await;
    let session = proxy.session().await;
    let tools = session.tools().await;
    let endless = tools.iter().filter(|name| name.starts_with("a__endless_")).count();
    assert!((1..=2000).contains(&endless), "{endless} tools");
    assert_eq!(session.say("b__echo", json!({"text": "x"})).await, "x");
    assert_eq!(session.say("a__echo", json!({"text": "x"})).await, "x");
}

#[tokio::test]
async fn a_cursor_that_is_not_ours_is_an_invalid_parameter() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
        for cursor in [json!("at:5"), json!("%%%"), json!(7)] {
            assert_eq!(session.failure(method, json!({"cursor": cursor})).await["code"], -32602, "{method} {cursor}");
        }
    }
}

#[tokio::test]
async fn l06_a_definition_passes_with_all_that_no_specification_knows() {
    let proxy = Proxy::of(&["a"]).await;
    let qualified = proxy.session().await.list("tools/list", "tools").await;
    let own = proxy.session_at("/servers/a/mcp").await.list("tools/list", "tools").await;
    let find = |list: &Value, name: &str| {
        list.as_array().expect("tools").iter().find(|tool| tool["name"] == name).expect("the tool").clone()
    };
    let mut tool = find(&qualified, "a__structured");
    tool["name"] = json!("structured");
    assert_eq!(tool, find(&own, "structured"));
    assert_eq!(tool["_meta"]["vendor.example/category"], "numbers");
    assert_eq!(tool["annotations"]["idempotentHint"], true);
    assert_eq!(tool["outputSchema"]["properties"]["big"]["type"], "integer");
}

#[tokio::test]
async fn one_server_alone_has_its_own_names() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session_at("/servers/b/mcp").await;
    let tools = session.tools().await;
    assert!(tools.contains(&"echo".to_owned()) && !tools.iter().any(|name| name.contains("__")), "{tools:?}");
    assert_eq!(session.say("echo", json!({"text": "own"})).await, "own");
    let read = session.request("resources/read", json!({"uri": "fixture://static/text"})).await;
    assert_eq!(read["contents"][0]["uri"], "fixture://static/text");
    assert_eq!(session.request("prompts/get", json!({"name": "plain"})).await["messages"][0]["role"], "user");
    assert_eq!(session.refuse("a__echo", json!({"text": "x"})).await["code"], -32602);
    let (mut legacy, _) = LegacySession::open(&proxy.http, &proxy.base, "/servers/b/sse").await;
    assert_eq!(legacy.call("echo", json!({"text": "own"})).await["content"][0]["text"], "own");
}

#[tokio::test]
async fn a_group_shows_its_servers_and_no_others() {
    let proxy = Proxy::start(json!({
        "servers": [fixture("a", &[]), fixture("b", &[]), fixture("c", &[])],
        "groups": {"two": {"servers": ["a", "c"]}}
    }))
    .await;
    let session = proxy.session_at("/groups/two/mcp").await;
    let tools = session.tools().await;
    assert!(tools.contains(&"a__echo".to_owned()) && tools.contains(&"c__echo".to_owned()), "{tools:?}");
    assert!(!tools.iter().any(|name| name.starts_with("b__")), "{tools:?}");
    assert_eq!(session.say("c__echo", json!({"text": "x"})).await, "x");
    assert_eq!(session.refuse("b__echo", json!({"text": "x"})).await["code"], -32602);
    let (mut legacy, _) = LegacySession::open(&proxy.http, &proxy.base, "/groups/two/sse").await;
    assert_eq!(legacy.call("a__echo", json!({"text": "x"})).await["content"][0]["text"], "x");
}

#[tokio::test]
async fn hidden_and_renamed_tools_are_as_the_file_says() {
    let mut server = fixture("a", &[]);
    server["tools"] = json!({
        "deny": ["c*", "hang"],
        "rename": {"echo": "say"},
        "describe": {"echo": "Says it again"}
    });
    let proxy = Proxy::start(json!({"servers": [server]})).await;
    let session = proxy.session().await;
    let list = session.list("tools/list", "tools").await;
    let tools = names(&list);
    assert!(tools.contains(&"a__say".to_owned()) && !tools.contains(&"a__echo".to_owned()), "{tools:?}");
    assert!(!tools.contains(&"a__crash".to_owned()) && !tools.contains(&"a__hang".to_owned()), "{tools:?}");
    let say = list.as_array().expect("tools").iter().find(|tool| tool["name"] == "a__say").expect("the tool").clone();
    assert_eq!(say["description"], "Says it again");
    assert_eq!(session.say("a__say", json!({"text": "x"})).await, "x");
    for hidden in ["a__crash", "a__echo"] {
        assert_eq!(session.refuse(hidden, json!({})).await["code"], -32602, "{hidden}");
    }
}

#[tokio::test]
async fn names_that_some_clients_refuse_are_warned_about_by_name() {
    let long = "a_tool_with_a_name_that_goes_on_and_on_until_it_is_longer_than_clients_take";
    let proxy =
        Proxy::start(json!({"servers": [fixture("a", &["--tool-name", long, "--tool-name", "odd/name", "--tool-name", "dotted.name"])]})).await;
    proxy.logged(&[long, "64"]).await;
    proxy.logged(&["odd/name"]).await;
    proxy.logged(&["dotted.name", "tools.rename"]).await;
    let session = proxy.session().await;
    assert!(session.say(&format!("a__{long}"), json!({})).await.contains(long), "it can still be called");
}

#[tokio::test]
async fn a_tool_with_the_separator_in_its_name_is_found_by_its_whole_name() {
    let flags = ["--tool-name", "x__y", "--tool-name", "b__echo", "--tool-name", "__z"];
    let proxy = Proxy::start(json!({"servers": [fixture("a", &flags), fixture("b", &[])]})).await;
    let session = proxy.session().await;
    for (name, own) in [("a__x__y", "x__y"), ("a__b__echo", "b__echo"), ("a____z", "__z")] {
        assert!(session.say(name, json!({"text": 1})).await.contains(&format!("\"tool\":\"{own}\"")), "{name}");
    }
    assert_eq!(session.say("b__echo", json!({"text": "of b"})).await, "of b");
}

#[tokio::test]
async fn names_that_could_deceive_are_left_out() {
    let names = ["esc\u{1b}[31mape", "two\nlines", "right\u{202e}to left", "zero\u{200b}width"];
    let flags: Vec<&str> = names.iter().flat_map(|name| ["--tool-name", *name]).collect();
    let proxy = Proxy::start(json!({"servers": [fixture("a", &flags)]})).await;
    let tools = proxy.session().await.tools().await;
    assert!(tools.contains(&"a__echo".to_owned()));
    assert!(tools.iter().all(|tool| tool.chars().all(|c| c.is_ascii_graphic())), "{tools:?}");
    assert!(!proxy.log().contains('\u{1b}'), "the log holds an escape");
}

#[tokio::test]
async fn the_builtin_server_answers_where_no_server_is_configured() {
    let proxy = Proxy::start(json!({"servers": []})).await;
    let session = proxy.session().await;
    assert_eq!(session.tools().await, ["mcproxy__status", "mcproxy__logs", "mcproxy__search_tools"]);
    let status = session.call("mcproxy__status", json!({})).await;
    assert!(!status["isError"].as_bool().unwrap_or(false), "{status}");
    assert_eq!(session.list("prompts/list", "prompts").await, json!([]));
    assert_eq!(session.list("resources/list", "resources").await, json!([]));
}

#[tokio::test]
async fn the_builtin_tools_tell_status_logs_and_tools() {
    let proxy =
        Proxy::start(json!({"servers": [fixture("a", &["--stderr", "a line on stderr", "--tools", "3"])]})).await;
    let session = proxy.session().await;
    let status = session.say("mcproxy__status", json!({})).await;
    assert!(status.contains('a') && status.contains("ready"), "{status}");
    let logs = session.say("mcproxy__logs", json!({"server": "a", "lines": 100})).await;
    assert!(logs.contains("a line on stderr"), "{logs}");
    let found = session.say("mcproxy__search_tools", json!({"query": "echo_size"})).await;
    assert!(found.contains("a__echo_size"), "{found}");
    for (tool, arguments) in [
        ("mcproxy__logs", json!({"server": "nobody"})),
        ("mcproxy__logs", json!({})),
        ("mcproxy__search_tools", json!({"query": ""})),
        ("mcproxy__status", json!({"unknown": 1})),
    ] {
        assert_eq!(session.call(tool, arguments.clone()).await["isError"], true, "{tool} {arguments}");
    }
}

#[tokio::test]
async fn a_missing_program_is_named_and_everything_else_works() {
    let empty = tempfile::tempdir().expect("a directory");
    let config = json!({"servers": [{"name": "browser", "command": "npx", "args": ["-y", "x"]}, fixture("a", &[])]});
    let proxy = Proxy::launch_with(config, |command| {
        command.env("PATH", empty.path());
    })
    .await;
    let browser = proxy.server_until("command not found", "browser", |server| server.last_error.is_some()).await;
    let error = browser.last_error.expect("an error");
    assert!(error.contains("command not found: npx") && error.contains("Node.js"), "{error}");
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    proxy.logged(&["command not found: npx"]).await;
    let session: Session = proxy.session().await;
    assert_eq!(session.say("a__echo", json!({"text": "x"})).await, "x");
    let status = session.say("mcproxy__status", json!({})).await;
    assert!(status.contains("command not found: npx"), "{status}");
    let refused = session.refuse("browser__navigate", json!({})).await;
    assert_eq!(refused["code"], 31002, "{refused}");
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("command not found: npx")), "{refused}");
}

#[tokio::test]
async fn l03_a_long_list_of_two_servers_comes_in_pages_without_a_tool_twice_or_missing() {
    let servers = json!([fixture("a", &["--tools", "900"]), fixture("b", &["--tools", "900", "--era", "modern"])]);
    let proxy = Proxy::start(json!({"servers": servers})).await;
    let session = proxy.session().await;
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let params = cursor.map_or_else(|| json!({}), |cursor: Value| json!({"cursor": cursor}));
        let page = session.request("tools/list", params).await;
        seen.extend(names(&page["tools"]));
        pages += 1;
        match page.get("nextCursor") {
            Some(next) => cursor = Some(next.clone()),
            None => break,
        }
    }
    let distinct: std::collections::HashSet<&String> = seen.iter().collect();
    assert_eq!((pages, distinct.len()), (2, seen.len()));
    for server in ["a", "b"] {
        assert!((0..900).all(|n| distinct.contains(&format!("{server}__tool_{n:04}"))), "{server}");
    }
}
