//! The web page in Chromium, with real servers behind it (`tests/real/ui.mjs` drives it), and what holds for its files.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::process::Command;

use super::browser::CHROMIUM;
use crate::support::{Proxy, Real, eventually, fixture, http_client, run, run_within};

/// What the page and the servers behind it need.
const PARTS: [&str; 9] = [
    "node_modules/playwright-core",
    "node_modules/axe-core",
    "node_modules/@modelcontextprotocol/server-everything",
    "node_modules/@modelcontextprotocol/server-filesystem",
    "node_modules/@modelcontextprotocol/server-memory",
    "node_modules/fastmcp",
    "venv/bin/python",
    "modern/bin/python",
    CHROMIUM,
];
/// Bytes of all files of the page together, gzipped.
const MAX_PAGE: usize = 60_000;
/// A whole journey in a browser, on a busy machine.
const JOURNEY: Duration = Duration::from_secs(400);
/// For five servers that start at once, on a busy machine.
const START: Duration = Duration::from_secs(120);
const ADMIN: &str = "the-secret-of-an-administrator";
const READER: &str = "the-secret-of-a-reader";

/// Five real servers, one that asks for everything, one that cannot start, and a file to read.
async fn start(real: &Real, more: Value) -> (Proxy, tempfile::TempDir) {
    let files = tempfile::tempdir().expect("a directory");
    std::fs::write(files.path().join("note.txt"), "a note on disk").expect("written");
    let node = |name: &str, script: &str, args: &[&str]| {
        let args: Vec<String> =
            [real.node(script)].into_iter().chain(args.iter().map(|arg| (*arg).to_owned())).collect();
        json!({"name": name, "command": "node", "args": args, "timeout": 60})
    };
    let mut everything = node("everything", "@modelcontextprotocol/server-everything/dist/index.js", &[]);
    everything["clientFeatures"] = json!(["sampling", "elicitation", "roots"]);
    let dir = files.path().to_str().expect("a path");
    let python = |name: &str, venv: &str| {
        let environment = json!({"MCPROXY_REAL": real.path("")});
        json!({"name": name, "command": real.path(venv), "args": [Real::server("on_fastmcp.py")], "env": environment, "timeout": 60})
    };
    let mut asker = fixture("a", &[]);
    asker["clientFeatures"] = everything["clientFeatures"].clone();
    let mut config = json!({"servers": [
        everything,
        node("files", "@modelcontextprotocol/server-filesystem/dist/index.js", &[dir]),
        node("memory", "@modelcontextprotocol/server-memory/dist/index.js", &[]),
        python("fastmcp-2", "venv/bin/python"),
        python("fastmcp-4", "modern/bin/python"),
        asker,
        {"name": "broken", "command": "node", "args": ["${MCPROXY_TEST_IS_NOT_SET}"]},
    ], "isolation": {"uids": "off"}});
    config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let proxy = Proxy::launch(config).await;
    let client = http_client(more.get("auth").map(|_| ADMIN));
    let ready = proxy.url("/readyz?require=everything,files,memory,fastmcp-2,fastmcp-4,a");
    eventually("the servers are ready", START, async || {
        let answer = client.get(&ready).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    (proxy, files)
}

/// Sends the browser on a journey, and returns what it did there. It must find no fault.
async fn travel(real: &Real, proxy: &Proxy, journey: &str, environment: &[(&str, &str)]) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("node");
    command.arg(root.join("tests/real/ui.mjs")).args([journey, &proxy.base]).arg(root.join("target/page"));
    command.env("MCPROXY_REAL", real.path("")).envs(environment.iter().copied());
    let finished = run_within(JOURNEY, &mut command, "").await;
    let said: Value = serde_json::from_str(finished.stdout.trim())
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", finished.stdout, finished.stderr));
    assert_eq!(said["faults"], json!([]), "{said:#}\n{}", finished.stderr);
    said["done"].as_array().expect("steps").iter().map(|step| step.as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn every_page_can_be_read_by_everybody_in_light_and_dark_wide_and_narrow() {
    let Some(real) = Real::with(&PARTS) else { return };
    let (proxy, _files) = start(&real, json!({})).await;
    let done = travel(&real, &proxy, "pages", &[]).await;
    assert_eq!(done.len(), 10, "{done:?}");
}

#[tokio::test]
async fn the_page_answers_what_real_servers_ask_for_during_a_call() {
    let Some(real) = Real::with(&PARTS) else { return };
    let (proxy, files) = start(&real, json!({})).await;
    let note = files.path().join("note.txt").display().to_string();
    let tries = json!([
        ["files__read_text_file", {"path": note}, "a note on disk"],
        ["memory__read_graph", {}, "entities"],
        ["fastmcp-2__add", {"a": "2", "b": "40"}, "42"],
        ["fastmcp-4__add", {"a": "2", "b": "40"}, "42"],
    ]);
    let done = travel(&real, &proxy, "tools", &[("MCPROXY_TRIES", &tries.to_string())]).await;
    for step in
        ["echo", "elicitation", "sampling", "everything at once", "progress", "cancel", "image", "fastmcp-4__add"]
    {
        assert!(done.contains(step), "{step}: {done:?}");
    }
}

#[tokio::test]
async fn the_page_restarts_records_replays_and_works_by_keyboard() {
    let Some(real) = Real::with(&PARTS) else { return };
    let (proxy, _files) = start(&real, json!({})).await;
    // A mistake in the file changes nothing, and the page says where it is.
    let path = proxy.dir().join("mcp-servers.json");
    let config = std::fs::read_to_string(path).expect("the configuration");
    proxy.write_config(&config.replacen('{', "{\n  \"lisen\": 1,\n", 1));
    let done = travel(&real, &proxy, "acts", &[]).await;
    for step in ["restart", "replay", "problems at their lines", "logs", "sessions", "keyboard"] {
        assert!(done.contains(step), "{step}: {done:?}");
    }
}

#[tokio::test]
async fn the_page_asks_for_a_token_and_offers_acts_to_those_who_may() {
    let Some(real) = Real::with(&PARTS) else { return };
    let auth = json!({"auth": {"tokens": [
        {"name": "admin", "token": ADMIN, "admin": true}, {"name": "reader", "token": READER},
    ]}});
    let (proxy, _files) = start(&real, auth).await;
    let done = travel(&real, &proxy, "token", &[("MCPROXY_ADMIN", ADMIN), ("MCPROXY_READER", READER)]).await;
    assert_eq!(done.len(), 2, "{done:?}");
}

#[tokio::test]
async fn the_types_that_the_page_names_are_right() {
    let Some(real) = Real::with(&["node_modules/typescript"]) else { return };
    let mut command = Command::new("node");
    command.arg(real.node("typescript/bin/tsc")).arg("-p").arg(folder());
    let finished = run(&mut command, "").await;
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
}

#[tokio::test]
async fn forms_follow_their_schemas_and_requests_repeat_what_they_must() {
    let Some(real) = Real::with(&["node_modules/typescript"]) else { return };
    let mut command = Command::new("node");
    command.arg("--test").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/ui-form.mjs"));
    let finished = run(command.env("MCPROXY_REAL", real.path("")), "").await;
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
}

#[tokio::test]
async fn the_libraries_of_the_page_are_what_npm_has() {
    let Some(real) = Real::with(&["node_modules/esbuild", "node_modules/preact"]) else { return };
    let mut command = Command::new("node");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/vendor.mjs");
    command.arg(script).env("MCPROXY_REAL", real.path(""));
    let finished = run(&mut command, "").await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let ours = std::fs::read_to_string(folder().join("vendor/libraries.js")).expect("the file");
    assert!(finished.stdout == ours, "vendor/libraries.js is not what the pinned packages make; see vendor/README.md");
}

#[tokio::test]
async fn the_page_is_small() {
    let mut files = Vec::new();
    served(&folder(), &mut files);
    files.sort();
    assert!(files.len() > 20, "{files:?}");
    let mut gzip = Command::new("sh");
    gzip.args(["-c", "cat \"$@\" | gzip -9 | wc -c", "sh"]).args(&files);
    let finished = run(&mut gzip, "").await;
    let size: usize = finished.stdout.trim().parse().unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
    assert!(size <= MAX_PAGE, "the page has {size} bytes gzipped, at most {MAX_PAGE} are good");
}

/// Where the page is.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gateway/ui")
}

/// The files that browsers get.
fn served(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            served(&path, files);
        } else if ![".md", ".d.ts", ".json"].iter().any(|end| name.ends_with(end)) {
            files.push(path);
        }
    }
}
