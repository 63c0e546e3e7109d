//! Long walks that give way to calls.

use tokio::task::yield_now;

/// So much is done before others have their turn: about 25 µs of work, a tenth of what a call takes that waits behind it.
const SLICE: usize = 32;
/// A session or listener that is looked at.
pub(crate) const CHECK: usize = 1;
/// A message for a client that reads: its connection wakes and writes.
pub(crate) const DELIVERY: usize = 8;

/// Long walks over sessions on the HTTP thread, cut into slices: between two of them all that has become ready goes first, calls and
/// their answers above all.
#[derive(Debug, Default)]
pub(crate) struct Yielder {
    done: usize,
}

impl Yielder {
    /// So much was done; gives way if it was enough for one time.
    pub(crate) async fn did(&mut self, work: usize) {
        self.done += work;
        if self.done >= SLICE {
            self.done = 0;
            // The task goes on after the event loop has looked for what else there is.
            yield_now().await;
        }
    }
}
