//! Servers of 2026-07-28, and how it is found out that they are. The cells of a test's name are `docs/protocol.md`'s.

mod calls;
mod changes;
mod input;
mod probe;
mod tasks;

use serde_json::{Value, json};

use crate::support::{Modern, Proxy, Session, fixture};

/// A server that speaks nothing else.
fn modern(name: &str, flags: &[&str]) -> Value {
    fixture(name, &[&["--era", "modern"], flags].concat())
}

/// A proxy with such a server `m`.
async fn start() -> Proxy {
    Proxy::start(json!({"servers": [modern("m", &[])]})).await
}

/// A client of the same era.
fn client_of(proxy: &Proxy) -> Modern {
    Modern::new(&proxy.http, &proxy.url("/mcp"))
}

/// All that a client of a server that asks can declare.
fn everything() -> Value {
    json!({"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}})
}

async fn capable(proxy: &Proxy) -> Session {
    Session::capable(&proxy.http, &proxy.url("/mcp"), everything()).await
}
