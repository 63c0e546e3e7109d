//! The outcome of a reload: waits until the servers that it changes have settled, and reports each in a sentence.

use std::time::Duration;

use mcproxy_ipc::{ServerName, ServerState};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, timeout_at},
};

use crate::server::{ChangeState, ServerHandle, Snapshot};

/// The operator does not wait longer than that, whatever `startTimeout` says.
const LONGEST_WAIT: Duration = Duration::from_secs(45);
/// Beyond `startTimeout`, for the word of the worker that it is over.
const MARGIN: Duration = Duration::from_secs(5);

/// A server that a reload concerns.
#[derive(Debug)]
pub(crate) struct Touched {
    name: ServerName,
    limit: Duration,
    snapshot: watch::Receiver<Snapshot>,
    /// Resolves once the snapshot takes the change into account.
    heard: Option<oneshot::Receiver<()>>,
}

/// The outcome for one server.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// It runs, or does not, as the file says.
    AsConfigured,
    /// The old generation serves on; why the new one does not.
    Unchanged(String),
    /// It does not run, and why.
    Down(String),
    Starting,
}

impl Touched {
    /// `limit`: its `startTimeout`.
    pub(crate) fn new(handle: &ServerHandle, limit: Duration, heard: Option<oneshot::Receiver<()>>) -> Self {
        Self { name: handle.name.clone(), limit, snapshot: handle.snapshot.clone(), heard }
    }
}

/// Waits for all of them. Says of each that is not as configured how it is; none is left when everything is as if it had been
/// so from the start.
pub(crate) async fn collect(touched: Vec<Touched>) -> Vec<(ServerName, String)> {
    let begun = Instant::now();
    let mut sentences = Vec::new();
    for Touched { name, limit, mut snapshot, heard } in touched {
        let until = begun + (limit + MARGIN).min(LONGEST_WAIT);
        if let Some(heard) = heard {
            // A task that has ended says nothing; its last snapshot does.
            let _ = timeout_at(until, heard).await;
        }
        let decided = timeout_at(until, snapshot.wait_for(|snapshot| fate(snapshot) != Fate::Starting)).await;
        let fate = match decided {
            Ok(Ok(snapshot)) => fate(&snapshot),
            Ok(Err(_)) | Err(_) => Fate::Starting,
        };
        sentences.extend(sentence(&name, fate).map(|sentence| (name, sentence)));
    }
    sentences
}

fn fate(snapshot: &Snapshot) -> Fate {
    let why = || snapshot.last_error.clone().unwrap_or_else(|| "for no known reason".to_owned());
    match (&snapshot.change, snapshot.route.state) {
        (Some(ChangeState::Starting(_)), _) => Fate::Starting,
        (Some(ChangeState::Failed(why)), _) => Fate::Unchanged(why.clone()),
        (None, ServerState::Starting | ServerState::Stopping) => Fate::Starting,
        (None, ServerState::Stopped) if snapshot.wanted => Fate::Starting,
        (None, ServerState::Ready | ServerState::Stopped | ServerState::Idle) => Fate::AsConfigured,
        (None, ServerState::Backoff | ServerState::NeedsLogin | ServerState::Blocked | ServerState::Failed) => {
            Fate::Down(why())
        }
    }
}

fn sentence(name: &ServerName, fate: Fate) -> Option<String> {
    match fate {
        Fate::AsConfigured => None,
        Fate::Unchanged(why) => Some(format!("{name} goes on as before, because the new one does not start: {why}")),
        Fate::Down(why) => Some(format!("{name} does not run: {why}")),
        Fate::Starting => Some(format!("{name} is still starting; see `mcproxy status {name}`")),
    }
}
