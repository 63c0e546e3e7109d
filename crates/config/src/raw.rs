//! The file as people write it. The JSON Schema is generated from these types, and the shape of every file is checked
//! against that schema, so a key exists in one place only. Nothing here derives `Debug`: values may be secret.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The MCP servers that MCProxy starts, and how it offers them.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", default)]
#[schemars(title = "mcp-servers.json", rename = "Config")]
pub(crate) struct RawConfig {
    /// Where the schema of this file is; for editors.
    #[serde(rename = "$schema")]
    pub(crate) schema: String,
    /// The servers, as a list. Their order is the order of the tools.
    #[schemars(extend("default" = []))]
    pub(crate) servers: Vec<RawEntry>,
    /// The servers by name: the shape that MCP clients use. Both shapes may be mixed.
    pub(crate) mcp_servers: BTreeMap<String, RawServer>,
    /// Settings for all servers; a server's own settings win, `env` and other objects are merged key by key.
    #[schemars(extend("default" = {}))]
    pub(crate) defaults: RawSettings,
    #[serde(flatten)]
    pub(crate) gateway: RawGateway,
}

/// How the servers are offered to clients.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawGateway {
    /// Address to listen on: `"host:port"` with an IP address or `localhost`, or a port alone (then on 127.0.0.1).
    pub(crate) listen: RawListen,
    /// Seconds that a list (of tools, prompts, …) waits for servers in their first start.
    #[schemars(range(min = 0, max = 600))]
    pub(crate) list_wait: f64,
    /// Milliseconds for which clients of 2026-07-28 may keep a list whose server does not say for how long; 0: they ask again when they need it.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub(crate) list_ttl_ms: u64,
    /// Who may call: `"none"` for everyone who reaches the port, or a list of tokens. Required unless `listen` is a loopback address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawAuth")]
    pub(crate) auth: Option<RawAuth>,
    /// Host names, with or without a port, that requests may be addressed to, besides loopback and IP addresses.
    pub(crate) allowed_hosts: Vec<String>,
    /// Origins of web pages that may call, besides those on loopback, such as `https://tools.example`.
    pub(crate) allowed_origins: Vec<String>,
    /// Selections of servers, each offered at `/groups/{name}/mcp`.
    pub(crate) groups: BTreeMap<String, RawGroup>,
    /// What is logged.
    pub(crate) logging: RawLogging,
    /// Bounds on what clients may use.
    pub(crate) limits: RawGatewayLimits,
    /// Seconds that calls in flight get to finish when MCProxy is stopped.
    #[schemars(range(min = 0, max = 3600))]
    pub(crate) shutdown_grace: f64,
}

impl Default for RawGateway {
    fn default() -> Self {
        Self {
            listen: RawListen::Address("127.0.0.1:12009".into()),
            list_wait: 10.0,
            list_ttl_ms: 0,
            auth: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            groups: BTreeMap::new(),
            logging: RawLogging::default(),
            limits: RawGatewayLimits::default(),
            shutdown_grace: 20.0,
        }
    }
}

/// `"host:port"`, `":port"` or a port.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(untagged)]
pub(crate) enum RawListen {
    Address(String),
    Port(#[schemars(range(min = 0, max = 65535))] u16),
}

/// Everyone, or the holders of tokens.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(untagged)]
pub(crate) enum RawAuth {
    /// Everyone who reaches the port may call.
    Mode(RawAuthMode),
    Tokens(RawTokens),
}

#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawAuthMode {
    None,
}

/// The tokens that clients may present as `Authorization: Bearer …`.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawTokens {
    /// One token per client or person.
    #[schemars(length(min = 1))]
    pub(crate) tokens: Vec<RawToken>,
}

/// A token: either itself, best as `${VARIABLE}`, or its SHA-256.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawToken {
    /// Who uses it; appears in logs.
    pub(crate) name: String,
    /// The token itself, best as `"${VARIABLE}"`; at least 16 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) token: Option<String>,
    /// The SHA-256 of the token in hexadecimal, instead of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) sha256: Option<String>,
}

/// A selection of servers.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawGroup {
    /// Names of servers of this file.
    pub(crate) servers: Vec<String>,
}

/// What is logged.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawLogging {
    /// The least severe level that is logged.
    pub(crate) level: RawLevel,
    /// At which level each call is logged: server, method, name, sizes, duration and outcome, never contents.
    pub(crate) calls: RawCallLevel,
}

/// At which level each call is logged.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawCallLevel {
    Off,
    #[default]
    Debug,
    Info,
}

/// How severe a log record is.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// Bounds on what clients may use.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawGatewayLimits {
    /// The largest request body, in bytes.
    #[schemars(range(min = 1024, max = 50_331_648))]
    pub(crate) max_body: u64,
    /// How many sessions may exist at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_sessions: u64,
    /// How many of them one token may hold.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_sessions_per_token: u64,
    /// Seconds after which an unused session is forgotten.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub(crate) session_idle: f64,
    /// How many events one stream keeps for a client that was cut off and comes back.
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) replay_events: u64,
    /// How many bytes of them; a larger answer is not kept.
    #[schemars(range(min = 1024, max = 67_108_864))]
    pub(crate) replay_bytes: u64,
    /// How many bytes all streams keep.
    #[schemars(range(min = 1024, max = 17_179_869_184_u64))]
    pub(crate) replay_total: u64,
    /// Seconds after which the stream of a call is closed and the client comes back for the rest, if it speaks MCP 2025-11-25; 0: streams stay open.
    #[schemars(range(min = 0, max = 86_400))]
    pub(crate) stream_time: f64,
    /// How many calls of one session may be in flight.
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) max_calls: u64,
    /// How many connections may be open at once; further ones wait. Read when the gateway starts.
    #[schemars(range(min = 8, max = 1_000_000))]
    pub(crate) max_connections: u64,
    /// How deep a request may be nested. Servers on `serde_json` give up beyond 127, without an answer.
    #[schemars(range(min = 8, max = 512))]
    pub(crate) max_depth: u64,
    /// Seconds that the head of a request may take. Read when the gateway starts.
    #[schemars(range(min = 0.1, max = 600))]
    pub(crate) header_timeout: f64,
    /// Seconds that the body of a request may take.
    #[schemars(range(min = 0.1, max = 3600))]
    pub(crate) body_timeout: f64,
    /// The slowest that a body may arrive, in bytes a second, once it has taken 5 seconds; 0 for no such bound.
    #[schemars(range(min = 0, max = 50_331_648))]
    pub(crate) min_body_rate: u64,
    /// Seconds after which a client that takes nothing of what it is sent, or does not acknowledge it, loses its connection.
    #[schemars(range(min = 1, max = 3600))]
    pub(crate) stall_timeout: f64,
}

impl Default for RawGatewayLimits {
    fn default() -> Self {
        Self {
            max_body: 16 << 20,
            max_sessions: 10_000,
            max_sessions_per_token: 2_000,
            session_idle: 3600.0,
            replay_events: 256,
            replay_bytes: 1 << 20,
            replay_total: 64 << 20,
            stream_time: 0.0,
            max_calls: 1024,
            max_connections: 16_000,
            max_depth: 127,
            header_timeout: 5.0,
            body_timeout: 30.0,
            min_body_rate: 1024,
            stall_timeout: 30.0,
        }
    }
}

/// A server in the list.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawEntry {
    /// The server's name: 1 to 40 letters, digits, `-` and `_`, without `__` and without `_` at either end. Its tools are `{name}__{tool}`.
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) server: RawServer,
}

/// A server: a command that speaks MCP on its standard input and output.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawServer {
    /// The program: a path, or a name looked up in PATH. No shell is involved.
    pub(crate) command: String,
    /// Its arguments.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Only `stdio`, in any case; other tools write it.
    #[serde(rename = "type", default = "stdio")]
    #[schemars(regex(pattern = r"^[sS][tT][dD][iI][oO]$"))]
    pub(crate) kind: String,
    /// The opposite of `enabled`; other tools write it.
    #[serde(default)]
    pub(crate) disabled: bool,
    /// For people; ignored.
    #[serde(default)]
    pub(crate) description: String,
    #[serde(flatten)]
    pub(crate) settings: RawSettings,
}

fn stdio() -> String {
    "stdio".into()
}

/// Settings of a server.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawSettings {
    /// Environment variables for the server. It sees these and a few harmless ones such as PATH and HOME, nothing else.
    pub(crate) env: BTreeMap<String, String>,
    /// Working directory; relative to this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) cwd: Option<String>,
    /// Seconds that a call may take; progress from the server starts them anew.
    #[schemars(range(min = 0.001, max = 86400))]
    pub(crate) timeout: f64,
    /// Seconds that a call may take whatever progress it makes.
    #[schemars(range(min = 0.001, max = 604_800))]
    pub(crate) max_timeout: f64,
    /// Whether the server is started.
    pub(crate) enabled: bool,
    /// Seconds from the start of the command until it must be ready.
    #[schemars(range(min = 0.001, max = 3600))]
    pub(crate) start_timeout: f64,
    /// When the server is started: with MCProxy, or by its first call (`lazy`).
    pub(crate) start: RawStart,
    /// What happens when this entry changes: `swap` starts the new server beside the old one and lets the old one go when the new one is ready; `restart` stops the old one first, for servers that cannot exist twice (lock files, fixed ports).
    pub(crate) on_change: RawOnChange,
    /// Seconds without a call after which a lazy server, or the process that a session has for itself, is ended; `null` for never.
    #[schemars(range(min = 0.001, max = 604_800))]
    pub(crate) idle_timeout: Option<f64>,
    /// Whether all sessions share one process of the server (`shared`), or each has its own (`per-session`).
    pub(crate) instances: RawInstances,
    /// The most processes of a server with `instances: per-session`, spare ones included.
    #[schemars(range(min = 1, max = 256))]
    pub(crate) max_instances: u32,
    /// How many processes of a server with `instances: per-session` are kept ready for new sessions.
    #[schemars(range(min = 0, max = 16))]
    pub(crate) prewarm: u32,
    /// Which revisions of MCP are spoken to the server: `modern` is 2026-07-28, `legacy` those before it, which begin with `initialize`; `auto` asks the server once and remembers what it found. A server of both that asks its clients in the middle of a call may need `legacy`.
    pub(crate) era: RawEra,
    /// What the server may ask the client of a call for, if that client can do it: `sampling`, `elicitation` (a form for the user), `elicitation.url` (a page for the user), `roots`. Unless given: nothing; with `instances: per-session`, and from a server of MCP 2026-07-28, whatever its client can.
    pub(crate) client_features: Option<Vec<RawClientFeature>>,
    /// Seconds that the client, or its user, may take to answer what the server asks; the timeouts of the call stand still meanwhile.
    #[schemars(range(min = 0.001, max = 86400))]
    pub(crate) input_timeout: f64,
    /// Seconds after which the lists of a server that does not announce changes are asked for again when a client asks for them; 0 or `null`: never. A `ttlMs` of the server wins.
    #[schemars(range(min = 0, max = 604_800))]
    pub(crate) list_ttl: Option<f64>,
    /// How the server is restarted after it ended.
    pub(crate) restart: RawRestart,
    /// Which tools are offered, and under which names.
    pub(crate) tools: RawTools,
    /// Bounds on what the server may send.
    pub(crate) limits: RawServerLimits,
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

/// What a server may ask its clients for.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawClientFeature {
    Sampling,
    Elicitation,
    #[serde(rename = "elicitation.url")]
    ElicitationUrl,
    Roots,
}

/// How a server is restarted after it ended.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawRestart {
    /// Seconds before the first restart; doubled for each further one.
    #[schemars(range(min = 0.001, max = 3600))]
    pub(crate) initial_delay: f64,
    /// The longest delay, in seconds.
    #[schemars(range(min = 0.001, max = 86400))]
    pub(crate) max_delay: f64,
    /// Seconds of health after which the delay starts anew.
    #[schemars(range(min = 0.001, max = 604_800))]
    pub(crate) healthy_after: f64,
    /// How many restarts in a row before giving up; `null` for never.
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
    /// Only tools that match one of these are offered; `*` stands for any characters. Without it, all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub(crate) allow: Option<Vec<String>>,
    /// Tools that match one of these are not offered, whatever `allow` says.
    pub(crate) deny: Vec<String>,
    /// New names, by the server's own name.
    pub(crate) rename: BTreeMap<String, String>,
    /// New descriptions, by the server's own name of the tool.
    pub(crate) describe: BTreeMap<String, String>,
}

/// Bounds on what a server may send.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawServerLimits {
    /// The longest message, in bytes.
    #[schemars(range(min = 1024, max = 50_331_648))]
    pub(crate) max_line: u64,
    /// The most tools.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_tools: u64,
    /// The largest sum of all lists, in bytes.
    #[schemars(range(min = 1024, max = 50_331_648))]
    pub(crate) max_catalogue: u64,
    /// The most calls in flight.
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) max_concurrent: u64,
    /// The most resident memory of the server and all it starts, in bytes, before it is restarted; `null` for any.
    #[schemars(range(min = 1_048_576, max = 1_152_921_504_606_846_976_u64))]
    pub(crate) max_memory: Option<u64>,
    /// The most processes, the server and all it starts together, before it is restarted; `null` for any.
    #[schemars(range(min = 1, max = 4_194_304))]
    pub(crate) max_processes: Option<u64>,
    /// The most pages of one list.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_pages: u64,
    /// Lines a minute on its standard output that are no messages, before it is restarted.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) max_garbage: u64,
    /// Lines a second of its standard error that are logged; the others are counted.
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
            max_concurrent: 256,
            max_memory: None,
            max_processes: None,
            max_pages: 100,
            max_garbage: 1000,
            max_stderr: 200,
            write_timeout: 10.0,
        }
    }
}
