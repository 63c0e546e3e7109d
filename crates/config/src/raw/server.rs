//! One server, as people write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RawApprove, RawRate, RawRemote};

/// A server in the list.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawEntry {
    /// The server's name: 1 to 40 letters, digits, `-` and `_`, without `__`, without `_` at either end, and not `mcproxy`. Its tools are `{name}__{tool}`. Other names get a safe form, with a warning.
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) server: RawServer,
}

/// A server: a command that speaks MCP on its standard input and output, or a `url` at which one is reached over the network.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawServer {
    /// The program: a path, or a name looked up in PATH. A leading `~` is replaced. No shell is involved. A server has this or a `url`.
    #[serde(default)]
    pub(crate) command: String,
    /// Its arguments.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// How the server is reached: `stdio` (a command), `http` (Streamable HTTP) or `sse` (HTTP+SSE, the transport of 2024-11-05). It follows from the other keys, but for an old server at a `url`, which is found faster with it. The words of other programs are understood.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = r"^([sS][tT][dD][iI][oO]|http|sse)$"))]
    pub(crate) kind: Option<String>,
    #[serde(flatten)]
    pub(crate) remote: RawRemote,
    /// The opposite of `enabled`. Other tools write it.
    #[serde(default)]
    pub(crate) disabled: bool,
    /// For people. Ignored.
    #[serde(default)]
    pub(crate) description: String,
    #[serde(flatten)]
    pub(crate) settings: RawSettings,
}

/// Settings of a server.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawSettings {
    /// Environment variables for the server, besides a short list that every server sees (PATH, HOME, locale, proxies, settings of package runners). It sees nothing else.
    pub(crate) env: BTreeMap<String, String>,
    /// Working directory, relative to this file. A leading `~` is replaced. Without it: the supervisor's; a server that could make nothing there, and needs nothing of it, begins in a directory of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) cwd: Option<String>,
    /// Seconds that a call may take. Progress from the server starts the time anew.
    #[schemars(range(min = 0.001, max = 86400))]
    pub(crate) timeout: f64,
    /// Seconds that a call may take whatever progress it makes.
    #[schemars(range(min = 0.001, max = 604_800))]
    pub(crate) max_timeout: f64,
    /// Whether the server is started.
    pub(crate) enabled: bool,
    /// Seconds from the start of the command until it must be ready. While a package runner (`npx`, `uvx`, `docker`, …) is seen to install it, they begin anew, for ten minutes at most.
    #[schemars(range(min = 0.001, max = 3600))]
    pub(crate) start_timeout: f64,
    /// When the server is started: with MCProxy (`eager`), or by its first call (`lazy`).
    pub(crate) start: RawStart,
    /// What happens when this entry changes: `swap` starts the new server beside the old one and lets the old one go when the new one is ready. `restart` stops the old one first, for servers that cannot exist twice (lock files, fixed ports).
    pub(crate) on_change: RawOnChange,
    /// Seconds without a call after which a lazy server, or the process that a session has for itself, is ended. `null`: never.
    #[schemars(range(min = 0.001, max = 604_800))]
    pub(crate) idle_timeout: Option<f64>,
    /// Whether all sessions share one process of the server (`shared`), or each has its own (`per-session`).
    pub(crate) instances: RawInstances,
    /// The most processes of a server with `instances: per-session`, spare ones included.
    #[schemars(range(min = 1, max = 256))]
    pub(crate) max_instances: u32,
    /// How many spare processes of a server with `instances: per-session` are kept ready for new sessions. They suit clients that declare what the last one did; with `clientFeatures: []` mostly every client. They are told that their client is MCProxy.
    #[schemars(range(min = 0, max = 16))]
    pub(crate) prewarm: u32,
    /// Which revisions of MCP are spoken to the server: `modern` is 2026-07-28, `legacy` those before it, which begin with `initialize`. `auto` asks the server at its first start and remembers what it found. A server of both that asks its clients in the middle of a call may need `legacy`.
    pub(crate) era: RawEra,
    /// What the server may ask the client of a call for, if that client can do it: `sampling` (with `sampling.tools`, `sampling.context`), `elicitation` (a form for the user), `elicitation.url` (a page for the user), `roots`. Unless given: nothing; with `instances: per-session`, and from a server of MCP 2026-07-28, whatever its client can. The identifier of an extension, such as `io.modelcontextprotocol/ui` (MCP Apps), tells a server that all share that its clients have it; a server with `instances: per-session`, and one of 2026-07-28, hears that of each client.
    #[schemars(inner(inner(regex(
        pattern = r"^(sampling(\.tools|\.context)?|elicitation(\.url)?|roots|[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)$"
    ))))]
    pub(crate) client_features: Option<Vec<String>>,
    /// Seconds that the client, or its user, may take to answer what the server asks. `timeout` and `maxTimeout` stand still meanwhile.
    #[schemars(range(min = 0.001, max = 86400))]
    pub(crate) input_timeout: f64,
    /// Seconds after which the lists of a server that does not announce their changes are asked for again, in the background, when a client asks for them. 0 or `null`: never. A `ttlMs` of the server wins.
    #[schemars(range(min = 0, max = 604_800))]
    pub(crate) list_ttl: Option<f64>,
    /// How the server is restarted after it ended.
    pub(crate) restart: RawRestart,
    /// Which tools are offered, and under which names.
    pub(crate) tools: RawTools,
    /// Bounds on what the server may send, and on what it may use.
    pub(crate) limits: RawServerLimits,
    /// Which calls of its tools wait until a person agrees: `never`, those that are not known to be harmless (`destructive`), or all (`always`). Harmless is a tool with `readOnlyHint: true` or `destructiveHint: false`, by its server's word or by `tools.annotations`. The strictest of server, tool, group and token counts.
    pub(crate) approve: RawApprove,
    /// How often the server may be called, by all clients together. Calls beyond that fail at once, with the time to wait.
    pub(crate) rate: RawServerRate,
    /// What the server may do with files, ports and namespaces. Without it: read what its user may but MCProxy's own files and the homes of other servers, and write below its HOME, its working directory and its TMPDIR. `strict`: also read only the system's directories, its own program and those three. `off`: no restriction. An object: the default and what it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawSandbox")]
    pub(crate) sandbox: Option<RawSandbox>,
    /// What the server may reach over the network: all that the machine can, or nothing but itself (`none`).
    pub(crate) network: RawNetwork,
    /// The account that the server runs as, with its own HOME and groups, instead of a user of its own. Needs a supervisor that may change users (started as root).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) run_as: Option<String>,
}

impl Default for RawSettings {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            cwd: None,
            timeout: 30.0,
            max_timeout: 3600.0,
            enabled: true,
            start_timeout: 60.0,
            start: RawStart::Eager,
            on_change: RawOnChange::Swap,
            idle_timeout: Some(300.0),
            instances: RawInstances::Shared,
            max_instances: 16,
            prewarm: 0,
            era: RawEra::Auto,
            client_features: None,
            input_timeout: 600.0,
            list_ttl: Some(60.0),
            restart: RawRestart::default(),
            tools: RawTools::default(),
            limits: RawServerLimits::default(),
            approve: RawApprove::Never,
            rate: RawServerRate::default(),
            sandbox: None,
            network: RawNetwork::Full,
            run_as: None,
        }
    }
}

/// When a server is started.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawStart {
    Eager,
    Lazy,
}

/// What happens when an entry changes.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawOnChange {
    Swap,
    Restart,
}

/// How clients share a server.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawInstances {
    Shared,
    PerSession,
}

/// Which revisions of MCP are spoken.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawEra {
    Auto,
    Legacy,
    Modern,
}

/// How a server is restarted after it ended.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawRestart {
    /// Seconds before a restart, doubled for each further one. The first restart of a server that had been ready costs no delay.
    #[schemars(range(min = 0.001, max = 3600))]
    pub(crate) initial_delay: f64,
    /// The longest delay, in seconds.
    #[schemars(range(min = 0.001, max = 86400))]
    pub(crate) max_delay: f64,
    /// Seconds of health after which the delay starts anew.
    #[schemars(range(min = 0.001, max = 604_800))]
    pub(crate) healthy_after: f64,
    /// How many restarts in a row before giving up (`failed`). `null`: never.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) max_attempts: Option<u32>,
}

impl Default for RawRestart {
    fn default() -> Self {
        Self { initial_delay: 1.0, max_delay: 60.0, healthy_after: 600.0, max_attempts: None }
    }
}

/// Which tools of a server are offered, and how.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawTools {
    /// Only tools that match one of these are offered. `*` stands for any characters. Without it, all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub(crate) allow: Option<Vec<String>>,
    /// Tools that match one of these are not offered, whatever `allow` says.
    pub(crate) deny: Vec<String>,
    /// New names of tools, by the server's own name.
    pub(crate) rename: BTreeMap<String, String>,
    /// New descriptions of tools, by the server's own name of the tool.
    pub(crate) describe: BTreeMap<String, String>,
    /// New titles of tools, by the server's own name of the tool.
    pub(crate) title: BTreeMap<String, String>,
    /// Annotations that take the place of the server's, by the server's own name of the tool.
    pub(crate) annotations: BTreeMap<String, RawAnnotations>,
    /// Which calls of tools that fit a pattern wait until a person agrees, by the server's own names. `*` stands for any characters.
    pub(crate) approve: BTreeMap<String, RawApprove>,
    /// What happens to tools whose name, title, description or schema tries to give orders to a model ("ignore all previous instructions"), or hides some: it is said in the log and in `mcproxy status` (`report`), they are not offered (`hold`), or it is not looked for (`ignore`). A new text in `describe` is looked at in place of the server's.
    pub(crate) suspicious: RawSuspicious,
}

/// What happens to tools whose texts try to give orders.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawSuspicious {
    Ignore,
    #[default]
    Report,
    Hold,
}

/// Annotations of a tool (`ToolAnnotations` of MCP). Those that are not written stay as the server says.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawAnnotations {
    /// A title for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) title: Option<String>,
    /// Whether the tool changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub(crate) read_only_hint: Option<bool>,
    /// Whether what it changes may be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub(crate) destructive_hint: Option<bool>,
    /// Whether a second call with the same arguments changes nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub(crate) idempotent_hint: Option<bool>,
    /// Whether it reaches beyond its own domain, as a web search does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub(crate) open_world_hint: Option<bool>,
}

/// What a server may do: a word, or what it may do besides.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(untagged)]
pub(crate) enum RawSandbox {
    Word(RawSandboxWord),
    Object(RawSandboxObject),
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawSandboxWord {
    Strict,
    Off,
}

/// What a server may do besides, or not at all. Paths are relative to this file; a leading `~` is replaced.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawSandboxObject {
    /// Files and directories that the server may read, besides the system's directories, its own program and what it may write. With this key, even empty, it may read nothing else, as with `strict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) read: Option<Vec<String>>,
    /// Files and directories that the server may write, besides its HOME, its working directory and its TMPDIR.
    pub(crate) write: Vec<String>,
    /// Files and directories that the server may neither read nor write.
    pub(crate) deny: Vec<String>,
    /// TCP ports that the server may connect to; an empty list: none. Without it: any. (Other protocols than TCP are not restricted.)
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<u16>", inner(range(min = 1, max = 65535)))]
    pub(crate) connect: Option<Vec<u16>>,
    /// TCP ports that the server may listen on; an empty list: none. Without it: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<u16>", inner(range(min = 1, max = 65535)))]
    pub(crate) bind: Option<Vec<u16>>,
    /// Whether the server may make namespaces (unshare(2)), which the own sandboxes of Chromium and bubblewrap need.
    pub(crate) namespaces: bool,
}

/// What a server may reach over the network.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawNetwork {
    Full,
    None,
}

/// How often a server may be called.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawServerRate {
    /// The most calls in a second, over time. Without it, any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.001, max = 100_000))]
    pub(crate) per_second: Option<f64>,
    /// The most calls at once after a while without any. Without it, those of one second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 1_000_000))]
    pub(crate) burst: Option<u32>,
    /// The most calls that are under way at once. Without it, `limits.maxConcurrent`, at which they wait instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 1_000_000))]
    pub(crate) concurrent: Option<u32>,
    /// The same for tools that fit a pattern, by the server's own names. `*` stands for any characters. Each pattern is a rate of its own, and a call has to fit all of them.
    pub(crate) tools: BTreeMap<String, RawRate>,
}

/// Bounds on what a server may send and use.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawServerLimits {
    /// The longest message from the server, in bytes.
    #[schemars(range(min = 1024, max = 50_331_648))]
    pub(crate) max_line: u64,
    /// The most tools.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_tools: u64,
    /// The largest sum of all its lists, in bytes.
    #[schemars(range(min = 1024, max = 50_331_648))]
    pub(crate) max_catalogue: u64,
    /// The largest result of a tool that clients are shown whole, in bytes. Of a larger one they get the beginning and a link to the whole, which is kept for their session and read in parts. `null`: any.
    #[schemars(range(min = 4096, max = 50_331_648))]
    pub(crate) max_result: Option<u64>,
    /// The most calls in flight. Further ones wait for their turn.
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) max_concurrent: u64,
    /// The most resident memory of the server and all it starts, in bytes, what they share counted once. Beyond it the server is restarted. With `instances: per-session`: of each process and what it starts. `null`: any.
    #[schemars(range(min = 1_048_576, max = 1_152_921_504_606_846_976_u64))]
    pub(crate) max_memory: Option<u64>,
    /// The most processes, the server and all it starts together, before it is restarted. With `instances: per-session`: of each. `null`: any.
    #[schemars(range(min = 1, max = 4_194_304))]
    pub(crate) max_processes: Option<u64>,
    /// The most processor time of the server and all it starts, in processors: 1.5 is one and a half. Needs cgroups. `null`: any.
    #[schemars(range(min = 0.01, max = 4096))]
    pub(crate) cpu: Option<f64>,
    /// The largest file that the server may write, in bytes. `null`: any.
    #[schemars(range(min = 0, max = 1_152_921_504_606_846_976_u64))]
    pub(crate) max_file_size: Option<u64>,
    /// The most files and sockets that each process of the server may have open. `null`: as many as MCProxy was given.
    #[schemars(range(min = 16, max = 1_048_576))]
    pub(crate) max_files: Option<u64>,
    /// The most pages of one list.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_pages: u64,
    /// Lines a minute on its standard output that are no messages, before it is restarted.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) max_garbage: u64,
    /// Lines a second of its standard error that are logged. The others are counted.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_stderr: u32,
    /// Seconds after which a server that reads nothing of what it is sent is restarted.
    #[schemars(range(min = 0.1, max = 3600))]
    pub(crate) write_timeout: f64,
}

impl Default for RawServerLimits {
    fn default() -> Self {
        Self {
            max_line: 16 << 20,
            max_tools: 2000,
            max_catalogue: 8 << 20,
            max_result: None,
            max_concurrent: 256,
            max_memory: None,
            max_processes: None,
            cpu: None,
            max_file_size: None,
            max_files: None,
            max_pages: 100,
            max_garbage: 1000,
            max_stderr: 200,
            write_timeout: 10.0,
        }
    }
}
