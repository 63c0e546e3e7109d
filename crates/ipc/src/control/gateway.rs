//! Control messages between supervisor and gateway.

use std::time::Duration;

use ipnet::IpNet;
use mcproxy_confine::Degradation;
use serde::{Deserialize, Serialize};

use super::{Act, ActOutcome, ActingCaller, OAuthSettings, OwnedLine, ShownConfig, TokenHash};
use crate::{
    ApprovalDecision, ApprovalMode, ApprovalRule, ApprovalTerms, AuditRecord, AuditTerms, CatalogueCounts,
    CatalogueKey, Generation, HeldCall, HoldEnd, LogLevel, LogLine, LogRecord, RateLimit, Route, SealKey, ServerName,
    SessionKey, StatusReport, StoredSession, ToolRules,
};

/// The part of the configuration that the gateway needs; it never sees the file. `mcproxy-config` reads the file into it, and the
/// supervisor puts in what the file does not say: the level in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaySettings {
    /// How long a list waits for servers in their first start.
    pub list_wait: Duration,
    /// For how long, in milliseconds, a client may take a list for true of which its server says nothing (2026-07-28).
    pub list_ttl_ms: u64,
    /// Whether there is a web page.
    pub ui: bool,
    /// Hosts (besides loopback and IP literals) that a `Host` header may carry; lower case, `host` or `host:port`.
    pub allowed_hosts: Vec<String>,
    /// Origins (besides loopback ones) that an `Origin` header may carry; lower case, `scheme://host[:port]`.
    pub allowed_origins: Vec<String>,
    /// Where reverse proxies are, whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Tokens that requests show one of; `None`: no authentication.
    pub tokens: Option<Vec<TokenHash>>,
    /// Tokens of authorization servers that are accepted besides; only where `tokens` is there. `None`: none are.
    pub oauth: Option<OAuthSettings>,
    /// Whether a token may stand in the query of a URL.
    pub query_key: bool,
    /// Named selections of servers.
    pub groups: Vec<Group>,
    /// Servers that are told headers of their clients' requests.
    pub forwarding: Vec<HeaderForwarding>,
    /// Patterns of tools (`{server}__{tool}`) that are listed where others are found by a search.
    pub pinned: Vec<String>,
    /// How long a search waits for the embedding of what is searched for.
    pub search_timeout: Duration,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Most sessions at once.
    pub max_sessions: usize,
    /// Most sessions of one token at once.
    pub max_sessions_per_token: usize,
    /// A session unused for so long is forgotten.
    pub session_idle: Duration,
    /// Most events that one stream keeps for a client that was cut off.
    pub replay_events: usize,
    /// Most bytes of them.
    pub replay_bytes: usize,
    /// Most bytes that all streams keep.
    pub replay_total: usize,
    /// Most bytes that the gateway holds for clients and servers.
    pub total_buffered: usize,
    /// After so long the client of a call comes back for the rest of its stream; `None`: streams stay open.
    pub stream_time: Option<Duration>,
    /// Most calls of one session in flight.
    pub max_calls: usize,
    /// Most levels of nesting in a request.
    pub max_depth: usize,
    /// Bounds on a connection.
    pub connections: ConnectionLimits,
    /// Less serious log records would be thrown away: they need not be sent.
    pub log_level: LogLevel,
    /// At which level each call is logged (`info` or `debug`); `None`: not at all.
    pub log_calls: Option<LogLevel>,
    /// What happens to tools that are not as they were pinned.
    pub pins: PinPolicy,
    /// What is recorded of each call; `None`: nothing.
    pub audit: Option<AuditTerms>,
    /// How often all may send requests together that show no token; `None`: as often as they like.
    pub anonymous_rate: Option<RateLimit>,
    /// How people are asked about calls that need their agreement.
    pub approvals: ApprovalTerms,
}

/// Bounds on what a connection may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionLimits {
    /// Most connections at once; read when the gateway starts.
    pub at_once: usize,
    /// For the head of a request; read when the gateway starts.
    pub head_timeout: Duration,
    /// For the body of a request.
    pub body_timeout: Duration,
    /// The slowest that a body may arrive, in bytes a second.
    pub body_rate: u64,
    /// A client that takes nothing for so long loses its connection.
    pub stall_timeout: Duration,
}

/// A server that is told headers of its clients' requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderForwarding {
    /// Which one.
    pub server: ServerName,
    /// Their names, in lower case.
    pub headers: Vec<String>,
}

/// A configured selection of servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name in `/groups/{name}/…`.
    pub name: String,
    /// Its servers.
    pub servers: Vec<ServerName>,
    /// Paths at which it is served, too: each begins with a slash and ends with none.
    pub paths: Vec<String>,
    /// Which of their tools it shows, and how; the names are those of `/mcp`.
    pub tools: ToolRules,
    /// Whether requests for it need no token.
    pub is_open: bool,
    /// How its own endpoints offer the tools.
    pub view: ToolView,
    /// Which calls at its own endpoints, and by tokens that name it, need the agreement of a person.
    pub approve: ApprovalMode,
}

/// How an endpoint offers tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ToolView {
    /// It lists them.
    #[default]
    List,
    /// It lists three tools, which find, describe and call all others.
    Search,
}

/// What happens to tools that are not as they were when they were pinned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinPolicy {
    /// Nothing: it is not looked at.
    Off,
    /// It is said.
    #[default]
    Alert,
    /// They are not offered until somebody approves them.
    Hold,
}

/// A message of the supervisor to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SupervisorToGateway {
    /// First message, and again when there is another one: accept clients at this listening socket, its one descriptor.
    Listen,
    /// Next message: what this gateway needs to restore the sessions of earlier ones.
    RestoreState {
        /// The key that session ids are sealed with.
        seal: SealKey,
        /// Which gateway it is that reads this; grows by one with each.
        generation: Generation,
    },
    /// Next message, and again after a reload.
    Configure(Box<GatewaySettings>),
    /// Next message, and again after every change: the answers that are kept.
    ApprovalRules(Vec<ApprovalRule>),
    /// All servers in the order of the file: last message of the start, and again after every change.
    Routes(Vec<Route>),
    /// Somebody decides on a call that waits; answered by `HoldEnded`.
    Decide {
        /// Which one.
        id: String,
        /// What.
        decision: ApprovalDecision,
        /// Who, for the audit.
        by: String,
    },
    /// What a server offers was approved: its pins are others.
    Approved(ServerName),
    /// So many records of `Audit` were written since the last such message.
    Audited {
        /// How many.
        written: u64,
        /// Why no more can be written now; they are kept, and tried again.
        error: Option<String>,
    },
    /// Answer with `Pong` of the same number.
    Ping(u64),
    /// Stop accepting, finish what is in flight within this time, then exit.
    Drain {
        /// At most so long.
        grace: Duration,
    },
    /// To the `Connect` of the same number: the two descriptors of a [`DataEnd`](crate::DataEnd); the worker is given the other.
    Connected {
        /// Number of the request.
        id: u64,
    },
    /// The same, when there is none.
    NotConnected {
        /// Number of the request.
        id: u64,
        /// Why, for the log.
        reason: String,
    },
    /// To the `OpenCatalogue` of the same number: the one descriptor is the file, open to be read.
    Catalogue {
        /// Number of the request.
        id: u64,
    },
    /// The same, when there is none.
    NoCatalogue {
        /// Number of the request.
        id: u64,
        /// Why, for the log; `None`: nothing is kept.
        reason: Option<String>,
    },
    /// To the `Act` of the same number: how it ended.
    Acted {
        /// Number of the request.
        id: u64,
        /// How.
        outcome: ActOutcome,
    },
    /// The answer to the `Ask` of the same number.
    Answer {
        /// Number of the question.
        id: u64,
        /// The answer.
        answer: Box<Answer>,
    },
}

/// A message of the gateway to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayToSupervisor {
    /// Accepting requests.
    Listening {
        /// The parts of its confinement that the kernel did not give.
        missing: Vec<Degradation>,
    },
    /// Something to log.
    Log(LogRecord),
    /// Answer to `Ping`.
    Pong(u64),
    /// A client calls this server, which is started by its calls. The supervisor ignores it for any other server.
    Wake(ServerName),
    /// A new connection to this generation's worker is wanted.
    Connect {
        /// Number that the answer carries.
        id: u64,
        /// Which server.
        server: ServerName,
        /// Which generation; another one is not connected to.
        generation: Generation,
    },
    /// What this server offered last is wanted, as its worker handed it over.
    OpenCatalogue {
        /// Number that the answer carries.
        id: u64,
        /// Which server.
        server: ServerName,
        /// The key of its route; nothing else is opened.
        key: CatalogueKey,
    },
    /// The pins of this server are wanted: what it offered when it was first seen, or when that was approved. Answered as
    /// `OpenCatalogue` is.
    OpenPins {
        /// Number that the answer carries.
        id: u64,
        /// Which server.
        server: ServerName,
    },
    /// A read-only question, for `/health` and the built-in server.
    Ask {
        /// Number that the answer carries.
        id: u64,
        /// The question.
        question: Question,
    },
    /// A person does something on the web page; answered by `Acted`. The one thing that a gateway may ask for that changes something:
    /// the supervisor checks who it is, and can refuse.
    Act {
        /// Number that the answer carries.
        id: u64,
        /// What is to be done.
        act: Act,
        /// For whom.
        by: ActingCaller,
    },
    /// So much of what a server offers is shown to clients: without what its rules leave out and what no client could read.
    Shown {
        /// Which server.
        server: ServerName,
        /// How many entries.
        counts: CatalogueCounts,
    },
    /// Stores the snapshot of a session for the next gateway, in place of an earlier one.
    StoreSnapshot {
        /// Which session.
        key: SessionKey,
        /// At most [`crate::MAX_SNAPSHOT`] bytes.
        snapshot: Vec<u8>,
    },
    /// These tokens, by their hashes, were used last at these seconds since the Unix epoch.
    TokensUsed(Vec<([u8; 32], u64)>),
    /// Calls to be recorded. So many are under way at most: [`crate::AUDIT_UNWRITTEN`].
    Audit {
        /// In the order in which they ended.
        records: Vec<AuditRecord>,
        /// Calls before these of which nothing is recorded, because there was no room.
        dropped: u64,
    },
    /// A call waits for a person.
    Held(Box<HeldCall>),
    /// One does not wait any more, or there is none of that name.
    HoldEnded {
        /// Which one.
        id: String,
        /// Why; `None`: there is none.
        end: Option<HoldEnd>,
    },
    /// An answer that is to be kept.
    KeepApproval(Box<ApprovalRule>),
    /// These sessions ended: the next gateway must not restore them.
    Forget(Vec<SessionKey>),
}

/// A question of the gateway. All of them are read-only; what changes something is an [`Act`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// The status of everything.
    Status,
    /// The last log lines of a server.
    Logs {
        /// Which one.
        server: ServerName,
        /// At most so many.
        lines: usize,
    },
    /// The last log lines of all servers and of the gateway, in the order of their time.
    AllLogs {
        /// At most so many.
        lines: usize,
    },
    /// The lines since this was asked the last time, for the web page; the first answer has none.
    NewLogs,
    /// The configuration file, and what reading it now would change.
    ConfigFile,
    /// The entry of a server with all defaults, for the web page.
    Entry(ServerName),
    /// Whether this caller of the web page may see what operators see; acts are checked one by one besides.
    MayAdminister(ActingCaller),
    /// The stored snapshot of a session that returns.
    StoredSession(SessionKey),
    /// The keys of the sessions that can be restored, in parts.
    SessionKeys {
        /// The last of the part before.
        after: Option<SessionKey>,
    },
}

/// Answers to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To `Status`.
    Status(Box<StatusReport>),
    /// To `Logs`, oldest first.
    Logs(Vec<LogLine>),
    /// To `AllLogs`.
    AllLogs(Vec<OwnedLine>),
    /// To `NewLogs`.
    NewLogs {
        /// They, in the order of their time.
        lines: Vec<OwnedLine>,
        /// So many more there were.
        dropped: u64,
    },
    /// To `ConfigFile`.
    ConfigFile(Box<ShownConfig>),
    /// To `Entry`: a JSON object, with secrets masked.
    Entry(String),
    /// To `MayAdminister`: why not; `None`: yes.
    MayAdminister(Option<String>),
    /// There is no such server.
    UnknownServer,
    /// To `StoredSession`.
    StoredSession(StoredSession),
    /// To `SessionKeys`, in ascending order.
    SessionKeys {
        /// A part of them.
        keys: Vec<SessionKey>,
        /// There are more.
        more: bool,
    },
}
