//! The public conformance suite against a server of the initialize era behind the gateway.

use std::path::Path;

use serde_json::json;
use tokio::process::Command;

use crate::support::{Proxy, Real, fixture, run, skip};

/// Spec versions, and how many of their scenarios must be clean.
const LEAST: [(&str, u32); 3] = [("2025-11-25", 33), ("2025-06-18", 27), ("2026-07-28", 39)];

#[tokio::test]
async fn the_public_suite_fails_in_no_scenario_that_is_not_listed() {
    if Real::with(&["node_modules"]).is_none() {
        return;
    }
    let mut entry = fixture("conformance", &["--profile", "conformance"]);
    entry["clientFeatures"] = json!(["sampling", "elicitation", "roots"]);
    let proxy = Proxy::start(json!({"servers": [entry]})).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/run");
    let url = proxy.url("/servers/conformance/mcp");
    for (version, least) in LEAST {
        let finished = run(Command::new(&script).args([url.as_str(), version]), "").await;
        if finished.code == Some(2) {
            skip(&format!("the suite cannot run here: {}{}", finished.stdout, finished.stderr));
            return;
        }
        assert_eq!(finished.code, Some(0), "{}\n{}", finished.stdout, finished.stderr);
        let score = finished.stdout.lines().last().expect("the score");
        let clean = score.split_whitespace().find_map(|word| word.parse::<u32>().ok()).expect("a number");
        assert!(clean >= least, "{score}");
    }
}
