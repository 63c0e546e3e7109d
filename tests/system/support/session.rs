use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::{
    answer::{Answer, ask},
    events::Events,
    text,
};

/// A session of Streamable HTTP that hides nothing: every status, header and byte can be looked at.
pub(crate) struct Session {
    http: Client,
    url: String,
    pub(crate) id: String,
    /// The result of `initialize`.
    pub(crate) hello: Value,
    next: AtomicU64,
}

impl Session {
    /// Initializes a session of the newest revision with sessions.
    pub(crate) async fn open(http: &Client, url: &str) -> Self {
        Self::of_version(http, url, "2025-11-25").await
    }

    /// Initializes a session.
    pub(crate) async fn of_version(http: &Client, url: &str, version: &str) -> Self {
        Self::begin(http, url, initialize(version)).await
    }

    /// Initializes a session of the newest revision with sessions, whose client declares this.
    pub(crate) async fn capable(http: &Client, url: &str, capabilities: Value) -> Self {
        let mut body = initialize("2025-11-25");
        body["params"]["capabilities"] = capabilities;
        Self::begin(http, url, body).await
    }

    async fn begin(http: &Client, url: &str, body: Value) -> Self {
        let answer = ask(post(http, url).body(body.to_string())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.header("mcp-session-id").expect("a session id").to_owned();
        let hello = answer.messages().pop().expect("an answer")["result"].clone();
        let session = Self { http: http.clone(), url: url.to_owned(), id, hello, next: AtomicU64::new(1) };
        let answer = session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        session
    }

    /// A request of any HTTP method in this session.
    pub(crate) fn http(&self, method: Method) -> RequestBuilder {
        let request = self.http.request(method, &self.url).header("mcp-session-id", &self.id);
        let version = self.hello["protocolVersion"].as_str().expect("a version");
        request.header("mcp-protocol-version", version)
    }

    /// Posts these very bytes.
    pub(crate) async fn post(&self, body: &str) -> Answer {
        let request = self.http(Method::POST).header("content-type", "application/json");
        ask(request.header("accept", "application/json, text/event-stream").body(body.to_owned())).await
    }

    /// Sends a request under this id and returns all messages that answer it, the response last.
    pub(crate) async fn request_as(&self, id: Value, method: &str, params: Value) -> Vec<Value> {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let answer = self.post(&body.to_string()).await;
        assert_eq!(answer.status, 200, "{method}: {answer:?}");
        let messages = answer.messages();
        let last = messages.last().expect("a response");
        assert_eq!(last["id"], id, "the response comes last: {messages:?}");
        messages
    }

    /// Sends a request and returns its response.
    pub(crate) async fn respond(&self, method: &str, params: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.request_as(json!(id), method, params).await.pop().expect("a response")
    }

    /// Sends a request that must succeed and returns its result.
    pub(crate) async fn request(&self, method: &str, params: Value) -> Value {
        let response = self.respond(method, params).await;
        response.get("result").unwrap_or_else(|| panic!("{method} failed: {response}")).clone()
    }

    /// Sends a request that must fail and returns its error.
    pub(crate) async fn failure(&self, method: &str, params: Value) -> Value {
        let response = self.respond(method, params).await;
        response.get("error").unwrap_or_else(|| panic!("{method} did not fail: {response}")).clone()
    }

    /// Sends a notification.
    pub(crate) async fn notify(&self, method: &str, params: Value) {
        let answer = self.post(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    /// Calls a tool and returns its result.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// Calls a tool and returns the text it answers.
    pub(crate) async fn say(&self, tool: &str, arguments: Value) -> String {
        text(&self.call(tool, arguments).await).to_owned()
    }

    /// Calls a tool, which must fail with a JSON-RPC error.
    pub(crate) async fn refuse(&self, tool: &str, arguments: Value) -> Value {
        self.failure("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// A whole list, over all its pages.
    pub(crate) async fn list(&self, method: &str, key: &str) -> Value {
        let (mut items, mut cursor) = (Vec::new(), None::<Value>);
        loop {
            let params = cursor.take().map_or(json!({}), |cursor| json!({"cursor": cursor}));
            let page = self.request(method, params).await;
            items.extend(page[key].as_array().unwrap_or_else(|| panic!("no {key} in {page}")).clone());
            match page.get("nextCursor") {
                Some(next) => cursor = Some(next.clone()),
                None => return Value::Array(items),
            }
        }
    }

    /// The names of all tools.
    pub(crate) async fn tools(&self) -> Vec<String> {
        super::names(&self.list("tools/list", "tools").await)
    }

    /// Sends a request that is answered by a stream, and returns the stream.
    pub(crate) async fn streamed(&self, id: Value, method: &str, params: Value) -> Events {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let request = self.http(Method::POST).header("content-type", "application/json");
        Events::open(request.header("accept", "application/json, text/event-stream").body(body.to_string())).await
    }

    /// A GET for a stream after that event.
    pub(crate) fn after(&self, event: &str) -> RequestBuilder {
        self.http(Method::GET).header("accept", "text/event-stream").header("last-event-id", event)
    }

    /// Opens the stream for what belongs to no request.
    pub(crate) async fn stream(&self) -> Events {
        Events::open(self.http(Method::GET).header("accept", "text/event-stream")).await
    }

    /// Ends the session.
    pub(crate) async fn delete(&self) -> Answer {
        ask(self.http(Method::DELETE)).await
    }
}

/// An `initialize` request.
pub(crate) fn initialize(version: &str) -> Value {
    let params = json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "system-test", "version": "1"}
    });
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

/// A POST with the headers that the transport wants, without a session.
pub(crate) fn post(http: &Client, url: &str) -> RequestBuilder {
    http.post(url).header("content-type", "application/json").header("accept", "application/json, text/event-stream")
}
