//! Pages in a real browser, with the SDK in them.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
};

use crate::support::{Proxy, Real, fixture, within};

const CHROMIUM: &str = "/usr/bin/chromium";
const TOKEN: &str = "the-secret-of-ann-1";
/// For a browser that starts on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

#[tokio::test]
async fn a_page_of_an_allowed_origin_uses_every_transport_and_a_foreign_one_none() {
    let Some(real) = Real::with(&["node_modules/@modelcontextprotocol/client", CHROMIUM]) else { return };
    let mut site = Site::open(&real).await;
    let proxy = Proxy::start(json!({
        "servers": [fixture("a", &[])],
        "allowedOrigins": [format!("http://tools.example:{}", site.port)],
        "auth": {"tokens": [{"name": "ann", "token": TOKEN}]}
    }))
    .await;
    for host in ["tools.example", "localhost"] {
        let report = site.visit(&format!("http://{host}:{}", site.port), &proxy).await;
        for way in ["http", "modern", "sse"] {
            assert_eq!(report[way]["text"], "from a page", "{host} over {way}: {report}");
            let tools = report[way]["tools"].as_array().expect("tools");
            assert!(tools.contains(&json!("a__echo")), "{host} over {way}: {report}");
        }
        assert_eq!(report["health"]["servers"][0]["name"], "a", "{report}");
        assert_eq!(report["refused"], json!({"status": 401, "wants": "Bearer"}), "{report}");
    }
    let report = site.visit(&format!("http://foreign.example:{}", site.port), &proxy).await;
    for way in ["http", "modern", "sse", "health", "refused"] {
        assert!(report[way]["error"].is_string(), "a foreign page over {way}: {report}");
    }
    let sessions = proxy.http.get(proxy.url("/metrics")).bearer_auth(TOKEN).send().await.expect("an answer");
    let sessions = sessions.text().await.expect("a page");
    assert!(!sessions.contains("foreign.example"), "{sessions}");
}

/// A web site with the page and the SDK, which takes the page's report.
struct Site {
    port: u16,
    reports: mpsc::Receiver<Value>,
}

impl Site {
    async fn open(real: &Real) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (to, reports) = mpsc::channel(8);
        let modules = PathBuf::from(real.path("node_modules"));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // A browser may hang up whenever it likes.
                tokio::spawn(serve(socket, modules.clone(), to.clone()));
            }
        });
        Self { port, reports }
    }

    /// What the page says of its use of the proxy when it is opened under this origin.
    async fn visit(&mut self, origin: &str, proxy: &Proxy) -> Value {
        let profile = tempfile::tempdir().expect("a directory");
        let url = format!("{origin}/page.html?gateway={}&token={TOKEN}", proxy.base);
        let mut browser = Command::new(CHROMIUM)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("--host-resolver-rules=MAP *.example 127.0.0.1")
            .arg("--disable-background-networking")
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the browser starts");
        let report = within("the page reports", PATIENCE, self.reports.recv()).await.expect("a report");
        browser.kill().await.expect("the browser ends");
        report
    }
}

/// Answers one request: a file, or thanks for a report.
async fn serve(mut socket: TcpStream, modules: PathBuf, reports: mpsc::Sender<Value>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let head = loop {
        if socket.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).into_owned();
    let length =
        text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    while request.len() < head + length.unwrap_or(0) {
        if socket.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let path = text.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real");
    let file = match path {
        "/report" => {
            let report = serde_json::from_slice(&request[head..]).unwrap_or_else(|error| json!(error.to_string()));
            // Only one is waited for.
            let _ = reports.try_send(report);
            return socket.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        }
        "/page.html" | "/page.mjs" => own.join(&path[1..]),
        _ => modules.join(path.trim_start_matches("/node_modules/")),
    };
    let Ok(content) = tokio::fs::read(&file).await else {
        return socket.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    };
    let kind = if path.ends_with(".html") { "text/html" } else { "text/javascript" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(&content).await
}
