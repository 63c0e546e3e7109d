//! Server dialects: how the small internal call protocol becomes what one era of MCP servers speaks.
//!
//! A dialect writes lines for the server and reads what is peculiar to its era. Which request is whose, timeouts, limits
//! and the catalogue are the session's and the same for all. What is the same in both eras is in `legacy`: cancellations,
//! and answers to requests of the server's own, which a server of 2026-07-28 must not make.

mod introduction;
pub(crate) mod legacy;
mod line;
pub(crate) mod modern;

use mcproxy_ipc::data::{CallContext, ServerEra};
use mcproxy_mcp::ListKind;

pub(crate) use self::{introduction::Introduction, line::BadPayload};

/// Asks for a page of a list; `cursor` is a JSON string. `extensions`: those that clients are said to have, where the server
/// has not heard of that before.
pub(crate) fn list(
    era: ServerEra,
    out: &mut Vec<u8>,
    id: u64,
    kind: ListKind,
    cursor: Option<&str>,
    extensions: &[String],
) {
    match era {
        ServerEra::Legacy => legacy::list(out, id, kind, cursor),
        ServerEra::Modern => modern::list(out, id, kind, cursor, extensions),
    }
}

/// Asks whether the server lives.
pub(crate) fn ping(era: ServerEra, out: &mut Vec<u8>, id: u64) {
    match era {
        ServerEra::Legacy => legacy::ping(out, id),
        ServerEra::Modern => modern::ping(out, id),
    }
}

/// Passes a call on under an id of ours, which is its progress token too: `params`, then the caller's `_meta`.
pub(crate) fn call(
    era: ServerEra,
    out: &mut Vec<u8>,
    id: u64,
    method: &str,
    payload: (&[u8], &[u8]),
    context: &CallContext,
) -> Result<(), BadPayload> {
    match era {
        ServerEra::Legacy => legacy::call(out, id, method, payload.0, payload.1),
        ServerEra::Modern => modern::call(out, id, method, payload, context),
    }
}
