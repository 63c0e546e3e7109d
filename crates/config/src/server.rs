//! One server of the file, checked.

mod build;
mod checks;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcproxy_ipc::{
    CallTimeouts, CatalogueKey, ClientFeatures, EraRule, Generation, Instances, LaunchSpec, ServerLimits, ServerName,
    ToolRules, WorkerSpec, data::ServerEra,
};
use sha2::{Digest, Sha256};

pub(crate) use build::build;

/// A server and all that is needed to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Its name.
    pub name: ServerName,
    /// Whether it is wanted up.
    pub enabled: bool,
    /// The command as written in the file, for people; references in it are not replaced.
    pub command: String,
    /// How to start it, or why that is impossible.
    pub launch: Launch,
    /// From the start of the command until it must be ready.
    pub start_timeout: Duration,
    /// When it is started.
    pub start: Start,
    /// How long a call may take.
    pub timeouts: CallTimeouts,
    /// What it may ask its clients for, where that is said.
    pub features: Option<ClientFeatures>,
    /// Which revisions of MCP are spoken to it.
    pub era: Era,
    /// After how long its lists are asked for again, if it does not announce changes; `None`: never.
    pub list_ttl: Option<Duration>,
    /// How sessions share it.
    pub instances: Instances,
    /// What follows when it ends.
    pub restart: RestartPolicy,
    /// How another configuration of it is put in force.
    pub on_change: OnChange,
    /// Which tools are offered, and how.
    pub tools: ToolRules,
    /// What it may send or keep busy.
    pub limits: ServerLimits,
}

/// Whether a server can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// With this command.
    Ready(LaunchSpec),
    /// Not until the environment of MCProxy changes.
    Blocked(Blocked),
}

/// Environment variables that a server's entry refers to and that are not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", reason(variables))]
pub struct Blocked {
    /// Their names; at least one.
    pub variables: Vec<String>,
}

/// When a server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With MCProxy, and again whenever it ended.
    Eager,
    /// By its first call.
    Lazy {
        /// It is ended after so long without one; `None`: never.
        idle_timeout: Option<Duration>,
    },
}

impl Start {
    /// After how long without a call a server is ended.
    pub fn idle_timeout(self) -> Option<Duration> {
        match self {
            Self::Eager => None,
            Self::Lazy { idle_timeout } => idle_timeout,
        }
    }
}

/// Which revisions of MCP are spoken to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// What the server answers to.
    Auto,
    /// Those that begin with `initialize`.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    /// How a worker begins with a server of which this is known.
    pub fn rule(self, known: Option<ServerEra>) -> EraRule {
        match self {
            Self::Auto => EraRule::Auto { known },
            Self::Legacy => EraRule::Only(ServerEra::Legacy),
            Self::Modern => EraRule::Only(ServerEra::Modern),
        }
    }
}

/// How another configuration of a server is put in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChange {
    /// The new incarnation has to be ready before the old one is let go.
    Swap,
    /// The old one ends first: the server cannot exist twice.
    Restart,
}

/// What follows when a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Before the first restart; doubled for each further one.
    pub initial_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// After this long in health the delay starts anew.
    pub healthy_after: Duration,
    /// Restarts in a row before giving up; `None` for never.
    pub max_attempts: Option<u32>,
}

impl ServerConfig {
    /// What a worker is told to run one incarnation of this server; `data_socket` is `None` by hand.
    pub fn worker_spec(&self, generation: Generation, data_socket: Option<PathBuf>) -> Result<WorkerSpec, Blocked> {
        match &self.launch {
            Launch::Blocked(blocked) => Err(blocked.clone()),
            Launch::Ready(launch) => Ok(WorkerSpec {
                server: self.name.clone(),
                generation,
                launch: launch.clone(),
                start_timeout: self.start_timeout,
                timeouts: self.timeouts,
                features: self.features,
                era: self.era.rule(None),
                idle_timeout: self.start.idle_timeout(),
                list_ttl: self.list_ttl,
                limits: self.limits,
                instances: self.instances,
                data_socket,
                cgroup: None,
                catalogue_file: None,
            }),
        }
    }

    /// What its kept catalogue belongs to; `None` while it cannot be started. The values of variables are no part of it:
    /// they are renewed more often than they change what a server offers.
    pub fn catalogue_key(&self) -> Option<CatalogueKey> {
        let Launch::Ready(launch) = &self.launch else { return None };
        let mut digest = Sha256::new();
        // With its length, so that no part can pass for two.
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        part(launch.program.as_bytes());
        part(&launch.args.len().to_be_bytes());
        launch.args.iter().for_each(|arg| part(arg.expose().as_bytes()));
        launch.env.iter().for_each(|(name, _)| part(name.as_bytes()));
        part(launch.cwd.as_deref().map_or(&[], |cwd| cwd.as_os_str().as_encoded_bytes()));
        let digest: [u8; 32] = digest.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Some(CatalogueKey(key))
    }

    /// Makes a relative working directory start from the directory of the file.
    pub(crate) fn resolve_cwd(&mut self, base: &Path) {
        if let Launch::Ready(LaunchSpec { cwd: Some(cwd), .. }) = &mut self.launch {
            *cwd = base.join(&*cwd);
        }
    }
}

pub(crate) fn reason(variables: &[String]) -> String {
    match variables {
        [one] => format!("environment variable {one} is not set"),
        several => format!("environment variables {} are not set", several.join(", ")),
    }
}
