//! Notices that the configuration may have changed. Editors and Kubernetes replace files and links, so the directory is
//! watched, and a slow look at the file itself finds what the watch cannot see.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// Quiet for so long: whoever writes has finished.
const DEBOUNCE: Duration = Duration::from_millis(300);
/// A file that is written for ever is read after so long.
const LONGEST_DEBOUNCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_secs(5);

/// What the file holds, without holding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(Option<u64>);

impl Fingerprint {
    /// Of the file as it is; unreadable ones are all alike.
    pub(crate) fn of(path: &Path) -> Self {
        Self(fs::read(path).ok().map(|bytes| {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            hasher.finish()
        }))
    }
}

/// Watches one file.
pub(crate) struct ConfigWatch {
    file: PathBuf,
    events: mpsc::Receiver<()>,
    seen: Option<(SystemTime, u64)>,
    /// Something happened that was not reported yet; the wait for quiet may be cancelled.
    pending: bool,
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
        (Self { seen: stamp(file), file: file.to_owned(), events, pending: true, _watcher: watcher }, error)
    }

    /// Waits until something may have changed and whoever did it seems to be finished. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.pending {
            self.pending = tokio::select! {
                Some(()) = self.events.recv() => true,
                _ = look.tick() => stamp(&self.file) != self.seen,
            };
        }
        let longest = Instant::now() + LONGEST_DEBOUNCE;
        loop {
            let quiet = (Instant::now() + DEBOUNCE).min(longest);
            tokio::select! {
                Some(()) = self.events.recv(), if Instant::now() < longest => {}
                () = sleep_until(quiet) => break,
            }
        }
        self.seen = stamp(&self.file);
        self.pending = false;
    }
}

fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let meta = fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len()))
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
        let before = Fingerprint::of(&file);
        assert!(timeout(Duration::from_millis(700), watch.changed()).await.is_err(), "reading is no change");

        let new = dir.path().join("new");
        fs::write(&new, "{\"servers\":[]}").expect("written");
        fs::rename(&new, &file).expect("replaced");
        timeout(Duration::from_secs(5), watch.changed()).await.expect("noticed");
        assert_ne!(Fingerprint::of(&file), before);
    }
}
