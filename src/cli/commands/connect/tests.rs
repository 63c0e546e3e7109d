//! `connect` between a client on pipes and an HTTP server that can be told to misbehave.

use std::{
    collections::HashSet,
    io::{self, BufRead, BufReader, PipeWriter, Write},
    sync::{Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    web::{self, Bytes, Data},
};
use mcproxy_mcp::{Message, RawObject, parse};
use serde_json::{Value, json};

use super::run;
use crate::cli::{console::Console, endpoint::Endpoint, exit::Exit, modern_server};

const DEADLINE: Duration = Duration::from_secs(20);

/// The memory of the fake endpoint.
#[derive(Default)]
struct Memory {
    sessions: HashSet<String>,
    opened: usize,
    deleted: usize,
    seen: Vec<String>,
    unversioned: usize,
}

type Shared = Data<Mutex<Memory>>;

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

async fn post(memory: Shared, request: HttpRequest, body: Bytes) -> HttpResponse {
    let mut memory = memory.lock().expect("not poisoned");
    let (id, method) = match parse(&body).expect("a message") {
        Message::Request { id, method, .. } => (Some(id.to_string()), method.into_owned()),
        Message::Notification { method, .. } => (None, method.into_owned()),
        Message::Response { .. } => (None, "response".into()),
    };
    if method == "initialize" {
        memory.opened += 1;
        let session = format!("s{}", memory.opened);
        memory.sessions.insert(session.clone());
        let id = id.expect("a request");
        return HttpResponse::Ok().insert_header(("mcp-session-id", session)).content_type("application/json").body(
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":"2025-06-18","capabilities":{{}},"serverInfo":{{}}}}}}"#),
        );
    }
    if !header(&request, "mcp-session-id").is_some_and(|s| memory.sessions.contains(s)) {
        return HttpResponse::NotFound().body("no such session");
    }
    memory.unversioned += usize::from(header(&request, "mcp-protocol-version") != Some("2025-06-18"));
    memory.seen.push(method.clone());
    match (id, method.as_str()) {
        (None, "notifications/forget") => {
            memory.sessions.clear();
            HttpResponse::Accepted().finish()
        }
        (None, _) => HttpResponse::Accepted().finish(),
        (Some(_), "refuse") => HttpResponse::BadRequest()
            .content_type("application/json")
            .body(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"header"}}"#),
        (Some(_), "cut") => HttpResponse::Ok().content_type("text/event-stream").body(": nothing follows\n\n"),
        (Some(id), "resume") => {
            HttpResponse::Ok().content_type("text/event-stream").body(format!("id: after-{id}\nretry: 1\ndata: \n\n"))
        }
        (Some(id), _) => HttpResponse::Ok().content_type("text/event-stream").body(format!(
            "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\ndata: \"id\":{id},\"result\":{{\"n\":12345678901234567890.5}}}}\n\n"
        )),
    }
}

async fn get(memory: Shared, request: HttpRequest) -> HttpResponse {
    let known =
        header(&request, "mcp-session-id").is_some_and(|s| memory.lock().expect("not poisoned").sessions.contains(s));
    if !known {
        return HttpResponse::NotFound().finish();
    }
    match header(&request, "last-event-id").and_then(|id| id.strip_prefix("after-")) {
        Some(id) => HttpResponse::Ok()
            .content_type("text/event-stream")
            .body(format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n\n")),
        None => HttpResponse::MethodNotAllowed().finish(),
    }
}

async fn delete(memory: Shared) -> HttpResponse {
    memory.lock().expect("not poisoned").deleted += 1;
    HttpResponse::NoContent().finish()
}

/// Pipes in the place of a desktop client.
struct Client {
    input: Option<PipeWriter>,
    lines: mpsc::Receiver<String>,
    memory: Shared,
    thread: Option<JoinHandle<Exit>>,
}

impl Client {
    fn start() -> Self {
        Self::connect(None)
    }

    /// Of the fake endpoint, or of another one.
    fn connect(other: Option<String>) -> Self {
        let memory: Shared = Data::new(Mutex::new(Memory::default()));
        let (input_reader, input) = io::pipe().expect("a pipe");
        let (output, output_writer) = io::pipe().expect("a pipe");
        let served = memory.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let (server, url) = serve(served);
                let mut console = Console {
                    out: Box::new(output_writer),
                    err: Box::new(io::sink()),
                    input: Box::new(input_reader),
                    width: None,
                    err_is_terminal: false,
                    style: crate::cli::style::Style::default(),
                    input_is_terminal: false,
                };
                let exit = run(Endpoint::new(other.as_deref().unwrap_or(&url), None).expect("a URL"), &mut console)
                    .await
                    .expect("it runs");
                server.stop(false).await;
                exit
            })
        });
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        Self { input: Some(input), lines, memory, thread: Some(thread) }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("not ended"), "{line}").expect("written");
    }

    /// The next line with this id.
    fn answer(&self, id: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(DEADLINE).expect("an answer in time");
            if RawObject::from_text(&line).expect("JSON").get("id").is_some_and(|i| i.get() == id) {
                return line;
            }
        }
    }

    /// The next line, whatever it is.
    fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line in time")
    }

    fn initialize(&mut self) {
        self.send(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#);
        assert!(self.answer("0").contains("2025-06-18"));
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    fn end(&mut self) -> Exit {
        self.input = None;
        self.thread.take().expect("ends once").join().expect("no panic")
    }

    fn memory<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(&self.memory.lock().expect("not poisoned"))
    }
}

fn serve(memory: Shared) -> (ServerHandle, String) {
    let app = move || {
        let routes =
            web::resource("/mcp").route(web::post().to(post)).route(web::get().to(get)).route(web::delete().to(delete));
        App::new().app_data(memory.clone()).service(routes)
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    drop(actix_web::rt::spawn(server));
    (handle, url)
}

#[test]
fn answers_and_notifications_become_lines_and_the_session_is_ended() {
    let mut client = Client::start();
    client.initialize();
    client.send(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
    assert_eq!(client.lines.recv_timeout(DEADLINE).expect("a line"), r#"{"jsonrpc":"2.0","method":"notifications/x"}"#);
    let answer = client.lines.recv_timeout(DEADLINE).expect("a line");
    assert_eq!(answer, r#"{"jsonrpc":"2.0", "id":"a","result":{"n":12345678901234567890.5}}"#);
    assert_eq!(client.end(), Exit::Ok);
    assert_eq!(client.memory(|m| (m.deleted, m.opened, m.unversioned)), (1, 1, 0));
}

#[test]
fn what_is_in_flight_is_answered_when_stdin_ends() {
    let mut client = Client::start();
    client.initialize();
    for id in 1..=20 {
        client.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#));
    }
    assert_eq!(client.end(), Exit::Ok);
    let mut ids: Vec<String> = client
        .lines
        .iter()
        .filter_map(|l| RawObject::from_text(&l).expect("JSON").get("id").map(|i| i.get().to_owned()))
        .collect();
    ids.sort_by_key(|id| id.parse::<u64>().expect("a number"));
    assert_eq!(ids, (1..=20).map(|id| id.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_forgotten_session_is_opened_again_once_and_the_request_repeated() {
    let mut client = Client::start();
    client.initialize();
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/forget"}"#);
    for id in 1..=5 {
        client.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#));
    }
    for id in 1..=5 {
        // They run side by side: any order.
        let line = loop {
            let line = client.lines.recv_timeout(DEADLINE).expect("a line");
            if line.contains("\"id\"") {
                break line;
            }
        };
        assert!(line.contains("result"), "{id}: {line}");
    }
    assert_eq!(client.end(), Exit::Ok);
    assert_eq!(client.memory(|m| m.opened), 2);
    let initialized = client.memory(|m| m.seen.iter().filter(|s| *s == "notifications/initialized").count());
    assert_eq!(initialized, 2);
}

#[test]
fn http_errors_become_json_rpc_errors_of_that_request() {
    let mut client = Client::start();
    client.initialize();
    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"refuse"}"#);
    assert_eq!(client.answer("1"), r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"header"}}"#);
    client.send(r#"{"jsonrpc":"2.0","id":2,"method":"cut"}"#);
    assert!(client.answer("2").contains("31003"));
    client.send("no json");
    assert!(client.answer("null").contains("-32700"));
    assert_eq!(client.end(), Exit::Ok);
}

#[test]
fn an_answer_whose_stream_was_closed_is_fetched_later() {
    let mut client = Client::start();
    client.initialize();
    client.send(r#"{"jsonrpc":"2.0","id":7,"method":"resume"}"#);
    assert_eq!(client.answer("7"), r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
    assert_eq!(client.end(), Exit::Ok);
}

#[test]
fn a_client_that_initializes_finds_a_session_at_a_server_that_has_none() {
    let (url, seen) = modern_server::start();
    let mut client = Client::connect(Some(url));
    client.send(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","clientInfo":{"name":"me"},"capabilities":{"elicitation":{}}}}"#,
    );
    let hello: Value = serde_json::from_str(&client.answer("0")).expect("JSON");
    let expected = json!({
        "protocolVersion": "2025-06-18", "serverInfo": {"name": "new", "version": "7"}, "instructions": "be kind",
        "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}},
    });
    assert_eq!(hello["result"], expected);
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!(client.line(), r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);

    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    assert_eq!(client.line(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    client.send(r#"{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"info"}}"#);
    assert_eq!(client.line(), r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    client.send(r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#);
    let list: Value = serde_json::from_str(&client.line()).expect("JSON");
    let names: Vec<&str> =
        list["result"]["tools"].as_array().expect("tools").iter().filter_map(|t| t["name"].as_str()).collect();
    assert_eq!(names, ["where", "ask"], "what cannot be called over HTTP is left out");
    assert_eq!(list["result"].as_object().map(serde_json::Map::len), Some(1), "{list}");

    client.send(r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"where","arguments":{"region":"eu"},"_meta":{"progressToken":"p"}}}"#);
    assert_eq!(client.line(), r#"{"jsonrpc":"2.0","id":4,"result":{"content":[{"text":"eu","type":"text"}]}}"#);
    let called = seen.lock().expect("not poisoned").last().expect("a call")["params"]["_meta"].clone();
    assert_eq!(called["progressToken"], "p");
    assert_eq!(called["io.modelcontextprotocol/clientInfo"]["name"], "me");
    assert_eq!(called["io.modelcontextprotocol/logLevel"], "info");
    assert_eq!(called["io.modelcontextprotocol/clientCapabilities"], json!({"elicitation": {}}));

    // The client is asked for what the server needs first, in the words of its revision.
    client.send(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"ask"}}"#);
    let asked: Value = serde_json::from_str(&client.line()).expect("JSON");
    assert_eq!((&asked["method"], &asked["params"]), (&json!("elicitation/create"), &json!({"message": "well?"})));
    client.send(
        &json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"answer": "so"}}})
            .to_string(),
    );
    assert!(client.answer("5").contains(r#""text":"so""#));
    client.send(r#"{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"ask"}}"#);
    let asked: Value = serde_json::from_str(&client.line()).expect("JSON");
    client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -1, "message": "never"}}).to_string());
    let refused = client.answer("6");
    assert!(refused.contains(r#""isError":true"#) && refused.contains("never"), "{refused}");
    client.send(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"undeclared"}}"#);
    assert!(client.answer("7").contains(r#""isError":true"#), "no error code that the client does not know");
    client.send(r#"{"jsonrpc":"2.0","id":8,"method":"no/such"}"#);
    assert!(client.answer("8").contains("-32601"));

    client.send(r#"{"jsonrpc":"2.0","id":9,"method":"resources/subscribe","params":{"uri":"a:b"}}"#);
    let mut lines = [client.line(), client.line()];
    lines.sort();
    assert_eq!(lines[0], r#"{"jsonrpc":"2.0","id":9,"result":{}}"#);
    assert_eq!(lines[1], r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}"#);
    assert_eq!(client.end(), Exit::Ok);
}
