//! Hands over to the supervisor what the server offers, so that lists are complete as soon as everything is started again.
//!
//! It is a help and nothing depends on it: what cannot be kept is logged, and the server is served all the same. The supervisor
//! gives room for one catalogue at a time, the latest is filled in, and the supervisor writes it to its file. No path is known here.

use std::{io, os::fd::OwnedFd, time::Duration};

use bytes::Bytes;
use mcproxy_ipc::{CatalogueRoom, control::WorkerToSupervisor, frame::MAX_PAYLOAD};
use slog::{Logger, warn};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

/// From one catalogue to the next: a server may change its lists as often as it likes.
const PAUSE: Duration = Duration::from_secs(2);
/// Before the first: what a server offers can wait until those that start beside it are ready, too.
const FIRST: Duration = Duration::from_secs(1);
/// How long the end of a worker waits until the last is handed over.
const LAST: Duration = Duration::from_secs(1);

/// The way to the supervisor.
#[derive(Debug)]
pub(crate) struct CataloguePort {
    pub(crate) reports: mpsc::Sender<WorkerToSupervisor>,
    /// Its answers.
    pub(crate) rooms: mpsc::Receiver<io::Result<OwnedFd>>,
}

/// Hands over the latest catalogue it was given.
#[derive(Debug)]
pub(crate) struct CatalogueWriter {
    latest: watch::Sender<Bytes>,
    /// Its end cuts the pause short.
    open: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl CatalogueWriter {
    /// Begins, without a catalogue.
    pub(crate) fn start(port: CataloguePort, log: Logger) -> Self {
        let (latest, new) = watch::channel(Bytes::new());
        let (open, closed) = oneshot::channel();
        Self { latest, open, task: tokio::spawn(run(port, new, closed, log)) }
    }

    /// This is what the server offers now.
    pub(crate) fn keep(&self, catalogue: Bytes) {
        // No gateway can use what no frame can carry.
        if catalogue.len() <= MAX_PAYLOAD {
            self.latest.send_replace(catalogue);
        }
    }

    /// Waits, for a while, until the latest is handed over.
    pub(crate) async fn finish(self) {
        drop((self.latest, self.open));
        // The supervisor does not wait longer either.
        let _ = timeout(LAST, self.task).await;
    }
}

async fn run(mut port: CataloguePort, mut new: watch::Receiver<Bytes>, mut closed: oneshot::Receiver<()>, log: Logger) {
    let mut before = Some(FIRST);
    let mut last = Bytes::new();
    while new.changed().await.is_ok() {
        if let Some(first) = before.take() {
            let _ = timeout(first, &mut closed).await;
        }
        if *new.borrow() == last {
            continue;
        }
        match hand_over(&mut port, &mut new).await {
            Ok(catalogue) => last = catalogue,
            Err(error) => warn!(log, "what the server offers cannot be kept for the next start"; "error" => %error),
        }
        // A channel that has reported its end must not be polled again.
        if !closed.is_terminated() {
            let _ = timeout(PAUSE, &mut closed).await;
        }
    }
}

/// Asks for room and fills in what is the latest when there is some.
async fn hand_over(port: &mut CataloguePort, new: &mut watch::Receiver<Bytes>) -> io::Result<Bytes> {
    let gone = || io::Error::other("the supervisor is gone");
    port.reports.send(WorkerToSupervisor::WantCatalogueRoom).await.map_err(|_| gone())?;
    let room = port.rooms.recv().await.ok_or_else(gone)??;
    let catalogue = new.borrow_and_update().clone();
    let content = catalogue.clone();
    // Memory may have to be waited for.
    spawn_blocking(move || CatalogueRoom::fill(room, &content)).await.map_err(io::Error::other)??;
    port.reports.send(WorkerToSupervisor::CatalogueFilled).await.map_err(|_| gone())?;
    Ok(catalogue)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _};

    use super::*;

    fn discard() -> Logger {
        Logger::root(slog::Discard, slog::o!())
    }

    /// A supervisor that gives room, and what it was handed in it.
    async fn supervisor(
        mut reports: mpsc::Receiver<WorkerToSupervisor>,
        rooms: mpsc::Sender<io::Result<OwnedFd>>,
    ) -> Vec<String> {
        let mut handed = None;
        let mut catalogues = Vec::new();
        while let Some(report) = reports.recv().await {
            match report {
                WorkerToSupervisor::WantCatalogueRoom => {
                    let room = CatalogueRoom::new().expect("made");
                    rooms.send(room.for_worker()).await.expect("asked for");
                    assert!(handed.replace(room).is_none(), "one at a time");
                }
                WorkerToSupervisor::CatalogueFilled => {
                    let mut text = String::new();
                    let mut file: File = handed.take().expect("there was room").seal().expect("sealed");
                    file.read_to_string(&mut text).expect("text");
                    catalogues.push(text);
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
        catalogues
    }

    #[tokio::test]
    async fn the_latest_catalogue_is_handed_over_at_the_end() {
        let ((reports, reported), (to, rooms)) = (mpsc::channel(4), mpsc::channel(1));
        let supervisor = tokio::spawn(supervisor(reported, to));
        let catalogue_writer = CatalogueWriter::start(CataloguePort { reports, rooms }, discard());
        for n in 0..50 {
            catalogue_writer.keep(Bytes::from(format!("{{\"n\":{n}}}")));
            tokio::task::yield_now().await;
        }
        catalogue_writer.finish().await;
        let catalogues = timeout(Duration::from_secs(5), supervisor).await.expect("in time").expect("no panic");
        assert_eq!(catalogues.last().map(String::as_str), Some(r#"{"n":49}"#));
        assert!(catalogues.len() <= 2, "the pause keeps most of them from being handed over: {catalogues:?}");
    }

    #[tokio::test]
    async fn a_supervisor_without_room_or_without_an_answer_delays_the_end_by_no_more_than_a_moment() {
        for answer in [Some(io::Error::other("none")), None] {
            let ((reports, mut reported), (to, rooms)) = (mpsc::channel(4), mpsc::channel(1));
            if let Some(error) = answer {
                to.send(Err(error)).await.expect("room");
            }
            let catalogue_writer = CatalogueWriter::start(CataloguePort { reports, rooms }, discard());
            catalogue_writer.keep(Bytes::from_static(b"{}"));
            timeout(Duration::from_secs(5), catalogue_writer.finish()).await.expect("in time");
            assert_eq!(reported.recv().await, Some(WorkerToSupervisor::WantCatalogueRoom));
        }
    }
}
