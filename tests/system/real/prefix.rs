//! MCProxy under a path of a reverse proxy, configured as `docs/reverse-proxy.md` says.

use std::{fs, path::Path, process::Stdio, time::Duration};

use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{DEADLINE, Driver, Proxy, Real, cannot, eventually, fixture, free_port, names, text};

const NGINX: &str = "/usr/sbin/nginx";
const CADDY: &str = "/usr/bin/caddy";

#[tokio::test]
async fn both_transports_work_under_a_prefix_of_nginx() {
    let Some(real) = real(NGINX) else { return };
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port());
    let location = documented("nginx", &proxy);
    // What nginx has from Debian's main file, with everything in one directory.
    let temporary: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {kind};\n")).concat();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
         server {{\nlisten 127.0.0.1:{port};\n{location}\n}}\n}}\n"
    );
    let file = dir.path().join("nginx.conf");
    fs::write(&file, configuration).expect("the configuration is written");
    let mut command = Command::new(NGINX);
    command.arg("-p").arg(dir.path()).arg("-c").arg(file).args(["-e", "stderr"]);
    let _reverse = start(&mut command, dir, port, &proxy).await;
    works_under_prefix(&real, port).await;
}

#[tokio::test]
async fn both_transports_work_under_a_prefix_of_caddy() {
    let Some(real) = real(CADDY) else { return };
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port());
    let site = documented("caddyfile", &proxy).replace("example.com", &format!("http://127.0.0.1:{port}"));
    let file = dir.path().join("Caddyfile");
    fs::write(&file, format!("{{\nadmin off\n}}\n{site}")).expect("the configuration is written");
    let mut command = Command::new(CADDY);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command.env("XDG_DATA_HOME", dir.path()).env("XDG_CONFIG_HOME", dir.path()).env("HOME", dir.path());
    let _reverse = start(&mut command, dir, port, &proxy).await;
    works_under_prefix(&real, port).await;
}

fn real(program: &str) -> Option<Real> {
    if !Path::new(program).exists() {
        cannot(&format!("{program} is missing; tests/real/install installs it where it can"));
        return None;
    }
    Real::with(&["node_modules/@modelcontextprotocol/sdk", "venv/bin/python", "modern/bin/python"])
}

/// The block of that language in the documentation, for this proxy.
fn documented(language: &str, proxy: &Proxy) -> String {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reverse-proxy.md")).expect("the page");
    let (_, rest) = page.split_once(&format!("```{language}\n")).expect("a block");
    let (block, _) = rest.split_once("```").expect("its end");
    block.replace("127.0.0.1:12009", proxy.base.strip_prefix("http://").expect("a URL"))
}

/// A reverse proxy with the directory it lives in.
struct Reverse {
    _child: Child,
    _dir: TempDir,
}

async fn start(command: &mut Command, dir: TempDir, port: u16, proxy: &Proxy) -> Reverse {
    let log = fs::File::create(dir.path().join("log")).expect("a log");
    command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    let child = command.spawn().expect("it starts");
    let log = dir.path().join("log");
    eventually(&format!("it passes requests on; see {}", log.display()), DEADLINE, async || {
        let answer = proxy.http.get(format!("http://127.0.0.1:{port}/gateway/healthz")).send().await;
        let log = || fs::read_to_string(&log).unwrap_or_default();
        match answer {
            Ok(answer) => {
                assert_eq!(answer.status(), 200, "{}", log());
                Some(())
            }
            Err(_) => None,
        }
    })
    .await;
    Reverse { _child: child, _dir: dir }
}

async fn works_under_prefix(real: &Real, port: u16) {
    let call = json!({"op": "call", "name": "a__progress", "args": {"steps": 3, "interval_ms": 100}, "progress": true});
    let script = json!([
        {"op": "listTools"},
        {"op": "call", "name": "a__echo", "args": {"text": "through"}},
        call,
        {"op": "call", "name": "a__slow", "args": {"ms": 2000, "tag": "in time"}}
    ]);
    for (driver, transport, path) in [
        (Driver::TypeScript, "http", "mcp"),
        (Driver::TypeScript, "sse", "sse"),
        (Driver::TypeScript, "sse", "servers/a/sse"),
        (Driver::TypeScript, "modern", "mcp/"),
        (Driver::Python, "http", "mcp"),
        (Driver::Python, "sse", "sse"),
        (Driver::Python, "sse", "sse/"),
    ] {
        let url = format!("http://127.0.0.1:{port}/gateway/{path}");
        let mut script = script.clone();
        if path.starts_with("servers/") {
            script = serde_json::from_str(&script.to_string().replace("a__", "")).expect("JSON");
        }
        let lines = real.drive(driver, transport, &url, &script).await;
        let how = format!("{driver:?} over {transport} at {path}");
        assert!(names(&lines[0]["ok"]["tools"]).iter().any(|name| name.ends_with("echo")), "{how}: {}", lines[0]);
        assert_eq!(text(&lines[1]["ok"]), "through", "{how}");
        // The SDK may drop the one that comes right before the answer.
        let reports = lines[2]["progress"].as_array().expect("reports");
        assert!(reports.len() >= 2, "{how}: something is held back: {}", lines[2]);
        assert!(text(&lines[3]["ok"]).contains("in time"), "{how}: {}", lines[3]);
    }
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client");
    let redirected = client.get(format!("http://127.0.0.1:{port}/gateway//healthz")).send().await.expect("an answer");
    assert_eq!(redirected.status(), 200, "doubled slashes");
}
