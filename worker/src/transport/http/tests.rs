//! The transport against servers whose answers are written out by hand, byte by byte.

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

#[tokio::test]
async fn whatever_a_server_answers_its_caller_hears_what_to_do() {
    let large = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"a":"{}"}}}}"#, "x".repeat(2 << 20));
    let event = format!("data: {large}\n\n");
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"jsonrpc\"";
    let table: Vec<(&str, Answering, &str)> = vec![
        ("a page", Box::new(|| of_type("text/html", "<html>hello</html>")), "answers with text/html instead of JSON"),
        ("nothing", Box::new(|| json("")), "with an empty body"),
        ("202", Box::new(|| status("202 Accepted", "", "")), "answers HTTP 202 Accepted with an empty body"),
        ("no JSON-RPC", Box::new(|| json(r#"{"detail":"hm"}"#)), "JSON that is no JSON-RPC response"),
        ("no JSON", Box::new(|| json("{\"a\":")), "JSON that is no JSON-RPC response"),
        (
            "a JSON-RPC error",
            Box::new(|| {
                status(
                    "400 Bad Request",
                    "",
                    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"no such tool"}}"#,
                )
            }),
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no such tool"}}"#,
        ),
        (
            "500",
            Box::new(|| status("500 Oops", "Content-Type: text/plain\r\n", "it broke\nat line 3")),
            "answers HTTP 500 Internal Server Error: it broke\"",
        ),
        ("502", Box::new(|| status("502 Bad Gateway", "", "")), "the server behind it does not answer"),
        ("429", Box::new(|| status("429 Too Many", "Retry-After: 2\r\n", "")), "asks to wait 2 s"),
        ("413", Box::new(|| status("413 Too Large", "", "")), "the call is longer than the server takes"),
        ("a cut body", Box::new(move || Reply::Last(cut.to_owned())), "was lost before the answer"),
        ("a cut stream", Box::new(|| events("data: {\"jsonr")), "its stream ended"),
        (
            "another origin",
            Box::new(|| status("307 Temporary", "Location: http://example.com/\r\n", "")),
            "redirects to http://example.com/",
        ),
        (
            "a redirect of the method",
            Box::new(|| status("302 Found", "Location: /other\r\n", "")),
            "redirects to /other",
        ),
        ("endless redirects", Box::new(|| status("307 Temporary", "Location: /mcp\r\n", "")), "redirects to /mcp"),
        (
            "a large body",
            {
                let large = large.clone();
                Box::new(move || json(&large))
            },
            "over the limit (limits.maxLine",
        ),
        ("a large event", Box::new(move || events(&event)), "too long: 2097"),
        ("no HTTP", Box::new(|| Reply::Last("SSH-2.0-x\r\n".to_owned())), "was lost before the answer"),
        ("nothing at all", Box::new(|| Reply::Last(String::new())), "was lost before the answer"),
    ];
    for (name, reply, expected) in table {
        let said = outcome(CALL, move |_| reply()).await;
        assert!(said.contains(expected) && !said.starts_with("end:"), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_start_that_cannot_succeed_ends_with_what_to_do() {
    for (name, reply, expected) in [
        ("401", status("401 Unauthorized", "", ""), "needs login: http://127.0.0.1:PORT/mcp wants credentials"),
        ("403", status("403 Forbidden", "", ""), "needs login"),
        (
            "404 and no stream",
            status("404 Not Found", "", ""),
            "there is no MCP server at this path; check `url` (it takes no Streamable HTTP either)",
        ),
        ("a page", of_type("text/html", "<html>"), "is it the address of an MCP server?"),
        ("nothing", json(""), "with an empty body"),
        ("503", status("503 Unavailable", "Retry-After: 100\r\n", ""), "asks to wait 100 s"),
        ("500", status("500 Oops", "", ""), "answers HTTP 500"),
    ] {
        let Reply::Bytes(bytes) = reply else { panic!("bytes") };
        let said = outcome(INITIALIZE, move |_| Reply::Bytes(bytes.clone())).await;
        assert!(said.starts_with("end: ") && said.contains(expected), "{name}: {said}");
    }
    let mut run = Run::new(&spec("http://127.0.0.1:1/mcp", &[]));
    run.send(INITIALIZE);
    let said = run.hear(1).await.remove(0);
    assert_eq!(said, "end: cannot reach http://127.0.0.1:1/mcp: connection refused; is the server running?");
    let mut run = Run::new(&spec("http://no-such-host.invalid/mcp", &[]));
    run.send(INITIALIZE);
    let said = run.hear(1).await.remove(0);
    assert!(said.contains("the name `no-such-host.invalid` has no address") && said.contains("check `url`"), "{said}");
}

#[tokio::test]
async fn addresses_that_hand_out_credentials_are_not_connected_to() {
    let start = |url: &str, deny_private| {
        let http = HttpSpec { deny_private, ..spec(url, &[]) };
        let spec = WorkerSpec { reach: Reach::Http(Box::new(http.clone())), ..session::spec() };
        let log = Logger::root(slog::Discard, slog::o!());
        Http::start(&spec, &http, None, log).err().map(|reason| reason.to_string()).unwrap_or_default()
    };
    assert!(start("http://169.254.169.254/latest", false).contains("hand out credentials"));
    assert!(start("http://[fe80::1]/", false).contains("hand out credentials"));
    assert!(start("http://127.0.0.1/", true).contains("private address"));
    assert_eq!(start("http://127.0.0.1/", false), "");
    let mut run = Run::new(&HttpSpec { deny_private: true, ..spec("http://localhost:1/", &[]) });
    run.send(INITIALIZE);
    assert!(run.hear(1).await.remove(0).contains("private address"), "names are looked up and looked at");
}

#[tokio::test]
async fn a_session_is_opened_kept_listened_to_and_ended() {
    let (requests, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |request| {
        let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
        let id = header("mcp-session-id");
        let _ = requests.send(format!("{} {id} {}", request.method, header("mcp-protocol-version")));
        match (request.method.as_str(), request.body.as_str()) {
            ("POST", INITIALIZE) => {
                status("200 OK", "Content-Type: application/json\r\nMcp-Session-Id: one\r\n", GREETING)
            }
            ("POST", INITIALIZED) => status("202 Accepted", "", ""),
            // A server that changes its mind keeps the session that it opened.
            ("POST", _) => status(
                "200 OK",
                "Content-Type: application/json\r\nMcp-Session-Id: two\r\n",
                "{\"jsonrpc\":\"2.0\",\r\n \"id\":7,\"result\":{}}",
            ),
            ("GET", _) => Reply::Bytes(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"m\"}\n\n"
                    .to_owned(),
            ),
            _ => status("200 OK", "", ""),
        }
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    run.send(INITIALIZE);
    assert_eq!(run.hear(1).await, [GREETING]);
    run.send(INITIALIZED);
    let mut said = Vec::new();
    said.extend(run.hear(1).await);
    assert_eq!(said, [r#"{"jsonrpc":"2.0","method":"m"}"#], "what the server says unasked");
    for _ in 0..20 {
        run.send(CALL);
        assert_eq!(run.hear(1).await, [r#"{"jsonrpc":"2.0",   "id":7,"result":{}}"#], "in one line");
    }
    run.transport.stop(StopStep::CloseStdin);
    assert_eq!(run.hear(1).await, ["end: stopped"]);
    let mut seen: Vec<String> = std::iter::from_fn(|| seen.try_recv().ok()).collect();
    assert_eq!(seen.remove(0), "POST  ");
    assert_eq!(seen.pop().as_deref(), Some("DELETE one 2025-11-25"));
    assert!(seen.iter().all(|request| request.ends_with(" one 2025-11-25")), "{seen:?}");
    let connections = server.connections.load(Ordering::SeqCst);
    assert!(connections <= 4, "no connection for each call: {connections}");
}

#[tokio::test]
async fn a_lost_session_ends_the_run_and_no_call_is_sent_twice() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let server = Server::start(move |request| match request.body.as_str() {
        INITIALIZE => status("200 OK", "Content-Type: application/json\r\nMcp-Session-Id: one\r\n", GREETING),
        CALL => {
            count.fetch_add(1, Ordering::SeqCst);
            status("404 Not Found", "", "Session not found")
        }
        _ => status("405 Method Not Allowed", "", ""),
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    run.send(INITIALIZE);
    assert_eq!(run.hear(1).await, [GREETING]);
    run.send(CALL);
    assert_eq!(run.hear(1).await, ["end: the server does not know its session with MCProxy any more"]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stream_that_was_cut_is_taken_up_again_where_it_ended() {
    let server = Server::start(|request| match (request.method.as_str(), request.body.as_str()) {
        ("POST", INITIALIZE) => json(GREETING),
        ("POST", _) => events("id: e1\nretry: 100\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n\ndata: {\"json"),
        ("GET", _) if request.headers.get("last-event-id").is_some_and(|id| id == "e1") => {
            events("id: e2\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n")
        }
        _ => status("405 Method Not Allowed", "", ""),
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    run.send(INITIALIZE);
    run.hear(1).await;
    run.send(CALL);
    let expected = [r#"{"jsonrpc":"2.0","method":"a"}"#, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#];
    assert_eq!(run.hear(2).await, expected);
}

#[tokio::test]
async fn a_server_of_http_and_sse_is_found_and_spoken_to() {
    // Its answers come on the stream, for which the handlers of POST have to find it.
    let (answers, stream) = tokio::sync::mpsc::unbounded_channel::<String>();
    let stream = Arc::new(std::sync::Mutex::new(Some(stream)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (answers, stream) = (answers.clone(), Arc::clone(&stream));
            tokio::spawn(async move {
                let mut read = Vec::new();
                while let Some(request) = next_request(&mut socket, &mut read).await {
                    if request.method == "GET" {
                        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: endpoint\ndata: /messages?session=1\n\n";
                        socket.write_all(head.as_bytes()).await.expect("written");
                        let mut answers = stream.lock().expect("no panic").take().expect("one stream");
                        while let Some(answer) = answers.recv().await {
                            socket.write_all(format!("data: {answer}\n\n").as_bytes()).await.expect("written");
                        }
                        return;
                    }
                    let reply = match request.body.as_str() {
                        _ if request.path == "/sse" => "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n",
                        INITIALIZE => {
                            answers.send(GREETING.to_owned()).expect("sent");
                            "HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted"
                        }
                        CALL => {
                            answers.send(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.to_owned()).expect("sent");
                            "HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted"
                        }
                        _ => "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
                    };
                    socket.write_all(reply.as_bytes()).await.expect("written");
                }
            });
        }
    });
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{port}/sse"), &[]));
    run.send(INITIALIZE);
    assert_eq!(run.hear(1).await, [GREETING]);
    run.send(INITIALIZED);
    run.send(CALL);
    assert_eq!(run.hear(1).await, [r#"{"jsonrpc":"2.0","id":7,"result":{}}"#]);
}

#[tokio::test]
async fn an_endpoint_of_another_origin_gets_nothing() {
    let server = Server::start(|request| match request.method.as_str() {
        "GET" => events("event: endpoint\ndata: http://example.com/steal\n\n"),
        _ => status("405 Method Not Allowed", "", ""),
    })
    .await;
    let http = HttpSpec { dialect: HttpDialect::Sse, ..spec(&format!("http://127.0.0.1:{}/sse", server.port), &[]) };
    let mut run = Run::new(&http);
    let said = run.hear(1).await.remove(0);
    assert!(said.contains("named an endpoint of another origin, http://example.com"), "{said}");
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_in_the_way_of_its_revision() {
    let (requests, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |request| {
        let _ = requests.send(request.body.clone());
        match request.body.as_str() {
            INITIALIZE => json(GREETING),
            CALL => Reply::Silence,
            _ => status("202 Accepted", "", ""),
        }
    })
    .await;
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    let url = format!("http://127.0.0.1:{}/mcp", server.port);
    let mut modern = Run::new(&spec(&url, &[]));
    modern.send(CALL);
    let all = Interest { messages: true, room: false, diagnostics: true, end: true };
    let drive = async |run: &mut Run, seen: &mut tokio::sync::mpsc::UnboundedReceiver<String>| {
        let next = timeout(DEADLINE, async {
            tokio::select! {
                next = seen.recv() => next,
                _ = run.transport.event(all) => None,
            }
        });
        next.await.expect("in time")
    };
    assert_eq!(drive(&mut modern, &mut seen).await.as_deref(), Some(CALL));
    modern.send(cancel);
    assert_eq!(modern.transport.flights.requests(), 0, "its connection is closed");
    let mut legacy = Run::new(&spec(&url, &[]));
    legacy.send(INITIALIZE);
    legacy.hear(1).await;
    assert_eq!(seen.recv().await.as_deref(), Some(INITIALIZE));
    legacy.send(CALL);
    assert_eq!(drive(&mut legacy, &mut seen).await.as_deref(), Some(CALL));
    legacy.send(cancel);
    assert_eq!(drive(&mut legacy, &mut seen).await.as_deref(), Some(cancel));
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_said() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => status("503 Unavailable", "Retry-After: 1\r\n", ""),
        _ => json(GREETING),
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    let began = std::time::Instant::now();
    run.send(INITIALIZE);
    assert_eq!(run.hear(1).await, [GREETING]);
    assert!(began.elapsed() >= Duration::from_secs(1));
}
