//! How the servers are offered to clients, as people write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RawAnnotations, RawResourceServer};

/// How the servers are offered to clients.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawGateway {
    /// Address to listen on: `"host:port"` with an IP address or `localhost`, or a port alone (then on 127.0.0.1).
    pub(crate) listen: RawListen,
    /// Seconds that a list (of tools, prompts, …) waits for servers that never ran before.
    #[schemars(range(min = 0, max = 600))]
    pub(crate) list_wait: f64,
    /// Milliseconds for which clients of MCP 2026-07-28 may keep a list whose server does not say for how long (`ttlMs`). 0: they ask again when they need it.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub(crate) list_ttl_ms: u64,
    /// Who may call: `"none"` for everyone who reaches the port, a list of tokens, or the tokens of authorization servers (OAuth), or both. Required unless `listen` is a loopback address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawAuth")]
    pub(crate) auth: Option<RawAuth>,
    /// The URL under which clients reach MCProxy, such as `https://tools.example`: that of the reverse proxy in front, with its path if it has one. `auth.oauth` needs it. Its host need not be among `allowedHosts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) public_url: Option<String>,
    /// Whether there is a web page at `/ui` (and at `/` for browsers).
    pub(crate) ui: bool,
    /// Host names, with or without a port, that requests may be addressed to, besides loopback and IP addresses.
    pub(crate) allowed_hosts: Vec<String>,
    /// Origins of web pages that may call, besides those on loopback, such as `https://tools.example`. Browsers are told so (CORS). Tokens are required all the same.
    pub(crate) allowed_origins: Vec<String>,
    /// Addresses (`10.0.0.7`) and networks (`10.0.0.0/8`) of reverse proxies in front. A request of theirs comes from the address that their `X-Forwarded-For` names; nobody else's header counts.
    #[schemars(length(max = 64))]
    pub(crate) trusted_proxies: Vec<String>,
    /// Selections of servers by name, each offered at `/groups/{name}/mcp` and `/groups/{name}/sse`.
    pub(crate) groups: BTreeMap<String, RawGroup>,
    /// Endpoints whose tools are found instead of listed.
    pub(crate) search: RawSearch,
    /// What is logged.
    pub(crate) logging: RawLogging,
    /// What happens when a server's tools are not as they were when it was first seen, or when somebody approved them: it is said in the log and the metrics (`alert`), they are not offered until they are approved (`hold`), or nothing (`off`). `mcproxy tools diff` shows the difference, `mcproxy tools approve` approves it.
    pub(crate) pins: RawPins,
    /// A record of each call, in files of its own. Without it, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawAudit")]
    pub(crate) audit: Option<RawAudit>,
    /// How people are asked about calls that wait until a person agrees (`approve` of servers, tools, groups and tokens).
    pub(crate) approvals: RawApprovals,
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
            public_url: None,
            ui: true,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            groups: BTreeMap::new(),
            search: RawSearch::default(),
            logging: RawLogging::default(),
            pins: RawPins::Alert,
            audit: None,
            approvals: RawApprovals::default(),
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

/// The tokens that clients may present as `Authorization: Bearer …` or `X-API-Key: …`: those of `tokens`, and those that `oauth` accepts.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawTokens {
    /// One token per client or person, sent as `Authorization: Bearer …` or `X-API-Key: …`. What a token opened (sessions, streams, waiting calls) ends when it leaves the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<RawToken>", length(min = 1))]
    pub(crate) tokens: Option<Vec<RawToken>>,
    /// Tokens of authorization servers, with which clients log in by themselves. Needs `publicUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawResourceServer")]
    pub(crate) oauth: Option<RawResourceServer>,
    /// Whether a token is also taken from the query of a URL (`?api_key=…`), for clients that can send no header. URLs end up in histories and in logs of proxies, and a token in one is then known to all who read them.
    #[serde(default)]
    pub(crate) query_key: bool,
}

/// A token: either itself, best as `${VARIABLE}`, or its SHA-256.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawToken {
    /// Who uses it. Appears in logs as `principal`. Several tokens may have one name, so that a new one can take the place of an old one without a gap; they may use the same.
    pub(crate) name: String,
    /// The token itself, best as `"${VARIABLE}"`. At least 16 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) token: Option<String>,
    /// The SHA-256 of the token in 64 hexadecimal digits, instead of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) sha256: Option<String>,
    /// The servers that it reaches; `mcproxy` is the built-in one. Together with `groups`. Without either, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) servers: Option<Vec<String>>,
    /// The groups whose servers it reaches, with those of their tools that the group shows, at every endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) groups: Option<Vec<String>>,
    /// The tools that it may call, as `/mcp` names them: `{server}__{tool}`, where `*` stands for any characters. Without `servers` and `groups`, it reaches these tools and no prompt or resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) tools: Option<Vec<String>>,
    /// How `/mcp`, `/sse` and groups offer tools to it: `"list"`, or `"search"` for three tools that find, describe and call all others.
    #[serde(default)]
    pub(crate) view: RawToolView,
    /// How often it may be used. Requests beyond that get 429 with the time to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawRate")]
    pub(crate) rate: Option<RawRate>,
    /// Which of its calls wait until a person agrees. The strictest of server, tool, group and token counts.
    #[serde(default)]
    pub(crate) approve: RawApprove,
    /// When it stops being accepted, and what it opened ends: a date (its beginning in UTC) or a time of RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) expires: Option<String>,
    /// Whether its holder may do on the web page what an operator may do at the command line: restart, enable and disable servers, read the file again, end sessions, and see the calls and logs of all.
    #[serde(default)]
    pub(crate) admin: bool,
}

/// How often something may be done.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawRate {
    /// The most in a second, over time. Without it, any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.001, max = 100_000))]
    pub(crate) per_second: Option<f64>,
    /// The most at once after a while without any. Without it, those of one second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 1_000_000))]
    pub(crate) burst: Option<u32>,
    /// The most that are under way at once. Without it, any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 1_000_000))]
    pub(crate) concurrent: Option<u32>,
}

/// A selection of servers.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawGroup {
    /// Names of servers of this file.
    pub(crate) servers: Vec<String>,
    /// Which of their tools this group shows, and how. These rules come after those of each server.
    #[serde(default)]
    pub(crate) tools: RawGroupTools,
    /// Further paths at which the group is served, such as `/metamcp/home`: its endpoints are `{path}/mcp`, `{path}/sse`, `{path}/messages` and `{path}/message`.
    #[serde(default)]
    pub(crate) paths: Vec<String>,
    /// `"none"`: this group needs no token, whatever `auth` says. Everyone who reaches the port may call its tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawAuthMode")]
    pub(crate) auth: Option<RawAuthMode>,
    /// How the group's endpoints offer tools: `"list"`, or `"search"` for three tools that find, describe and call all others. At `/groups/{name}/search/mcp` it is `"search"` in any case.
    #[serde(default)]
    pub(crate) view: RawToolView,
    /// Which calls at the group's endpoints, and by tokens with the group in `groups`, wait until a person agrees. The strictest of server, tool, group and token counts.
    #[serde(default)]
    pub(crate) approve: RawApprove,
}

/// How people are asked about calls that wait until a person agrees: the user of the client, where the client can ask (elicitation); otherwise, or if that user does not answer, whoever looks at `mcproxy approvals` or at the web page.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawApprovals {
    /// Seconds after which a call that nobody has decided on is refused. The `timeout` of its server begins afterwards.
    #[schemars(range(min = 0.1, max = 86_400))]
    pub(crate) timeout: f64,
    /// How long an answer may count at most: for the one call (`never`), until the client's session ends (`session`), or until `mcproxy approvals forget` (`always`). Any answer is for one principal and one tool, as long as that is defined as it was.
    pub(crate) remember: RawRemember,
}

impl Default for RawApprovals {
    fn default() -> Self {
        Self { timeout: 300.0, remember: RawRemember::Session }
    }
}

/// Which calls wait until a person agrees.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawApprove {
    #[default]
    Never,
    Destructive,
    Always,
}

/// How long an answer may count.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawRemember {
    Never,
    Session,
    Always,
}

/// How an endpoint offers tools.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawToolView {
    #[default]
    List,
    Search,
}

/// Endpoints whose tools are found instead of listed: `/search/mcp`, `/groups/{name}/search/mcp`, and those of groups with `"view": "search"`.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawSearch {
    /// Tools that such an endpoint lists besides: `{server}__{tool}`, where `*` stands for any characters.
    pub(crate) pin: Vec<String>,
    /// A model that embeds texts, so that searches find tools by what they mean as well as by their words. It is sent the names and descriptions of all tools, and what is searched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawEmbeddings")]
    pub(crate) embeddings: Option<RawEmbeddings>,
    /// Seconds that a search waits for the model of `embeddings`. Without an answer by then the words alone decide.
    #[schemars(range(min = 0.01, max = 10))]
    pub(crate) timeout: f64,
}

impl Default for RawSearch {
    fn default() -> Self {
        Self { pin: Vec::new(), embeddings: None, timeout: 0.3 }
    }
}

/// A model that embeds texts, behind an interface as OpenAI's (`POST` of `{"model": …, "input": [texts]}`), which many programs for models on one's own machine have, too.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawEmbeddings {
    /// The address that texts are sent to, such as `https://api.openai.com/v1/embeddings` or `http://127.0.0.1:11434/v1/embeddings`.
    pub(crate) url: String,
    /// The model's name there.
    #[schemars(length(min = 1, max = 256))]
    pub(crate) model: String,
    /// The key for `url`, best as `"${VARIABLE}"`: the same as the header `Authorization` with `Bearer` before it. Masked in logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) key: Option<String>,
    /// Headers of every request to `url`. Their values are masked in logs.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

/// Which tools a group shows, and how. A tool is named as `/mcp` shows it, `{server}__{tool}`; those of the built-in server are `mcproxy__*`.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawGroupTools {
    /// Only tools that match one of these are offered. `*` stands for any characters. Without it, all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub(crate) allow: Option<Vec<String>>,
    /// Tools that match one of these are not offered, whatever `allow` says.
    pub(crate) deny: Vec<String>,
    /// New names of tools, without the server's: `"time__get_current_time": "now"` makes it `time__now`.
    pub(crate) rename: BTreeMap<String, String>,
    /// New descriptions of tools.
    pub(crate) describe: BTreeMap<String, String>,
    /// New titles of tools.
    pub(crate) title: BTreeMap<String, String>,
    /// Annotations that take the place of the server's.
    pub(crate) annotations: BTreeMap<String, RawAnnotations>,
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

/// What happens to tools that are not as they were pinned.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawPins {
    Off,
    Alert,
    Hold,
}

/// A record of each call: who called what, with which arguments (their hash), and how it went.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawAudit {
    /// The directory of its files, relative to this file. Without it: `audit` in the state directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) dir: Option<String>,
    /// A file of so many bytes makes room for the next.
    #[schemars(range(min = 1024, max = 1_099_511_627_776_u64))]
    pub(crate) max_bytes: u64,
    /// So does one that is so many seconds old.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub(crate) max_age: f64,
    /// How many full files are kept; older ones are removed.
    #[schemars(range(min = 0, max = 100_000))]
    pub(crate) keep: u32,
    /// Whether the arguments themselves are recorded, and not their hash and size alone.
    pub(crate) arguments: bool,
    /// What of the arguments is recorded as `"***"`: JSON pointers, in which `*` stands for any member or element.
    pub(crate) redact: Vec<String>,
    /// What happens while records cannot be written: calls go on and are counted (`open`), or are refused (`closed`; each record is then on the disk before the next ones are taken).
    pub(crate) fail: RawAuditFail,
}

impl Default for RawAudit {
    fn default() -> Self {
        Self {
            dir: None,
            max_bytes: 64 << 20,
            max_age: 86_400.0,
            keep: 30,
            arguments: false,
            redact: Vec::new(),
            fail: RawAuditFail::Open,
        }
    }
}

/// What happens while records cannot be written.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawAuditFail {
    Open,
    Closed,
}

/// Bounds on what clients may use.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawGatewayLimits {
    /// The largest request body, in bytes.
    #[schemars(range(min = 1024, max = 50_331_648))]
    pub(crate) max_body: u64,
    /// How often all clients together may send requests that show no token: with `"auth": "none"`, and at groups that need none. Requests beyond that get 429 with the time to wait. Without it, as often as they like.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawRate")]
    pub(crate) rate: Option<RawRate>,
    /// How many sessions may exist at once. At the limit, idle sessions make room for new ones.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_sessions: u64,
    /// How many sessions one token of `auth.tokens` may hold.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_sessions_per_token: u64,
    /// Seconds after which an unused session is forgotten.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub(crate) session_idle: f64,
    /// How many events one stream keeps for a client that was cut off and comes back (`Last-Event-ID`).
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) replay_events: u64,
    /// How many bytes of events one stream keeps. A larger answer is lost with its connection.
    #[schemars(range(min = 1024, max = 67_108_864))]
    pub(crate) replay_bytes: u64,
    /// How many bytes of events all streams keep together. Streams that were left longest ago are emptied first.
    #[schemars(range(min = 1024, max = 17_179_869_184_u64))]
    pub(crate) replay_total: u64,
    /// How many bytes the gateway holds for all clients and servers together: bodies that arrive, answers that are not read, streams. At least four times the largest message (`maxBody`, and `maxLine` of every server). By default 134217728, or four times the largest message if that is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 4096, max = 17_179_869_184_u64))]
    pub(crate) total_buffered: Option<u64>,
    /// Seconds after which the stream of a call is closed, and a client of MCP 2025-11-25 comes back for the rest (which then is open for at least 10 s). 0: streams stay open.
    #[schemars(range(min = 0, max = 86_400))]
    pub(crate) stream_time: f64,
    /// How many requests of one session may be unanswered at once.
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) max_calls: u64,
    /// How many connections may be open at once. Further ones wait. Less where the system allows too few descriptors. Read when the gateway starts.
    #[schemars(range(min = 8, max = 1_000_000))]
    pub(crate) max_connections: u64,
    /// How deep a request may be nested. Servers on `serde_json` (Rust) give up beyond 127, without an answer.
    #[schemars(range(min = 8, max = 512))]
    pub(crate) max_depth: u64,
    /// Seconds that the head of a request may take: the first of a connection is answered with 408, a later one closes the connection. Read when the gateway starts.
    #[schemars(range(min = 0.1, max = 600))]
    pub(crate) header_timeout: f64,
    /// Seconds that the body of a request may take (408).
    #[schemars(range(min = 0.1, max = 3600))]
    pub(crate) body_timeout: f64,
    /// The slowest rate at which a body may arrive, in bytes a second, once it has taken 5 seconds. 0: any.
    #[schemars(range(min = 0, max = 50_331_648))]
    pub(crate) min_body_rate: u64,
    /// Seconds after which a client that takes nothing of what it is sent, or is not there any more, loses its connection. A change holds for connections made from then on.
    #[schemars(range(min = 1, max = 3600))]
    pub(crate) stall_timeout: f64,
}

impl Default for RawGatewayLimits {
    fn default() -> Self {
        Self {
            max_body: 16 << 20,
            rate: None,
            max_sessions: 10_000,
            max_sessions_per_token: 2_000,
            session_idle: 3600.0,
            replay_events: 256,
            replay_bytes: 1 << 20,
            replay_total: 64 << 20,
            total_buffered: None,
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
