//! Work that would hold up the HTTP thread: it is done on another, while calls go on.

use tokio::sync::Semaphore;

/// Pieces of such work at once; further ones wait in line. More would take the processors from the calls.
const AT_ONCE: usize = 2;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// Does it elsewhere, in its turn. `None`: the process is about to end.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let place = PLACES.acquire().await.ok()?;
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    });
    done.await.ok()
}
