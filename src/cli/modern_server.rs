//! A Streamable HTTP server for tests that speaks 2026-07-28 and nothing else.

use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    web::{self, Bytes, Data},
};
use mcproxy_mcp::header_value;
use serde_json::{Value, json};

/// The requests that it was sent.
pub(crate) type Seen = Arc<Mutex<Vec<Value>>>;

/// Its URL, and what it is sent from now on. It serves until the test's process ends.
pub(crate) fn start() -> (String, Seen) {
    let seen = Seen::default();
    let (sender, address) = mpsc::channel::<SocketAddr>();
    let memory = Data::new(seen.clone());
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || App::new().app_data(memory.clone()).route("/mcp", web::post().to(post));
            let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a free port");
            sender.send(server.addrs()[0]).expect("the test waits");
            server.run().await.expect("it serves");
        });
    });
    let address = address.recv_timeout(std::time::Duration::from_secs(20)).expect("bound in time");
    (format!("http://{address}/mcp"), seen)
}

fn failure(status: u16, id: &Value, code: i64, message: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
    HttpResponse::build(status).json(json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}))
}

async fn post(seen: Data<Seen>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let message: Value = serde_json::from_slice(&body).expect("JSON");
    let (id, method, params) = (&message["id"], message["method"].as_str().expect("a method"), &message["params"]);
    let meta = &params["_meta"];
    if method == "initialize" || meta["io.modelcontextprotocol/protocolVersion"] != "2026-07-28" {
        return failure(400, id, -32022, "only 2026-07-28 is spoken here");
    }
    let repeated = [
        ("mcp-protocol-version", Some("2026-07-28")),
        ("mcp-method", Some(method)),
        ("mcp-name", params["name"].as_str()),
        ("mcp-param-region", params["arguments"]["region"].as_str()),
    ];
    let says = |name: &str| header(name).and_then(|value| header_value::decode(&value).map(Cow::into_owned));
    if repeated.iter().any(|(name, value)| says(name).as_deref() != *value) {
        return failure(400, id, -32020, "the headers do not say what the body says");
    }
    seen.lock().expect("not poisoned").push(message.clone());
    let result = |result: Value| HttpResponse::Ok().json(json!({"jsonrpc": "2.0", "id": id, "result": result}));
    let text = |text: &str| result(json!({"resultType": "complete", "content": [{"type": "text", "text": text}]}));
    let schema =
        |header: &str| json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": header}}});
    match (method, params["name"].as_str().unwrap_or_default()) {
        ("server/discover", _) => result(json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
            "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}}, "instructions": "be kind",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "new", "version": "7"}},
        })),
        ("tools/list", _) => result(json!({
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private", "tools": [
                {"name": "where", "inputSchema": schema("Region")}, {"name": "impossible", "inputSchema": schema("a b")},
                {"name": "ask", "inputSchema": {"type": "object"}},
            ],
        })),
        ("tools/call", "where") => text(params["arguments"]["region"].as_str().unwrap_or("nowhere")),
        ("tools/call", "ask") => match params["inputResponses"]["q"]["content"]["answer"].as_str() {
            Some(answer) if params["requestState"] == "s" => text(answer),
            _ => result(json!({
                "resultType": "input_required", "requestState": "s",
                "inputRequests": {"q": {"method": "elicitation/create", "params": {"message": "well?"}}},
            })),
        },
        ("tools/call", "wait") if params["requestState"] == "later" => text("now"),
        ("tools/call", "wait") => result(json!({"resultType": "input_required", "requestState": "later"})),
        ("tools/call", "undeclared") => failure(400, id, -32021, "sampling is missing"),
        ("subscriptions/listen", _) => {
            let on = |method: &str, mut params: Value| {
                params["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": id});
                format!("data: {}\n\n", json!({"jsonrpc": "2.0", "method": method, "params": params}))
            };
            let mut stream =
                on("notifications/subscriptions/acknowledged", json!({"notifications": params["notifications"]}));
            match params["notifications"]["resourceSubscriptions"][0].as_str() {
                Some(uri) => stream += &on("notifications/resources/updated", json!({"uri": uri})),
                None => stream += &on("notifications/tools/list_changed", json!({})),
            }
            // It stays open, as such streams do.
            let open = futures_util::stream::once(async move { Ok::<_, actix_web::Error>(Bytes::from(stream)) });
            let open = futures_util::StreamExt::chain(open, futures_util::stream::pending());
            HttpResponse::Ok().content_type("text/event-stream").streaming(open)
        }
        ("tools/call", _) => failure(200, id, -32602, "unknown tool"),
        _ => failure(404, id, -32601, "unknown method"),
    }
}
