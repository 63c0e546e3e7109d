//! The supervisor's order to a worker.

use std::{path::PathBuf, time::Duration};

use mcproxy_confine::ServerConfinement;
use serde::{Deserialize, Serialize};

use crate::{Generation, Reach, ServerName, data::ServerEra};

/// However long a package runner installs what it starts: a start that is not over by then, or by `startTimeout` if that is
/// longer, has failed.
pub const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// All that a worker is told: one generation of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// The server.
    pub server: ServerName,
    /// Which start of it.
    pub generation: Generation,
    /// How it is reached.
    pub reach: Reach,
    /// From spawn to a complete catalogue.
    pub start_timeout: Duration,
    /// How long one call may take.
    pub timeouts: CallTimeouts,
    /// The features that the server may ask its clients for; `None`: nothing is said of that. Then one that all share may ask for
    /// nothing, and an instance that one client has to itself for what this client can.
    pub features: Option<ClientFeatures>,
    /// Extensions that the server is told its clients have, by their identifiers; a client's own come with what it declares.
    pub extensions: Vec<String>,
    /// The declaration of the client to the server when it starts; `None`: what the two before this come to.
    pub client: Option<ClientDeclaration>,
    /// How the worker begins with the server.
    pub era: EraRule,
    /// After so long without a call the server may be ended; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// The lists of a server that does not announce their changes are asked for again when a client asks and they are older
    /// than that; `None`: never.
    pub list_ttl: Option<Duration>,
    /// Bounds on what the worker accepts from the server.
    pub limits: ServerLimits,
    /// How sessions share the server.
    pub instances: Instances,
    /// The control group (version 2) that the server and all it starts belong in, where there is one.
    pub cgroup: Option<PathBuf>,
    /// What the server may do. The supervisor adds where its own directories lie.
    pub confinement: ServerConfinement,
    /// Whether the supervisor keeps the catalogue for the next start of everything.
    pub keeps_catalogue: bool,
    /// Whether the worker may remove the entry of a package runner's cache that an interrupted installation left broken.
    pub may_clear_cache: bool,
}

/// How a worker finds out which era of MCP its server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EraRule {
    /// By what the server answers.
    Auto {
        /// The era that it spoke when it last ran; the worker begins with that.
        known: Option<ServerEra>,
    },
    /// It is spoken to in this era, and anything else is a failed start.
    Only(ServerEra),
}

/// The evidence for the era of a server, which says how reliable that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EraEvidence {
    /// Nothing: the configuration says so.
    Configuration,
    /// The server's answer.
    Answer,
    /// It ended when it was asked.
    End,
    /// It did not answer. This proves nothing, and is not remembered.
    Silence,
}

/// How sessions share a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instances {
    /// One process for all.
    #[default]
    Shared,
    /// One for each session that calls, so that none sees another's state.
    PerSession(InstanceRules),
    /// It is one of these: what calls it is one client.
    SingleClient,
}

impl Instances {
    /// How many copies of the server run at once, at most.
    pub fn copies(&self) -> u64 {
        match self {
            Self::PerSession(rules) => u64::try_from(rules.max).unwrap_or(u64::MAX),
            Self::Shared | Self::SingleClient => 1,
        }
    }
}

/// How many instances a server may have, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRules {
    /// Most at once, spare ones and those that are being ended included.
    pub max: usize,
    /// Ready ones that wait for a session.
    pub prewarm: usize,
    /// Without a call of its session for so long, one is ended; `None`: only with its session.
    pub idle: Option<Duration>,
}

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTimeouts {
    /// Without an answer or a sign of progress.
    pub idle: Duration,
    /// In all, whatever progress there is.
    pub total: Duration,
    /// How long the client may take to answer what the server asks of it. The other two stand still meanwhile.
    pub input: Duration,
}

/// The features that a server may ask its clients for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFeatures {
    /// A completion of the client's model.
    pub sampling: bool,
    /// With tools that the server brings.
    pub sampling_tools: bool,
    /// With what other servers know.
    pub sampling_context: bool,
    /// A form for the user.
    pub form: bool,
    /// A page for the user to visit.
    pub url: bool,
    /// The directories that the client works in.
    pub roots: bool,
    /// And to be told when they change.
    pub roots_changed: bool,
}

impl ClientFeatures {
    /// Everything that `clientFeatures` can list.
    pub const LISTED: Self = Self {
        sampling: true,
        sampling_tools: false,
        sampling_context: false,
        form: true,
        url: true,
        roots: true,
        roots_changed: false,
    };

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The part of these that `clientFeatures` allows.
    #[must_use]
    pub fn within(self, listed: Self) -> Self {
        Self {
            sampling: self.sampling && listed.sampling,
            sampling_tools: self.sampling_tools && listed.sampling,
            sampling_context: self.sampling_context && listed.sampling,
            form: self.form && listed.form,
            url: self.url && listed.url,
            roots: self.roots && listed.roots,
            roots_changed: self.roots_changed && listed.roots,
        }
    }
}

/// A client's description of itself, for a server that is told in `initialize`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientDeclaration {
    /// Its `capabilities`, a JSON object.
    pub capabilities: String,
    /// Its `clientInfo`, a JSON object; `None`: the server takes MCProxy for its client.
    pub info: Option<String>,
}

/// Bounds on what one server may send or keep busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLimits {
    /// Longest line on the server's stdout, in bytes.
    pub line_bytes: usize,
    /// Most entries of one kind in the catalogue.
    pub tools: usize,
    /// Largest catalogue, in bytes.
    pub catalogue_bytes: usize,
    /// Most calls in flight at once; further ones are refused.
    pub concurrent_calls: usize,
    /// Most resident memory of the server and all it started, in bytes; beyond that it is restarted.
    pub memory_bytes: Option<u64>,
    /// Most processes of the server and all it started; the same.
    pub processes: Option<u64>,
    /// Most processor time, in thousandths of one processor.
    pub cpu_millis: Option<u32>,
    /// Most pages of one list.
    pub pages: usize,
    /// Lines a minute on stdout that are no messages; one more ends the server.
    pub garbage_lines: u64,
    /// Lines a second of its stderr that are logged.
    pub stderr_lines: u32,
    /// A server that takes nothing from a full stdin for so long does not read it.
    pub write_timeout: Duration,
}

/// The kernel counts threads as processes, which `limits.maxProcesses` does not. A runtime with a thread for each processor
/// must not be refused them, and a bomb is still stopped long before the machine is full; the worker looks at the exact number.
const TASKS_PER_PROCESS: u64 = 32;
const FEWEST_TASKS: u64 = 256;
/// The kernel takes no larger number.
const ALL_PIDS: u64 = 4 << 20;

impl ServerLimits {
    /// How many tasks, processes and threads, the kernel may allow so many copies of the server; `None`: any.
    pub fn tasks(&self, copies: u64) -> Option<u64> {
        let of_one = self.processes?.saturating_mul(TASKS_PER_PROCESS).max(FEWEST_TASKS);
        Some(of_one.saturating_mul(copies).min(ALL_PIDS))
    }
}

/// Which tools are shown, and how. Patterns may contain `*`. The rules of a server know its tools by the server's own names,
/// those of a group by the names that `/mcp` shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRules {
    /// When not empty: only these.
    pub allow: Vec<String>,
    /// Never these.
    pub deny: Vec<String>,
    /// The name of a tool → the name that clients see, without its server's.
    pub rename: Vec<(String, String)>,
    /// The name of a tool → the description that clients see.
    pub describe: Vec<(String, String)>,
    /// The name of a tool → the title that clients see.
    pub title: Vec<(String, String)>,
    /// The name of a tool → the annotations that clients see instead of the server's.
    pub annotations: Vec<(String, ToolAnnotations)>,
    /// What happens to tools whose texts try to give orders.
    pub suspicious: SuspicionRule,
}

/// What happens to tools whose texts try to give orders to a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuspicionRule {
    /// Nothing: it is not looked for.
    Ignore,
    /// It is said.
    #[default]
    Report,
    /// They are not offered.
    Hold,
}

impl ToolRules {
    /// Whether they leave all tools as they are.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Annotations of a tool (`ToolAnnotations` of MCP); `None`: as the server says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolAnnotations {
    /// A title for people.
    pub title: Option<String>,
    /// Whether the tool changes nothing.
    pub read_only: Option<bool>,
    /// Whether what it changes may be lost.
    pub destructive: Option<bool>,
    /// Whether a second call with the same arguments changes nothing more.
    pub idempotent: Option<bool>,
    /// Whether it reaches beyond its own domain.
    pub open_world: Option<bool>,
}
