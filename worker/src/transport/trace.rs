//! What a person sees of the messages of one server.

use crate::lines::ServerLine;

/// Which way a traced line went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineDirection {
    ToServer,
    FromServer,
}

/// Sees every line of JSON-RPC, and what carries it where that has words.
pub(crate) type Trace = Box<dyn FnMut(LineDirection, &[u8])>;

/// Shows a line of the server's; of one that is too long, its beginning.
pub(super) fn trace_received(trace: &mut Option<Trace>, line: &ServerLine) {
    let Some(trace) = trace else { return };
    match line {
        ServerLine::Text(text) => trace(LineDirection::FromServer, text),
        ServerLine::TooLong { head, len, .. } => {
            let shown = format!("{} … ({len} bytes)", String::from_utf8_lossy(head));
            trace(LineDirection::FromServer, shown.as_bytes());
        }
    }
}
