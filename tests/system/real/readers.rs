//! Whatever one server lists, every SDK reads what the others list.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

use super::clients::{modern_rmcp_client, rmcp_client};
use crate::support::{Driver, Proxy, Real, fixture, names};

/// What stands in the places of the members below.
fn values() -> Vec<String> {
    let plain = [
        "null",
        "true",
        "-5",
        "1.5",
        "\"x\"",
        "[]",
        "{}",
        "[null]",
        "[\"a\",1]",
        "[{}]",
        "{\"a\":null}",
        "{\"a\":true}",
        "{\"type\":\"none\"}",
        "1e999",
        "\"\\ud800\"",
        "{\"a\":1,\"a\":2}",
        "{\"\\ud800\":1}",
        "\"(\"",
    ];
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    let digits = "9".repeat(5000);
    plain.iter().map(ToString::to_string).chain([deep, digits]).collect()
}

const TOOLS: &[&str] = &[
    r#""title":@"#,
    r#""description":@"#,
    r#""inputSchema":@"#,
    r#""inputSchema":{"type":@}"#,
    r#""inputSchema":{"type":"object","$schema":@}"#,
    r#""inputSchema":{"type":"object","properties":@}"#,
    r#""inputSchema":{"type":"object","properties":{"p":@}}"#,
    r#""inputSchema":{"type":"object","properties":{"p":{"default":@}}}"#,
    r#""inputSchema":{"type":"object","required":@}"#,
    r#""outputSchema":@"#,
    r#""outputSchema":{"type":"object","properties":@}"#,
    r#""outputSchema":{"type":"object","properties":{"p":@}}"#,
    r#""outputSchema":{"type":"object","properties":{"p":{"type":@}}}"#,
    r#""outputSchema":{"type":"object","properties":{"p":{"pattern":@}}}"#,
    r#""outputSchema":{"type":"object","properties":{"p":{"$ref":@}}}"#,
    r#""outputSchema":{"type":"object","properties":{"p":{"enum":@}}}"#,
    r#""outputSchema":{"type":"object","$id":"urn:same","properties":{"p":{"anyOf":@}}}"#,
    r#""outputSchema":{"type":"object","required":@}"#,
    r#""outputSchema":{"type":"object","not":@}"#,
    r#""annotations":@"#,
    r#""annotations":{"title":@,"readOnlyHint":@}"#,
    r#""execution":@"#,
    r#""execution":{"taskSupport":@}"#,
    r#""icons":@"#,
    r#""icons":[{"src":@}]"#,
    r#""icons":[{"src":"x","sizes":@,"theme":@,"mimeType":@}]"#,
    r#""_meta":@"#,
    r#""_meta":{"ui":@}"#,
    r#""unknown":@"#,
    r#""\ud800":@"#,
];
const PROMPTS: &[&str] = &[
    r#""title":@"#,
    r#""description":@"#,
    r#""arguments":@"#,
    r#""arguments":[{"name":@}]"#,
    r#""arguments":[{"name":"a","description":@,"required":@,"title":@}]"#,
    r#""icons":[@]"#,
    r#""_meta":@"#,
];
const RESOURCES: &[&str] = &[
    r#""name":@"#,
    r#""title":@"#,
    r#""mimeType":@"#,
    r#""size":@"#,
    r#""annotations":@"#,
    r#""annotations":{"audience":@}"#,
    r#""annotations":{"priority":@,"lastModified":@}"#,
    r#""icons":@"#,
    r#""_meta":@"#,
];
const URIS: &[&str] = &[
    "no uri",
    "readme.md",
    "/etc/hosts",
    "my_app://x",
    "Note://Two",
    "note://[",
    "note://h:99999/",
    "note://a b/c",
    "file:///\u{e9} x",
    "http://example.com",
    "ui://x y/z",
    "ui://App/1",
    "a:b",
    "C:\\x",
    "https://[::1]/",
    "?",
    "x://u@/",
];

/// A list of a kind, with an entry for every member with every value.
fn list(kind: &str, key: &str, members: &[&str]) -> String {
    let mut out = format!("\"{kind}\":[\"x\",null,{{}}");
    let values = values();
    for (at, (member, value)) in
        members.iter().flat_map(|member| values.iter().map(move |value| (member, value))).enumerate()
    {
        let name = if key == "name" { String::new() } else { format!("\"{key}\":\"t:{at}\",") };
        // Writing to a String cannot fail.
        let _ = write!(out, ",{{{name}\"name\":\"t{at}\",{}}}", member.replace('@', value));
    }
    if key == "uri" {
        for uri in URIS {
            let _ = write!(out, ",{}", json!({"uri": uri, "name": uri}));
        }
    }
    out + "]"
}

/// The answers of a server that gets everything wrong that can be.
fn write_answers(to: &Path, modern: bool) {
    let about = if modern { r#""resultType":"complete","ttlMs":0,"cacheScope":"private","# } else { "" };
    let lists = [
        ("tools.list", list("tools", "name", TOOLS)),
        ("prompts.list", list("prompts", "name", PROMPTS)),
        ("resources.list", list("resources", "uri", RESOURCES)),
        ("resources.templates.list", list("resourceTemplates", "uriTemplate", RESOURCES)),
    ];
    let mut answers: Vec<(&str, String)> = lists.map(|(method, list)| (method, format!("{about}{list}"))).into();
    let mut declared = String::new();
    for (at, value) in values().iter().enumerate() {
        let _ = write!(declared, "\"x{at}\":{value},");
    }
    let same = format!("{{{declared}\"fine\":{{}}}}");
    let capabilities = format!(
        r#""capabilities":{{"tools":{{"listChanged":"yes"}},"prompts":{{}},"resources":{{"subscribe":1}},"logging":[],"experimental":{same},"extensions":{same}}}"#
    );
    answers.push(if modern {
        (
            "server.discover",
            format!(r#"{about}"supportedVersions":["2026-07-28"],{capabilities},"instructions":"\ud800""#),
        )
    } else {
        let info = r#""protocolVersion":"2025-11-25","serverInfo":{"name":"bad","version":"1"}"#;
        ("initialize", format!(r#"{info},{capabilities},"instructions":"\ud800""#))
    });
    for (method, result) in answers {
        let line = format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{{{result}}}}}"#);
        std::fs::write(to.join(method), line).expect("an answer");
    }
}

fn verbatim(name: &str, answers: &Path, era: &str) -> Value {
    let answers = answers.to_str().expect("UTF-8");
    fixture(name, &["--profile", "verbatim", "--era", era, "--answers", answers])
}

/// A proxy with two hostile servers, one of each era, under names that no URI can hold, before one that is in order.
async fn proxy(legacy: &Path, modern: &Path) -> Proxy {
    write_answers(legacy, false);
    write_answers(modern, true);
    let servers = [verbatim("Bad_one", legacy, "legacy"), verbatim("2nd", modern, "modern"), fixture("good", &[])];
    Proxy::start(json!({"servers": servers})).await
}

#[tokio::test]
async fn whatever_one_server_lists_rmcp_reads_what_the_others_list() {
    let (legacy, modern) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let proxy = proxy(legacy.path(), modern.path()).await;
    for client in [rmcp_client(&proxy).await, modern_rmcp_client(&proxy).await] {
        let tools = client.list_all_tools().await.expect("the tools");
        assert!(tools.iter().any(|tool| tool.name == "good__echo"), "{}", tools.len());
        assert!(tools.len() > 900, "most are mended: {}", tools.len());
        assert!(
            client
                .list_all_prompts()
                .await
                .expect("the prompts")
                .iter()
                .any(|prompt| prompt.name.starts_with("good__"))
        );
        let resources = client.list_all_resources().await.expect("the resources");
        assert!(resources.iter().any(|resource| resource.uri == "good+fixture://static/text"));
        assert!(client.list_all_resource_templates().await.expect("the templates").len() > 100);
    }
    proxy.logged(&["Bad_one", "tool", "`/inputSchema/properties` is not an object"]).await;
    proxy.logged(&["Bad_one", "further warnings of this server are not shown"]).await;
    proxy.logged(&["2nd", "capabilities: `/experimental/x0`"]).await;
}

#[tokio::test]
async fn whatever_one_server_lists_every_sdk_reads_what_the_others_list() {
    let parts = [
        "node_modules/@modelcontextprotocol/sdk",
        "node_modules/@modelcontextprotocol/client",
        "venv/bin/python",
        "modern/bin/python",
    ];
    let Some(real) = Real::with(&parts) else { return };
    let (legacy, modern) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let proxy = proxy(legacy.path(), modern.path()).await;
    let script = json!([{"op": "info"}, {"op": "listTools"}, {"op": "listPrompts"}, {"op": "listResources"}, {"op": "listTemplates"},
        {"op": "read", "uri": "good+fixture://static/text"}, {"op": "call", "name": "good__echo", "args": {"text": "fine"}}]);
    for (driver, transport) in [
        (Driver::TypeScript, "http"),
        (Driver::TypeScript, "modern"),
        (Driver::Python, "http"),
        (Driver::Python, "modern"),
    ] {
        for (path, own) in [("/mcp", "good__echo"), ("/servers/Bad_one/mcp", ""), ("/servers/2nd/mcp", "")] {
            let script = if own.is_empty() { json!(script.as_array().expect("steps")[..5]) } else { script.clone() };
            let lines = real.drive(driver, transport, &proxy.url(path), &script).await;
            for line in &lines {
                assert!(line.get("error").is_none(), "{driver:?} over {transport} at {path}: {line}");
            }
            let tools = names(&lines[1]["ok"]["tools"]);
            assert!(own.is_empty() || tools.iter().any(|name| name == own), "{driver:?} over {transport}");
            assert!(tools.len() > 450, "{driver:?} over {transport} at {path}: {}", tools.len());
            let uris: Vec<&str> = lines[3]["ok"]["resources"]
                .as_array()
                .expect("resources")
                .iter()
                .filter_map(|r| r["uri"].as_str())
                .collect();
            assert!(uris.len() > URIS.len(), "{uris:?}");
        }
    }
}
