use reqwest::Client;
use serde_json::{Value, json};

use super::{
    answer::{Answer, ask},
    events::Events,
    session::initialize,
    wait::{DEADLINE, within},
};

/// A session of HTTP with SSE, the transport of 2024-11-05.
pub(crate) struct LegacySession {
    http: Client,
    /// Where messages are posted, as the server named it.
    pub(crate) endpoint: String,
    /// The same as a URL.
    pub(crate) post_url: String,
    pub(crate) events: Events,
    next: u64,
}

impl LegacySession {
    /// Opens `{base}{path}` and waits for the endpoint.
    pub(crate) async fn connect(http: &Client, base: &str, path: &str) -> Self {
        let request = http.get(format!("{base}{path}")).header("accept", "text/event-stream");
        let mut events = Events::open(request).await;
        let (name, endpoint) = within("the endpoint", DEADLINE, events.event()).await.expect("an event");
        assert_eq!(name, "endpoint");
        let stream = reqwest::Url::parse(&format!("{base}{path}")).expect("a URL");
        let post_url = stream.join(&endpoint).expect("a reference").into();
        Self { http: http.clone(), endpoint, post_url, events, next: 1 }
    }

    /// The same, initialized.
    pub(crate) async fn open(http: &Client, base: &str, path: &str) -> (Self, Value) {
        Self::capable(http, base, path, json!({})).await
    }

    /// The same, of a client that declares this.
    pub(crate) async fn capable(http: &Client, base: &str, path: &str, capabilities: Value) -> (Self, Value) {
        let mut session = Self::connect(http, base, path).await;
        let mut hello = initialize("2024-11-05");
        hello["params"]["capabilities"] = capabilities;
        session.post(&hello).await;
        let hello = session.events.find("the answer to initialize", |message| message["id"] == 0).await;
        session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        (session, hello["result"].clone())
    }

    /// Posts a message, which must be accepted.
    pub(crate) async fn post(&self, message: &Value) {
        let answer = self.post_text(&message.to_string()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    /// Posts these very bytes.
    pub(crate) async fn post_text(&self, body: &str) -> Answer {
        let request = self.http.post(&self.post_url).header("content-type", "application/json");
        ask(request.body(body.to_owned())).await
    }

    /// Sends a request and returns its response.
    pub(crate) async fn respond(&mut self, method: &str, params: Value) -> Value {
        let id = self.next;
        self.next += 1;
        self.post(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        self.events.find(method, |message| message["id"] == id && message.get("method").is_none()).await
    }

    /// Sends a request that must succeed and returns its result.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        let response = self.respond(method, params).await;
        response.get("result").unwrap_or_else(|| panic!("{method} failed: {response}")).clone()
    }

    /// Calls a tool and returns its result.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments})).await
    }
}
