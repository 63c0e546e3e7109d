//! Long walks that give way to calls.

use tokio::task::yield_now;

/// Work that is done before other tasks run: about 25 µs, a tenth of what a call takes that waits behind it.
const SLICE: usize = 32;
/// The cost of a session or listener that is checked.
pub(crate) const CHECK: usize = 1;
/// The cost of a message for a client that reads: its connection wakes and writes.
pub(crate) const DELIVERY: usize = 8;

/// Long walks over sessions on the HTTP thread, cut into slices: between two of them all that has become ready goes first, calls and
/// their answers above all.
#[derive(Debug, Default)]
pub(crate) struct Yielder {
    done: usize,
}

impl Yielder {
    /// Counts work that was done; gives way if it was enough for one time.
    pub(crate) async fn did(&mut self, work: usize) {
        self.done += work;
        if self.done >= SLICE {
            self.done = 0;
            // The task goes on after the event loop has looked for what else there is.
            yield_now().await;
        }
    }
}
