//! Servers that are reached through a proxy.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{at, nginx::Nginx, upstream::Upstream};
use crate::support::{DEADLINE, Proxy, cannot, eventually, fixture, free_port};

const PROGRAM: &str = "/usr/bin/tinyproxy";

/// tinyproxy with a directory of its own. It ends with this.
struct Tinyproxy {
    _child: Child,
    dir: TempDir,
    port: u16,
}

impl Tinyproxy {
    /// `more`: further lines of its configuration. `None`: there is none here, which is said.
    async fn start(more: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            cannot(&format!("{PROGRAM} is missing; tests/real/install installs it where it can"));
            return None;
        }
        let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port());
        let log = dir.path().join("log").display().to_string();
        let lines = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 600\nLogFile \"{log}\"\nLogLevel Connect\nMaxClients 100\n{more}\n"
        );
        let file = dir.path().join("tinyproxy.conf");
        fs::write(&file, lines).expect("the configuration is written");
        let mut command = Command::new(PROGRAM);
        command.arg("-d").arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.kill_on_drop(true).spawn().expect("it starts");
        eventually("tinyproxy listens", DEADLINE, async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Some(Self { _child: child, dir, port })
    }

    fn url(&self, user: &str) -> String {
        let at = if user.is_empty() { "" } else { "@" };
        format!("http://{user}{at}127.0.0.1:{}", self.port)
    }

    /// How many of its requests are like this.
    fn count(&self, part: &str) -> usize {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default().matches(part).count()
    }
}

async fn says(proxy: &Proxy, name: &str, said: &str) {
    let is_said =
        |server: &crate::support::ServerView| server.last_error.as_ref().is_some_and(|error| error.contains(said));
    proxy.server_until(&format!("`{name}` says {said}"), name, is_said).await;
}

#[tokio::test]
async fn a_proxy_carries_http_and_by_connect_https() {
    let upstream = Proxy::of(&["a"]).await;
    let plain = upstream.url("/servers/a/mcp");
    let behind = upstream.base.strip_prefix("http://").expect("a URL");
    let (Some(open), Some(closed), Some(nginx)) = (
        Tinyproxy::start("").await,
        Tinyproxy::start("BasicAuth someone s3cret-s3cret").await,
        Nginx::start(behind, "proxy_set_header Host $host;", true).await,
    ) else {
        return;
    };
    let secure = format!("https://localhost:{}/servers/a/mcp", nginx.port);
    let ca = json!({"ca": nginx.authority()});
    let by = |proxy: String| json!({"proxy": proxy, "tls": ca});
    let servers = json!([
        at("http", &plain, by(open.url(""))),
        at("https", &secure, by(open.url(""))),
        at("http-auth", &plain, by(closed.url("someone:s3cret-s3cret"))),
        at("https-auth", &secure, by(closed.url("someone:s3cret-s3cret"))),
        at("http-none", &plain, by(closed.url(""))),
        at("https-none", &secure, by(closed.url(""))),
        at("https-wrong", &secure, by(closed.url("someone:wrong-s3cret"))),
        at("gone", &plain, json!({"proxy": "http://someone:s3cret-s3cret@127.0.0.1:1"})),
    ]);
    let proxy = Proxy::launch(json!({"hardening": "best-effort", "servers": servers})).await;
    let session = proxy.session().await;
    for name in ["http", "https", "http-auth", "https-auth"] {
        proxy.server_until("it is ready", name, |server| server.is_ready()).await;
        assert_eq!(session.say(&format!("{name}__echo"), json!({"text": name})).await, name);
    }
    let password = "the proxy wants a password; write it into `proxy`";
    says(&proxy, "http-none", password).await;
    says(&proxy, "https-none", password).await;
    says(&proxy, "https-wrong", "does it take these credentials").await;
    says(&proxy, "gone", "through the proxy http://127.0.0.1:1: connection refused").await;
    assert!(open.count("CONNECT localhost") >= 1 && open.count("POST http://127.0.0.1") >= 1, "both go through it");
    assert!(closed.count("CONNECT localhost") >= 1, "{}", closed.port);
    let log = proxy.log();
    assert!(!log.contains("s3cret"), "{log}");
}

#[tokio::test]
async fn the_environments_proxy_is_asked_unless_it_says_not_to() {
    let Some(tiny) = Tinyproxy::start("").await else { return };
    let (through, direct, named) =
        (Upstream::start("legacy").await, Upstream::start("modern").await, Upstream::start("legacy").await);
    let servers: Vec<Value> = vec![
        at("through", &through.url(), json!({})),
        at("direct", &direct.url(), json!({"proxy": "none"})),
        at("named", &named.url().replace("127.0.0.1", "localhost"), json!({})),
        fixture("command", &[]),
    ];
    let config = json!({"hardening": "best-effort", "servers": servers});
    let proxy = Proxy::launch_with(config, |command| {
        command.env("HTTP_PROXY", tiny.url("")).env("http_proxy", tiny.url("")).env("NO_PROXY", "localhost");
        command.env("no_proxy", "localhost").env_remove("ALL_PROXY").env_remove("all_proxy");
    })
    .await;
    proxy.until_ready().await;
    let session = proxy.session().await;
    // It notes the first request of each connection.
    for (name, upstream, is_through) in [("direct", direct, false), ("named", named, false), ("through", through, true)]
    {
        session.call(&format!("{name}__headers"), json!({})).await;
        assert_eq!(tiny.count(&format!(":{}/mcp", upstream.port)) > 0, is_through, "{name}");
    }
}
