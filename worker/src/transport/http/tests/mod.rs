//! The transport against servers whose answers are written out by hand, byte by byte.

mod answers;
mod sessions;
mod streams;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mcproxy_ipc::{HttpDialect, HttpProxy, HttpSpec, HttpTls, Reach, Secret};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::*;
use crate::{
    session::tests as session,
    stop::StopStep,
    transport::{Interest, SentRest, Transport, TransportEvent},
};

const DEADLINE: Duration = Duration::from_secs(20);
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t"}}"#;
const GREETING: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}"#;

/// How a server at this URL is reached.
pub(crate) fn spec(url: &str, headers: &[(&str, &str)]) -> HttpSpec {
    HttpSpec {
        url: Secret::new(url),
        dialect: HttpDialect::Auto,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect(),
        forward_headers: Vec::new(),
        tls: HttpTls::default(),
        proxy: HttpProxy::Direct,
        connect_timeout: Duration::from_secs(10),
        deny_private: false,
        looked_up: Vec::new(),
        oauth: None,
    }
}

/// A request as the server reads it.
struct Request {
    method: String,
    path: String,
    headers: HashMap<String, String>,
    body: String,
}

/// What the server does.
enum Reply {
    /// These bytes.
    Bytes(String),
    /// These bytes, and the end of the connection.
    Last(String),
    /// Nothing, and the connection stays.
    Silence,
}

/// What a server answers, whatever it is asked.
type Answering = Box<dyn Fn() -> Reply + Send + Sync>;

fn json(body: &str) -> Reply {
    of_type("application/json", body)
}

fn of_type(kind: &str, body: &str) -> Reply {
    status("200 OK", &format!("Content-Type: {kind}\r\n"), body)
}

fn status(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Bytes(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// An event stream that ends with the connection.
fn events(body: &str) -> Reply {
    Reply::Last(format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{body}"))
}

/// A server that answers by this, and counts its connections.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    _task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("an address").port();
        let (script, connections) = (Arc::new(script), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                tokio::spawn(async move { serve(stream, &*script).await });
            }
        });
        Self { port, connections, _task: task }
    }
}

async fn serve(mut stream: TcpStream, script: &(impl Fn(&Request) -> Reply + ?Sized)) {
    let mut read = Vec::new();
    while let Some(request) = next_request(&mut stream, &mut read).await {
        match script(&request) {
            Reply::Bytes(bytes) => {
                if stream.write_all(bytes.as_bytes()).await.is_err() {
                    return;
                }
            }
            Reply::Last(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                return;
            }
            Reply::Silence => {}
        }
    }
}

async fn next_request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Request> {
    loop {
        let text = String::from_utf8_lossy(read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let mut words = lines.next()?.split(' ').map(str::to_owned);
            let (method, path) = (words.next()?, words.next()?);
            let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()));
            let headers: HashMap<String, String> = lines.filter_map(header).collect();
            let length: usize = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or_default();
            if body.len() >= length {
                let body = body[..length].to_owned();
                read.drain(..head.len() + 4 + length);
                return Some(Request { method, path, headers, body });
            }
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

/// A transport to such a server, and all that it says.
struct Run {
    transport: Http,
    said: Vec<String>,
}

impl Run {
    fn new(http: &HttpSpec) -> Self {
        let spec = WorkerSpec { reach: Reach::Http(Box::new(http.clone())), ..session::spec() };
        let log = Logger::root(slog::Discard, slog::o!());
        Self { transport: Http::start(&spec, http, None, log).expect("started"), said: Vec::new() }
    }

    fn send(&mut self, line: &str) {
        let mut messages = format!("{line}\n").into_bytes();
        let sent = self.transport.send(&mut messages);
        assert_eq!((sent.rest, messages.len()), (SentRest::None, 0));
    }

    /// Waits for so many messages, or the end.
    async fn hear(&mut self, count: usize) -> Vec<String> {
        let all = Interest { messages: true, room: false, diagnostics: true, end: true };
        let wait = async {
            while self.said.len() < count {
                while let Some(line) = self.transport.next_message() {
                    self.said.push(match line {
                        ServerLine::Text(text) => String::from_utf8_lossy(&text).into_owned(),
                        ServerLine::TooLong { len, .. } => format!("too long: {len}"),
                    });
                }
                if self.said.len() < count && self.transport.event(all).await == TransportEvent::Ended {
                    self.said.push(format!("end: {}", self.transport.end()));
                    return;
                }
            }
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("nothing more after {:?}", self.said));
        std::mem::take(&mut self.said)
    }
}

/// What one message comes to at a server that answers like this; its port is PORT.
async fn outcome(message: &str, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> String {
    let server = Server::start(script).await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    run.send(message);
    run.hear(1).await.remove(0).replace(&server.port.to_string(), "PORT")
}
