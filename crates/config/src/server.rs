//! One server of the file, checked.

mod build;
mod checks;
mod oauth;
mod package;
mod reach;
mod remote;
mod sandbox;
mod shown;

use std::path::Path;
use std::time::Duration;

use mcproxy_confine::ServerConfinement;
use mcproxy_ipc::{
    CallTimeouts, CatalogueKey, ClientFeatures, EraRule, Generation, Instances, LaunchSpec, Reach, ServerApprovals,
    ServerLimits, ServerName, ServerRates, ToolRules, WorkerSpec, data::ServerEra,
};
use sha2::{Digest, Sha256};

use crate::{dialect::Source, problem::printable, report::Report, text::position, tree::Node};

pub(crate) use self::{build::build, reach::texts, sandbox::PATHS as SANDBOX_PATHS};

/// A server and all that is needed to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Its name.
    pub name: ServerName,
    /// Whether it is wanted up.
    pub enabled: bool,
    /// The command as written in the file, or the address, for people; references in it are not replaced, and of an address what may
    /// be secret is left out. Empty without either.
    pub command: String,
    /// The package, script or image that the command runs, where the command is a runner; as written.
    pub package: Option<String>,
    /// How it is reached; an error: why it is not, until its entry or the environment of MCProxy changes.
    pub reach: Result<Reach, Blocked>,
    /// From the start of the command until it must be ready.
    pub start_timeout: Duration,
    /// When it is started.
    pub start: Start,
    /// How long a call may take.
    pub timeouts: CallTimeouts,
    /// The features that it may ask its clients for, where the file says so.
    pub features: Option<ClientFeatures>,
    /// Extensions that it is told its clients have.
    pub extensions: Vec<String>,
    /// Which revisions of MCP are spoken to it.
    pub era: Era,
    /// After how long its lists are asked for again, if it does not announce changes; `None`: never.
    pub list_ttl: Option<Duration>,
    /// How sessions share it.
    pub instances: Instances,
    /// Its restarts.
    pub restart: RestartPolicy,
    /// How another configuration of it is put in force.
    pub on_change: OnChange,
    /// Which tools are offered, and how.
    pub tools: ToolRules,
    /// Bounds on its output and its calls.
    pub limits: ServerLimits,
    /// How often it may be called.
    pub rates: ServerRates,
    /// Which of its calls need the agreement of a person.
    pub approvals: ServerApprovals,
    /// The largest result of a tool that clients are shown whole, in bytes; `None`: any.
    pub result_bytes: Option<usize>,
    /// What it may do, as far as its entry says.
    pub confinement: ServerConfinement,
    /// The account that it runs as; `None`: a user of its own where there are any, else the supervisor's.
    pub run_as: Option<String>,
}

/// Why a server cannot be started as configured. Its text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// Its entry refers to environment variables that are not set; at least one.
    #[error("{}", reason(.0))]
    Variables(Vec<String>),
    /// Its entry refers to what only an editor knows: `input:token`.
    #[error("`${{{0}}}` is known to editors only; write `${{VARIABLE}}` and set that environment variable")]
    Reference(String),
    /// Its entry refers to a file with a secret that cannot be read: `file:/run/secrets/token`.
    #[error(
        "`${{{0}}}` cannot be read: there must be a file of text there, of at most 64 KiB, that the supervisor may read; then `mcproxy reload`"
    )]
    Secret(String),
    /// It is reached in a way that MCProxy does not know: this.
    #[error(
        "servers of type `{0}` are not known; MCProxy starts commands (`stdio`), and reaches servers by `http` (Streamable HTTP) and `sse`"
    )]
    Kind(String),
    /// It is the client of this very MCProxy.
    #[error("this is MCProxy's own client, which would lead back here; remove the entry")]
    Itself,
    /// Its entry has mistakes; the first of them.
    #[error("its entry has a mistake: {0}")]
    Mistake(String),
}

impl Blocked {
    /// The environment variables to set.
    pub fn variables(&self) -> &[String] {
        match self {
            Self::Variables(names) => names,
            Self::Reference(_) | Self::Secret(_) | Self::Kind(_) | Self::Itself | Self::Mistake(_) => &[],
        }
    }
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
    /// Those that the server answers to.
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
    /// The new generation has to be ready before the old one is let go.
    Swap,
    /// The old one ends first: the server cannot exist twice.
    Restart,
}

/// When a server that ended is restarted.
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
    /// The same, blocked if something is wrong with its entry: by the first mistake, with its place. `root` is the whole file.
    pub(crate) fn settled(mut self, own: Report, (root, source): (&Node, Source<'_>), report: &mut Report) -> Self {
        if let Some((offset, message)) = own.first_error() {
            let (line, column) = position(source.text, offset);
            let pointer = printable(&root.pointer_to(offset));
            self.reach = Err(Blocked::Mistake(format!("{line}:{column} {pointer}: {message}")));
        }
        report.merge(own);
        self
    }

    /// The order to a worker to run one generation of this server.
    pub fn worker_spec(&self, generation: Generation) -> Result<WorkerSpec, Blocked> {
        Ok(WorkerSpec {
            server: self.name.clone(),
            generation,
            reach: self.reach.clone()?,
            start_timeout: self.start_timeout,
            timeouts: self.timeouts,
            features: self.features,
            extensions: self.extensions.clone(),
            client: None,
            era: self.era.rule(None),
            idle_timeout: self.start.idle_timeout(),
            list_ttl: self.list_ttl,
            limits: self.limits,
            instances: self.instances,
            cgroup: None,
            confinement: self.confinement.clone(),
            keeps_catalogue: false,
            may_clear_cache: true,
        })
    }

    /// The command to start; `None` where there is none, or it cannot be started as configured.
    pub fn launch_spec(&self) -> Option<&LaunchSpec> {
        self.reach.as_ref().ok()?.command()
    }

    /// Why it cannot be started, if that is so.
    pub fn blocked(&self) -> Option<&Blocked> {
        self.reach.as_ref().err()
    }

    /// The key of its kept catalogue; `None` while it cannot be started.
    pub fn catalogue_key(&self) -> Option<CatalogueKey> {
        let mut digest = Sha256::new();
        for part in self.reach.as_ref().ok()?.identity() {
            // With its length, so that no part can pass for two.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Some(CatalogueKey(key))
    }

    /// Makes relative paths start from the directory of the file.
    pub(crate) fn resolve_paths(&mut self, base: &Path) {
        sandbox::resolve(&mut self.confinement.sandbox, base);
        if let Ok(reach) = &mut self.reach {
            reach.resolve_paths(base);
        }
    }
}

pub(crate) fn reason(variables: &[String]) -> String {
    match variables {
        [one] => format!("environment variable {one} is not set"),
        several => format!("environment variables {} are not set", several.join(", ")),
    }
}
