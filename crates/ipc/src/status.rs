//! The status report.

use std::time::Duration;

use mcproxy_confine::{Degradation, Hardening};
use serde::{Deserialize, Serialize};

use crate::{EraEvidence, Generation, LogLevel, LogSource, ServerName, ServerState, ServerTransport, data::ServerEra};

/// A server's description of itself when it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDescription {
    /// Which era of MCP is spoken to it.
    pub era: ServerEra,
    /// The evidence for that.
    pub evidence: EraEvidence,
    /// How that was found out, in words.
    pub probe: String,
    /// The protocol version both sides agreed on.
    pub protocol_version: String,
    /// `serverInfo.name`.
    pub name: String,
    /// `serverInfo.version`.
    pub version: String,
    /// The sizes of its lists.
    pub counts: CatalogueCounts,
}

impl ServerDescription {
    /// The same with every text changed.
    pub fn map_texts(self, change: impl Fn(String) -> String) -> Self {
        let Self { era, evidence, probe, protocol_version, name, version, counts } = self;
        Self {
            era,
            evidence,
            probe: change(probe),
            protocol_version: change(protocol_version),
            name: change(name),
            version: change(version),
            counts,
        }
    }
}

/// How many entries a catalogue has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueCounts {
    /// Tools.
    pub tools: usize,
    /// Prompts.
    pub prompts: usize,
    /// Resources.
    pub resources: usize,
    /// Resource templates.
    pub templates: usize,
    /// About how many tokens of a model's context its tools take, as the gateway lists them; 0: not known, or it has none.
    pub tool_tokens: usize,
    /// Tools whose texts try to give orders to a model, offered or not, as the gateway reads them.
    pub suspicious: usize,
}

/// A list that a server declares and does not give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListFailure {
    /// The method that asks for it, such as `tools/list`.
    pub method: String,
    /// The server's answer, or that there was none.
    pub error: String,
    /// How many times it was asked in vain.
    pub attempts: u32,
    /// When it is asked again.
    pub retry_in: Duration,
}

/// The instances of a server that has one for each session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningInstances {
    /// How many there are.
    pub running: usize,
    /// The process ids of those that are processes of this machine, the eldest first.
    pub pids: Vec<u32>,
    /// How many there may be.
    pub max: usize,
}

/// How many instances a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceCount {
    /// At this moment.
    pub running: usize,
    /// At most.
    pub max: usize,
}

/// One process of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its process id.
    pub pid: u32,
    /// Since when it runs.
    pub uptime: Duration,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// How many times it was started again.
    pub restarts: u64,
}

/// One step in the life of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleEvent {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The generation.
    pub generation: Generation,
    /// The state before.
    pub from: ServerState,
    /// The state after.
    pub to: ServerState,
    /// Why.
    pub reason: String,
}

/// How the start of a server goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartStatus {
    /// So long already; `None` while it waits for other servers that are starting.
    pub elapsed: Option<Duration>,
    /// Of so long (`startTimeout`).
    pub limit: Duration,
    /// A package runner (`npx`, `uvx`) is installing it, which takes as long as it takes.
    pub installing: bool,
    /// The last it wrote to stderr: what it is doing, most likely.
    pub last_line: Option<String>,
}

/// A changed configuration of a server that is not in force, while the old generation serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeStatus {
    /// A new generation is being started with it.
    Starting(StartStatus),
    /// It was tried and does not work, for this reason.
    Failed(String),
}

/// All that is known of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its name.
    pub name: ServerName,
    /// Whether it should be running.
    pub wanted: bool,
    /// Where it stands.
    pub state: ServerState,
    /// The current generation.
    pub generation: Generation,
    /// In this state for so long.
    pub since: Duration,
    /// How many times it was started again.
    pub restarts: u64,
    /// When waiting to be started again: how long still.
    pub retry_in: Option<Duration>,
    /// Its tools are listed as it offered them last; whether it still does is known when it is ready again.
    pub stale: bool,
    /// Its description of itself, once ready; of a server at rest, the last one.
    pub description: Option<ServerDescription>,
    /// The lists that it declares and does not give.
    pub list_failures: Vec<ListFailure>,
    /// How its start goes, while it is starting.
    pub start: Option<StartStatus>,
    /// The state of a change of its configuration, while that is not in force.
    pub change: Option<ChangeStatus>,
    /// How it is reached.
    pub transport: ServerTransport,
    /// The worker's process id.
    pub worker_pid: Option<u32>,
    /// The server's process id.
    pub server_pid: Option<u32>,
    /// How many processes it has, when each session has its own.
    pub instances: Option<InstanceCount>,
    /// Resident memory of the server's whole process group, in bytes.
    pub rss_bytes: u64,
    /// Why it last failed, with the end of its stderr.
    pub last_error: Option<String>,
    /// Protections that this server lacks and others have.
    pub degraded: Vec<Degradation>,
    /// The last steps of its life, oldest first.
    pub events: Vec<LifecycleEvent>,
}

/// Where the configuration in force is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigSource {
    /// The file, as it is or as it was before its last mistake.
    File,
    /// The copy of what was in force before the last start, because the file cannot be used.
    LastGood,
}

impl ConfigSource {
    /// The word for it in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::LastGood => "last-good",
        }
    }
}

/// The whole installation at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Version of MCProxy.
    pub version: String,
    /// The file in force.
    pub config_path: String,
    /// Where the configuration in force is from.
    pub config_source: ConfigSource,
    /// Problems of the file on disk when it is not the one in force.
    pub config_error: Option<String>,
    /// Mistakes in single servers of the file in force, and keys that are not understood; one line each.
    pub config_warnings: Vec<String>,
    /// Where the gateway listens.
    pub listen: String,
    /// How much of the confinement is wanted.
    pub hardening: Hardening,
    /// The protections that are missing for all.
    pub degraded: Vec<Degradation>,
    /// Log records that the sink was too slow for.
    pub log_dropped: u64,
    /// Snapshots of sessions that there was no room for.
    pub notes_dropped: u64,
    /// The supervisor.
    pub supervisor: ProcessStatus,
    /// The gateway, unless it is being restarted.
    pub gateway: Option<ProcessStatus>,
    /// Every configured server, in the order of the file.
    pub servers: Vec<ServerStatus>,
}

/// One remembered log line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How serious.
    pub level: LogLevel,
    /// Who wrote it.
    pub source: LogSource,
    /// The line, with its keys and values.
    pub text: String,
}
