//! Tokens of authorization servers (`auth.oauth`): which are accepted, what they are worth, and how clients come to have one.

mod authority;
mod sign_in;
mod step_up;
mod tokens;

use serde_json::{Value, json};

use self::authority::StandInAuthority;
use crate::support::{Answer, DEADLINE, Proxy, ask, eventually, initialize};

/// What the proxy is called in these tests, wherever it listens.
const PUBLIC: &str = "https://tools.example";

/// The settings: tokens of this authorization server, with these scopes.
fn auth(authority: &StandInAuthority, scopes: Value) -> Value {
    json!({"oauth": {"issuers": [{"issuer": authority.issuer()}], "scopes": scopes}})
}

/// A configuration of two servers and two groups with this `auth`.
fn config(auth: Value) -> Value {
    let mut config = crate::http::scopes::config_of(auth);
    config["publicUrl"] = json!(PUBLIC);
    config
}

/// The answer to an attempt to open a session at this path with this token.
async fn hello(proxy: &Proxy, path: &str, token: Option<&str>) -> Answer {
    let mut request = proxy.post(path).body(initialize("2025-11-25").to_string());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    ask(request).await
}

/// Waits until the proxy has the keys, so that a token can be verified.
async fn until_accepted(proxy: &Proxy, token: &str) {
    eventually("the token is accepted", DEADLINE, async || {
        (hello(proxy, "/mcp", Some(token)).await.status == 200).then_some(())
    })
    .await;
}
