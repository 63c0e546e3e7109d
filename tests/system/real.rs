//! Real servers, pinned, listed and called by real client SDKs through both transports.

use std::path::Path;

use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, ClientConfig},
    service::RunningService,
    transport::StreamableHttpClientTransport,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
};

use crate::support::{Driver, Proxy, Real, run, text};

const CHROMIUM: &str = "/usr/bin/chromium";
const NODE: &str = "node_modules/@modelcontextprotocol";
const PYTHON: &str = "venv/bin/python";
/// With the line of the SDK that speaks 2026-07-28.
const MODERN_PYTHON: &str = "modern/bin/python";
/// The same of TypeScript.
const MODERN_NODE: &str = "node_modules/@modelcontextprotocol/client";

/// A tool of each server, its arguments, and what its answer must hold.
struct Probe {
    tool: &'static str,
    arguments: Value,
    holds: String,
}

/// The servers that need no browser.
struct Fleet {
    proxy: Proxy,
    probes: Vec<Probe>,
    // Holds the files that the servers work on.
    _files: tempfile::TempDir,
}

impl Fleet {
    async fn start(real: &Real) -> Self {
        let files = tempfile::tempdir().expect("a directory");
        let dir = files.path().to_str().expect("a path").to_owned();
        std::fs::write(files.path().join("note.txt"), "a note on disk").expect("written");
        git(files.path(), &["init", "-q"]).await;
        git(files.path(), &["add", "note.txt"]).await;
        git(
            files.path(),
            &["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "The first commit"],
        )
        .await;
        let server = |package: &str| real.node(&format!("@modelcontextprotocol/{package}/dist/index.js"));
        let memory = files.path().join("memory.jsonl");
        let proxy = Proxy::start(json!({"servers": [
            {"name": "everything", "command": "node", "args": [server("server-everything")]},
            {"name": "filesystem", "command": "node", "args": [server("server-filesystem"), dir]},
            {"name": "memory", "command": "node", "args": [server("server-memory")], "env": {"MEMORY_FILE_PATH": memory}},
            {"name": "time", "command": real.path(PYTHON), "args": ["-m", "mcp_server_time"]},
            {"name": "git", "command": real.path(PYTHON), "args": ["-m", "mcp_server_git"]},
            {"name": "new-time", "command": real.path(MODERN_PYTHON), "args": ["-m", "mcp_server_time"]},
            {"name": "new-git", "command": real.path(MODERN_PYTHON), "args": ["-m", "mcp_server_git"]},
        ]}))
        .await;
        let probe = |tool, arguments, holds: &str| Probe { tool, arguments, holds: holds.to_owned() };
        let entity = json!({"entities": [{"name": "Ann", "entityType": "person", "observations": ["likes tea"]}]});
        let probes = vec![
            probe("everything__echo", json!({"message": "hi there"}), "hi there"),
            probe("filesystem__read_text_file", json!({"path": format!("{dir}/note.txt")}), "a note on disk"),
            probe("memory__create_entities", entity, ""),
            probe("memory__read_graph", json!({}), "likes tea"),
            probe(
                "time__convert_time",
                json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
                "21:00",
            ),
            probe("git__git_log", json!({"repo_path": dir}), "The first commit"),
            probe("new-git__git_log", json!({"repo_path": dir}), "The first commit"),
            probe(
                "new-time__convert_time",
                json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
                "21:00",
            ),
        ];
        Self { proxy, probes, _files: files }
    }

    /// Everything through one client SDK and one transport.
    async fn driven_by(&self, real: &Real, driver: Driver, transport: &str) {
        let path = if transport == "sse" { "/sse" } else { "/mcp" };
        let mut script = vec![
            json!({"op": "info"}),
            json!({"op": "listTools"}),
            json!({"op": "listPrompts"}),
            json!({"op": "listResources"}),
            json!({"op": "listTemplates"}),
        ];
        // There is no such method any more.
        if transport != "modern" {
            script.push(json!({"op": "ping"}));
        }
        let calls = script.len();
        script
            .extend(self.probes.iter().map(|probe| json!({"op": "call", "name": probe.tool, "args": probe.arguments})));
        let progress = json!({"op": "call", "name": "everything__trigger-long-running-operation", "args": {"duration": 1, "steps": 4}, "progress": true});
        script.push(progress);
        let lines = real.drive(driver, transport, &self.proxy.url(path), &json!(script)).await;
        assert_eq!(lines.len(), script.len(), "{lines:?}");
        for line in &lines {
            assert!(line.get("error").is_none(), "{driver:?} over {transport}: {line}");
        }
        assert_eq!(lines[0]["ok"]["server"]["name"], "mcproxy");
        if let Some(version) = lines[0]["ok"].get("protocolVersion") {
            assert_eq!(version == "2026-07-28", transport == "modern", "{version}");
        }
        let tools = crate::support::names(&lines[1]["ok"]["tools"]);
        for probe in &self.probes {
            assert!(tools.iter().any(|tool| tool == probe.tool), "{} in {tools:?}", probe.tool);
        }
        assert!(crate::support::names(&lines[2]["ok"]["prompts"]).iter().any(|name| name.starts_with("everything__")));
        assert!(!lines[3]["ok"]["resources"].as_array().expect("resources").is_empty());
        for (probe, line) in self.probes.iter().zip(&lines[calls..]) {
            let result = &line["ok"];
            assert!(
                !result["isError"].as_bool().unwrap_or(false) && result.to_string().contains(&probe.holds),
                "{result}"
            );
        }
        let last = lines.last().expect("a line");
        // The TypeScript SDK may forget the report that comes together with the answer.
        assert!(last["progress"].as_array().is_some_and(|reports| reports.len() >= 3), "{last}");
    }
}

/// A client of rmcp, initialized.
async fn rmcp_client(proxy: &Proxy) -> RunningService<RoleClient, ClientConfig> {
    let transport = StreamableHttpClientTransport::from_uri(proxy.url("/mcp"));
    ClientConfig::default().serve(transport).await.expect("the handshake")
}

async fn git(dir: &Path, args: &[&str]) {
    let finished = run(Command::new("git").args(args).current_dir(dir), "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[tokio::test]
async fn the_typescript_sdk_uses_real_servers_over_both_transports() {
    let Some(real) = Real::with(&[NODE, PYTHON, MODERN_PYTHON]) else { return };
    let fleet = Fleet::start(&real).await;
    fleet.driven_by(&real, Driver::TypeScript, "http").await;
    fleet.driven_by(&real, Driver::TypeScript, "sse").await;
}

#[tokio::test]
async fn the_python_sdk_uses_real_servers_over_both_transports() {
    let Some(real) = Real::with(&[NODE, PYTHON, MODERN_PYTHON]) else { return };
    let fleet = Fleet::start(&real).await;
    fleet.driven_by(&real, Driver::Python, "http").await;
    fleet.driven_by(&real, Driver::Python, "sse").await;
}

#[tokio::test]
async fn the_sdks_of_2026_07_28_use_real_servers() {
    let Some(real) = Real::with(&[NODE, MODERN_NODE, PYTHON, MODERN_PYTHON]) else { return };
    let fleet = Fleet::start(&real).await;
    fleet.driven_by(&real, Driver::TypeScript, "modern").await;
    fleet.driven_by(&real, Driver::Python, "modern").await;
}

#[tokio::test]
async fn rmcp_uses_real_servers() {
    let Some(real) = Real::with(&[NODE, PYTHON, MODERN_PYTHON]) else { return };
    let fleet = Fleet::start(&real).await;
    let client = rmcp_client(&fleet.proxy).await;
    let tools = client.list_all_tools().await.expect("the tools");
    for probe in &fleet.probes {
        assert!(tools.iter().any(|tool| tool.name == probe.tool), "{}", probe.tool);
        let params = CallToolRequestParams::new(probe.tool)
            .with_arguments(probe.arguments.as_object().expect("an object").clone());
        let result = client.call_tool(params).await.expect("an answer");
        let result = serde_json::to_value(result).expect("JSON");
        assert!(result.to_string().contains(&probe.holds), "{result}");
    }
    assert!(!client.list_all_prompts().await.expect("the prompts").is_empty());
    assert!(!client.list_all_resources().await.expect("the resources").is_empty());
    client.cancel().await.expect("the session ends");
}

#[tokio::test]
async fn a_browser_opens_a_page_and_reads_its_title() {
    let Some(real) = Real::with(&["node_modules/@playwright/mcp", PYTHON, CHROMIUM]) else { return };
    let page = serve_page().await;
    let proxy = Proxy::start(json!({"servers": [{
        "name": "playwright",
        "command": "node",
        "args": [real.node("@playwright/mcp/cli.js"), "--headless", "--no-sandbox", "--isolated", "--executable-path", CHROMIUM],
        "timeout": 60
    }]}))
    .await;
    let script = json!([
        {"op": "listTools"},
        {"op": "call", "name": "playwright__browser_navigate", "args": {"url": page}},
        {"op": "call", "name": "playwright__browser_snapshot"},
        {"op": "call", "name": "playwright__browser_close"}
    ]);
    for (driver, transport) in
        [(Driver::TypeScript, "http"), (Driver::TypeScript, "sse"), (Driver::Python, "http"), (Driver::Python, "sse")]
    {
        let path = if transport == "sse" { "/sse" } else { "/mcp" };
        let lines = real.drive(driver, transport, &proxy.url(path), &script).await;
        let names = crate::support::names(&lines[0]["ok"]["tools"]);
        assert!(names.iter().any(|name| name == "playwright__browser_navigate"), "{names:?}");
        assert!(text(&lines[1]["ok"]).contains("A page of the test"), "{driver:?} over {transport}: {}", lines[1]);
        assert!(
            lines[2]["ok"].to_string().contains("A heading of the test"),
            "{driver:?} over {transport}: {}",
            lines[2]
        );
    }
    let client = rmcp_client(&proxy).await;
    let url = json!({"url": page}).as_object().expect("an object").clone();
    let opened = client.call_tool(CallToolRequestParams::new("playwright__browser_navigate").with_arguments(url)).await;
    let opened = serde_json::to_value(opened.expect("an answer")).expect("JSON");
    assert!(text(&opened).contains("A page of the test"), "{opened}");
    client.cancel().await.expect("the session ends");
}

#[tokio::test]
async fn two_sessions_drive_two_browsers_and_do_not_see_each_others_pages() {
    let Some(real) = Real::with(&["node_modules/@playwright/mcp", CHROMIUM]) else { return };
    let page = serve_page().await;
    let proxy = Proxy::start(json!({"servers": [{
        "name": "playwright",
        "command": "node",
        "args": [real.node("@playwright/mcp/cli.js"), "--headless", "--no-sandbox", "--isolated", "--executable-path", CHROMIUM],
        "timeout": 60,
        "instances": "per-session",
        "maxInstances": 2
    }]}))
    .await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let (first, second) = (format!("{page}first"), format!("{page}second"));
    let (opened, also_opened) = tokio::join!(
        one.say("playwright__browser_navigate", json!({"url": first})),
        two.say("playwright__browser_navigate", json!({"url": second})),
    );
    assert!(opened.contains("A page of the test"), "{opened}");
    assert!(also_opened.contains("A page of the test"), "{also_opened}");
    // The tabs of the one are not the tabs of the other, whoever opened one last.
    for (session, own, others) in [(&one, &first, &second), (&two, &second, &first), (&one, &first, &second)] {
        let tabs = session.say("playwright__browser_tabs", json!({"action": "list"})).await;
        assert!(tabs.contains(own.as_str()) && !tabs.contains(others.as_str()), "{tabs}");
    }
    assert_eq!(proxy.server("playwright").await.running(), 2);
    one.say("playwright__browser_close", json!({})).await;
    let tabs = two.say("playwright__browser_tabs", json!({"action": "list"})).await;
    assert!(tabs.contains(second.as_str()), "{tabs}");
}

/// Serves one page on loopback for as long as the test runs.
async fn serve_page() -> String {
    const PAGE: &str = "<!doctype html><title>A page of the test</title><h1>A heading of the test</h1>";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                PAGE.len()
            );
            // A browser may hang up whenever it likes.
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(format!("{head}{PAGE}").as_bytes()).await;
        }
    });
    url
}
