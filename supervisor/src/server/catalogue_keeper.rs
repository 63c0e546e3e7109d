//! Keeps what workers hand over of what their server offers: gives them room, and writes what they filled in to the server's file,
//! one at a time, the latest last. The bytes are copied and never read.

use std::{
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    time::{Duration, Instant},
};

use mcproxy_ipc::{CatalogueRoom, TokenBucket, disk::on_disk, kept_file};
use slog::{Logger, warn};
use tokio::{task::JoinSet, time::timeout};

use crate::pins;

/// Catalogues of one worker a second, and how many at once: its own pause is two seconds, except at its end.
const RATE: f64 = 0.5;
const BURST: f64 = 4.0;
/// How long the end of a server waits for its last catalogue.
const LAST: Duration = Duration::from_secs(1);

/// What one worker has been given room for.
#[derive(Debug)]
pub(super) struct WorkerCatalogue {
    /// The file of the server as this worker runs it; `None`: nothing is kept.
    file: Option<PathBuf>,
    /// The room that the worker has.
    room: Option<CatalogueRoom>,
    bucket: TokenBucket,
}

impl WorkerCatalogue {
    /// Of a worker that was told to run a server whose catalogue is kept there.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file, room: None, bucket: TokenBucket::full(RATE, BURST, Instant::now()) }
    }

    /// Makes room: the worker's end, and how long the worker has to wait for it.
    pub(super) fn make_room(&mut self, now: Instant) -> io::Result<(OwnedFd, Duration)> {
        let room = CatalogueRoom::new()?;
        let end = room.for_worker()?;
        self.room = Some(room);
        self.bucket.spend(1.0);
        let debt = -self.bucket.left(now).min(0.0);
        Ok((end, Duration::from_secs_f64(debt / RATE)))
    }

    /// The worker says that it has filled it.
    pub(super) fn filled(&mut self) -> Option<FilledRoom> {
        Some(FilledRoom { file: self.file.clone()?, room: self.room.take()? })
    }
}

/// A catalogue on its way to its file.
#[derive(Debug)]
pub(super) struct FilledRoom {
    file: PathBuf,
    room: CatalogueRoom,
}

impl FilledRoom {
    fn write(self) -> io::Result<()> {
        kept_file::replace_with(&self.file, &self.room.seal()?)?;
        pins::first_sight(&self.file)
    }
}

/// Writes the catalogues of one server.
#[derive(Debug, Default)]
pub(super) struct CatalogueKeeper {
    writing: JoinSet<io::Result<()>>,
    /// Comes next; a later one takes its place.
    waiting: Option<FilledRoom>,
}

impl CatalogueKeeper {
    /// Has it written.
    pub(super) fn keep(&mut self, filled: FilledRoom) {
        if self.writing.is_empty() {
            self.begin(filled);
        } else {
            self.waiting = Some(filled);
        }
    }

    fn begin(&mut self, filled: FilledRoom) {
        self.writing.spawn(async move { on_disk(|| filled.write()).await.map_err(io::Error::other)? });
    }

    /// The next that was written, or not; never, if none is under way. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        let Some(written) = self.writing.join_next().await else { return std::future::pending().await };
        if let Some(next) = self.waiting.take() {
            self.begin(next);
        }
        written.map_err(io::Error::other)?
    }

    /// Says in the log what has become of one.
    pub(super) fn report(written: io::Result<()>, log: &Logger) {
        if let Err(error) = written {
            warn!(log, "what the server offers cannot be kept for the next start"; "error" => %error);
        }
    }

    /// Waits, for a while, until all are written.
    pub(super) async fn finish(mut self, log: &Logger) {
        let all = async {
            while !self.writing.is_empty() {
                Self::report(self.next().await, log);
            }
        };
        let _ = timeout(LAST, all).await; // a disk that hangs holds up no end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(catalogue: &mut WorkerCatalogue, text: &str) -> FilledRoom {
        let (end, _) = catalogue.make_room(Instant::now()).expect("made");
        CatalogueRoom::fill(end, text.as_bytes()).expect("filled");
        catalogue.filled().expect("it had room")
    }

    #[tokio::test]
    async fn the_latest_is_in_the_file_at_the_end_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("catalogues/time.00.json");
        std::fs::create_dir(dir.path().join("catalogues")).expect("made");
        let (mut catalogue, mut keeper) = (WorkerCatalogue::new(Some(file.clone())), CatalogueKeeper::default());
        for n in 0..20 {
            keeper.keep(fill(&mut catalogue, &format!("{n}")));
            tokio::task::yield_now().await;
        }
        keeper.finish(&Logger::root(slog::Discard, slog::o!())).await;
        assert_eq!(std::fs::read_to_string(&file).expect("there"), "19");
        assert_eq!(std::fs::read_dir(file.parent().expect("a directory")).expect("there").count(), 1);
    }

    #[test]
    fn a_worker_that_hands_over_again_and_again_waits_longer_and_longer() {
        let mut catalogue = WorkerCatalogue::new(Some("file".into()));
        assert!(catalogue.filled().is_none(), "no room was given");
        let now = Instant::now();
        let waits = (0..7).map(|_| catalogue.make_room(now).expect("made").1.as_secs_f64().round());
        assert_eq!(waits.collect::<Vec<_>>(), [0.0, 0.0, 0.0, 0.0, 2.0, 4.0, 6.0]);
    }
}
