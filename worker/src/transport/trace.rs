//! What a person sees of the messages of one server.

/// Which way a traced line went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineDirection {
    ToServer,
    FromServer,
}

/// Sees every line of JSON-RPC, and what carries it where that has words.
pub(crate) type Trace = Box<dyn FnMut(LineDirection, &[u8])>;
