//! A server of MCP over HTTP in the test itself, of one era: its tool `headers` answers with the headers that its call came with, and
//! it counts its connections. What it does with a request before MCP is asked can be said.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::support::{DEADLINE, eventually};

/// The session of a legacy server.
const SESSION: &str = "upstream-session";

/// A request as it was received.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) method: String,
    /// Names in lower case; values of several of one name are joined.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

/// What is done with a request instead of answering it; `None`: it is answered. The text is a whole answer of HTTP.
type Instead = Box<dyn Fn(&Received) -> Option<String> + Send + Sync>;

/// The server. It ends with this.
pub(super) struct Upstream {
    pub(super) port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    is_modern: bool,
    instead: Instead,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
}

impl Upstream {
    /// A server of this era, `legacy` or `modern`.
    pub(super) async fn start(era: &str) -> Self {
        Self::with(era, |_| None).await
    }

    /// One that does something else with some requests.
    pub(super) async fn with(era: &str, instead: impl Fn(&Received) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::at(0, era, instead).await
    }

    /// The same, at this port.
    pub(super) async fn at(
        port: u16,
        era: &str,
        instead: impl Fn(&Received) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        // One that had it before may not be gone yet.
        let listener =
            eventually("the port is free", DEADLINE, async || TcpListener::bind(("127.0.0.1", port)).await.ok()).await;
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            is_modern: era == "modern",
            instead: Box::new(instead),
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let of_task = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            // All connections end with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                of_task.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, Arc::clone(&of_task)));
            }
        });
        Self { port, shared, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// The requests with this method of MCP so far.
    pub(super) fn received(&self, method: &str) -> Vec<Received> {
        let received = self.shared.received.lock().expect("no panic");
        received.iter().filter(|request| request.body["method"] == method).cloned().collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut read = Vec::new();
    while let Some(request) = next_request(&mut stream, &mut read).await {
        shared.received.lock().expect("no panic").push(request.clone());
        let answer = (shared.instead)(&request).unwrap_or_else(|| shared.answer(&request));
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn next_request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Received> {
    loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let mut lines = head.lines();
            let mut words = lines.next()?.split(' ').map(str::to_owned);
            let method = words.next()?;
            let mut headers = BTreeMap::<String, String>::new();
            for (name, value) in lines.filter_map(|line| line.split_once(':')) {
                let all = headers.entry(name.to_ascii_lowercase()).or_default();
                let comma = if all.is_empty() { "" } else { ", " };
                *all = format!("{all}{comma}{}", value.trim());
            }
            let length: usize =
                headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
            let whole = end + 4 + length;
            if read.len() >= whole {
                let body = serde_json::from_slice(&read[end + 4..whole]).unwrap_or_default();
                read.drain(..whole);
                return Some(Received { method, headers, body });
            }
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

/// A whole answer of HTTP.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

impl Shared {
    fn answer(&self, request: &Received) -> String {
        let Received { method, body, .. } = request;
        let result = match (method.as_str(), body["method"].as_str().unwrap_or_default()) {
            ("DELETE", _) => return answer("204 No Content", "", ""),
            ("POST", _) if body.get("id").is_none() => return answer("202 Accepted", "", ""),
            ("POST", "server/discover") if self.is_modern => json!({
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}},
                "ttlMs": 0,
                "cacheScope": "public",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "upstream", "version": "1"}},
            }),
            ("POST", "initialize") if !self.is_modern => json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "upstream", "version": "1"},
            }),
            ("POST", "ping") if !self.is_modern => json!({}),
            ("POST", "tools/list") => json!({
                "resultType": "complete",
                "tools": [{"name": "headers", "inputSchema": {"type": "object"}}],
                "ttlMs": 0,
                "cacheScope": "public",
            }),
            ("POST", "tools/call") => json!({
                "resultType": "complete",
                "content": [{"type": "text", "text": json!(request.headers).to_string()}],
            }),
            ("POST", _) => {
                let error = json!({"code": -32601, "message": "unknown method"});
                let body = json!({"jsonrpc": "2.0", "id": body["id"], "error": error});
                return answer("200 OK", "Content-Type: application/json\r\n", &body.to_string());
            }
            _ => return answer("405 Method Not Allowed", "Allow: POST, DELETE\r\n", ""),
        };
        let session = match body["method"].as_str() {
            Some("initialize") => format!("Mcp-Session-Id: {SESSION}\r\n"),
            _ => String::new(),
        };
        let headers = format!("Content-Type: application/json\r\n{session}");
        answer("200 OK", &headers, &json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string())
    }
}
