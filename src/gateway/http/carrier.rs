//! Carriers of a connection: whatever reads and writes its bytes at a time, and their costs.

/// The carrier of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Nobody: nothing has come yet.
    New,
    /// Nobody: the next request is awaited.
    Idle,
    /// The HTTP library.
    Http,
    /// The writer of a stream that lasts.
    Stream,
}

impl Carrier {
    /// Memory of a connection that it carries, in bytes. Measured with 2,000 to 16,000 of each kind, and rounded up.
    pub(super) fn cost(self) -> usize {
        match self {
            Self::New | Self::Idle => 2 * 1024,
            // Mostly the two buffers of the library, of each of which the first page is used.
            Self::Http => 12 * 1024,
            Self::Stream => 4 * 1024,
        }
    }
}
