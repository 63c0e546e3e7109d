use std::sync::atomic::{AtomicU64, Ordering};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::{
    answer::{Answer, ask},
    events::Events,
    session, text,
};

/// A client of 2026-07-28 that hides nothing: every status, header and byte can be looked at.
pub(crate) struct Modern {
    http: Client,
    url: String,
    token: Option<String>,
    /// What it says it can be asked for.
    pub(crate) capabilities: Value,
    /// More members of each request's `_meta`.
    pub(crate) meta: Value,
    next: AtomicU64,
}

impl Modern {
    /// A client of this URL that can be asked for nothing.
    pub(crate) fn new(http: &Client, url: &str) -> Self {
        Self {
            http: http.clone(),
            url: url.to_owned(),
            token: None,
            capabilities: json!({}),
            meta: json!({}),
            next: AtomicU64::new(1),
        }
    }

    /// The same, of somebody with a token.
    pub(crate) fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The same, with more in the `_meta` of its requests.
    pub(crate) fn with_meta(self, meta: Value) -> Self {
        Self { meta, ..self }
    }

    /// A request that says of itself all that it must.
    pub(crate) fn request(&self, method: &str, mut params: Value) -> Value {
        let mut meta = self.meta.clone();
        meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "system-test", "version": "1"});
        meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        params["_meta"] = meta;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    }

    /// A POST of any body, without the headers that repeat what is in it.
    pub(crate) fn bare(&self, body: &Value) -> RequestBuilder {
        let request = session::post(&self.http, &self.url).body(body.to_string());
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A POST of a request, with the headers that repeat what is in it.
    pub(crate) fn post(&self, body: &Value) -> RequestBuilder {
        let method = body["method"].as_str().expect("a method");
        let request = self.bare(body).header("mcp-protocol-version", "2026-07-28").header("mcp-method", method);
        let params = &body["params"];
        match ["name", "uri", "taskId"].iter().find_map(|key| params[key].as_str()) {
            Some(name) => request.header("mcp-name", header_value(name)),
            None => request,
        }
    }

    /// Sends a request and reads all of the answer.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Answer {
        ask(self.post(&self.request(method, params))).await
    }

    /// The result of a request that must have one.
    pub(crate) async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let response = answer.messages().pop().unwrap_or_else(|| panic!("no message in {answer:?}"));
        assert!(response["result"].is_object(), "{response}");
        response["result"].clone()
    }

    /// The error of a request that must have one.
    pub(crate) async fn failure(&self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        let response = answer.messages().pop().unwrap_or_else(|| panic!("no message in {answer:?}"));
        assert!(response["error"].is_object(), "{response}");
        response["error"].clone()
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, name: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({"name": name, "arguments": arguments})).await
    }

    /// Calls a tool that returns a text.
    pub(crate) async fn say(&self, name: &str, arguments: Value) -> String {
        text(&self.call(name, arguments).await).to_owned()
    }

    /// Sends a request whose answer must be a stream.
    pub(crate) async fn stream(&self, method: &str, params: Value) -> Events {
        Events::open(self.post(&self.request(method, params))).await
    }
}

/// A text as a header may carry it.
pub(crate) fn header_value(text: &str) -> String {
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~')) && text.trim() == text;
    if plain { text.to_owned() } else { format!("=?base64?{}?=", BASE64_STANDARD.encode(text)) }
}
