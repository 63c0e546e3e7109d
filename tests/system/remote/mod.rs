//! Servers that are reached over the network.

mod embeddings;
mod faults;
mod headers;
mod login;
mod metamcp;
mod middle_boxes;
mod nginx;
mod proxies;
mod real;
mod stacked;
mod upstream;

use serde_json::{Value, json};

use crate::support::Proxy;

/// The entry of a server at a URL; `members` are further keys.
fn at(name: &str, url: &str, members: Value) -> Value {
    let mut entry = json!({"name": name, "url": url});
    entry.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    entry
}

/// A MCProxy whose server `r` is the server `a` of another one, and what `r` is besides.
async fn in_front_of(upstream: &Proxy, members: Value) -> Proxy {
    Proxy::start(json!({"servers": [at("r", &upstream.url("/servers/a/mcp"), members)]})).await
}
