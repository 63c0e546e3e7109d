//! The move from MetaMCP: an installation is imported, and its clients go on with their URLs and keys.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{
    DEADLINE, Finished, LegacySession, Proxy, Session, binary, eventually, http_client, names, run_within,
};

/// The dump of a database that was filled by MetaMCP's own schema.
const DUMP: &str = include_str!("../metamcp/dump.json");
const KEY: &str = "sk_mt_EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1";

/// The dump with servers that can be started here, and tools that they have.
fn dump() -> Value {
    let mut dump: Value = serde_json::from_str(DUMP).expect("JSON");
    for server in dump["servers"].as_array_mut().expect("servers") {
        if server["type"] == "STDIO" {
            server["command"] = json!(binary("mcproxy-fixture"));
            server["args"] = json!(["--name", server["name"]]);
        }
    }
    for mapping in dump["namespace_tools"].as_array_mut().expect("mappings") {
        mapping["tool"] = match mapping["tool"].as_str().expect("a name") {
            "get_current_time" => json!("echo"),
            "write_file" | "delete_file" => json!("slow"),
            other => json!(other),
        };
    }
    dump
}

async fn import(dir: &Path, args: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcproxy"));
    command.args(["import", "metamcp"]).args(args).current_dir(dir);
    run_within(DEADLINE, &mut command, "").await
}

fn directory_with(dump: &Value) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("metamcp.json"), format!("\u{feff}{dump}\r\n")).expect("a file");
    dir
}

#[tokio::test]
async fn clients_of_metamcp_go_on_with_their_urls_and_keys() {
    let dir = directory_with(&dump());
    let done = import(dir.path(), &["metamcp.json", "--json"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(report["written"], true, "{report}");
    let kinds: Vec<&str> =
        report["report"].as_array().expect("notes").iter().filter_map(|n| n["kind"].as_str()).collect();
    assert!(["access", "lost", "todo", "note"].iter().all(|kind| kinds.contains(kind)), "{report}");
    let mode = |name: &str| fs::metadata(dir.path().join(name)).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode("mcproxy.env"), 0o600);
    let text = fs::read_to_string(dir.path().join("mcp-servers.json")).expect("the configuration");
    let env = fs::read_to_string(dir.path().join("mcproxy.env")).expect("the variables");
    for secret in [KEY, "pplx-0123456789", "ctx7sk-1234", "ha.token"] {
        assert!(!text.contains(secret) && !done.stdout.contains(secret) && !done.stderr.contains(secret), "{secret}");
    }
    let config: Value = serde_json::from_str(&text).expect("JSON");
    let variables: Vec<(&str, &str)> =
        env.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect();
    let proxy = Proxy::launch_with(config, |command| {
        command.envs(variables.iter().copied());
    })
    .await;

    let started = ["everything", "files", "memory", "playwright", "search", "thinking", "time", "github"];
    let ready = proxy.url(&format!("/readyz?require={}", started.join(",")));
    eventually("all servers that can be started answer", Duration::from_secs(60), async || {
        http_client(Some(KEY)).get(&ready).send().await.ok()?.status().is_success().then_some(())
    })
    .await;

    // `home` needs no key, and gets some of the servers.
    let home = Session::open(&proxy.http, &proxy.url("/metamcp/home/mcp")).await;
    let listed = home.list("tools/list", "tools").await;
    let shown = names(&listed);
    assert!(
        started[..7].iter().all(|server| shown.iter().any(|tool| tool.starts_with(&format!("{server}__")))),
        "{shown:?}"
    );
    assert!(!shown.iter().any(|tool| ["github__", "claude__", "mcproxy__"].iter().any(|of| tool.starts_with(of))));
    assert!(shown.contains(&"time__now".to_owned()) && !shown.contains(&"time__echo".to_owned()), "{shown:?}");
    let now = listed.as_array().and_then(|tools| tools.iter().find(|tool| tool["name"] == "time__now"));
    let now = now.expect("the renamed tool");
    assert_eq!((&now["title"], &now["description"]), (&json!("Now"), &json!("The time now")));
    assert_eq!(now["annotations"]["readOnlyHint"], true);
    assert_eq!(home.say("time__now", json!({"text": "home"})).await, "home");
    let (mut legacy, _) = LegacySession::open(&proxy.http, &proxy.base, "/metamcp/home/sse").await;
    assert_eq!(crate::support::text(&legacy.call("time__now", json!({"text": "sse"})).await), "sse");

    // `work` needs the key, in whichever place.
    assert_eq!(proxy.get("/metamcp/work/mcp").await.status, 401);
    let header = HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), HeaderValue::from_static(KEY))]);
    let with_header = reqwest::Client::builder().default_headers(header).no_proxy().build().expect("a client");
    for (client, query) in [
        (with_header, String::new()),
        (http_client(Some(KEY)), String::new()),
        (proxy.http.clone(), format!("?api_key={KEY}")),
    ] {
        let work = Session::open(&client, &proxy.url(&format!("/metamcp/work/mcp{query}"))).await;
        assert_eq!(work.say("github__echo", json!({"text": "work"})).await, "work");
        let shown = names(&work.list("tools/list", "tools").await);
        assert!(shown.contains(&"time__echo".to_owned()), "renamed in the other namespace only: {shown:?}");
        assert!(!shown.contains(&"github__slow".to_owned()) && !shown.contains(&"files__slow".to_owned()), "{shown:?}");
        let (mut legacy, _) = LegacySession::open(&client, &proxy.base, &format!("/metamcp/work/sse{query}")).await;
        assert_eq!(crate::support::text(&legacy.call("time__echo", json!({"text": "sse"})).await), "sse");
    }
    assert!(!proxy.log().contains(KEY));
    for closed in ["/mcp", "/groups/work/mcp", "/servers/time/mcp", "/health"] {
        assert_eq!(proxy.get(closed).await.status, 401, "{closed}");
    }

    // What both say is compared: here, MCProxy with itself, and with one that shows less.
    let base = proxy.base.clone();
    let args = ["metamcp.json", "--dry-run", "--json", "--compare", &base, "--with", &base];
    let same = import(dir.path(), &args).await;
    assert_eq!(same.code, Some(0), "{same:?}");
    let compared: Value = serde_json::from_str(&same.stdout).expect("JSON");
    assert!(compared["compared"][0]["same"].as_u64().is_some_and(|tools| tools > 100), "{}", compared["compared"]);
    let other =
        Proxy::start(json!({"servers": [], "groups": {"h": {"servers": [], "paths": ["/metamcp/home"]}}})).await;
    let differs = import(dir.path(), &["metamcp.json", "--dry-run", "--compare", &base, "--with", &other.base]).await;
    assert_eq!(differs.code, Some(1), "{differs:?}");
    assert!(differs.stdout.contains("only MetaMCP has: everything__"), "{}", differs.stdout);
    assert!(differs.stdout.contains("work: not compared: MCProxy: "), "{}", differs.stdout);
}

#[tokio::test]
async fn nothing_is_replaced_unasked_and_a_dry_run_shows_what_would_change() {
    let dir = directory_with(&dump());
    let dry = import(dir.path(), &["metamcp.json", "--dry-run"]).await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(dry.stdout.starts_with("Would write mcp-servers.json:\n{\n") && dry.stdout.contains("\nWho may call\n"));
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1, "nothing was written");
    assert_eq!(import(dir.path(), &["metamcp.json"]).await.code, Some(0));
    let again = import(dir.path(), &["metamcp.json"]).await;
    assert_eq!(again.code, Some(64), "{again:?}");
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    let mut other = dump();
    other["endpoints"][0]["enable_api_key_auth"] = json!(true);
    fs::write(dir.path().join("metamcp.json"), other.to_string()).expect("a file");
    let changed = import(dir.path(), &["metamcp.json", "--dry-run"]).await;
    assert!(changed.stdout.starts_with("Would change mcp-servers.json:\n"), "{}", changed.stdout);
    assert!(changed.stdout.contains("\n-      \"auth\": \"none\",\n"), "{}", changed.stdout);
    assert_eq!(import(dir.path(), &["metamcp.json", "--force"]).await.code, Some(0));
}

#[tokio::test]
async fn files_that_are_none_of_metamcps_are_refused_with_what_to_give() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).expect("a file");
    write("binary", b"{\"servers\": [\xff]}");
    write("cut.json", b"{\"servers\": [{\"name\": \"a\"");
    write("other.json", b"{\"a\": 1}");
    write("none.json", b"{\"mcpServers\": {}}");
    write("large", &vec![b' '; (16 << 20) + 1]);
    for (name, code, why) in [
        ("binary", 1, "not UTF-8 (byte 13)"),
        ("cut.json", 1, "it is no JSON, at line 1"),
        ("other.json", 1, "metamcp-export.sql"),
        ("large", 1, "more than 16 MiB"),
        ("missing", 1, "cannot read it"),
        (".", 1, "cannot read it"),
        ("none.json", 64, "there is no server in these files"),
    ] {
        let refused = import(dir.path(), &[name]).await;
        assert_eq!(refused.code, Some(code), "{name}: {refused:?}");
        assert!(refused.stderr.contains(why), "{name}: {}", refused.stderr);
    }
}
