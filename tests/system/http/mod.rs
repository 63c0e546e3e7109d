//! What HTTP itself says: statuses, headers and codes, before any server is asked (docs/troubleshooting.md).

mod audit;
mod bodies;
mod connections;
mod cors;
mod crowd;
mod doors;
mod framing;
mod groups;
mod memory;
mod monitors;
mod page;
mod pins;
mod rates;
mod resume;
pub(crate) mod scopes;
mod sessions;
mod slow;
mod tokens;
mod usage;

use crate::support::{Answer, Proxy};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

async fn proxy() -> Proxy {
    Proxy::of(&["a"]).await
}

fn refused(answer: &Answer, status: u16, code: i64) {
    assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{answer:?}");
    assert_eq!(answer.json()["jsonrpc"], "2.0", "{answer:?}");
}
