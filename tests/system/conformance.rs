//! The public conformance suite, as clients of each revision, against servers on rmcp and on the TypeScript SDK behind the
//! gateway.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{Proxy, Real, fixture, run_within, skip};

/// How long the suite may take for all scenarios of a revision, where each starts a process of its own.
const SUITE: Duration = Duration::from_secs(280);

/// A cell: the revision the suite speaks, and how many of its scenarios must be clean.
type Cell = (&'static str, u32);

const WITH_INITIALIZE: [Cell; 3] = [("2025-06-18", 27), ("2025-11-25", 33), ("2026-07-28", 39)];
const OF_2026_07_28: [Cell; 3] = [("2025-06-18", 27), ("2025-11-25", 33), ("2026-07-28", 40)];

#[tokio::test]
async fn the_public_suite_is_clean_over_a_server_of_the_first_era_on_rmcp() {
    scores("initialize", on_rmcp(&[]), WITH_INITIALIZE).await;
}

#[tokio::test]
async fn the_public_suite_is_clean_over_a_server_of_the_first_era_on_the_typescript_sdk() {
    let Some(real) = Real::with(&["node_modules/@modelcontextprotocol/sdk"]) else { return };
    scores("initialize", on_typescript(&real, "conformance-1.mjs"), WITH_INITIALIZE).await;
}

#[tokio::test]
async fn the_public_suite_is_clean_over_a_server_of_2026_07_28_on_rmcp() {
    scores("2026-07-28", on_rmcp(&["--era", "modern"]), OF_2026_07_28).await;
}

#[tokio::test]
async fn the_public_suite_is_clean_over_a_server_of_2026_07_28_on_the_typescript_sdk() {
    let Some(real) = Real::with(&["node_modules/@modelcontextprotocol/server"]) else { return };
    scores("2026-07-28", on_typescript(&real, "conformance-2.mjs"), OF_2026_07_28).await;
}

/// Servers of both eras whose tools ask as they did before 2026-07-28 can be asked nothing in that revision; with an instance
/// for each session they are spoken to as their own client speaks.
const AS_THE_CLIENT_SPEAKS: [Cell; 2] = [("2025-06-18", 27), ("2025-11-25", 33)];

#[tokio::test]
async fn the_public_suite_is_clean_over_instances_of_a_server_of_both_eras_on_rmcp() {
    scores_per_session(on_rmcp(&["--era", "dual"])).await;
}

#[tokio::test]
async fn the_public_suite_is_clean_over_instances_of_a_server_of_both_eras_on_the_typescript_sdk() {
    let Some(real) = Real::with(&["node_modules/@modelcontextprotocol/server"]) else { return };
    scores_per_session(on_typescript(&real, "conformance-2.mjs")).await;
}

#[tokio::test]
async fn the_public_suite_is_clean_over_instances_of_a_server_of_both_eras_on_the_python_sdk() {
    let Some(real) = Real::with(&["modern/bin/python"]) else { return };
    scores_per_session(on_python(&real, "conformance_mcp.py")).await;
}

#[tokio::test]
async fn the_public_suite_is_clean_over_instances_of_a_server_of_both_eras_on_fastmcp() {
    let Some(real) = Real::with(&["modern/bin/python"]) else { return };
    scores_per_session(on_python(&real, "conformance_fastmcp.py")).await;
}

#[tokio::test]
async fn the_public_suite_is_as_clean_over_a_server_of_the_first_era_that_is_reached_over_http() {
    scores_over_http("initialize", "legacy", on_rmcp(&[]), WITH_INITIALIZE).await;
}

#[tokio::test]
async fn the_public_suite_is_as_clean_over_a_server_of_2026_07_28_that_is_reached_over_http() {
    scores_over_http("2026-07-28", "modern", on_rmcp(&["--era", "modern"]), OF_2026_07_28).await;
}

/// Runs the suite against one server that another MCProxy serves over HTTP, in this era.
async fn scores_over_http(suite: &str, era: &str, mut server: Value, cells: impl IntoIterator<Item = Cell>) {
    if Real::with(&["node_modules"]).is_none() {
        return;
    }
    let features = json!(["sampling", "elicitation", "roots"]);
    server["clientFeatures"] = features.clone();
    let upstream = Proxy::start(json!({"servers": [server]})).await;
    let url = upstream.url("/servers/conformance/mcp");
    let remote = json!({"name": "conformance", "url": url, "era": era, "clientFeatures": features});
    score(suite, &Proxy::start(json!({"servers": [remote]})).await, cells).await;
}

/// The extension is none of a revision's scenarios, so each of its own is named.
#[tokio::test]
async fn the_public_suite_is_clean_over_tasks_of_a_server_of_2026_07_28() {
    const SCENARIOS: [&str; 10] = [
        "tasks-capability-negotiation",
        "tasks-dispatch-and-envelope",
        "tasks-lifecycle",
        "tasks-mrtr-composition",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-request-state-removal",
        "tasks-required-task-error",
        "tasks-status-notifications",
        "tasks-wire-fields",
    ];
    if Real::with(&["node_modules"]).is_none() {
        return;
    }
    let proxy = Proxy::start(json!({"servers": [on_rmcp(&["--era", "modern", "--tasks"])]})).await;
    let url = proxy.url("/servers/conformance/mcp");
    if let Some(clean) = clean("2026-07-28", &url, "2026-07-28", &SCENARIOS).await {
        assert_eq!(clean as usize, SCENARIOS.len());
    }
}

fn on_rmcp(flags: &[&str]) -> Value {
    fixture("conformance", &[&["--profile", "conformance"], flags].concat())
}

fn on_typescript(real: &Real, script: &str) -> Value {
    let environment = json!({"MCPROXY_REAL": real.path("")});
    json!({"name": "conformance", "command": "node", "args": [Real::server(script)], "env": environment})
}

fn on_python(real: &Real, script: &str) -> Value {
    // Compiled files would appear beside the sources.
    let environment = json!({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"});
    json!({"name": "conformance", "command": real.path("modern/bin/python"), "args": [Real::server(script)], "env": environment})
}

/// Runs the suite against one server that has an instance for each session.
async fn scores_per_session(mut server: Value) {
    if Real::with(&["node_modules"]).is_none() {
        return;
    }
    server["instances"] = json!("per-session");
    let proxy = Proxy::start(json!({"servers": [server]})).await;
    score("initialize", &proxy, AS_THE_CLIENT_SPEAKS).await;
}

/// Runs the suite against one server, which is told of everything that a client can bring.
async fn scores(era: &str, mut server: Value, cells: impl IntoIterator<Item = Cell>) {
    if Real::with(&["node_modules"]).is_none() {
        return;
    }
    server["clientFeatures"] = json!(["sampling", "elicitation", "roots"]);
    score(era, &Proxy::start(json!({"servers": [server]})).await, cells).await;
}

async fn score(era: &str, proxy: &Proxy, cells: impl IntoIterator<Item = Cell>) {
    let url = proxy.url("/servers/conformance/mcp");
    for (version, least) in cells {
        let Some(clean) = clean(era, &url, version, &[]).await else { return };
        assert!(clean >= least, "{version}: {clean} of at least {least}");
    }
}

/// How many of these scenarios (all, when none is named) are clean; `None`: the suite cannot run here.
async fn clean(era: &str, url: &str, version: &str, scenarios: &[&str]) -> Option<u32> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/run");
    let finished =
        run_within(SUITE, Command::new(&script).args(["--server", era, url, version]).args(scenarios), "").await;
    if finished.code == Some(2) {
        skip(&format!("the suite cannot run here: {}{}", finished.stdout, finished.stderr));
        return None;
    }
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.stdout, finished.stderr);
    let score = finished.stdout.lines().last().expect("the score");
    score.split_whitespace().find_map(|word| word.parse().ok())
}
