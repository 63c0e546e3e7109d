//! Keeps what the server offers in a file, so that lists are complete as soon as everything is started again.
//!
//! The file is a help and nothing depends on it: what cannot be written is logged, and the server is served all the same.
//! Disks can be slow, so all of this happens on a thread of its own, one catalogue at a time, the latest first.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use mcproxy_ipc::{frame::MAX_PAYLOAD, kept_file};
use slog::{Logger, warn};
use tokio::{
    sync::{oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

/// From one write to the next: a server may change its lists as often as it likes.
const PAUSE: Duration = Duration::from_secs(2);
/// Before the first write: what a server offers can wait until those that start beside it are ready, too.
const FIRST: Duration = Duration::from_secs(1);
/// How long the end of a worker waits for the last write.
const LAST: Duration = Duration::from_secs(1);

/// Writes the latest catalogue it was given.
#[derive(Debug)]
pub(crate) struct CatalogueWriter {
    latest: watch::Sender<Bytes>,
    /// Its end cuts the pause short.
    open: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl CatalogueWriter {
    /// Keeps catalogues in this file.
    pub(crate) fn start(file: PathBuf, log: Logger) -> Self {
        let (latest, new) = watch::channel(Bytes::new());
        let (open, closed) = oneshot::channel();
        Self { latest, open, task: tokio::spawn(run(file, new, closed, log)) }
    }

    /// This is what the server offers now.
    pub(crate) fn keep(&self, catalogue: Bytes) {
        // No gateway can use what no frame can carry.
        if catalogue.len() <= MAX_PAYLOAD {
            self.latest.send_replace(catalogue);
        }
    }

    /// Waits, for a while, until the latest is written.
    pub(crate) async fn finish(self) {
        drop((self.latest, self.open));
        // The supervisor does not wait longer either.
        let _ = timeout(LAST, self.task).await;
    }
}

async fn run(file: PathBuf, mut new: watch::Receiver<Bytes>, mut closed: oneshot::Receiver<()>, log: Logger) {
    let mut before = Some(FIRST);
    while new.changed().await.is_ok() {
        if let Some(first) = before.take() {
            let _ = timeout(first, &mut closed).await;
        }
        let (catalogue, path) = (new.borrow_and_update().clone(), file.clone());
        match spawn_blocking(move || write(&path, &catalogue)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(log, "what the server offers cannot be kept for the next start"; "error" => %error),
            Err(error) => warn!(log, "what the server offers cannot be kept for the next start"; "error" => %error),
        }
        // A channel that has reported its end must not be polled again.
        if !closed.is_terminated() {
            let _ = timeout(PAUSE, &mut closed).await;
        }
    }
}

/// Puts the whole content in place at once, or leaves what was there.
fn write(file: &Path, content: &[u8]) -> io::Result<()> {
    if holds(file, content) { Ok(()) } else { kept_file::replace(file, content) }
}

fn holds(file: &Path, content: &[u8]) -> bool {
    let mut there = Vec::new();
    let read = kept_file::open(file).and_then(|file| file.take(content.len() as u64 + 1).read_to_end(&mut there));
    read.is_ok() && there == content
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt as _};

    use super::*;

    fn discard() -> Logger {
        Logger::root(slog::Discard, slog::o!())
    }

    #[tokio::test]
    async fn the_latest_catalogue_is_in_the_file_at_the_end_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("time.00.json");
        let catalogue_writer = CatalogueWriter::start(file.clone(), discard());
        for n in 0..50 {
            catalogue_writer.keep(Bytes::from(format!("{{\"n\":{n}}}")));
            tokio::task::yield_now().await;
        }
        catalogue_writer.finish().await;
        assert_eq!(fs::read_to_string(&file).expect("there"), r#"{"n":49}"#);
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
    }

    #[test]
    fn the_same_catalogue_is_not_written_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("time.00.json");
        let inode = || fs::metadata(&file).expect("there").ino();
        write(&file, b"{}").expect("written");
        let first = inode();
        write(&file, b"{}").expect("as it is");
        assert_eq!(inode(), first);
        write(&file, b"{ }").expect("written");
        assert_ne!(inode(), first);
    }

    #[test]
    fn a_failed_write_leaves_the_old_catalogue_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("time.00.json");
        write(&file, b"old").expect("written");
        // Where the unfinished file would be there is something that cannot be written.
        let blocked = file.with_extension(format!("json.{}.tmp", std::process::id()));
        fs::create_dir(&blocked).expect("created");
        write(&file, b"new").expect_err("blocked");
        assert_eq!(fs::read(&file).expect("there"), b"old");
    }
}
