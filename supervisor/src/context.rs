//! The context that all tasks share: names, limits, and snapshots of each other. No task sees another's state.

use std::{io, path::PathBuf, sync::Arc, time::Instant};

use mcproxy_config::ServerConfig;
use mcproxy_confine::{Degradation, Hardening};
use mcproxy_ipc::{ConfigSource, EMBEDDINGS_FILE, Reach, WorkerSpec, log::DroppedRecords};
use slog::Logger;
use tokio::sync::{Notify, watch};

use crate::{
    cgroups::{Cgroups, MissingBounds},
    child::Programs,
    children::Children,
    degradations::Degradations,
    gateway::GatewaySnapshot,
    log_ring::Follow,
    logins::Logins,
    runtime_dir::Paths,
    server::ServerHandle,
    start_queue::StartQueue,
    users::{ServerUser, Users},
    worker_dir,
};

/// The configuration in force, for status.
#[derive(Debug, Clone)]
pub(crate) struct Overview {
    /// The configuration file.
    pub(crate) config_path: String,
    /// Where the configuration in force is from.
    pub(crate) config_source: ConfigSource,
    /// Why the file on disk is not the one in force.
    pub(crate) config_error: Option<String>,
    /// Mistakes in single servers of the file, and keys that are not understood.
    pub(crate) config_warnings: Vec<String>,
    /// Where the gateway listens.
    pub(crate) listen: String,
    /// Since when we run.
    pub(crate) started: Instant,
}

/// Every server, in the order of the file.
pub(crate) type Directory = Arc<[ServerHandle]>;

/// Shared by all tasks.
#[derive(Clone)]
pub(crate) struct Context {
    /// The root logger.
    pub(crate) log: Logger,
    /// Names in the runtime directory.
    pub(crate) paths: Paths,
    /// Our other binaries.
    pub(crate) programs: Programs,
    /// How much of the confinement is wanted.
    pub(crate) hardening: Hardening,
    /// What of it cannot be had here.
    pub(crate) degraded: Degradations,
    /// Cgroups for servers, where there are any.
    pub(crate) cgroups: Option<Arc<Cgroups>>,
    /// Limits of servers that the kernel does not keep, where it is asked to.
    pub(crate) missing_bounds: Option<Arc<MissingBounds>>,
    /// Who runs as which user.
    pub(crate) users: Users,
    /// Where the catalogues of servers are kept; `None`: nowhere.
    pub(crate) catalogues: Option<PathBuf>,
    /// Where calls are recorded unless the configuration says; `None`: nowhere.
    pub(crate) audit: Option<PathBuf>,
    /// Where logins at servers are kept; `None`: nowhere.
    pub(crate) logins: Option<Logins>,
    /// Where embeddings of texts are kept; `None`: nowhere.
    pub(crate) embeddings: Option<PathBuf>,
    /// Log records that the sink was too slow for.
    pub(crate) log_dropped: DroppedRecords,
    /// The processes that are ours.
    pub(crate) children: Children,
    /// Where servers wait for their turn to start.
    pub(crate) starts: StartQueue,
    /// New log lines of all servers.
    pub(crate) follow: Follow,
    /// Rung when the route of a server changed, for the gateway's task.
    pub(crate) routes_changed: Arc<Notify>,
    /// Every server.
    pub(crate) directory: watch::Receiver<Directory>,
    /// The configuration in force.
    pub(crate) overview: watch::Receiver<Overview>,
    /// The gateway's process.
    pub(crate) gateway: watch::Receiver<GatewaySnapshot>,
}

impl Context {
    /// The handle of one server.
    pub(crate) fn server(&self, name: &str) -> Option<ServerHandle> {
        self.directory.borrow().iter().find(|server| server.name.as_str() == name).cloned()
    }

    /// What this server lacks of what its limits say.
    pub(crate) fn unbounded(&self, config: &ServerConfig) -> Option<Degradation> {
        self.missing_bounds.as_ref()?.degradation([config])
    }

    /// Tells a worker that runs as this user where it keeps what outlives it, if there is anything: logins, or embeddings.
    pub(crate) fn place(&self, spec: &mut WorkerSpec, user: &ServerUser) -> io::Result<()> {
        match (&mut spec.reach, &self.logins, &self.embeddings) {
            (Reach::Http(http), Some(logins), _) => {
                if let Some(oauth) = &mut http.oauth {
                    oauth.place = Some(logins.place(&spec.server, user)?);
                }
            }
            (Reach::Embeddings(embeddings), _, Some(dir)) => {
                worker_dir::own(dir, user, &[EMBEDDINGS_FILE])?;
                embeddings.dir = Some(dir.clone());
            }
            (Reach::Command(_) | Reach::Http(_) | Reach::Embeddings(_) | Reach::Authority(_), ..) => {}
        }
        Ok(())
    }

    /// All servers at this moment.
    pub(crate) fn servers(&self) -> Directory {
        self.directory.borrow().clone()
    }
}

/// Waits until `deadline`, or for ever.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
