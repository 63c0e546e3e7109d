//! HTTP clients of other worlds, as they are by default.

use std::{fs, path::Path};

use serde_json::json;
use tokio::process::Command;

use crate::support::{Proxy, cannot, fixture, run};

const JAVAC: &str = "/usr/bin/javac";
const CURL: &str = "/usr/bin/curl";
/// Enough to see what befell one call in two hundred. Longer runs are made by hand: `java tests/real/Calls.java URL 100000`.
const JAVA_CALLS: &str = "2000";

#[tokio::test]
async fn no_call_of_javas_client_fails() {
    if !Path::new(JAVAC).exists() {
        return cannot("there is no JDK");
    }
    let proxy = Proxy::of(&["a"]).await;
    let mut command = Command::new("java");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/Calls.java"))
        .args([&proxy.url("/mcp"), JAVA_CALLS]);
    let finished = run(&mut command, "").await;
    assert_eq!(finished.stdout.trim(), format!("ok={JAVA_CALLS} failed=0 {{}}"), "{}", finished.stderr);
}

#[tokio::test]
async fn curl_sends_two_mebibytes_and_waits_for_its_answer() {
    if !Path::new(CURL).exists() {
        return cannot("there is no curl");
    }
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "limits": {"headerTimeout": 0.5}})).await;
    let session = proxy.session().await;
    let dir = tempfile::tempdir().expect("a directory");
    let body = dir.path().join("body.json");
    for (tool, arguments) in [
        ("a__slow", json!({"ms": 2500, "tag": "has slept", "pad": "y".repeat(2 << 20)})),
        ("a__echo", json!({"text": "y".repeat(2 << 20)})),
    ] {
        let params = json!({"name": tool, "arguments": arguments});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        fs::write(&body, call.to_string()).expect("the body is written");
        for more in [&[][..], &["-H", "Expect:"], &["-H", "Transfer-Encoding: chunked"], &["--http1.0"]] {
            let mut command = Command::new(CURL);
            command.args(["-sS", "-m", "60", "--noproxy", "*", "-H", "Content-Type: application/json"]);
            command.args(["-H", &format!("Mcp-Session-Id: {}", session.id), "-w", "\n%{http_code}"]).args(more);
            command.arg("--data-binary").arg(format!("@{}", body.display())).arg(proxy.url("/mcp"));
            let finished = run(&mut command, "").await;
            let (answer, status) = finished.stdout.trim().rsplit_once('\n').unwrap_or_default();
            assert_eq!((finished.code, status), (Some(0), "200"), "{tool} {more:?}: {}", finished.stderr);
            assert!(answer.contains("has slept") || answer.len() > 2 << 20, "{tool} {more:?}: {} bytes", answer.len());
        }
    }
}
