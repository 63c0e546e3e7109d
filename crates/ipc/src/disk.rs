//! Work that may wait for a disk, on a thread where it may. Where many have some at once, most of it is done within microseconds:
//! a few threads are enough for that, and each more would cost more than the work.

use std::time::Duration;

use tokio::{
    sync::Semaphore,
    task::{JoinError, spawn_blocking},
    time::timeout,
};

/// So much of it is done at once, as long as none of it takes long.
static PLACES: Semaphore = Semaphore::const_new(2);
/// Work that has waited for a place for so long goes on without one: a disk that hangs must not hold up what lies on another.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// Does it, and says what came of it.
///
/// # Errors
/// It panicked, or everything ends.
pub async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    let _place = timeout(LONGEST_WAIT, PLACES.acquire()).await;
    spawn_blocking(work).await
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn what_hangs_holds_up_nothing_else_for_long() {
        let mut hanging = JoinSet::new();
        let mut ends = Vec::new();
        for _ in 0..8 {
            let (end, wait) = mpsc::channel::<()>();
            ends.push(end);
            hanging.spawn(on_disk(move || wait.recv()));
        }
        let begun = Instant::now();
        assert_eq!(on_disk(|| 7).await.expect("done"), 7);
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(ends);
        while let Some(over) = hanging.join_next().await {
            assert!(over.expect("no panic").is_ok());
        }
    }
}
