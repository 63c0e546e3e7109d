//! Control messages between supervisor and worker.

use std::time::Duration;

use mcproxy_confine::Degradation;
use serde::{Deserialize, Serialize};

use crate::{
    CatalogueCounts, Ended, ListFailure, LogRecord, RunningInstances, ServerDescription, WorkerSpec, data::ServerEra,
};

/// A message of the supervisor to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SupervisorToWorker {
    /// First message: what to run.
    Run(Box<WorkerSpec>),
    /// A gateway is there, in the place of any earlier one. With the two descriptors of a [`DataEnd`](crate::DataEnd).
    Serve,
    /// To `WantCatalogueRoom`: the one descriptor is the worker's end of a [`CatalogueRoom`](crate::CatalogueRoom).
    CatalogueRoom,
    /// The same, when there is none.
    NoCatalogueRoom,
    /// Answer with `Pong` of the same number.
    Ping(u64),
    /// Refuse new calls, answer the pending ones with an error, end the server (stdin, SIGTERM, SIGKILL), then say `Ended`.
    Stop,
    /// Another generation takes over, or no client needs this one: serve on, and end as with `Stop` once the gateway has let go
    /// of its connection, which it does when no call is in flight on it any more.
    Drain {
        /// At most so long; what is in flight then gets its one error.
        grace: Duration,
    },
}

/// A message of a worker to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerToSupervisor {
    /// The server's process exists; it leads a process group of the same number.
    Spawned {
        /// Its process id.
        pid: u32,
    },
    /// Which processes there are of a server that has one for each session, in place of `Spawned` and again whenever that
    /// changes; each leads a process group of its number.
    Instances(RunningInstances),
    /// Handshake done, catalogue complete.
    Ready(ServerDescription),
    /// The server's process was replaced by another because of the question what it speaks, and has the whole time of a
    /// start again. At most once.
    StartedAgain,
    /// Which era the server speaks was found out too late for this run; the next one is to begin with it.
    EraLearned(ServerEra),
    /// Protections that this server lacks although they are wanted, and others may have; all of them, before it is ready.
    Degraded(Vec<Degradation>),
    /// A package runner installs the server, or waits for another that does: the start takes longer. Again and again, for as
    /// long as that goes on.
    Installing,
    /// A broken entry of a package runner's cache was removed; once is enough.
    CacheCleared,
    /// The worker or its server has something to log.
    Log(LogRecord),
    /// The catalogue changed.
    Counts(CatalogueCounts),
    /// What the server offers is to be kept for its next start. Not again before the answer has come and was made use of.
    WantCatalogueRoom,
    /// The room is filled.
    CatalogueFilled,
    /// The lists that the server does not give, all of them, whenever that changes.
    ListFailures(Vec<ListFailure>),
    /// No call for `idle_timeout`. If the gateway leaves now, the server is ended.
    NothingToDo,
    /// A call came after `NothingToDo`.
    Work,
    /// Answer to `Ping`.
    Pong(u64),
    /// The last message: the server is gone, and so will be the worker.
    Ended(Ended),
}
