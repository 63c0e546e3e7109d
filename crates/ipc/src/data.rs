//! The data plane: the small internal call protocol between client dialects (in the gateway) and server dialects
//! (in the worker). Payloads are raw JSON bytes beside these heads.
//!
//! A call is answered by any number of `Progress` and `Log` events and then by exactly one of `Done` and `NeedsInput`.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::{Secret, SessionKey};

/// A message of the gateway to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayToWorker {
    /// A request for the server. Payload: the members of `params` as a JSON object without `_meta`, then (from byte
    /// `meta_at`) the members of `_meta` as a JSON object; either part may be empty.
    Call {
        /// Chosen by the gateway, unique on this connection.
        id: u64,
        /// The MCP method.
        method: Cow<'static, str>,
        /// Where the `_meta` object begins in the payload.
        meta_at: usize,
        /// The part of the caller's data that the server may know.
        context: CallContext,
    },
    /// The answers to a `NeedsInput` whose call is parked; the call goes on under the new `id`. Payload: a JSON object of
    /// key → `{"result": …}` or `{"error": …}`.
    Resume {
        /// The new number of the call.
        id: u64,
        /// From [`Resumption::Parked`].
        handle: u64,
        /// The same from here on: the caller may be another one.
        context: CallContext,
    },
    /// No client will resume this parked call.
    Abandon {
        /// From [`Resumption::Parked`].
        handle: u64,
    },
    /// The client is no longer interested. The call is not answered after this.
    Cancel {
        /// The call.
        id: u64,
        /// The client's words.
        reason: Option<String>,
    },
    /// The directories that the client of a session works in have changed, for the instance that is its own.
    RootsChanged {
        /// Which one.
        session: SessionKey,
    },
    /// The client reports on its work at what a parked call waits for. Payload: the params of its `notifications/progress`
    /// without `progressToken`.
    InputProgress {
        /// From [`Resumption::Parked`].
        handle: u64,
        /// Which of the input requests.
        key: String,
    },
    /// A notification that no specification names. Payload: its params as they are; empty when there are none.
    Notify {
        /// Its method.
        method: String,
        /// Whose instance is meant, of a server that has one for each session.
        session: Option<SessionKey>,
    },
    /// A client asks for a list, which the gateway has: it is asked for again if it is too old. Answered by `ListChecked`.
    CheckList {
        /// The method that asks for it.
        method: Cow<'static, str>,
        /// Whose instance is meant, of a server that has one for each session.
        session: Option<SessionKey>,
    },
    /// A session is about to list what the server offers. Answered by `Done` once it is known what an instance of this client
    /// offers, or that this cannot be known now; a `Catalogue` for the session comes before that where it differs from what
    /// the server offers to all.
    Meet {
        /// Chosen by the gateway, unique on this connection.
        id: u64,
        /// Whose session it is, and what its client said of itself.
        context: CallContext,
    },
    /// A session is over, and with it the instance of the server that was its own.
    Release {
        /// Which one.
        session: SessionKey,
    },
}

/// The part of a caller's data that a server may know in one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallContext {
    /// The client asked for progress; without it `Progress` is used for timeouts only and not passed on.
    pub wants_progress: bool,
    /// The client's capabilities as JSON, when the server's dialect has a place for them.
    pub client_capabilities: Option<String>,
    /// The client's `clientInfo` as JSON, where it said that once for all its calls.
    pub client_info: Option<String>,
    /// The log level that the client asked for.
    pub log_level: Option<String>,
    /// The principal that calls, when there is authentication.
    pub principal: Option<String>,
    /// Whose instance is called, of a server that has one for each session; `None` for one that all share.
    pub session: Option<SessionKey>,
    /// Which session calls, for servers that ask: all its calls come from one client, whose capabilities stay as they are.
    /// `None`: a request that stands for itself.
    pub client: Option<SessionKey>,
    /// Headers of the client's request that this server is told (`forwardHeaders`); names in lower case.
    pub headers: Vec<(String, Secret)>,
}

/// A message of a worker to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerToGateway {
    /// The server's catalogue; first message, and again whenever it changes. Payload: one JSON object with `serverInfo`,
    /// `capabilities`, `instructions` (absent when the server has none) and the arrays `tools`, `prompts`, `resources`,
    /// `resourceTemplates`, each element as the server sent it. A server of 2026-07-28 may have said how long each list stays
    /// true: then `caching` is an object of list → `{"ttlMs": …, "cacheScope": …}`, the strictest of its pages.
    Catalogue {
        /// Grows with every change.
        revision: u64,
        /// Of a server that has an instance for each session: only this session is offered that. An empty payload says that it
        /// is offered what all are. `None`: what all are offered whose own instance is not known to offer something else.
        session: Option<SessionKey>,
        /// Traits of the server that the gateway must know to prepare its calls.
        traits: ServerTraits,
    },
    /// The server does not want an answer to one input request of a parked call any more.
    Withdrawn {
        /// From [`Resumption::Parked`].
        handle: u64,
        /// Which one.
        key: String,
        /// The server's words.
        reason: Option<String>,
    },
    /// The server answered a parked call without waiting for its client: `Resume` is answered with that, whatever it brings.
    ParkedDone {
        /// From [`Resumption::Parked`].
        handle: u64,
    },
    /// The call waits for its instance to start, and its client wants progress. Payload: what to tell it, a JSON string.
    Starting {
        /// The call.
        id: u64,
    },
    /// A notification that no specification names. Payload: its params as they are; empty when there are none.
    Notification {
        /// Its method.
        method: String,
        /// The call it belongs to, when that is certain.
        id: Option<u64>,
        /// The one session that it concerns, when the server has an instance for each.
        session: Option<SessionKey>,
    },
    /// To `CheckList`: this list is as new as it has to be; a `Catalogue` came before if it changed.
    ListChecked {
        /// The method that asks for it.
        method: Cow<'static, str>,
    },
    /// The server announced that a list has changed, and has been asked for it; a `Catalogue` came before if it differs.
    ListChanged {
        /// The method that asks for it.
        method: Cow<'static, str>,
        /// The one session that it concerns, when the server has an instance for each.
        session: Option<SessionKey>,
    },
    /// Payload: the params of a `notifications/progress` without `progressToken`.
    Progress {
        /// The call.
        id: u64,
    },
    /// The final answer. Payload: the JSON-RPC `result`, or the JSON-RPC `error` object.
    Done {
        /// The call.
        id: u64,
        /// Which of the two the payload is.
        outcome: Outcome,
        /// Of which era the answer is; of an error of ours it does not matter.
        era: ServerEra,
    },
    /// The server wants something from the client before it goes on. Payload: a JSON object with `inputRequests` (key →
    /// `{method, params}`) and `requestState` (a string), of which one may be absent, as in an `InputRequiredResult` of MCP
    /// 2026-07-28.
    NeedsInput {
        /// The call, which is over under this number.
        id: u64,
        /// How it goes on.
        resumption: Resumption,
    },
    /// Payload: the params of a `notifications/message`.
    Log {
        /// The call it belongs to, when that is certain.
        id: Option<u64>,
        /// The one session that it concerns, when the server has an instance for each.
        session: Option<SessionKey>,
    },
    /// A subscribed resource changed. Payload: the params of `notifications/resources/updated`.
    Updated {
        /// The one session that it concerns, when the server has an instance for each.
        session: Option<SessionKey>,
    },
    /// A task stands otherwise. Payload: the params of `notifications/tasks` (2026-07-28) or `notifications/tasks/status`
    /// (2025-11-25).
    TaskChanged {
        /// The one session that it concerns, when the server has an instance for each.
        session: Option<SessionKey>,
    },
    /// A page that a user was asked to visit has served its purpose. Payload: the params of
    /// `notifications/elicitation/complete`.
    PageDone {
        /// The one session that it concerns, when the server has an instance for each.
        session: Option<SessionKey>,
    },
}

/// How a call goes on that needs input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resumption {
    /// The server waits for the answers within the very same call, which the worker keeps: `Resume` brings them.
    Parked {
        /// To resume or abandon it. Good for one `Resume`, at this worker only.
        handle: u64,
    },
    /// The server forgot the call: it is made again, with `inputResponses` and `requestState` among its params
    /// (MCP 2026-07-28, multi round-trip requests).
    Again,
}

/// Traits of a server that the gateway must know to prepare its calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTraits {
    /// Which era of MCP it speaks; of one that has an instance for each session and speaks both, the era in which requests
    /// reach it that stand for themselves.
    pub era: ServerEra,
    /// Its calls may come to `NeedsInput`, so they carry the capabilities of their client.
    pub asks: bool,
}

/// The two eras of MCP servers, which is also what a server turns out to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerEra {
    /// A session that begins with `initialize`: 2024-11-05 … 2025-11-25.
    #[default]
    Legacy,
    /// Stateless requests and `server/discover`: 2026-07-28.
    Modern,
}

impl ServerEra {
    /// The word for it in status, logs and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }

    /// The era of such a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Legacy, Self::Modern].into_iter().find(|era| era.as_str() == word)
    }
}

impl fmt::Display for ServerEra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of the payload of `Done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A JSON-RPC `result`.
    Result,
    /// A JSON-RPC `error` object: the server's own words, or ours (31001 … 31003).
    Error,
    /// The server had ended, or was being ended, before it was told of the call; the payload is empty. The next generation may
    /// have it: no server has seen it.
    Unsent,
}
