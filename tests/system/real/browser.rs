//! A real browser behind the proxy, driven by the client SDKs.

use rmcp::model::CallToolRequestParams;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::clients::rmcp_client;
use crate::support::{Driver, Proxy, Real, text};

pub(super) const CHROMIUM: &str = "/usr/bin/chromium";
const PYTHON: &str = "venv/bin/python";

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
pub(super) async fn serve_page() -> String {
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
