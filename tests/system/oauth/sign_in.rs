//! The OAuth client of the official SDK signs in at `oidc-provider` from nothing but a URL of MCProxy's.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::support::{Finished, Proxy, Real, eventually, fixture, free_port, run_within};

/// Node starts slowly on a busy machine.
const START: Duration = Duration::from_secs(60);

/// An authorization server that gives tokens for a proxy, and the proxy that takes them.
struct SignIn {
    _authority: Child,
    proxy: Proxy,
    real: Real,
}

impl SignIn {
    /// `alg`: how tokens are signed. `None`: what it needs is not installed.
    async fn start(alg: &str) -> Option<Self> {
        let real = Real::with(&["node_modules/oidc-provider", "node_modules/@modelcontextprotocol/client"])?;
        let (port, at) = (free_port(), free_port());
        let public_url = format!("http://127.0.0.1:{at}");
        let mut command = Command::new("node");
        command.arg(Real::server("authority.mjs")).args([port.to_string(), public_url.clone()]);
        command.arg(json!({"alg": alg}).to_string());
        let authority = command.kill_on_drop(true).stdout(Stdio::null()).spawn().expect("it starts");
        eventually("it listens", START, async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        let proxy = Proxy::launch_where_configured(json!({
            "listen": at,
            "publicUrl": public_url,
            "servers": [fixture("a", &[]), fixture("b", &[])],
            "auth": {"oauth": {
                "issuers": [{"issuer": format!("http://127.0.0.1:{port}")}],
                "scopes": {"mcp:read": {"servers": ["a"]}, "mcp:write": {"servers": ["b"]}},
                "initialScopes": ["mcp:read"],
            }},
        }))
        .await;
        proxy.until_ready().await;
        Some(Self { _authority: authority, proxy, real })
    }

    /// What a client comes to that signs in by itself and calls these tools.
    async fn client(&self, kind: &str, path: &str, known: Option<&str>, script: Value) -> Vec<Value> {
        let script_at = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/sign-in.mjs");
        let mut command = Command::new("node");
        command.arg(script_at).args([kind, &self.proxy.url(path)]).args(known).env("MCPROXY_REAL", self.real.path(""));
        let Finished { code, stdout, stderr } = run_within(START, &mut command, &script.to_string()).await;
        assert_eq!(code, Some(0), "{kind} at {path}: {stdout}{stderr}\n{}", self.proxy.log());
        stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn echo(name: &str) -> Value {
    json!({"name": name, "args": {"text": "hi"}})
}

fn said(line: &Value) -> &str {
    line["ok"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {line}"))
}

/// Signs in from nothing, and calls. Then as a client that is known: calls, needs more for another call, gets it, and calls again.
async fn signs_in(kind: &str, alg: &str) {
    let Some(sign_in) = SignIn::start(alg).await else { return };
    let lines = sign_in.client(kind, "/mcp", None, json!([echo("a__echo")])).await;
    assert_eq!(said(&lines[0]), "hi", "{lines:?}");
    assert_eq!(lines[1]["registered"], 1, "{lines:?}");
    assert!(lines[1]["granted"][0].as_str().is_some_and(|scopes| scopes.contains("mcp:read")), "{lines:?}");
    let script = json!([echo("a__echo"), echo("b__echo"), echo("a__echo"), {"name": "b__nothing"}]);
    let lines = sign_in.client(kind, "/mcp", Some("known"), script).await;
    assert_eq!([said(&lines[0]), said(&lines[1]), said(&lines[2])], ["hi"; 3], "{lines:?}");
    assert!(lines[3].to_string().contains("Unknown tool"), "{lines:?}");
    assert_eq!(lines[4], json!({"granted": ["mcp:read", "mcp:read mcp:write"], "registered": 0}), "{lines:?}");
    // At an endpoint of its own, for which it gets a token of its own.
    let lines = sign_in.client(kind, "/servers/a/mcp", None, json!([echo("echo")])).await;
    assert_eq!(said(&lines[0]), "hi", "{lines:?}");
    let log = sign_in.proxy.log();
    assert!(log.contains("oauth:alice") && !log.contains("eyJ"), "{log}");
}

#[tokio::test]
async fn a_client_of_sessions_signs_in_from_nothing_and_for_more() {
    signs_in("http", "RS256").await;
}

#[tokio::test]
async fn a_client_of_2026_07_28_signs_in_from_nothing_and_for_more() {
    signs_in("modern", "EdDSA").await;
}
