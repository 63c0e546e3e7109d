//! How a server is reached over the network: what is checked of its keys, and what they come to.

use std::time::Duration;

use mcproxy_ipc::{HttpDialect, HttpProxy, HttpSpec, HttpTls, PemSource, Secret};
use url::Url;

use super::checks::ServerChecks;
use super::oauth;
use crate::problem::printable;
use crate::raw::{RawRemote, RawServer};
use crate::tree::Node;

/// Headers that the transport sets, or that would change what a message is.
const OWN_HEADERS: &[&str] = &[
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Besides those: headers of the connection to the client, or about its body (RFC 9110 §7.6.1, §10.1).
const NOT_FORWARDED: &[&str] = &[
    "accept-encoding",
    "content-encoding",
    "expect",
    "http2-settings",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
];
/// The most names of headers that are passed on.
const MOST_FORWARDED: usize = 16;
/// Keys that concern servers that are reached over the network.
const KEYS: &[&str] =
    &["headers", "forwardHeaders", "bearerToken", "oauth", "tls", "proxy", "connectTimeout", "denyPrivate"];
/// Keys that concern servers that are started.
const KEYS_OF_COMMANDS: &[&str] = &["args", "env", "cwd"];

/// Whether a server is reached over the network.
pub(super) fn is_remote(raw: &RawServer) -> bool {
    raw.remote.url.is_some()
}

/// How it is; `looked_up` are values from the environment.
pub(super) fn read(raw: &RawServer, looked_up: Vec<Secret>) -> HttpSpec {
    let remote = &raw.remote;
    let url = remote.url.as_deref().unwrap_or_default().trim();
    let mut headers: Vec<(String, Secret)> =
        remote.headers.iter().map(|(name, value)| (name.clone(), Secret::new(value.trim()))).collect();
    headers.extend(remote.bearer_token.iter().map(|token| ("Authorization".to_owned(), bearer(token))));
    let mut masked = looked_up;
    masked.extend(parts_of_headers(remote));
    masked.extend(parts_of_url(url));
    masked.extend(oauth::secrets(&remote.oauth));
    let pem = |written: &Option<String>| written.as_deref().map(PemSource::new);
    HttpSpec {
        url: Secret::new(url),
        dialect: dialect(raw.kind.as_deref()),
        headers,
        forward_headers: forwarded(remote),
        tls: HttpTls { ca: pem(&remote.tls.ca), client: pem(&remote.tls.client_cert).zip(pem(&remote.tls.client_key)) },
        proxy: match remote.proxy.as_deref() {
            None => HttpProxy::System,
            Some(word) if word.eq_ignore_ascii_case("none") => HttpProxy::Direct,
            Some(url) => HttpProxy::Url(Secret::new(url)),
        },
        connect_timeout: Duration::from_secs_f64(remote.connect_timeout),
        deny_private: remote.deny_private,
        looked_up: masked,
        oauth: oauth::read(remote),
    }
}

/// In lower case, each once.
fn forwarded(remote: &RawRemote) -> Vec<String> {
    let mut names: Vec<String> = remote.forward_headers.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Which transport the word for it means. (What other programs write was turned into these before.)
pub(super) fn dialect(kind: Option<&str>) -> HttpDialect {
    match kind {
        Some(kind) if kind.eq_ignore_ascii_case("http") => HttpDialect::Streamable,
        Some(kind) if kind.eq_ignore_ascii_case("sse") => HttpDialect::Sse,
        _ => HttpDialect::Auto,
    }
}

fn bearer(token: &str) -> Secret {
    let token = token.trim();
    let has_scheme = token.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer "));
    Secret::new(if has_scheme { token.to_owned() } else { format!("Bearer {token}") })
}

/// Of `Bearer TOKEN` a server may repeat the token alone.
fn parts_of_headers(remote: &RawRemote) -> impl Iterator<Item = Secret> {
    let values = remote.headers.values().chain(&remote.bearer_token);
    values.filter_map(|value| value.trim().rsplit(' ').next()).map(Secret::new)
}

/// Passwords and values of queries.
fn parts_of_url(url: &str) -> Vec<Secret> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let query = url.query_pairs().map(|(_, value)| value.into_owned());
    url.password().map(str::to_owned).into_iter().chain(query).map(Secret::new).collect()
}

/// Every text that travels to the worker.
pub(super) fn texts(remote: &RawRemote) -> impl Iterator<Item = &str> {
    let headers = remote.headers.iter().flat_map(|(name, value)| [name, value]);
    let tls = [&remote.tls.ca, &remote.tls.client_cert, &remote.tls.client_key].into_iter().flatten();
    let single = remote.url.iter().chain(&remote.bearer_token).chain(&remote.proxy).chain(oauth::texts(&remote.oauth));
    // Parts of them travel once more, to be masked.
    single.chain(headers).chain(&remote.forward_headers).chain(tls).flat_map(|text| [text, text]).map(String::as_str)
}

/// Checks that the schema cannot express.
pub(super) fn check(raw: &RawServer, checks: &mut ServerChecks<'_>) {
    let remote = &raw.remote;
    let url = remote.url.as_deref().unwrap_or_default().trim();
    match address(url) {
        Ok(()) => {}
        Err(why) => checks.problem(&["url"], why),
    }
    let headers = checks.node.get("headers").map(Node::members).unwrap_or_default();
    for header in headers {
        let value = header.node.text().map(crate::tree::ConfigText::value).unwrap_or_default();
        if let Some(why) = wrong_header(&header.key, value) {
            checks.report.add(header.key_span.start, why);
        }
    }
    let forwarded = checks.node.get("forwardHeaders").map(Node::elements).unwrap_or_default();
    for node in forwarded {
        let name = node.text().filter(|_| !node.lacks_text()).map(|text| text.value().trim().to_owned());
        if let Some(why) = name.and_then(|name| not_forwarded(&name)) {
            checks.report.add(node.span.start, why);
        }
    }
    if forwarded.len() > MOST_FORWARDED {
        checks.problem(&["forwardHeaders"], format!("must not list more than {MOST_FORWARDED} headers"));
    }
    let is_authorization = |name: &String| name.eq_ignore_ascii_case("authorization");
    if remote.bearer_token.is_some() && remote.headers.keys().any(is_authorization) {
        checks.problem(&["bearerToken"], "`headers` has an `Authorization` as well; leave one of the two out");
    }
    if remote.bearer_token.as_deref().is_some_and(|token| token.trim().is_empty() || !is_header_value(token.trim())) {
        checks.problem(&["bearerToken"], "this is no token: it is empty or has characters that no header can carry");
    }
    if remote.tls.client_cert.is_some() != remote.tls.client_key.is_some() {
        checks.problem(&["tls"], "`clientCert` and `clientKey` need each other");
    }
    if let Some(proxy) = &remote.proxy {
        let fits = proxy.eq_ignore_ascii_case("none")
            || Url::parse(proxy).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !fits {
            checks.problem(&["proxy"], "expected the URL of an HTTP proxy, http://HOST:PORT, or `none`");
        }
    }
    oauth::check(remote, checks);
    if own(checks, "network") && matches!(raw.settings.network, crate::raw::RawNetwork::None) {
        checks.problem(&["network"], "with `network: none` the server at `url` cannot be reached");
    }
    warn_of(checks, KEYS_OF_COMMANDS, "it concerns servers that are started, and this one is reached over the network");
}

/// Warns of keys that a command makes no use of.
pub(super) fn check_command(checks: &mut ServerChecks<'_>) {
    warn_of(checks, KEYS, "it concerns servers that are reached over the network");
}

/// Whether the entry itself has the key; those of the defaults are for servers that can use them.
fn own(checks: &ServerChecks<'_>, key: &str) -> bool {
    let node = checks.node;
    node.get(key).is_some_and(|value| node.span.contains(&value.span.start))
}

fn warn_of(checks: &mut ServerChecks<'_>, keys: &[&str], why: &str) {
    for key in keys {
        if let Some(node) = checks.node.get(key).filter(|_| own(checks, key)) {
            checks.report.warn(node.span.start, format!("`{key}` is ignored: {why}"));
        }
    }
}

fn address(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "expected a URL: https://HOST/PATH")?;
    match url.scheme() {
        "http" | "https" if url.fragment().is_some() => Err("a `#` and what follows it is not sent to a server"),
        "http" | "https" => Ok(()),
        "ws" | "wss" => Err("WebSocket is no transport of MCP; expected https:// or http://"),
        _ => Err("expected a URL that begins with https:// or http://"),
    }
}

fn wrong_header(name: &str, value: &str) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(is_token) {
        Some("this is no name of a header".to_owned())
    } else if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("mcp-param-") {
        Some(format!("MCProxy sets the header `{name}` itself"))
    } else if !is_header_value(value.trim()) {
        Some(format!("the value of `{name}` has characters that no header can carry"))
    } else {
        None
    }
}

fn not_forwarded(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let is_of_connection = OWN_HEADERS.contains(&lower.as_str()) || NOT_FORWARDED.contains(&lower.as_str());
    if is_of_connection || lower.starts_with("mcp-") {
        let shown = printable(name);
        return Some(format!("`{shown}` is a header of the connection or of MCP, which is never passed on"));
    }
    wrong_header(name, "")
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}
