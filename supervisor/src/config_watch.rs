//! Notices that the configuration may have changed. Editors and Kubernetes replace files and links, so the directory is
//! watched, and a slow look at the file itself finds what the watch cannot see.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// After so long without a change the writer has finished.
const DEBOUNCE: Duration = Duration::from_millis(300);
/// A file that is written for ever is read after so long.
const LONGEST_DEBOUNCE: Duration = Duration::from_secs(2);
/// A change that the watch cannot see (behind a link into another directory, say) is in force within two seconds all the same.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A disk that takes longer to say whether the file is another one has something to be said about: the file is read, which fails.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Which file it is and whether it was written since: what events beside it leave as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl Stamp {
    /// Through links, which Kubernetes swaps; absent as long as the file is.
    fn of(file: &Path) -> Option<Self> {
        let meta = fs::metadata(file).ok()?;
        let changed = (meta.ctime(), meta.ctime_nsec());
        Some(Self { device: meta.dev(), inode: meta.ino(), length: meta.len(), changed })
    }
}

/// A change that waits for quiet.
#[derive(Debug, Clone, Copy)]
struct PendingChange {
    quiet: Instant,
    latest: Instant,
}

impl PendingChange {
    fn since(now: Instant) -> Self {
        Self { quiet: now + DEBOUNCE, latest: now + LONGEST_DEBOUNCE }
    }

    /// It goes on.
    fn again(self, now: Instant) -> Self {
        Self { quiet: (now + DEBOUNCE).min(self.latest), ..self }
    }
}

/// A look at the file, which a disk may keep waiting.
struct Looking {
    stamp: JoinHandle<Option<Stamp>>,
    /// `None`: it was said that this takes too long.
    until: Option<Instant>,
    again: bool,
}

/// Watches one file.
pub(crate) struct ConfigWatch {
    file: PathBuf,
    events: mpsc::Receiver<()>,
    seen: Option<Stamp>,
    /// A change that was not reported yet. Kept here, so that a wait that is cancelled goes on where it was.
    pending: Option<PendingChange>,
    /// When to look without being told.
    look_at: Instant,
    /// A look that is under way on another thread, until when it may take, and whether another one has to follow it.
    looking: Option<Looking>,
    /// Dropping it ends the watch. Absent when the kernel has no watches left; then only the slow look works.
    _watcher: Option<RecommendedWatcher>,
}

impl ConfigWatch {
    /// Begins to watch, and reports a change first: there may have been one since the file was read. The error says why only the slow look works.
    pub(crate) fn new(file: &Path) -> (Self, Option<notify::Error>) {
        // One slot: that something happened is all there is to know.
        let (told, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading the file, as we do ourselves, is no change.
            let changed = match event {
                Ok(event) => {
                    !matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write))
                }
                Err(_) => true,
            };
            if changed {
                let _ = told.try_send(());
            }
        });
        let directory = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        let watcher = watcher.and_then(|mut watcher| {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        let (watcher, error) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error)),
        };
        let now = Instant::now();
        let watch = Self {
            seen: Stamp::of(file),
            file: file.to_owned(),
            events,
            pending: Some(PendingChange::since(now)),
            look_at: now + CHECK_INTERVAL,
            looking: None,
            _watcher: watcher,
        };
        (watch, error)
    }

    /// Waits until the file may have changed and its writer seems to have finished. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        loop {
            tokio::select! {
                Some(()) = self.events.recv() => self.look(),
                () = sleep_until(self.look_at) => {
                    self.look_at = Instant::now() + CHECK_INTERVAL;
                    self.look();
                }
                looked = looked(&mut self.looking) => match looked {
                    Some(stamp) => {
                        let again = self.looking.take().is_some_and(|looking| looking.again);
                        self.found(stamp);
                        if again {
                            self.look();
                        }
                    }
                    // The next news of it is when it answers after all.
                    None => self.found(None),
                },
                () = quiet(self.pending) => {
                    self.pending = None;
                    return;
                }
            }
        }
    }

    /// On another thread, and on one only.
    fn look(&mut self) {
        match &mut self.looking {
            Some(looking) => looking.again = true,
            None => {
                let file = self.file.clone();
                let stamp = tokio::task::spawn_blocking(move || Stamp::of(&file));
                self.looking = Some(Looking { stamp, until: Some(Instant::now() + CHECK_TIMEOUT), again: false });
            }
        }
    }

    fn found(&mut self, stamp: Option<Stamp>) {
        if stamp != self.seen {
            self.seen = stamp;
            let now = Instant::now();
            self.pending = Some(self.pending.map_or_else(|| PendingChange::since(now), |pending| pending.again(now)));
        }
    }
}

/// The result of a check; `None`, once, when it takes too long.
async fn looked(looking: &mut Option<Looking>) -> Option<Option<Stamp>> {
    let Some(Looking { stamp, until, .. }) = looking else { return std::future::pending().await };
    let late = async {
        match until {
            Some(until) => sleep_until(*until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // A panic ends the process before this is seen.
        stamp = stamp => Some(stamp.ok().flatten()),
        () = late => {
            *until = None;
            None
        }
    }
}

async fn quiet(pending: Option<PendingChange>) {
    match pending {
        Some(PendingChange { quiet, .. }) => sleep_until(quiet).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_replaced_file_is_noticed_and_reading_it_is_not() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = dir.path().join("mcp-servers.json");
        fs::write(&file, "{}").expect("written");
        let (mut watch, error) = ConfigWatch::new(&file);
        assert!(error.is_none(), "{error:?}");
        timeout(Duration::from_secs(5), watch.changed()).await.expect("once at the start");
        assert!(timeout(Duration::from_millis(700), watch.changed()).await.is_err(), "reading is no change");

        let new = dir.path().join("new");
        fs::write(&new, "{\"servers\":[]}").expect("written");
        fs::rename(&new, &file).expect("replaced");
        timeout(Duration::from_secs(5), watch.changed()).await.expect("noticed");
    }

    /// A watch that has reported its beginning, in a directory of its own.
    async fn settled() -> (tempfile::TempDir, PathBuf, ConfigWatch) {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = dir.path().join("mcp-servers.json");
        fs::write(&file, "{}").expect("written");
        let (mut watch, error) = ConfigWatch::new(&file);
        assert!(error.is_none(), "{error:?}");
        timeout(Duration::from_secs(5), watch.changed()).await.expect("once at the start");
        (dir, file, watch)
    }

    /// Writes beside the file until it is dropped.
    struct Neighbour(Option<(std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>)>);

    impl Neighbour {
        fn of(file: &Path) -> Self {
            let (stop, stopped) = std::sync::mpsc::channel();
            let log = file.with_file_name("some.log");
            let writer = std::thread::spawn(move || {
                while stopped.recv_timeout(Duration::from_millis(20)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    fs::write(&log, "line").expect("written");
                }
            });
            Self(Some((stop, writer)))
        }
    }

    impl Drop for Neighbour {
        fn drop(&mut self) {
            if let Some((stop, writer)) = self.0.take() {
                drop(stop);
                writer.join().expect("it wrote without trouble");
            }
        }
    }

    #[tokio::test]
    async fn what_happens_beside_the_file_neither_counts_nor_delays() {
        let (_dir, file, mut watch) = settled().await;
        let _neighbour = Neighbour::of(&file);
        assert!(timeout(Duration::from_millis(700), watch.changed()).await.is_err(), "a neighbour is no change");
        fs::write(&file, "{\"servers\":[]}").expect("written");
        timeout(LONGEST_DEBOUNCE / 2, watch.changed()).await.expect("noticed without the longest wait");
    }

    #[tokio::test]
    async fn a_wait_that_is_cancelled_again_and_again_ends_all_the_same() {
        let (_dir, file, mut watch) = settled().await;
        fs::write(&file, "{\"servers\":[]}").expect("written");
        let noticed = async { while timeout(DEBOUNCE / 3, watch.changed()).await.is_err() {} };
        timeout(2 * LONGEST_DEBOUNCE, noticed).await.expect("noticed");
    }
}
