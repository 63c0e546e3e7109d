//! What every request repeats of the conversation so far, in its headers. Pure.

use mcproxy_http::{HeaderMap, HeaderName, HeaderValue, header};
use mcproxy_ipc::{HttpSpec, Secret};
use mcproxy_mcp::{Message, Mirror, Outcome, RawObject, parse};

use super::message::{OutgoingKind, OutgoingMessage};

/// The session that a legacy server opened (Streamable HTTP, 2025-03-26 … 2025-11-25).
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// The revision that is spoken.
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The conversation with one server, as far as headers tell of it.
#[derive(Debug)]
pub(super) struct ExchangeHeaders {
    /// Those of the entry.
    own: HeaderMap,
    /// Whether the entry has something to show who asks.
    has_credentials: bool,
    legacy: Option<LegacySession>,
    /// Arguments that calls repeat in headers.
    mirror: Mirror,
}

/// What a legacy server agreed on.
#[derive(Debug)]
struct LegacySession {
    id: Option<HeaderValue>,
    version: Option<HeaderValue>,
}

impl ExchangeHeaders {
    /// Nothing was said yet.
    pub(super) fn new(spec: &HttpSpec) -> Self {
        let mut own = HeaderMap::new();
        for (name, value) in &spec.headers {
            // The configuration has checked both.
            if let (Ok(name), Some(value)) = (HeaderName::try_from(name.as_str()), secret_value(value)) {
                own.append(name, value);
            }
        }
        let names = ["authorization", "cookie", "key", "token", "secret", "auth"];
        let has_credentials = own.keys().any(|name| names.iter().any(|part| name.as_str().contains(part)));
        Self { own, has_credentials, legacy: None, mirror: Mirror::default() }
    }

    /// The same without what the server said.
    pub(super) fn forget(&mut self) {
        (self.legacy, self.mirror) = (None, Mirror::default());
    }

    /// A legacy server answered `initialize`.
    pub(super) fn opened(&mut self, session: Option<HeaderValue>, version: Option<&str>) {
        let version = version.and_then(|version| HeaderValue::from_str(version).ok());
        self.legacy = Some(LegacySession { id: session, version });
    }

    /// Whether it was `initialize` that opened it.
    pub(super) fn is_legacy(&self) -> bool {
        self.legacy.is_some()
    }

    /// Whether the server gave the session an id.
    pub(super) fn has_session(&self) -> bool {
        self.legacy.as_ref().is_some_and(|legacy| legacy.id.is_some())
    }

    /// Whether requests show who asks.
    pub(super) fn has_credentials(&self) -> bool {
        self.has_credentials
    }

    /// A page of tools came: which of their arguments are repeated in headers.
    pub(super) fn learn(&mut self, line: &[u8]) {
        if let (false, Ok(Message::Response { outcome: Outcome::Result(result), .. })) = (self.is_legacy(), parse(line))
        {
            self.mirror.learn(result);
        }
    }

    /// The headers of a request that is no message: a GET or a DELETE.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = self.own.clone();
        if let Some(LegacySession { id, version }) = &self.legacy {
            headers.extend(id.clone().map(|id| (SESSION, id)));
            headers.extend(version.clone().map(|version| (VERSION, version)));
        }
        headers
    }

    /// The headers of a message to a server of HTTP+SSE.
    pub(super) fn headers_of_old(&self) -> HeaderMap {
        let mut headers = self.own.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers
    }

    /// The headers of a message.
    pub(super) fn headers_of(&self, message: &OutgoingMessage) -> HeaderMap {
        let mut headers = match message.kind.is_initialize() {
            true => self.own.clone(),
            false => self.headers(),
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if self.is_legacy() || message.kind.is_initialize() {
            return headers;
        }
        // 2026-07-28, which has no session: what a message is stands in its headers.
        let OutgoingKind::Request { method, .. } = &message.kind else { return headers };
        let Ok(Message::Request { params, .. }) = parse(&message.line) else { return headers };
        let params = params.and_then(|params| RawObject::from_raw(params).ok()).unwrap_or_default();
        for (name, value) in self.mirror.headers(method, &params) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// A value that is masked wherever it is shown.
pub(super) fn secret_value(value: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http::tests::spec;

    fn message(line: &str) -> OutgoingMessage {
        OutgoingMessage::read(line.to_owned().into())
    }

    fn header(headers: &HeaderMap, name: &str) -> Option<String> {
        headers.get(name).map(|value| value.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_session_is_repeated_from_the_answer_to_initialize_on() {
        let mut exchange_headers = ExchangeHeaders::new(&spec("http://x/", &[("Authorization", "Bearer t")]));
        assert!(exchange_headers.has_credentials());
        let initialize = message(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#);
        let headers = exchange_headers.headers_of(&initialize);
        assert_eq!(header(&headers, "authorization").as_deref(), Some("Bearer t"));
        assert_eq!((header(&headers, "mcp-method"), header(&headers, "mcp-protocol-version")), (None, None));
        exchange_headers.opened(Some(HeaderValue::from_static("s")), Some("2025-06-18"));
        let call = message(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}}"#);
        let headers = exchange_headers.headers_of(&call);
        assert_eq!(header(&headers, "mcp-session-id").as_deref(), Some("s"));
        assert_eq!(header(&headers, "mcp-protocol-version").as_deref(), Some("2025-06-18"));
        assert_eq!(header(&headers, "mcp-name"), None);
        exchange_headers.forget();
        assert!(!exchange_headers.is_legacy() && !exchange_headers.has_session());
    }

    #[test]
    fn a_request_of_2026_says_in_its_headers_what_it_is() {
        let mut exchange_headers = ExchangeHeaders::new(&spec("http://x/", &[]));
        exchange_headers.learn(br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"R"}}}}]}}"#);
        let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","arguments":{"r":"eu"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let headers = exchange_headers.headers_of(&message(call));
        for (name, value) in [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "t"),
            ("mcp-param-r", "eu"),
        ] {
            assert_eq!(header(&headers, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(header(&headers, "mcp-session-id"), None);
    }
}
