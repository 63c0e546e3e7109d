//! The servers of a MetaMCP installation, as its export has them: a configuration as it is, and imported.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};
use tokio::process::Command;

use super::upstream::Upstream;
use crate::support::{DEADLINE, Proxy, binary, fixture, run_within};

/// What MetaMCP's page offers to download.
const EXPORT: &str = include_str!("../../metamcp/mcp-servers-export.json");
const TOKEN: &str = "metamcp-token-metamcp-token";

/// The export with programs and addresses of this machine, and what kind each server is of.
async fn export(streamable: &Upstream, sse: &Proxy) -> (Value, BTreeMap<String, String>) {
    let mut export: Value = serde_json::from_str(EXPORT).expect("JSON");
    let mut kinds = BTreeMap::new();
    for (name, entry) in export["mcpServers"].as_object_mut().expect("servers") {
        let kind = entry["type"].as_str().expect("a type").to_owned();
        match kind.as_str() {
            "STDIO" => {
                entry["command"] = json!(binary("mcproxy-fixture"));
                entry["args"] = json!(["--name", name]);
                // Those of the machine that the export comes from.
                entry["env"] = json!({});
            }
            "STREAMABLE_HTTP" => entry["url"] = json!(streamable.url()),
            "SSE" => {
                entry["url"] = json!(sse.url("/servers/a/sse"));
                entry["bearerToken"] = json!(TOKEN);
            }
            other => panic!("MetaMCP knows no {other}"),
        }
        kinds.insert(name.clone(), kind);
    }
    (export, kinds)
}

/// A tool of each server answers; what is asked for over HTTP comes with the headers of its entry.
async fn each_serves(proxy: &Proxy, kinds: &BTreeMap<String, String>, streamable: &Upstream) {
    let session = proxy.session().await;
    for (name, kind) in kinds {
        match kind.as_str() {
            "STREAMABLE_HTTP" => drop(session.call(&format!("{name}__headers"), json!({})).await),
            _ => assert_eq!(session.say(&format!("{name}__echo"), json!({"text": name})).await, *name, "{kind}"),
        }
    }
    let keys =
        streamable.received("tools/call").into_iter().filter_map(|call| call.headers.get("context7_api_key").cloned());
    assert_eq!(keys.collect::<Vec<_>>(), ["ctx7sk-1234"], "of the one entry that has it");
}

async fn upstreams() -> (Upstream, Proxy) {
    let sse = json!({"auth": {"tokens": [{"name": "metamcp", "token": TOKEN}]}, "servers": [fixture("a", &[])]});
    (Upstream::start("legacy").await, Proxy::launch(sse).await)
}

#[tokio::test]
async fn an_export_with_servers_of_all_three_kinds_is_a_configuration_as_it_is() {
    let (streamable, sse) = upstreams().await;
    let (export, kinds) = export(&streamable, &sse).await;
    assert_eq!(kinds.values().collect::<std::collections::BTreeSet<_>>().len(), 3, "{kinds:?}");
    let proxy = Proxy::start(export).await;
    each_serves(&proxy, &kinds, &streamable).await;
}

#[tokio::test]
async fn an_imported_export_with_servers_of_all_three_kinds_starts() {
    let (streamable, sse) = upstreams().await;
    let (export, kinds) = export(&streamable, &sse).await;
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("export.json"), export.to_string()).expect("a file");
    let mut import = Command::new(env!("CARGO_BIN_EXE_mcproxy"));
    import.args(["import", "metamcp", "export.json"]).current_dir(dir.path());
    let done = run_within(DEADLINE, &mut import, "").await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let (config, variables) = (read(dir.path(), "mcp-servers.json"), read(dir.path(), "mcproxy.env"));
    assert!(!config.contains(TOKEN) && !config.contains("ctx7sk-1234"), "secrets are variables: {config}");
    let variables = variables.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let proxy = Proxy::launch_with(serde_json::from_str(&config).expect("JSON"), |command| {
        command.envs(variables);
    })
    .await;
    proxy.until_ready().await;
    each_serves(&proxy, &kinds, &streamable).await;
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).expect("a file")
}
